package httpcache

import (
	"testing"
	"time"
)

// Without Options.Now the time is the system's. (Its two clocks may part by half a
// millisecond in the second between two readings.)
func TestClockIsTheSystems(t *testing.T) {
	var k wallClock
	for range 1000 {
		before := time.Now().UnixMilli()
		now := k.now()
		if after := time.Now().UnixMilli(); now < before-2 || now > after+2 {
			t.Fatalf("the clock says %d between %d and %d", now, before, after)
		}
		// As after a second has passed.
		if r := k.reading.Load(); before%2 == 0 {
			k.reading.Store(&clockReading{r.at.Add(-time.Second), r.ms - 1000 + 7*int64(before%3)})
		}
	}
}
