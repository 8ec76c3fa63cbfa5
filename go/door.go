package larder

import (
	"runtime"
	"slices"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Short names of package capi's types.
type (
	handle       = capi.Handle
	call         = capi.Call
	longCall     = capi.LongCall
	manyCall     = capi.ManyCall
	entryOptions = capi.EntryOptions
	cursor       = capi.Cursor
	borrowed     = capi.Borrowed
	status       = capi.Status
)

// Numbers agree, or this doesn't compile: the only index into same is 0.
var same [1]struct{}

var (
	_ = same[LRU-capi.PolicyLRU]
	_ = same[S3FIFO-capi.PolicyS3FIFO]
	_ = same[Cellar-capi.PolicyCellar]

	_ = same[EventEvicted-capi.EventEvicted]
	_ = same[EventExpired-capi.EventExpired]
	_ = same[EventRejected-capi.EventRejected]
	_ = same[EventDeleted-capi.EventDeleted]
	_ = same[EventOverwritten-capi.EventOverwritten]
	_ = same[EventInvalidated-capi.EventInvalidated]

	_ = same[Fresh-capi.Fresh]
	_ = same[Stale-capi.Stale]
	_ = same[Refresh-capi.Refresh]
	_ = same[Absent-capi.Absent]
)

// FastDoor reports whether Get, Set, Delete and their Many forms take the fast way into
// the core. They do on Linux on x86-64 in a program that was linked with this package; not in
// plugins and in libraries for C, nor if it was built with the tag larder_nofast, with
// -race, -msan or -asan, or started with LARDER_FASTDOOR=off in its environment.
//
// Two things are to be known of it. A goroutine with less than 2.6 KiB of its stack left goes by
// cgo, until it has called some dozens of times; then its stack grows. And the runtime can't see
// through it: profiles show such calls as runtime._ExternalCode, without their callers, and a
// traceback of a goroutine that is in one shows its stack as a dump. With LARDER_FASTDOOR=off
// both are as with any call through cgo.
func FastDoor() bool { return capi.FastDoor }

// Each operation knocks at the fast path first, where the functions do no more than they may
// there: if one would have to wait, to allocate, or to copy more than 64 KiB, it
// returns capi.StatusBusy and has done nothing, and the slow path does it.

// room is where the value goes that get finds: behind what dst holds. (Not a method that
// writes it to a call: what is stored through a pointer escapes.)
func room(dst []byte) (*byte, uintptr) {
	free := dst[len(dst):cap(dst)]
	return unsafe.SliceData(free), uintptr(len(free))
}

// knock is get by the fast path alone.
func knock(a *call) status {
	if capi.FastDoor && !a.Cache.IsNil() {
		return a.FastGet()
	}
	return capi.StatusBusy
}

// insist goes on with a get to which the fast path said st: by the slow one, and with a
// dst that has room for the value. (The call is a copy, for the same reason.)
func (c *Cache) insist(a call, dst []byte, st status) ([]byte, State, bool) {
	for {
		switch st {
		case capi.StatusOK:
			raceWrite(a.Buf, int(a.OutLen))
			return dst[:len(dst)+int(a.OutLen)], State(a.State), true
		case capi.StatusNoRoom:
			st = a.DeepGet()
			runtime.KeepAlive(c)
		case capi.StatusBusy:
			a.Cache = c.through()
			raceRead(a.Key, int(a.KeyLen))
			st = a.SlowGet()
			runtime.KeepAlive(c)
		case capi.StatusBufferTooSmall:
			// By the next time around the value may be another, and longer.
			dst = slices.Grow(dst, int(a.OutLen))
			a.Buf, a.BufLen = room(dst)
			st = knock(&a)
			runtime.KeepAlive(c)
		default:
			return dst, Absent, false
		}
	}
}

func (c *Cache) callSet(a *call) status {
	if capi.FastDoor && !a.Cache.IsNil() {
		st := a.FastSet()
		if st == capi.StatusNoRoom {
			st = a.DeepSet()
		}
		if st != capi.StatusBusy {
			return st
		}
	}
	a.Cache = c.through()
	return a.SlowSet()
}

func (c *Cache) callDelete(a *call) status {
	if capi.FastDoor && !a.Cache.IsNil() {
		st := a.FastDelete()
		if st == capi.StatusNoRoom {
			st = a.DeepDelete()
		}
		if st != capi.StatusBusy {
			return st
		}
	}
	a.Cache = c.through()
	return a.SlowDelete()
}

func (c *Cache) callManyGet(m *manyCall) status {
	if capi.FastDoor && !m.Cache.IsNil() {
		st := m.FastGet()
		if st == capi.StatusNoRoom {
			st = m.DeepGet()
		}
		if st != capi.StatusBusy {
			return st
		}
	}
	m.Cache = c.through()
	st := m.SlowGet()
	m.Cache = c.handle
	return st
}

func (c *Cache) callManySet(m *manyCall) status {
	if capi.FastDoor && !m.Cache.IsNil() {
		st := m.FastSet()
		if st == capi.StatusNoRoom {
			st = m.DeepSet()
		}
		if st != capi.StatusBusy {
			return st
		}
	}
	m.Cache = c.through()
	st := m.SlowSet()
	m.Cache = c.handle
	return st
}

func (c *Cache) callManyDelete(m *manyCall) status {
	if capi.FastDoor && !m.Cache.IsNil() {
		st := m.FastDelete()
		if st == capi.StatusNoRoom {
			st = m.DeepDelete()
		}
		if st != capi.StatusBusy {
			return st
		}
	}
	m.Cache = c.through()
	st := m.SlowDelete()
	m.Cache = c.handle
	return st
}
