package httpcache

import "sync/atomic"

// recentTable remembers something of keys for a while: that their responses could
// not be shared, so that requests for them are not made to wait for each other; or
// that the next hop did not answer in time, so that nobody waits for it again at
// once. It has a fixed size; keys may displace each other, which costs one wait
// each.
type recentTable struct {
	slots [4096]atomic.Uint64 // high half: part of the key's hash; low half: until when, s
}

const (
	// busyFor is how long a key is remembered as busy, in milliseconds. It may be
	// long: a response that passes by and could be shared ends it (see peek).
	busyFor = 3600 * 1000
	// silentFor is how long nobody waits for a next hop that did not answer.
	silentFor = 10 * 1000
)

func (t *recentTable) slot(hash uint64) *atomic.Uint64 {
	return &t.slots[hash%uint64(len(t.slots))]
}

// mark remembers the key until a time, in milliseconds.
func (t *recentTable) mark(hash uint64, until int64) {
	t.slot(hash).Store(hash&^0xffffffff | uint64(uint32(until/1000)))
}

// renew marks a key that is still remembered, even if its time is over.
func (t *recentTable) renew(hash uint64, until int64) {
	if _, known := t.get(hash); known {
		t.mark(hash, until)
	}
}

func (t *recentTable) clear(hash uint64) {
	s := t.slot(hash)
	if v := s.Load(); v&^0xffffffff == hash&^0xffffffff {
		s.CompareAndSwap(v, 0)
	}
}

// get returns until when a key is marked, in seconds, and whether there is still a
// mark of it, even if its time is over.
func (t *recentTable) get(hash uint64) (until uint32, known bool) {
	v := t.slot(hash).Load()
	return uint32(v), v != 0 && v&^0xffffffff == hash&^0xffffffff
}

// has reports whether a key is marked at a time.
func (t *recentTable) has(hash uint64, now int64) bool {
	until, known := t.get(hash)
	return known && int32(until-uint32(now/1000)) > 0
}
