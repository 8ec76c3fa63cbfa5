package synthetic

import (
	"slices"
	"testing"

	"github.com/larder-cache/larder/bench/hitratio/reference"
	"github.com/larder-cache/larder/bench/hitratio/trace"
)

func lru(t *trace.Trace, capacity int) float64 {
	c, hits := reference.NewLRU(int64(capacity), t.Distinct), 0
	for _, k := range t.Keys {
		if c.Access(k, 1) {
			hits++
		}
	}
	return float64(hits) / float64(len(t.Keys))
}

func TestTracesAreWhatTheyAreCalled(t *testing.T) {
	loop := Loop(100, 10_000)
	if loop.Distinct != 100 || lru(loop, 99) != 0 || lru(loop, 100) < 0.98 {
		t.Errorf("loop: %d keys, LRU %.3f and %.3f", loop.Distinct, lru(loop, 99), lru(loop, 100))
	}
	if flat, steep := lru(Zipf(0.7, 5000, 50_000), 100), lru(Zipf(1.1, 5000, 50_000), 100); flat > steep-0.2 {
		t.Errorf("zipf: LRU has %.3f with exponent 0.7 and %.3f with 1.1", flat, steep)
	}
	hot := HotSet(10_000, 100, 10_000, 50_000)
	if h := lru(hot, 200); h < 0.8 || h > 0.92 {
		t.Errorf("hot set: LRU %.3f, want nearly the hot set's share of 0.9", h)
	}
	if s := ScanThenLoop(500, 100, 5000); s.Distinct != 600 || len(s.Keys) != 5000 {
		t.Errorf("scan, then loop: %d of %d", len(s.Keys), s.Distinct)
	}
}

func TestShiftingZipfShifts(t *testing.T) {
	const n, period = 10_000, 20_000
	s := ShiftingZipf(0.9, n, period, 3*period)
	top := func(keys []uint32) uint32 {
		counts := map[uint32]int{}
		best := keys[0]
		for _, k := range keys {
			counts[k]++
			if counts[k] > counts[best] {
				best = k
			}
		}
		return best
	}
	a, b, c := top(s.Keys[:period]), top(s.Keys[period:2*period]), top(s.Keys[2*period:])
	if a == b || b == c || a == c {
		t.Errorf("the most popular keys of three periods are %d, %d and %d", a, b, c)
	}
}

func TestTheBatteryIsTheSameEachTime(t *testing.T) {
	const c = 256
	first, second := Battery(c), Battery(c)
	for i := range first {
		a, b := first[i].Trace, second[i].Trace
		if !slices.Equal(a.Keys, b.Keys) || a.Name != b.Name {
			t.Errorf("%s: another trace the second time", a.Name)
		}
		if len(a.Keys) < 100*c {
			t.Errorf("%s: %d requests are too few for a cache of %d", a.Name, len(a.Keys), c)
		}
	}
}

func TestPairsComeTwiceAtTheirDistance(t *testing.T) {
	s := newStream("pairs")
	p := &pairs{stream: s}
	for range 10_000 {
		p.ask(100)
	}
	seen := map[uint64]int{}
	for i, k := range s.keys {
		if at, ok := seen[k]; ok {
			if at < 0 {
				t.Fatalf("key %d comes a third time", k)
			}
			if d := i - at; d < 100 || d > 201 {
				t.Fatalf("key %d comes again after %d requests", k, d)
			}
			seen[k] = -1
		} else {
			seen[k] = i
		}
	}
}
