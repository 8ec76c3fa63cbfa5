package reference

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func randomTrace(rng *rand.Rand, length, distinct int) []uint32 {
	keys := make([]uint32, length)
	for i := range keys {
		// Squared, so that some keys are more popular.
		x := rng.Float64()
		keys[i] = uint32(x * x * float64(distinct))
	}
	return keys
}

func TestLRUAgreesWithASlice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, unit := range []bool{true, false} {
		for range 50 {
			const distinct = 30
			keys := randomTrace(rng, 500, distinct)
			capacity := int64(1 + rng.IntN(20))
			if !unit {
				capacity *= 5
			}
			c := NewLRU(capacity, distinct)
			type object struct{ key, size uint32 }
			var recent []object // the newest first
			for i, k := range keys {
				size := uint32(1)
				if !unit {
					size = uint32(rng.IntN(12)) // now and then larger than the cache, and it changes
				}
				at := slices.IndexFunc(recent, func(o object) bool { return o.key == k })
				want := at >= 0 && recent[at].size == max(size, 1)
				if at >= 0 {
					recent = slices.Delete(recent, at, at+1)
				}
				if int64(size) <= capacity {
					recent = slices.Insert(recent, 0, object{k, max(size, 1)})
				}
				for sum := int64(0); ; sum = 0 {
					for _, o := range recent {
						sum += int64(o.size)
					}
					if sum <= capacity {
						break
					}
					recent = recent[:len(recent)-1]
				}
				if got := c.Access(k, size); got != want {
					t.Fatalf("request %d: hit %v, want %v", i, got, want)
				}
			}
		}
	}
}

// best tries every choice of what to evict.
func best(keys []uint32, present []uint32, capacity int) int {
	if len(keys) == 0 {
		return 0
	}
	if slices.Contains(present, keys[0]) {
		return 1 + best(keys[1:], present, capacity)
	}
	with := append(slices.Clone(present), keys[0])
	if len(with) <= capacity {
		return best(keys[1:], with, capacity)
	}
	most := 0
	for i := range with {
		most = max(most, best(keys[1:], slices.Delete(slices.Clone(with), i, i+1), capacity))
	}
	return most
}

func TestMINIsTheOptimum(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 300 {
		keys := make([]uint32, 12)
		for i := range keys {
			keys[i] = uint32(rng.IntN(5))
		}
		capacity := 1 + rng.IntN(3)
		if got, want := MIN(keys, 5, capacity), best(keys, nil, capacity); got != want {
			t.Fatalf("%v at %d: %d hits, want %d", keys, capacity, got, want)
		}
	}
}

func TestMINOfALoop(t *testing.T) {
	// A loop of 100 keys, 50 of them kept: half of all requests hit, but for the first round.
	var keys []uint32
	for range 1000 {
		for k := range uint32(100) {
			keys = append(keys, k)
		}
	}
	got := float64(MIN(keys, 100, 50)) / float64(len(keys))
	if got < 0.49 || got > 0.51 {
		t.Errorf("hit ratio %.3f, want about 0.5", got)
	}
}

func TestBoundIsABound(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		const distinct = 200
		keys := randomTrace(rng, 5000, distinct)
		capacity := 5 + rng.IntN(150)
		unit := make([]uint32, len(keys))
		size := make([]uint32, distinct)
		sizes := make([]uint32, len(keys))
		for i := range size {
			size[i] = uint32(1 + rng.IntN(20))
		}
		for i, k := range keys {
			unit[i], sizes[i] = 1, size[k]
		}
		if bound, exact := Bound(keys, unit, distinct, int64(capacity)), MIN(keys, distinct, capacity); bound < exact {
			t.Fatalf("bound %d below the optimum %d", bound, exact)
		}
		lru, hits := NewLRU(int64(capacity), distinct), 0
		for i, k := range keys {
			if lru.Access(k, sizes[i]) {
				hits++
			}
		}
		if bound := Bound(keys, sizes, distinct, int64(capacity)); bound < hits {
			t.Fatalf("bound %d below LRU's %d", bound, hits)
		}
	}
}
