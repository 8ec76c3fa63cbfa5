package main

import (
	"math"
	"testing"

	"github.com/larder-cache/larder/bench/hitratio/synthetic"
	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/peers"
)

// golang-lru is an exact LRU: replaying through it must give what the simulation gives.
func TestReplayAgreesWithTheSimulation(t *testing.T) {
	for _, tr := range []*trace.Trace{synthetic.Zipf(0.9, 5000, 50_000), synthetic.HotSet(5000, 200, 9000, 50_000)} {
		for _, n := range []int{100, 1000} {
			real, err := runUnits(contestant{name: "golang-lru", peer: "golang-lru"}, tr, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			sim, err := runUnits(contestant{name: simLRU}, tr, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			if real.HitRatio != sim.HitRatio || sim.HitRatio == 0 {
				t.Errorf("%s at %d: %.4f through the library, %.4f simulated", tr.Name, n, real.HitRatio, sim.HitRatio)
			}
			opt, err := runUnits(contestant{name: offline}, tr, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			if opt.HitRatio < sim.HitRatio {
				t.Errorf("%s at %d: the optimum %.4f is below LRU's %.4f", tr.Name, n, opt.HitRatio, sim.HitRatio)
			}
		}
	}
}

// Whatever a cache is bounded by, unitConfig makes it hold the number of entries asked for.
func TestUnitConfigsHoldTheirCapacity(t *testing.T) {
	for _, c := range contestants(peers.Policies) {
		if c.peer == "" {
			continue
		}
		for _, n := range []int{250, 2000, 10_240} {
			cfg, valueSize, ok := unitConfig(c.peer, n)
			if !ok {
				if n > 5000 {
					t.Errorf("%s can't be made with %d entries", c.name, n)
				}
				continue
			}
			cfg.Policy = c.policy
			p, err := peers.Find(c.peer)
			if err != nil {
				t.Fatal(err)
			}
			cache, err := p.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			r, err := newReplayer(valueSize)
			if err != nil {
				t.Fatal(err)
			}
			r.use(cache)
			for k := range uint32(4 * n) {
				r.access(k, valueSize)
			}
			held := 0
			for k := range uint32(4 * n) {
				if _, ok := cache.Get(r.buf[:0], r.keyOf(k)); ok {
					held++
				}
			}
			cache.Close()
			r.free()
			if math.Abs(float64(held)/float64(n)-1) > 0.12 {
				t.Errorf("%s holds %d entries, want about %d", c.name, held, n)
			}
		}
	}
}

func TestPartsAddUp(t *testing.T) {
	a, b := synthetic.Loop(100, 5000), synthetic.Loop(50, 2000)
	b.Name = "another"
	r, err := runUnits(contestant{name: simLRU}, trace.Concat("both", a, b), 60, []int{5000, 7000})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Parts) != 2 || r.Parts[0] != 0 || r.Parts[1] != 1950.0/2000 {
		t.Errorf("parts %v, want none of the larger loop and all but the first round of the smaller", r.Parts)
	}
	if want := 1950.0 / 7000; math.Abs(r.HitRatio-want) > 1e-12 {
		t.Errorf("hit ratio %.4f, want %.4f", r.HitRatio, want)
	}
}

func TestSizes(t *testing.T) {
	rows := 0
	for name, sizes := range standardSizes {
		rows += len(sizes)
		if got, standard := sizesFor(name, 1); !standard || len(got) != len(sizes) {
			t.Errorf("%s has standard sizes", name)
		}
	}
	if rows != 48 {
		t.Errorf("%d standard rows, want 48", rows)
	}
	if got, standard := sizesFor("unknown", 20_484); standard || len(got) != 4 || got[0] != 200 || got[3] != 6100 {
		t.Errorf("sizes %v of a trace without standard sizes", got)
	}
	if got, _ := sizesFor("tiny", 10); len(got) != 1 || got[0] != 5 {
		t.Errorf("sizes %v of a tiny trace", got)
	}
}
