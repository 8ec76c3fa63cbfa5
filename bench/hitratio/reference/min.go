package reference

import (
	"container/heap"
	"math"
	"slices"
)

// never is the next use of a key that isn't used again.
const never = math.MaxInt32

// nextUses is, for every request, the position of the next request for the same key.
func nextUses(keys []uint32, distinct int) []int32 {
	next := make([]int32, len(keys))
	last := make([]int32, distinct)
	for i := range last {
		last[i] = never
	}
	for i := len(keys) - 1; i >= 0; i-- {
		next[i] = last[keys[i]]
		last[keys[i]] = int32(i)
	}
	return next
}

// MIN is the number of hits of the offline optimum for objects of one size (Belady's MIN): when there is no room, the
// object that is used again latest leaves, which may be the one just requested.
func MIN(keys []uint32, distinct, capacity int) int {
	next := nextUses(keys, distinct)
	present := make([]int32, distinct) // the next use of a key that is present, else 0
	// The heap may hold uses that have come meanwhile: they are skipped when they surface. Position 0 is nobody's next
	// use, so 0 can mean absence.
	var farthest useHeap
	hits, used := 0, 0
	for i, k := range keys {
		if present[k] != 0 {
			hits++
		} else {
			used++
		}
		present[k] = next[i]
		heap.Push(&farthest, use{next[i], k})
		for used > capacity {
			u := heap.Pop(&farthest).(use)
			if present[u.key] == u.at {
				present[u.key] = 0
				used--
			}
		}
	}
	return hits
}

type use struct {
	at  int32
	key uint32
}

type useHeap []use

func (h useHeap) Len() int           { return len(h) }
func (h useHeap) Less(i, j int) bool { return h[i].at > h[j].at }
func (h useHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *useHeap) Push(x any)        { *h = append(*h, x.(use)) }
func (h *useHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// Bound is an upper bound of the hits that any cache of that many bytes can have, for objects of different sizes, whose
// true optimum is hard to compute. It is PFOO-L (Berger, Beckmann, Harchol-Balter: Practical Bounds on Optimal Caching
// with Variable Object Sizes, 2018): every hit costs the object's size times the time since its last use, and the cheapest
// hits are taken until capacity times the length of the trace is used up.
func Bound(keys, sizes []uint32, distinct int, capacity int64) int {
	next := nextUses(keys, distinct)
	var costs []float64
	for i, n := range next {
		// Objects that change their size between two uses, and those larger than the cache, can't be hit.
		if n == never || sizes[i] != sizes[n] || int64(sizes[i]) > capacity {
			continue
		}
		costs = append(costs, float64(max(sizes[i], 1))*float64(n-int32(i)))
	}
	slices.Sort(costs)
	room := float64(capacity) * float64(len(keys))
	for i, c := range costs {
		if room -= c; room < 0 {
			return i
		}
	}
	return len(costs)
}
