package history

import (
	"math"
	"testing"

	"github.com/larder-cache/larder/bench/internal/speed"
)

func measured(kind, cache string, cpu float64) speed.Measurement {
	return speed.Measurement{Cache: cache, Case: kind, Entries: 1000, ValueSize: 100, Goroutines: 1, CPU: cpu}
}

// A machine that is half as fast changes nothing; what got slower than the peers did shows.
func TestOnlyWhatChangedBesideThePeersCounts(t *testing.T) {
	older := []speed.Measurement{
		measured("get", "larder", 10), measured("get", "a", 20), measured("get", "b", 40), measured("get", "gone", 1),
		measured("set", "larder", 30), measured("set", "a", 60),
		measured("alone", "larder", 30),
	}
	newer := []speed.Measurement{
		measured("get", "larder", 20), measured("get", "a", 40), measured("get", "b", 80),
		measured("set", "larder", 90), measured("set", "a", 120),
		measured("alone", "larder", 90),
		measured("new", "larder", 1), measured("new", "a", 1),
	}
	changes := Compare(older, newer)
	if len(changes) != 2 {
		t.Fatalf("%d cases are in both files with a peer, not 2: %v", len(changes), changes)
	}
	if c := changes[0]; c.Case != "set" || math.Abs(c.Worse()-0.5) > 1e-9 {
		t.Errorf("the worst is %+v, worse by %g; set is, by a half", c, c.Worse())
	}
	if c := changes[1]; c.Case != "get" || math.Abs(c.Worse()) > 1e-9 {
		t.Errorf("get didn't change: %+v, worse by %g", c, c.Worse())
	}
}
