package httpcache

import "sync/atomic"

// busyTable remembers which keys recently had responses that could not be
// shared, so that requests for them are not made to wait for each other. It
// has a fixed size; keys may displace each other, which costs one wait each.
type busyTable struct {
	slots [4096]atomic.Uint64 // high half: part of the key's hash; low half: until when, s
}

// busyFor is how long a key is remembered, in seconds.
const busyFor = 60

func (t *busyTable) slot(hash uint64) *atomic.Uint64 { return &t.slots[hash%uint64(len(t.slots))] }

func (t *busyTable) mark(hash uint64, now int64) {
	t.slot(hash).Store(hash&^0xffffffff | uint64(uint32(now/1000+busyFor)))
}

func (t *busyTable) clear(hash uint64) {
	s := t.slot(hash)
	if v := s.Load(); v&^0xffffffff == hash&^0xffffffff {
		s.CompareAndSwap(v, 0)
	}
}

func (t *busyTable) isBusy(hash uint64, now int64) bool {
	v := t.slot(hash).Load()
	return v != 0 && v&^0xffffffff == hash&^0xffffffff && int32(uint32(v)-uint32(now/1000)) > 0
}
