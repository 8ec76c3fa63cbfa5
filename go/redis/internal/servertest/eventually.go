package servertest

import (
	"testing"
	"time"
)

// Patience is how long [Eventually] waits.
const Patience = 30 * time.Second

// Eventually waits for a state, and fails the test if it doesn't come within [Patience].
func Eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", Patience, what)
		}
	}
}
