package larder

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Cache is a cache of bytes. New makes one; the zero value behaves like one that was
// closed. All methods may be called from any number of goroutines at once. A Cache must
// not be copied (go vet finds copies).
type Cache struct {
	_ noCopy

	// handle is the core's cache for the fast way: nil if every call has to go the other
	// one. All else takes it from core.
	handle handle
	core   *core // nil in the zero Cache
	events undelivered

	defaultTTL time.Duration // 0: entries don't expire
	staleAfter time.Duration // 0: entries are fresh until they expire
	absentTTL  time.Duration // as SetOptions.TTL has it
	loads      *loads        // nil in the zero Cache
	refusals   *refusals     // nil in the zero Cache

	members members // its namespaces
	// Of a namespace: its name, and the cache that it belongs to, which would close it if it
	// became unreachable.
	name   string
	parent *Cache
}

// core is the core's cache, outside the Go heap. It is closed by Close and released when
// this is unreachable, never before: so a call in progress, which keeps the Cache alive,
// never meets a released handle; nor does a copy of the Cache, that shouldn't be.
type core struct {
	handle handle
	clock  *follower // nil: the system's clock
}

// newCore is the owner of a handle.
func newCore(h handle, clock *follower) *core {
	k := &core{handle: h, clock: clock}
	runtime.AddCleanup(k, handle.Free, h)
	return k
}

// fast is the handle for the fast way. A clock of the user's has to be asked before each
// call, which that way doesn't.
func (k *core) fast() handle {
	if k.clock != nil {
		return handle{}
	}
	return k.handle
}

// through is the handle for a call through cgo.
func (c *Cache) through() handle {
	if c.core == nil {
		return handle{}
	}
	if c.core.clock != nil {
		c.core.clock.follow()
	}
	return c.core.handle
}

// New makes a cache. Its memory is taken from the system as entries come, and given
// back by Close, or some time after the Cache has become unreachable. An error wraps
// ErrInvalidOptions and says which option is out of which range; or it is ErrNoMemory,
// where the system refuses memory or address space.
func New(o Options) (*Cache, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var clock *follower
	if o.Clock != nil {
		clock = newFollower(o.Clock)
	}
	h, why, st := capi.NewHandle(o.core(clock))
	runtime.KeepAlive(clock)
	switch st {
	case capi.StatusOK:
	case capi.StatusInvalidArgument:
		return nil, fmt.Errorf("%w: %s (MaxBytes is %d, Stripes %d, EventBytes %d)",
			ErrInvalidOptions, why, o.MaxBytes, o.Stripes, o.EventBytes)
	default:
		return nil, errOf(st)
	}
	k := newCore(h, clock)
	return &Cache{
		handle:     k.fast(),
		core:       k,
		defaultTTL: max(o.DefaultTTL, 0),
		staleAfter: o.DefaultStaleAfter,
		absentTTL:  o.absentTTL(),
		loads:      newLoads(&o),
		refusals:   new(refusals),
	}, nil
}

// Close gives the cache's memory back to the system. It may be called while other
// goroutines use the cache, and again: from then on reads miss, and what stores or
// changes returns ErrClosed. Its namespaces are closed with it. It returns nil.
//
// The contexts of loaders that run are cancelled, with ErrClosed as their cause; who waits
// for them in Load gets ErrClosed at once, and Close returns when the loaders have. Called
// from a loader (or from Options.OnRefreshError), it doesn't wait, as that would be for
// ever. A loader must not wait for another goroutine that calls Close either.
func (c *Cache) Close() error {
	h := c.through()
	reportHeldViews(h)
	c.loads.close()
	namespaces := c.closeMembers()
	h.Close()
	c.events.discard()
	c.loads.wait()
	for _, m := range namespaces {
		m.loads.wait()
	}
	if c.parent != nil {
		c.parent.forget(c)
	}
	runtime.KeepAlive(c)
	return nil
}

// Get appends the value of key to dst and returns the extended slice and true; or dst
// as it was and false, if there is no such key. dst may be nil. With a dst of enough
// capacity Get allocates nothing. The key may lie in dst's spare capacity, where the value
// goes; it is overwritten then.
func (c *Cache) Get(dst, key []byte) ([]byte, bool) {
	// Field by field: a literal would be made elsewhere and copied here, before each
	// get.
	var a call
	a.Cache = c.handle
	a.Key, a.KeyLen = unsafe.SliceData(key), uintptr(len(key))
	a.Buf, a.BufLen = room(dst)
	if overlap(a.Key, a.KeyLen, a.Buf, a.BufLen) {
		return c.getApart(dst, key)
	}
	// The fast path without a function between: in large caches the CPU reaches the
	// caller's next key, while it waits for this value, only if little lies between.
	st := knock(&a)
	runtime.KeepAlive(c)
	switch st {
	case capi.StatusOK:
		return dst[:len(dst)+int(a.OutLen)], true
	case capi.StatusNotFound:
		return dst, false
	}
	dst, _, ok := c.insist(a, dst, st)
	return dst, ok
}

// GetString is Get with a key that is a string, which is not copied.
func (c *Cache) GetString(dst []byte, key string) ([]byte, bool) {
	return c.Get(dst, stringBytes(key))
}

// getApart is Get with a key that lies where the value goes. The core compares the key
// again when the value was overwritten while it was copied: so it needs one that stays.
//
//go:noinline
func (c *Cache) getApart(dst, key []byte) ([]byte, bool) {
	var copied [apartRoom]byte
	key = append(copied[:0], key...)
	var a call
	a.Cache = c.handle
	a.Key, a.KeyLen = unsafe.SliceData(key), uintptr(len(key))
	a.Buf, a.BufLen = room(dst)
	dst, _, ok := c.insist(a, dst, knock(&a))
	return dst, ok
}

// apartRoom is the longest key for which getting it apart from dst allocates nothing.
const apartRoom = 256

// overlap reports whether a key has bytes in common with the room for a value.
func overlap(key *byte, keyLen uintptr, buf *byte, bufLen uintptr) bool {
	k, b := uintptr(unsafe.Pointer(key)), uintptr(unsafe.Pointer(buf))
	// Of two stretches that overlap, one begins in the other.
	return k-b < bufLen || b-k < keyLen
}

// stringBytes is a string as a key.
func stringBytes(key string) []byte {
	return unsafe.Slice(unsafe.StringData(key), len(key))
}

// Has reports whether the cache has a value for key. It is no read: it counts neither as
// hit nor as miss, and keeps no entry in the cache. It costs a call through cgo.
func (c *Cache) Has(key []byte) bool {
	_, st := c.look(nil, key, capi.FlagQuiet)
	return st == capi.StatusOK || st == capi.StatusBufferTooSmall
}

// HasString is Has with a key that is a string.
func (c *Cache) HasString(key string) bool { return c.Has(stringBytes(key)) }

// Peek is Get that is no read: it counts neither as hit nor as miss, keeps no entry in the
// cache and puts no sliding deadline off. It costs a call through cgo.
func (c *Cache) Peek(dst, key []byte) ([]byte, bool) {
	if overlaps(dst, key) {
		key = bytes.Clone(key)
	}
	a, st := c.look(dst, key, capi.FlagQuiet)
	for st == capi.StatusBufferTooSmall {
		dst = slices.Grow(dst, int(a.OutLen))
		a, st = c.look(dst, key, capi.FlagQuiet)
	}
	if st != capi.StatusOK {
		return dst, false
	}
	return dst[:len(dst)+int(a.OutLen)], true
}

// PeekString is Peek with a key that is a string.
func (c *Cache) PeekString(dst []byte, key string) ([]byte, bool) {
	return c.Peek(dst, stringBytes(key))
}

// look is get by the slow path, once.
func (c *Cache) look(dst, key []byte, flags uint64) (call, status) {
	var a call
	a.Cache = c.through()
	a.Key, a.KeyLen = unsafe.SliceData(key), uintptr(len(key))
	a.Buf, a.BufLen = room(dst)
	a.Flags = flags
	raceRead(a.Key, len(key))
	st := a.SlowGet()
	runtime.KeepAlive(c)
	if st == capi.StatusOK {
		raceWrite(a.Buf, int(a.OutLen))
	}
	return a, st
}

// overlaps is overlap for a slice that something is appended to.
func overlaps(dst, key []byte) bool {
	buf, bufLen := room(dst)
	return overlap(unsafe.SliceData(key), uintptr(len(key)), buf, bufLen)
}

// Set stores a copy of value under a copy of key, in place of any value that was there.
// The entry lives for Options.DefaultTTL. Set allocates nothing. Errors:
// ErrKeyTooLarge, ErrValueTooLarge, ErrFull, ErrNoMemory, ErrClosed.
func (c *Cache) Set(key, value []byte) error {
	if c.staleAfter > 0 {
		return c.SetWith(key, value, SetOptions{})
	}
	return c.set(unsafe.SliceData(key), len(key), value, 0, 0)
}

// SetString is Set with a key that is a string.
func (c *Cache) SetString(key string, value []byte) error {
	return c.Set(stringBytes(key), value)
}

// SetTTL is Set for an entry that lives for ttl, rounded up to a whole millisecond. 0 is
// Options.DefaultTTL, NoExpiry means that it doesn't expire, and any other negative ttl is
// ErrInvalidTTL: as everywhere.
func (c *Cache) SetTTL(key, value []byte, ttl time.Duration) error {
	if c.staleAfter > 0 {
		return c.SetWith(key, value, SetOptions{TTL: ttl})
	}
	ttlMS, flags, ok := packTTL(ttl)
	if !ok {
		return ErrInvalidTTL
	}
	return c.set(unsafe.SliceData(key), len(key), value, ttlMS, flags)
}

// SetStringTTL is SetTTL with a key that is a string.
func (c *Cache) SetStringTTL(key string, value []byte, ttl time.Duration) error {
	return c.SetTTL(stringBytes(key), value, ttl)
}

// packTTL is a time to live as the core takes it.
func packTTL(ttl time.Duration) (ms, flags uint64, ok bool) {
	switch {
	case ttl > 0:
		return millis(ttl), capi.FlagTTL, true
	case ttl == 0:
		return 0, 0, true
	}
	return 0, capi.FlagTTL, ttl == NoExpiry
}

func (c *Cache) set(key *byte, keyLen int, value []byte, ttlMS, flags uint64) error {
	raceRead(key, keyLen)
	raceRead(unsafe.SliceData(value), len(value))
	var a call
	a.Cache = c.handle
	a.Key, a.KeyLen = key, uintptr(keyLen)
	a.Buf, a.BufLen = unsafe.SliceData(value), uintptr(len(value))
	a.TTLMS, a.Flags = ttlMS, flags
	st := c.callSet(&a)
	runtime.KeepAlive(c)
	if st == capi.StatusOK {
		return nil
	}
	return c.refused(st)
}

// Delete removes the entry of key, and reports whether there was one.
func (c *Cache) Delete(key []byte) bool {
	raceRead(unsafe.SliceData(key), len(key))
	var a call
	a.Cache = c.handle
	a.Key, a.KeyLen = unsafe.SliceData(key), uintptr(len(key))
	st := c.callDelete(&a)
	runtime.KeepAlive(c)
	return st == capi.StatusOK
}

// DeleteString is Delete with a key that is a string.
func (c *Cache) DeleteString(key string) bool { return c.Delete(stringBytes(key)) }

// Clear removes all entries that were stored before it was called. Those stored while
// it runs may or may not stay.
func (c *Cache) Clear() {
	c.through().Clear()
	runtime.KeepAlive(c)
}

// Resize changes the budget while the cache is in use. When it returns nil, the cache
// keeps to the new one; to a smaller one by evicting and by giving memory back. The
// budget can become 16 GiB or four times the first, whichever is more; and a 64th of
// the first or 256 KiB, whichever is more. Errors: one that wraps ErrInvalidOptions,
// for a budget out of that range; ErrFull, if views or readers hold what would have to
// go: the cache shrinks further as it is used; ErrClosed.
func (c *Cache) Resize(maxBytes int64) error {
	if maxBytes <= 0 {
		return fmt.Errorf("%w: MaxBytes is %d, and must be positive", ErrInvalidOptions, maxBytes)
	}
	why, st := c.through().Resize(uint64(maxBytes))
	runtime.KeepAlive(c)
	if st == capi.StatusInvalidArgument {
		return fmt.Errorf("%w: %s: %d is not from the larger of 256 KiB and a 64th of the first budget "+
			"(more with many stripes or events) to the larger of 16 GiB and four times the first",
			ErrInvalidOptions, why, maxBytes)
	}
	return errOf(st)
}

// Len is the number of entries, including those that have expired and have not been
// removed yet. It is 0 after Close.
func (c *Cache) Len() int {
	n := c.through().Len()
	runtime.KeepAlive(c)
	return n
}

// Stats returns the counters and sizes of the cache. After Close those that are kept with
// the entries are zero; what is said of loads and of what was too large stays.
func (c *Cache) Stats() Stats {
	s := statsOf(c.through())
	runtime.KeepAlive(c)
	c.loads.count(&s)
	c.refusals.count(&s)
	return s
}
