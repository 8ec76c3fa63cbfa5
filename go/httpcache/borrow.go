package httpcache

import (
	"sync/atomic"

	larder "github.com/larder-cache/larder/go"
)

// Large responses are written to the client from where they lie in the cache,
// by a larder.View, instead of being copied out first. A View costs two calls
// through cgo, about what copying 8 KiB costs; so small ones are copied.
//
// How large a response is can be known only once it has been found. So keys
// whose response was large are remembered, in a table of a fixed size, where
// keys may displace each other: that costs a copy, or a View of a small one.
//
// What a View lies in cannot be used again until it is released, and a client
// may read as slowly as it likes. So only so many responses are on loan at a
// time; beyond that they are copied. A View is never held while waiting for
// the next hop.

const (
	// borrowFrom is the size of an envelope from which on a View pays.
	borrowFrom = 8 << 10
	// maxLoans bounds the views held. Each holds one of the cache's segments,
	// of which there are about 2,000 whatever the budget, or one run.
	maxLoans = 64
)

// viewer is what a store needs besides to lend its values.
type viewer interface {
	View(key []byte) (larder.View, bool)
}

// loans knows the keys of large responses and counts the views.
type loans struct {
	large [4096]atomic.Uint32 // a part of the key's hash; 0: none
	out   atomic.Int32
}

func (l *loans) slot(hash uint64) (slot *atomic.Uint32, mark uint32) {
	return &l.large[hash%uint64(len(l.large))], uint32(hash>>32) | 1
}

// fetch returns the envelope under a key: in buf, or borrowed until the next
// fetch or dropView.
func (t *txn) fetch(buf, key []byte) (kept, envelope []byte, ok bool) {
	if t.lent {
		t.dropView()
	}
	if t.c.lends == nil {
		buf, ok = t.c.store.Get(buf[:0], key)
		return buf, buf, ok
	}
	l := &t.c.shared.loans
	slot, mark := l.slot(t.c.shared.hash(key))
	if slot.Load() == mark && l.take() {
		if t.view, ok = t.c.lends.View(key); !ok {
			l.out.Add(-1)
			return buf, nil, false
		}
		t.lent = true
		envelope = t.view.Bytes()
		if len(envelope) < borrowFrom {
			slot.CompareAndSwap(mark, 0)
		}
		return buf, envelope, true
	}
	buf, ok = t.c.store.Get(buf[:0], key)
	if ok && len(buf) >= borrowFrom && slot.Load() != mark {
		slot.Store(mark)
	}
	return buf, buf, ok
}

func (l *loans) take() bool {
	if l.out.Add(1) <= maxLoans {
		return true
	}
	l.out.Add(-1)
	return false
}

// dropView gives back what fetch has borrowed, if anything.
func (t *txn) dropView() {
	if t.lent {
		t.lent = false
		t.view.Release()
		t.c.shared.loans.out.Add(-1)
	}
}

// own copies what is borrowed, before anything that may take long or keep it.
func (t *txn) own() {
	if !t.lent {
		return
	}
	if t.found {
		// Not into t.buf, where an index may lie.
		t.vbuf = append(t.vbuf[:0], t.e.raw...)
		_ = t.e.decode(t.vbuf) // it was decoded from the same bytes
	}
	t.dropView()
}
