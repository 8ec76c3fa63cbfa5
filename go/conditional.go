package larder

import (
	"runtime"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Operations that look before they store, as one step that nobody comes between. Each
// costs a call through cgo.

// Add stores the value unless the key has one, and reports whether it did. An entry that
// is stale counts as one; one that is Absent or has expired doesn't. Errors are those of
// SetWith.
func (c *Cache) Add(key, value []byte, o SetOptions) (bool, error) {
	var room tagRoom
	e, err := c.pack(&o, &room)
	if err != nil {
		return false, err
	}
	a := c.long(key)
	a.Buf, a.BufLen = unsafe.SliceData(value), uintptr(len(value))
	raceRead(a.Buf, len(value))
	a.Options = &e
	st := a.Add()
	runtime.KeepAlive(c)
	switch st {
	case capi.StatusOK:
		return true, nil
	case capi.StatusExists:
		return false, nil
	}
	return false, c.refused(st)
}

// CompareAndSwap stores the value if the key's entry still has the version that
// GetVersion or CompareAndSwap returned, and returns the new one. It reports false if
// the entry has another version, and ErrNotFound if there is no entry. Any change of the
// value changes the version; Touch and MarkStale don't. Other errors are those of
// SetWith.
func (c *Cache) CompareAndSwap(key, value []byte, version uint64, o SetOptions) (newVersion uint64, swapped bool, err error) {
	var room tagRoom
	e, err := c.pack(&o, &room)
	if err != nil {
		return 0, false, err
	}
	a := c.long(key)
	a.Buf, a.BufLen = unsafe.SliceData(value), uintptr(len(value))
	raceRead(a.Buf, len(value))
	a.Number, a.Options = version, &e
	st := a.CompareAndSwap()
	runtime.KeepAlive(c)
	switch st {
	case capi.StatusOK:
		return a.Out, true, nil
	case capi.StatusConflict:
		return 0, false, nil
	}
	return 0, false, c.refused(st)
}

// Touch gives the entry of key a new time to live, from now, and reports whether there
// was one. ttl is as in SetOptions: 0 is the cache's default, NoExpiry none at all; for
// any other negative ttl it does nothing and reports false.
func (c *Cache) Touch(key []byte, ttl time.Duration) bool {
	switch {
	case ttl == NoExpiry:
		ttl = 0 // the core's word for it
	case ttl < 0:
		return false
	case ttl == 0:
		ttl = c.defaultTTL
	}
	a := c.long(key)
	a.Number = millis(ttl)
	st := a.Touch()
	runtime.KeepAlive(c)
	return st == capi.StatusOK
}

// Increment adds delta to the number that the value of key is, in decimal text, and
// returns the sum. Without an entry it stores delta, as o says; an entry keeps the options
// it has. Errors: ErrNotNumber, which leaves the value as it is, and those of SetWith.
func (c *Cache) Increment(key []byte, delta int64, o SetOptions) (int64, error) {
	var room tagRoom
	e, err := c.pack(&o, &room)
	if err != nil {
		return 0, err
	}
	a := c.long(key)
	a.Number, a.Options = uint64(delta), &e
	st := a.Increment()
	runtime.KeepAlive(c)
	if st != capi.StatusOK {
		return 0, c.refused(st)
	}
	return int64(a.Out), nil
}

// MarkStale makes the entry of key stale, and reports whether there was one: reads
// return it still, and the next Load refreshes it.
func (c *Cache) MarkStale(key []byte) bool {
	a := c.long(key)
	st := a.MarkStale()
	runtime.KeepAlive(c)
	return st == capi.StatusOK
}

// long is a call with what every one has. (It is returned, not filled in: else the compiler
// would have to think that the key escapes.)
func (c *Cache) long(key []byte) longCall {
	raceRead(unsafe.SliceData(key), len(key))
	return longCall{Cache: c.through(), Key: unsafe.SliceData(key), KeyLen: uintptr(len(key))}
}
