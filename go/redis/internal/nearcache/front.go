package nearcache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Front keeps a few replies, those that are asked for most, as the library wants them: to be handed
// out as they are, shared by all who ask, without a copy. It is on the Go heap, and bounded by
// slots and bytes, so that it doesn't grow with what is cached.
//
// A key has one set of four places. A reply that is found in the table gets a place that is free;
// one that isn't when it was found twice, and nothing else of the set between. It stays until its
// key is dropped, its owner is revoked, its area left, or another takes the place.
//
// Who finds a reply in the table, and would keep it here, may be overtaken by a drop of its key: so
// drops raise the set's turn, and what was looked for in an earlier turn isn't kept.
type Front[V any] struct {
	table *Table
	sets  []set[V]
	room  atomic.Int64 // bytes that may come
}

type set[V any] struct {
	held   [ways]atomic.Pointer[held[V]] // written under mu
	hits   atomic.Uint64
	latest atomic.Uint32 // part of the hash of what was found last
	turn   atomic.Uint32 // written under mu

	mu   sync.Mutex
	next int // the place to be taken when all are
	_    [56]byte
}

type held[V any] struct {
	name  Name
	owner Owner
	bytes int64
	end   int64
	value V
}

const (
	ways      = 4
	frontSets = 2048
	// heldBytes is what one takes beside its value, roughly.
	heldBytes = 128
)

// NewFront makes a Front before a table, of at most so many bytes; of none if they are not above 0.
func NewFront[V any](t *Table, bytes int64) *Front[V] {
	f := &Front[V]{table: t}
	if bytes > 0 {
		f.sets = make([]set[V], frontSets)
		f.room.Store(bytes)
	}
	return f
}

var frontSeed = maphash.MakeSeed()

// Place is where a name's reply would be, and the turn it is looked for in.
type Place[V any] struct {
	set  *set[V]
	hash uint32
	turn uint32
}

func (f *Front[V]) set(prefix, key string) (s *set[V], hash uint64) {
	// Prefixes are few and keys many: so a prefix needn't spread.
	hash = maphash.String(frontSeed, key) + uint64(len(prefix))
	return &f.sets[hash%frontSets], hash
}

// Find looks for a reply, whose end is returned with it. If there is none, the place is for Keep.
func (f *Front[V]) Find(n *Name) (value *V, end int64, at Place[V]) {
	if f.sets == nil {
		return nil, 0, at
	}
	s, hash := f.set(n.Prefix, n.Key)
	at = Place[V]{s, uint32(hash>>32) | 1, s.turn.Load()}
	for i := range s.held {
		if h := s.held[i].Load(); h != nil && h.is(n) && f.table.Good(h.owner) {
			s.hits.Add(1)
			return &h.value, h.end, at
		}
	}
	return nil, 0, at
}

func (h *held[V]) is(n *Name) bool {
	return h.name.Key == n.Key && h.name.Area == n.Area && h.name.Head == n.Head &&
		h.name.Tail == n.Tail && h.name.Prefix == n.Prefix
}

// Keep keeps what was found in the table since Find, if it is worth it, for others to share.
func (f *Front[V]) Keep(at Place[V], n *Name, owner Owner, value V, bytes int, end int64) {
	if at.set == nil {
		return
	}
	if again := at.set.latest.Swap(at.hash) == at.hash; !again && at.set.full() {
		return
	}
	h := &held[V]{*n, owner, int64(bytes) + heldBytes, end, value}
	s := at.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn.Load() != at.turn {
		return
	}
	place := s.place(n)
	old := place.Load()
	if old != nil {
		f.room.Add(old.bytes)
	}
	if f.room.Add(-h.bytes) < 0 {
		f.room.Add(h.bytes)
		h = nil
	}
	place.Store(h)
}

// full reports whether all places are taken.
func (s *set[V]) full() bool {
	for i := range s.held {
		if s.held[i].Load() == nil {
			return false
		}
	}
	return true
}

// place is where a reply is to go: where it is, or nothing is, or what came first.
func (s *set[V]) place(n *Name) *atomic.Pointer[held[V]] {
	var free *atomic.Pointer[held[V]]
	for i := range s.held {
		switch h := s.held[i].Load(); {
		case h == nil:
			free = &s.held[i]
		case h.is(n):
			return &s.held[i]
		}
	}
	if free == nil {
		free = &s.held[s.next%ways]
		s.next++
	}
	return free
}

// Drop forgets a key, after the table has.
func (f *Front[V]) Drop(prefix, key string) {
	if f.sets == nil {
		return
	}
	s, _ := f.set(prefix, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn.Add(1)
	for i := range s.held {
		if h := s.held[i].Load(); h != nil && h.name.Key == key && h.name.Prefix == prefix {
			f.room.Add(h.bytes)
			s.held[i].Store(nil)
		}
	}
}

// Hits is how often Find has found something.
func (f *Front[V]) Hits() (hits uint64) {
	for i := range f.sets {
		hits += f.sets[i].hits.Load()
	}
	return hits
}
