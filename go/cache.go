package larder

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// Cache is a cache of bytes. New makes one; the zero value behaves like one that was
// closed. All methods may be called from any number of goroutines at once.
type Cache struct {
	// The core's cache, outside the Go heap. It is closed by Close and released when
	// the Cache is unreachable, never before: so a call in progress, which keeps the
	// Cache alive, never meets a released handle.
	handle handle
	events undelivered

	defaultTTL time.Duration // for Touch
	loads      *loads        // nil in the zero Cache

	members members // its namespaces
	// Of a namespace: its name, and the cache that it belongs to, which would close it if it
	// became unreachable.
	name   string
	parent *Cache
}

// New makes a cache. Its memory is taken from the system as entries come, and given
// back by Close, or some time after the Cache has become unreachable. An error wraps
// ErrInvalidOptions or ErrNoMemory.
func New(o Options) (*Cache, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	h, st := newHandle(&o)
	switch st {
	case statusOK:
	case statusInvalidArgument:
		return nil, fmt.Errorf("%w: a MaxBytes of %d with %d stripes", ErrInvalidOptions, o.MaxBytes, o.Stripes)
	default:
		return nil, st.err()
	}
	c := &Cache{handle: h, defaultTTL: o.DefaultTTL, loads: newLoads(&o)}
	runtime.AddCleanup(c, handle.free, h)
	return c, nil
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
	reportHeldViews(c.handle)
	c.loads.close()
	namespaces := c.closeMembers()
	c.handle.close()
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
// capacity Get allocates nothing.
func (c *Cache) Get(dst, key []byte) ([]byte, bool) {
	// Field by field: a literal would be made elsewhere and copied here, before each
	// get.
	var a call
	a.cache = c.handle
	a.key, a.keyLen = unsafe.SliceData(key), uintptr(len(key))
	a.buf, a.bufLen = room(dst)
	// The fast door without a function between: in large caches the CPU reaches the
	// caller's next key, while it waits for this value, only if little lies between.
	st := a.knock()
	runtime.KeepAlive(c)
	switch st {
	case statusOK:
		return dst[:len(dst)+int(a.outLen)], true
	case statusNotFound:
		return dst, false
	}
	dst, _, ok := a.insist(dst, st)
	runtime.KeepAlive(c)
	return dst, ok
}

// GetString is Get with a key that is a string, which is not copied.
func (c *Cache) GetString(dst []byte, key string) ([]byte, bool) {
	return c.Get(dst, unsafe.Slice(unsafe.StringData(key), len(key)))
}

// Set stores a copy of value under a copy of key, in place of any value that was there.
// The entry lives for Options.DefaultTTL. Set allocates nothing. Errors:
// ErrKeyTooLarge, ErrValueTooLarge, ErrFull, ErrNoMemory, ErrClosed.
func (c *Cache) Set(key, value []byte) error {
	return c.set(unsafe.SliceData(key), len(key), value, 0, 0)
}

// SetString is Set with a key that is a string.
func (c *Cache) SetString(key string, value []byte) error {
	return c.set(unsafe.StringData(key), len(key), value, 0, 0)
}

// SetTTL is Set for an entry that lives for ttl, rounded up to a whole millisecond,
// whatever Options.DefaultTTL is. 0 means that it doesn't expire; a negative ttl is
// ErrInvalidTTL.
func (c *Cache) SetTTL(key, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return ErrInvalidTTL
	}
	return c.set(unsafe.SliceData(key), len(key), value, millis(ttl), flagTTL)
}

func (c *Cache) set(key *byte, keyLen int, value []byte, ttlMS, flags uint64) error {
	var a call
	a.cache = c.handle
	a.key, a.keyLen = key, uintptr(keyLen)
	a.buf, a.bufLen = unsafe.SliceData(value), uintptr(len(value))
	a.ttlMS, a.flags = ttlMS, flags
	st := a.set()
	runtime.KeepAlive(c)
	if st == statusOK {
		return nil
	}
	return st.err()
}

// Delete removes the entry of key, and reports whether there was one.
func (c *Cache) Delete(key []byte) bool {
	var a call
	a.cache = c.handle
	a.key, a.keyLen = unsafe.SliceData(key), uintptr(len(key))
	st := a.delete()
	runtime.KeepAlive(c)
	return st == statusOK
}

// Clear removes all entries that were stored before it was called. Those stored while
// it runs may or may not stay.
func (c *Cache) Clear() {
	c.handle.clear()
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
	st := c.handle.resize(uint64(maxBytes))
	runtime.KeepAlive(c)
	if st == statusInvalidArgument {
		return fmt.Errorf("%w: MaxBytes of %d", ErrInvalidOptions, maxBytes)
	}
	return st.err()
}

// Len is the number of entries, including those that have expired and have not been
// removed yet. It is 0 after Close.
func (c *Cache) Len() int {
	n := c.handle.len()
	runtime.KeepAlive(c)
	return n
}

// Stats returns the counters and sizes of the cache; after Close, zeros.
func (c *Cache) Stats() Stats {
	s := c.handle.stats()
	runtime.KeepAlive(c)
	return s
}
