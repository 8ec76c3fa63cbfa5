package upstream

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
)

// balancer chooses one of the candidates, of which there is at least one.
type balancer interface {
	choose(r *http.Request, candidates []*target) *target
}

func newBalancer(name string) balancer {
	switch name {
	case "least_requests":
		return leastRequests{}
	case "hash":
		return byHash{}
	default:
		return &roundRobin{}
	}
}

// roundRobin takes one after the other.
type roundRobin struct{ next atomic.Uint64 }

func (b *roundRobin) choose(_ *http.Request, candidates []*target) *target {
	return candidates[(b.next.Add(1)-1)%uint64(len(candidates))]
}

// leastRequests takes, of two chosen by chance, the one with fewer requests in
// flight: nearly as even as looking at all, and no herd runs to the one that
// was idle a moment ago.
type leastRequests struct{}

func (leastRequests) choose(_ *http.Request, candidates []*target) *target {
	first := candidates[rand.IntN(len(candidates))]
	second := candidates[rand.IntN(len(candidates))]
	if second.inFlight.Load() < first.inFlight.Load() {
		return second
	}
	return first
}

// byHash sends a URL to the same target always (rendezvous hashing): when a
// target goes, only its own URLs move.
type byHash struct{}

func (byHash) choose(r *http.Request, candidates []*target) *target {
	var best *target
	var highest uint64
	for _, t := range candidates {
		h := fnv.New64a()
		_, _ = io.WriteString(h, r.URL.RequestURI())
		_, _ = io.WriteString(h, "\x00"+t.name)
		if score := mix(h.Sum64()); best == nil || score > highest {
			best, highest = t, score
		}
	}
	return best
}

// mix spreads the bits of a hash that end alike (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
