//go:build go1.25

package larder_test

import (
	"testing"
	"testing/synctest"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// In a bubble of synctest entries live in its time, if the options say so.
func TestSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := larder.New(larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Hour, Clock: larder.ClockFunc(time.Now)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		mustSet(t, c, "k", nil)
		time.Sleep(time.Hour - time.Millisecond)
		wantValue(t, c, "k", nil)
		time.Sleep(time.Millisecond)
		wantMiss(t, c, "k")
		wantLoad(t, c, "k", constant("v"), "v")
	})
}
