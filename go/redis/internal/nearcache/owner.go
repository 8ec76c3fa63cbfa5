package nearcache

import (
	"sync"
	"sync/atomic"
)

// Owner is the connection that a reply came by, for as long as it is worth something. The zero
// Owner is nobody, and is never revoked.
type Owner struct {
	slot, turn uint32
}

// owners hands out slots. The first is nobody's.
type owners struct {
	mu    sync.Mutex
	free  []uint32
	turns atomic.Pointer[[]*atomic.Uint32] // grows by being replaced
}

// take is a new owner.
func (o *owners) take() Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.free); n > 0 {
		slot := o.free[n-1]
		o.free = o.free[:n-1]
		return Owner{slot, (*o.turns.Load())[slot].Load()}
	}
	var turns []*atomic.Uint32
	if old := o.turns.Load(); old != nil {
		turns = append(turns, *old...)
	} else {
		turns = append(turns, new(atomic.Uint32))
	}
	turns = append(turns, new(atomic.Uint32))
	o.turns.Store(&turns)
	return Owner{slot: uint32(len(turns) - 1)}
}

// revoke makes an owner worthless, and its slot another's. Once only for each owner.
func (o *owners) revoke(owner Owner) {
	if owner.slot == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	(*o.turns.Load())[owner.slot].Add(1)
	o.free = append(o.free, owner.slot)
}

// good reports whether an owner was not revoked.
func (o *owners) good(owner Owner) bool {
	if owner.slot == 0 {
		return true
	}
	turns := o.turns.Load()
	return turns != nil && int(owner.slot) < len(*turns) &&
		(*turns)[owner.slot].Load() == owner.turn
}
