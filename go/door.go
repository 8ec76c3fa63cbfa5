package larder

import (
	"runtime"
	"slices"
	"unsafe"
)

// A call is what Get, Set and Delete hand to the core: one pointer to one struct,
// through either door. Its layout is that of larder_call in larder_go.h, which
// door_cgo.go checks when it is compiled.
//
// It lives on the stack of the goroutine that calls, and so may the key, the value
// and the destination it points to. Why that is sound:
//
//  1. Its pointers are Go pointers, not integers. Between filling it in and entering
//     the core, function prologues may still move the stack, and then everything that
//     points into it is adjusted, the words of this struct included. An integer
//     would be left behind: never make these fields uintptr.
//  2. While the core runs the stack doesn't move. Stacks move only where a goroutine
//     calls a Go function or blocks; behind the fast door it does neither, and a
//     goroutine in a cgo call is never moved by the collector, which knows that C may hold
//     pointers into its stack (runtime.isShrinkStackSafe). Nothing calls back into Go.
//  3. While the core runs the collector may run, and frees nothing the call
//     needs: the struct is alive, because it is read or kept alive after the
//     call, and what it points to with it. Objects on the Go heap don't move.
//  4. The core keeps none of the pointers, and writes no pointer into Go memory:
//     bytes into the destination, and words of this struct that are integers.
//  5. cgo asks that memory passed to C hold no pointers to unpinned Go memory. Its
//     purpose is what 1 to 4 see to; pinning three objects a call would cost more
//     than a hit. Its check can't see into a struct on the stack that comes as an
//     unsafe.Pointer.
type call struct {
	cache  handle
	key    *byte
	keyLen uintptr
	buf    *byte // get: where the value goes; set: the value
	bufLen uintptr
	outLen uintptr // get: the length of the value, also when it is more than bufLen
	ttlMS  uint64
	flags  uint64
	// set: what else there is to say about the entry, or nil.
	options *entryOptions
	state   uint64 // get: the entry's State, if flags has flagState
}

// entryOptions is larder_set_options: what a set may say beside key and value. Like the
// call that it goes with it lives on the stack of the caller, and so may the tags.
type entryOptions struct {
	structSize uintptr
	flags      uint64
	ttlMS      uint64
	staleMS    uint64
	tags       *byte   // all tags, one behind the other
	tagEnds    *uint32 // where each ends
	tagCount   uintptr
	asOf       uint64
}

// A longCall is a call through the slow door of one of the operations that have no
// fast one, with the fields that any of them needs. Its layout is that of go_larder_long in
// door_cgo.go. What is said of a call's pointers holds for it as well.
type longCall struct {
	cache   handle
	key     *byte
	keyLen  uintptr
	buf     *byte // get: where the value goes; else the value
	bufLen  uintptr
	outLen  uintptr
	options *entryOptions
	flags   uint64
	number  uint64 // version, delta, time to live or token: in
	out     uint64 // version, sum, token or stamp: out
	state   uint64
	ttlMS   uint64 // time left: out
}

// A manyCall is a call for many keys, with the layout of larder_many. Each call does the
// next group of them and moves done on.
type manyCall struct {
	cache     handle
	keys      *byte
	keyEnds   *uint32
	n         uintptr
	values    *byte
	valueEnds *uint32
	buf       *byte
	bufLen    uintptr
	outEnds   *uint32
	outStatus *uint8
	done      uintptr
	used      uintptr
	need      uintptr
	ttlMS     uint64
	flags     uint64
}

// A handle is a larder_cache of the core's, which is not Go memory.
type handle struct{ p unsafe.Pointer }

// FastDoor reports whether Get, Set, Delete and their Many forms take the fast way into
// the core. They do on Linux on x86-64, unless the program was built with the tag
// larder_nofast, with -msan or -asan, or as a library for C; or was started with
// LARDER_FASTDOOR=off in its environment.
func FastDoor() bool { return fastDoor }

// Each operation knocks at the fast door first, where the functions do no more than they may
// there: if one would have to wait, to allocate, or to copy more than 64 KiB, it
// returns statusBusy and has done nothing, and the slow door does it.

// room is where the value goes that get finds: behind what dst holds. (Not a method that
// writes it to a call: what is stored through a pointer escapes.)
func room(dst []byte) (*byte, uintptr) {
	free := dst[len(dst):cap(dst)]
	return unsafe.SliceData(free), uintptr(len(free))
}

// knock is get by the fast door alone.
func (a *call) knock() status {
	if fastDoor && a.cache.p != nil {
		return a.fastGet()
	}
	return statusBusy
}

// insist goes on with a get to which the fast door said st: by the slow one, and with a
// dst that has room for the value. (The call is a copy, for the same reason.)
func (c *Cache) insist(a call, dst []byte, st status) ([]byte, State, bool) {
	for {
		switch st {
		case statusOK:
			return dst[:len(dst)+int(a.outLen)], State(a.state), true
		case statusNoRoom:
			st = a.deepGet()
			runtime.KeepAlive(c)
		case statusBusy:
			a.cache = c.through()
			st = a.slowGet()
			runtime.KeepAlive(c)
		case statusBufferTooSmall:
			// By the next time around the value may be another, and longer.
			dst = slices.Grow(dst, int(a.outLen))
			a.buf, a.bufLen = room(dst)
			st = a.knock()
			runtime.KeepAlive(c)
		default:
			return dst, Absent, false
		}
	}
}

func (a *call) set(c *Cache) status {
	if fastDoor && a.cache.p != nil {
		st := a.fastSet()
		if st == statusNoRoom {
			st = a.deepSet()
		}
		if st != statusBusy {
			return st
		}
	}
	a.cache = c.through()
	return a.slowSet()
}

func (a *call) delete(c *Cache) status {
	if fastDoor && a.cache.p != nil {
		st := a.fastDelete()
		if st == statusNoRoom {
			st = a.deepDelete()
		}
		if st != statusBusy {
			return st
		}
	}
	a.cache = c.through()
	return a.slowDelete()
}

func (m *manyCall) get(c *Cache) status {
	if fastDoor && m.cache.p != nil {
		st := m.fastGet()
		if st == statusNoRoom {
			st = m.deepGet()
		}
		if st != statusBusy {
			return st
		}
	}
	m.cache = c.through()
	st := m.slowGet()
	m.cache = c.handle
	return st
}

func (m *manyCall) set(c *Cache) status {
	if fastDoor && m.cache.p != nil {
		st := m.fastSet()
		if st == statusNoRoom {
			st = m.deepSet()
		}
		if st != statusBusy {
			return st
		}
	}
	m.cache = c.through()
	st := m.slowSet()
	m.cache = c.handle
	return st
}

func (m *manyCall) delete(c *Cache) status {
	if fastDoor && m.cache.p != nil {
		st := m.fastDelete()
		if st == statusNoRoom {
			st = m.deepDelete()
		}
		if st != statusBusy {
			return st
		}
	}
	m.cache = c.through()
	st := m.slowDelete()
	m.cache = c.handle
	return st
}
