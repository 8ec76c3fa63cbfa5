package httpcache

import (
	"hash/maphash"
	"sync"
)

// A response that was requested before its URI was invalidated must not be stored
// after it, and requests that come after an invalidation must not join a fetch
// from before it. So invalidations are counted, and a fetch knows the count at
// which it began.
//
// One count for each URI would need memory for every URI there ever was; one
// count for many would make a change of one of them keep the others from being
// stored, which in front of a busy API is most of the time. So each stripe of
// URIs remembers by their hashes which were invalidated last, at which count. Only
// when more of them come during one fetch than are remembered, some
// 4,000 over all, are fetches of other URIs taken for overtaken.

const (
	stripes     = 256
	recentGones = 16
)

// stripe serialises changes of the entries of some URIs and remembers their
// invalidations.
type stripe struct {
	mu     sync.Mutex
	gen    uint64 // invalidations so far
	floor  uint64 // up to which count they have been forgotten
	recent [recentGones]struct{ hash, gen uint64 }
}

// note counts an invalidation. s.mu must be held.
func (s *stripe) note(hash uint64) {
	s.gen++
	r := &s.recent[s.gen%recentGones]
	s.floor = r.gen
	r.hash, r.gen = hash, s.gen
}

// overtaken reports whether the URI may have been invalidated since the count was
// gen. s.mu must be held.
func (s *stripe) overtaken(hash, gen uint64) bool {
	if s.floor > gen {
		return true
	}
	if s.gen == gen {
		return false
	}
	for i := range s.recent {
		if r := &s.recent[i]; r.hash == hash && r.gen > gen {
			return true
		}
	}
	return false
}

// hash is that of a primary key.
func (s *shared) hash(primary []byte) uint64 { return maphash.Bytes(s.seed, primary) }

func (s *shared) stripe(hash uint64) *stripe { return &s.stripes[hash%stripes] }

// moment tells what has been invalidated and purged until a request was sent.
// Requests that come after an invalidation must not get a response that was
// requested before it.
type moment struct {
	gen uint64 // of the primary key's stripe
	seq uint64 // of purges
}

// present returns the current moment, for a primary key.
func (s *shared) present(primary []byte) moment {
	return moment{gen: s.generation(primary), seq: s.purges.seq.Load()}
}

func (s *shared) generation(primary []byte) uint64 {
	st := s.stripe(s.hash(primary))
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.gen
}

// current reports whether nothing that began at a moment has been overtaken, as far
// as the URI tells: which tags a response has is not known before it is there
// (flight.purged).
func (s *shared) current(primary []byte, since moment) bool {
	if s.purges.seq.Load() != since.seq && s.purges.checkKey(primary, since.seq) != notPurged {
		return false
	}
	hash := s.hash(primary)
	st := s.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.overtaken(hash, since.gen)
}
