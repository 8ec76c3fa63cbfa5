// Package synthetic makes small traces on the spot, each with a character that some policies can't cope with.
package synthetic

import (
	"fmt"
	"math/rand/v2"

	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/zipf"
)

// All is a set of small traces: popularity of several skews, loops, scans through a hot set, a hot set that moves, and a
// Zipf distribution whose keys shift.
func All() []*trace.Trace {
	return []*trace.Trace{
		Zipf(0.7, 50_000, 500_000),
		Zipf(0.9, 50_000, 500_000),
		Zipf(1.1, 50_000, 500_000),
		Loop(2000, 300_000),
		Scans(0.9, 20_000, 5000, 500_000),
		HotSet(50_000, 1000, 50_000, 500_000),
		ShiftingZipf(0.9, 100_000, 100_000, 1_000_000),
	}
}

func rng() *rand.Rand { return rand.New(rand.NewPCG(2025, 11)) }

// number gives the keys their numbers in the order of first use, as for traces that are read.
func number(name string, keys []uint64) *trace.Trace {
	t := &trace.Trace{Name: name}
	ids := map[uint64]uint32{}
	for _, k := range keys {
		id, ok := ids[k]
		if !ok {
			id = uint32(len(ids))
			ids[k] = id
		}
		t.Keys = append(t.Keys, id)
	}
	t.Distinct = len(ids)
	return t
}

// Zipf draws from n keys.
func Zipf(s float64, n, requests int) *trace.Trace {
	z := zipf.New(rng(), s, n)
	keys := make([]uint64, requests)
	for i := range keys {
		keys[i] = uint64(z.Next())
	}
	return number(fmt.Sprintf("zipf-%.1f", s), keys)
}

// Loop goes through n keys again and again.
func Loop(n, requests int) *trace.Trace {
	keys := make([]uint64, requests)
	for i := range keys {
		keys[i] = uint64(i % n)
	}
	return number(fmt.Sprintf("loop-%d", n), keys)
}

// Scans draws from n keys by Zipf's law; between, now and then, length keys come in a row that are never used again.
func Scans(s float64, n, length, requests int) *trace.Trace {
	r := rng()
	z := zipf.New(r, s, n)
	keys := make([]uint64, 0, requests)
	fresh := uint64(n)
	for len(keys) < requests {
		for range 4 * length {
			keys = append(keys, uint64(z.Next()))
		}
		for range length {
			keys = append(keys, fresh)
			fresh++
		}
	}
	return number("scans", keys[:requests])
}

// HotSet draws nine of ten requests from a hot set of size hot, which is another part of the n keys after every period.
func HotSet(n, hot, period, requests int) *trace.Trace {
	r := rng()
	keys := make([]uint64, requests)
	for i := range keys {
		if r.IntN(10) == 0 {
			keys[i] = uint64(r.IntN(n))
		} else {
			keys[i] = uint64((i/period*hot + r.IntN(hot)) % n)
		}
	}
	return number("hot-set", keys)
}

// ShiftingZipf draws from n keys by Zipf's law; after every period each rank belongs to another key, as when today's
// news takes the place of yesterday's.
func ShiftingZipf(s float64, n, period, requests int) *trace.Trace {
	z := zipf.New(rng(), s, n)
	keys := make([]uint64, requests)
	for i := range keys {
		// Every key's rank grows by a tenth of the keys: the most popular one falls to rank n/10, and keys that hardly
		// anyone asked for take the first places.
		shift := i / period * (n / 10) % n
		keys[i] = uint64((z.Next() + n - shift) % n)
	}
	return number("zipf-shifting", keys)
}

// ScanThenLoop requests scan keys once, then goes through a loop.
func ScanThenLoop(scan, loop, requests int) *trace.Trace {
	keys := make([]uint64, 0, requests)
	for i := range scan {
		keys = append(keys, uint64(i))
	}
	for i := 0; len(keys) < requests; i++ {
		keys = append(keys, uint64(scan+i%loop))
	}
	return number("scan-loop", keys)
}
