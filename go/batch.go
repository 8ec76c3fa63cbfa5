package larder

import (
	"math"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Batch is a list of keys, and of values, for [Cache.GetMany], [Cache.SetMany] and
// [Cache.DeleteMany]: many keys for one way into the core, where their memory accesses
// overlap. From about four keys on that is faster than one call for each, and several
// times faster when the entries are not in the processor's caches.
//
// The zero value is an empty batch. A batch that is used again after Reset allocates
// nothing once it has grown to its size. It may be used by one goroutine at a time.
//
// Keys together, and values together, may come to 4 GiB; Add, AddEntry and GetMany
// panic beyond that.
type Batch struct {
	// Keys lie one behind the other, and so do values; the ends say where.
	keys      []byte
	keyEnds   []uint32
	values    []byte
	valueEnds []uint32
	statuses  []uint8 // what came of the last call; empty before
	errs      []error // of LoadMany, if any
}

// Reset empties the batch, and keeps its memory.
func (b *Batch) Reset() {
	b.keys, b.keyEnds = b.keys[:0], b.keyEnds[:0]
	b.values, b.valueEnds = b.values[:0], b.valueEnds[:0]
	b.statuses, b.errs = b.statuses[:0], nil
}

// Add appends a copy of key, to get or to delete.
func (b *Batch) Add(key []byte) {
	b.keys = append(b.keys, key...)
	b.added()
}

// AddString is Add with a key that is a string.
func (b *Batch) AddString(key string) {
	b.keys = append(b.keys, key...)
	b.added()
}

// AddEntry appends copies of key and value, to set.
func (b *Batch) AddEntry(key, value []byte) {
	b.endValues()
	b.values = append(b.values, value...)
	b.valueEnds = append(b.valueEnds, end32(len(b.values)))
	b.keys = append(b.keys, key...)
	b.added()
}

// added ends a key that was appended, and forgets the outcome of a call for other entries.
func (b *Batch) added() {
	b.keyEnds = append(b.keyEnds, end32(len(b.keys)))
	if len(b.statuses) > 0 {
		b.statuses, b.errs = b.statuses[:0], nil
	}
}

// endValues gives the keys that were added without a value an empty one.
func (b *Batch) endValues() {
	for len(b.valueEnds) < len(b.keyEnds) {
		b.valueEnds = append(b.valueEnds, uint32(len(b.values)))
	}
}

func end32(n int) uint32 {
	if n > math.MaxUint32 {
		panic("larder: a batch of more than 4 GiB")
	}
	return uint32(n)
}

// Len is the number of keys.
func (b *Batch) Len() int { return len(b.keyEnds) }

// Key is the i-th key. It belongs to the batch, and is good until the next Reset.
func (b *Batch) Key(i int) []byte { return slice(b.keys, b.keyEnds, i) }

// Value is the value of the i-th key, and true, if GetMany found it or SetMany stored
// it. It belongs to the batch, and is good until the batch is changed or used again.
func (b *Batch) Value(i int) ([]byte, bool) {
	if b.status(i) != capi.StatusOK {
		return nil, false
	}
	return slice(b.values, b.valueEnds, i), true
}

// Err is what became of the i-th entry: in SetMany nil, or an error as of [Cache.Set]; in
// LoadMany nil, or an error as of [Cache.Load].
func (b *Batch) Err(i int) error {
	if b.errs != nil && b.errs[i] != nil {
		return b.errs[i]
	}
	return errOf(b.status(i))
}

// Deleted reports whether DeleteMany found the i-th key.
func (b *Batch) Deleted(i int) bool { return b.status(i) == capi.StatusOK }

func (b *Batch) status(i int) status {
	if len(b.statuses) == 0 {
		_ = b.keyEnds[i] // out of range is out of range
		return capi.StatusNotFound
	}
	return status(b.statuses[i])
}

func slice(all []byte, ends []uint32, i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = ends[i-1]
	}
	end := ends[i]
	return all[start:end:end]
}

// GetMany looks up all keys of the batch, in place of whatever values it had, and
// returns how many it found; b.Value has the values. Each key is looked up at a moment of
// its own during the call, in no particular order.
func (c *Cache) GetMany(b *Batch) int {
	m := b.call(c)
	b.values = b.values[:0]
	for m.Done < m.N {
		// The room is all of the capacity.
		m.Buf, m.BufLen = unsafe.SliceData(b.values), min(uintptr(cap(b.values)), math.MaxUint32)
		st := c.callManyGet(&m)
		b.values = b.values[:m.Used]
		if st == capi.StatusBufferTooSmall {
			end32(int(m.Used + m.Need))
			b.values = slices.Grow(b.values, int(m.Need))
		} else if st != capi.StatusOK {
			for i := m.Done; i < m.N; i++ {
				b.valueEnds[i] = uint32(m.Used)
			}
			b.fail(&m, st)
		}
	}
	runtime.KeepAlive(c)
	return b.succeeded()
}

// SetMany stores all entries of the batch, in order, for the cache's default time to
// live. Each is stored or not, on its own: it returns nil if all were, else the error
// of the first that was not; b.Err has each.
func (c *Cache) SetMany(b *Batch) error {
	return c.SetManyTTL(b, 0)
}

// SetManyTTL is SetMany with a time to live, as [Cache.SetTTL] has it.
func (c *Cache) SetManyTTL(b *Batch, ttl time.Duration) error {
	ttlMS, flags, ok := packTTL(ttl)
	if !ok {
		return ErrInvalidTTL
	}
	if c.staleAfter > 0 {
		return c.setEach(b, ttl)
	}
	return c.setMany(b, ttlMS, flags)
}

func (c *Cache) setMany(b *Batch, ttlMS, flags uint64) error {
	m := b.call(c)
	m.TTLMS, m.Flags = ttlMS, flags
	for m.Done < m.N {
		if st := c.callManySet(&m); st != capi.StatusOK {
			b.fail(&m, st)
		}
	}
	runtime.KeepAlive(c)
	var first error
	for _, st := range b.statuses {
		if status(st) != capi.StatusOK {
			if err := c.refused(status(st)); first == nil {
				first = err
			}
		}
	}
	return first
}

// setEach is setMany for a cache whose entries need options.
func (c *Cache) setEach(b *Batch, ttl time.Duration) error {
	b.prepare()
	var first error
	for i := range b.Len() {
		err := c.SetWith(b.Key(i), slice(b.values, b.valueEnds, i), SetOptions{TTL: ttl})
		if err == nil {
			b.statuses[i] = uint8(capi.StatusOK)
			continue
		}
		b.fault(i, err)
		if first == nil {
			first = err
		}
	}
	return first
}

// DeleteMany removes the entries of all keys of the batch, and returns how many there
// were; b.Deleted says which.
func (c *Cache) DeleteMany(b *Batch) int {
	m := b.call(c)
	for m.Done < m.N {
		if st := c.callManyDelete(&m); st != capi.StatusOK {
			b.fail(&m, st)
		}
	}
	runtime.KeepAlive(c)
	return b.succeeded()
}

// call prepares the arguments, and room for the outcome.
func (b *Batch) call(c *Cache) manyCall {
	b.prepare()
	n := len(b.keyEnds)
	return manyCall{
		Cache:     c.handle,
		Keys:      unsafe.SliceData(b.keys),
		KeyEnds:   unsafe.SliceData(b.keyEnds),
		N:         uintptr(n),
		Values:    unsafe.SliceData(b.values),
		ValueEnds: unsafe.SliceData(b.valueEnds),
		OutEnds:   unsafe.SliceData(b.valueEnds),
		OutStatus: unsafe.SliceData(b.statuses),
	}
}

// prepare makes room for the outcome.
func (b *Batch) prepare() {
	b.endValues()
	n := len(b.keyEnds)
	b.statuses = slices.Grow(b.statuses[:0], n)[:n]
	for i := range b.statuses {
		b.statuses[i] = uint8(capi.StatusNotFound) // until it is known better
	}
	b.errs = nil
}

// fail ends a call: what wasn't done has the status.
func (b *Batch) fail(m *manyCall, st status) {
	for ; m.Done < m.N; m.Done++ {
		b.statuses[m.Done] = uint8(st)
	}
}

func (b *Batch) succeeded() int {
	n := 0
	for _, st := range b.statuses {
		if status(st) == capi.StatusOK {
			n++
		}
	}
	return n
}
