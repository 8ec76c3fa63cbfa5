package larder

import (
	"runtime"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// View is the value of a key where it lies in the cache: borrowed, not copied. It pays
// for values of many KiB, and where a value goes straight on to a Write; for small ones
// Get is faster.
//
// What it lies in is not used again until the view is released, whatever happens to the
// entry or to the cache meanwhile, Close included; and counts against the budget until
// then. So a view may be held across calls that block, but not for ever: a cache whose
// memory is all held by views can store nothing more. Every view must be released,
// once; with LARDER_DEBUG=views in the environment, views that become unreachable
// without, and those held when their cache is closed, are named on standard error with
// the place they were taken at.
//
// A View may be handed to another goroutine, but used by one at a time. It must not be
// copied: releasing two copies releases twice, and then other views in the same memory,
// which nobody has released, may show other bytes. (go vet finds copies; with
// LARDER_DEBUG=views the second release is named, and does no harm.)
type View struct {
	_     noCopy
	value borrowed
	trace *viewTrace
}

// View borrows the value of key. It returns false if there is no such key, or the cache
// is closed; there is nothing to release then, and no harm in it. It costs a call
// through cgo, and no allocation.
func (c *Cache) View(key []byte) (View, bool) {
	return c.view(unsafe.SliceData(key), len(key))
}

// ViewString is View with a key that is a string.
func (c *Cache) ViewString(key string) (View, bool) {
	return c.view(unsafe.StringData(key), len(key))
}

func (c *Cache) view(key *byte, keyLen int) (View, bool) {
	b, st := c.through().Borrow(key, keyLen)
	runtime.KeepAlive(c)
	if st != capi.StatusOK {
		return View{}, false
	}
	return View{value: b, trace: traceView(c)}, true
}

// Bytes is the value. It must not be written to, nor used after Release.
func (v *View) Bytes() []byte {
	return v.value.Bytes()
}

// Release gives the view back and empties it. Releasing an empty view does nothing. It
// may run on any goroutine, and after the cache was closed.
func (v *View) Release() {
	if !v.trace.released() {
		return // a copy of it was
	}
	v.value.GiveBack()
	v.trace = nil
}

// noCopy lets go vet find copies of what has one.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
