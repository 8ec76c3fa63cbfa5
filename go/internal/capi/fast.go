//go:build linux && amd64 && !larder_nofast && !msan && !asan && !race

package capi

import (
	"math/rand/v2"
	"os"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/fastcall"
)

// FastDoor reports whether the fast path is open. It is where the core is part of the program
// itself, and bound when that is loaded. In a library that is loaded later, a plugin or one for C, its thread-local storage
// may be allocated, and its symbols bound, at the first call: there is no room for that on
// the stack of a goroutine. What can't be found out is no.
var FastDoor = os.Getenv("LARDER_FASTDOOR") != "off" && inProgram()

// deepEvery is how many calls without room for them, on the mean, one is that grows the
// stack. A goroutine with a call or two had better go by cgo: to grow the stack costs about
// ten times as much as a call saves, and memory. One that goes on has its larger stack soon.
const deepEvery = 64

// enterDeep is for a goroutine whose stack has too little room. By chance, since there is
// no place to count the calls of one goroutine.
//
//go:noinline
func enterDeep(fn uintptr, arg unsafe.Pointer) Status {
	if rand.Uint32()%deepEvery != 0 {
		return StatusBusy
	}
	if st := fastcall.CallDeep(fn, arg); st != fastcall.NoRoom {
		return Status(st)
	}
	return StatusBusy
}

// StatusNoRoom is fastcall.NoRoom: the call has not been made.
const StatusNoRoom Status = -1

// DeepGet is get by the fast path for a goroutine whose stack had no room for it; and so on.
//
//go:nocheckptr
func (a *Call) DeepGet() Status { return enterDeep(FastGetAt, unsafe.Pointer(a)) }

//go:nocheckptr
func (a *Call) DeepSet() Status { return enterDeep(FastSetAt, unsafe.Pointer(a)) }

//go:nocheckptr
func (a *Call) DeepDelete() Status { return enterDeep(FastDeleteAt, unsafe.Pointer(a)) }

//go:nocheckptr
func (m *ManyCall) DeepGet() Status { return enterDeep(FastGetManyAt, unsafe.Pointer(m)) }

//go:nocheckptr
func (m *ManyCall) DeepSet() Status { return enterDeep(FastSetManyAt, unsafe.Pointer(m)) }

//go:nocheckptr
func (m *ManyCall) DeepDelete() Status { return enterDeep(FastDeleteManyAt, unsafe.Pointer(m)) }

// nocheckptr: see slowGet.

//go:nocheckptr
func (a *Call) FastGet() Status { return Status(fastcall.Call(FastGetAt, unsafe.Pointer(a))) }

//go:nocheckptr
func (a *Call) FastSet() Status { return Status(fastcall.Call(FastSetAt, unsafe.Pointer(a))) }

//go:nocheckptr
func (a *Call) FastDelete() Status { return Status(fastcall.Call(FastDeleteAt, unsafe.Pointer(a))) }

//go:nocheckptr
func (m *ManyCall) FastGet() Status { return Status(fastcall.Call(FastGetManyAt, unsafe.Pointer(m))) }

//go:nocheckptr
func (m *ManyCall) FastSet() Status { return Status(fastcall.Call(FastSetManyAt, unsafe.Pointer(m))) }

//go:nocheckptr
func (m *ManyCall) FastDelete() Status {
	return Status(fastcall.Call(FastDeleteManyAt, unsafe.Pointer(m)))
}
