package nearcache

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// sweeper removes what can't be found any more, since its owner is revoked or its area left. Nobody
// needs that to be right; but the cache's policy takes a while to see that they are never
// asked for, and a lost connection may leave as many as the cache holds.
//
// A sweep is one walk over the entries. It begins soon after there is a reason, and the next not
// before twenty times as long as it took: connections that come and go cost a twentieth of a core.
type sweeper struct {
	due  atomic.Bool
	mu   sync.Mutex // for who sweeps, and what follows
	rest time.Duration
}

const (
	soon    = 100 * time.Millisecond
	restFor = 20
)

// areas are those that are in use.
type areas struct {
	mu   sync.Mutex
	last uint32
	used map[uint32]struct{}
}

// NewArea is the number of an area in which there is nothing.
func (t *Table) NewArea() uint32 {
	t.areas.mu.Lock()
	defer t.areas.mu.Unlock()
	if t.areas.used == nil {
		t.areas.used = make(map[uint32]struct{})
	}
	t.areas.last++
	t.areas.used[t.areas.last] = struct{}{}
	return t.areas.last
}

// Leave says that an area won't be asked for any more.
func (t *Table) Leave(area uint32) {
	t.areas.mu.Lock()
	delete(t.areas.used, area)
	t.areas.mu.Unlock()
	t.sweepSoon()
}

// sweepSoon has a sweep begin soon, unless one is going to.
func (t *Table) sweepSoon() {
	if !t.sweeper.due.CompareAndSwap(false, true) {
		return
	}
	t.sweeper.mu.Lock()
	rest := max(t.sweeper.rest, soon)
	t.sweeper.mu.Unlock()
	time.AfterFunc(rest, func() {
		t.sweeper.due.Store(false)
		t.sweep()
	})
}

func (t *Table) sweep() {
	t.sweeper.mu.Lock()
	defer t.sweeper.mu.Unlock()
	begin := time.Now()
	t.areas.mu.Lock()
	last, used := t.areas.last, maps.Clone(t.areas.used)
	t.areas.mu.Unlock()
	left := func(area uint32) bool {
		_, ok := used[area]
		return !ok && area <= last
	}
	// An entry that is good may come in the place of one that isn't, before that is deleted, and
	// is deleted: a miss.
	for name, entry := range t.cache.All() {
		if t.dead(name, entry, left) {
			t.cache.Delete(name)
		}
	}
	t.sweeper.rest = restFor * time.Since(begin)
}

// dead reports whether an entry can't be found any more.
func (t *Table) dead(name, entry []byte, left func(area uint32) bool) bool {
	if len(name) < 5 {
		return false
	}
	if left(little.Uint32(name[1:])) {
		return true
	}
	var owner Owner
	switch n := len(entry); name[0] {
	case recordKind:
		r, ok := parseRecord(entry)
		if !ok || !r.inline {
			return false
		}
		owner = r.owner
	case memberKind:
		if n >= memberTrailer {
			_, owner = owned(entry[n-memberTrailer:])
		}
	case wideKind:
		if n >= wideTrailer {
			_, owner = owned(entry[n-wideTrailer:])
		}
	}
	return !t.owners.good(owner)
}
