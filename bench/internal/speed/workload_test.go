package speed

import (
	"testing"
	"time"

	"github.com/larder-cache/larder/bench/internal/peers"
)

// Every case does work, on a cache that keeps everything nothing is missed, and no value is wrong.
func TestCases(t *testing.T) {
	for _, name := range []string{"map", "larder", "golang-lru"} {
		w, err := newWorkload(setup{Cache: name, Group: Group{2000, 64}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range residentCases {
			for _, goroutines := range []int{1, 2} {
				r, err := w.measure(run{c, goroutines, 5 * time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				if c == getMany && name != "larder" {
					if r.Ops != 0 {
						t.Errorf("%s has no get-many, but did %d of them", name, r.Ops)
					}
					continue
				}
				if r.Ops == 0 || r.Wall < 5*time.Millisecond || r.Wrong != 0 || r.Refused != 0 {
					t.Errorf("%s, %s: %+v", name, c, r)
				}
				if name == "map" && r.Misses != 0 {
					t.Errorf("%s, %s: %d misses", name, c, r.Misses)
				}
			}
		}
	}
	w, err := newWorkload(setup{Cache: "golang-lru", Group: Group{1000, 64}, Evicting: true})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := w.measure(run{setEvicting, 1, 5 * time.Millisecond}); err != nil || r.Ops == 0 || r.LostShare != 0 {
		t.Errorf("set-evicting: %+v, %v", r, err)
	}
}

// liar misses, returns foreign values and drops sets.
type liar struct {
	peers.Cache
	n int
}

func (l *liar) Get(dst, key []byte) ([]byte, bool) {
	l.n++
	v, ok := l.Cache.Get(dst, key)
	switch {
	case l.n%4 == 0:
		return dst, false
	case l.n%4 == 1 && ok:
		v[0]++
	case l.n%4 == 2 && ok:
		v = v[:len(v)-1]
	}
	return v, ok
}

func TestWrongValuesAndLostSetsAreNoticed(t *testing.T) {
	w, err := newWorkload(setup{Cache: "map", Group: Group{1000, 64}})
	if err != nil {
		t.Fatal(err)
	}
	w.fill()
	w.cache = &liar{Cache: w.cache}
	var r Result
	loopGetHit(w, &w.workers[0], &r)
	if r.Misses != batch/4 || r.Wrong != batch/2 {
		t.Errorf("%d misses and %d wrong values of %d, want a quarter and half", r.Misses, r.Wrong, batch)
	}
	if share := w.lostShare(); share != 0.25 {
		t.Errorf("a share of %.3f lost, want 0.25", share)
	}
}
