//go:build linux && amd64 && !larder_nofast && !msan && !asan

package larder

import (
	"math/rand/v2"
	"os"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/fastcall"
)

// The fast door is open where the core is part of the program itself, and bound when that is
// loaded. In a library that is loaded later, a plugin or one for C, its thread-local storage
// may be allocated, and its symbols bound, at the first call: there is no room for that on
// the stack of a goroutine. What can't be found out is no.
var fastDoor = os.Getenv("LARDER_FASTDOOR") != "off" && inProgram()

// deepEvery is how many calls without room for them, on the mean, one is that grows the
// stack. A goroutine with a call or two had better go by cgo: to grow the stack costs about
// ten times as much as a call saves, and memory. One that goes on has its larger stack soon.
const deepEvery = 64

// enterDeep is for a goroutine whose stack has too little room. By chance, since there is
// no place to count the calls of one goroutine.
//
//go:noinline
func enterDeep(fn uintptr, arg unsafe.Pointer) status {
	if rand.Uint32()%deepEvery != 0 {
		return statusBusy
	}
	if st := fastcall.CallDeep(fn, arg); st != fastcall.NoRoom {
		return status(st)
	}
	return statusBusy
}

// statusNoRoom is fastcall.NoRoom: the call has not been made.
const statusNoRoom status = -1

// deepGet is get by the fast door for a goroutine whose stack had no room for it; and so on.
//
//go:nocheckptr
func (a *call) deepGet() status { return enterDeep(fastGet, unsafe.Pointer(a)) }

//go:nocheckptr
func (a *call) deepSet() status { return enterDeep(fastSet, unsafe.Pointer(a)) }

//go:nocheckptr
func (a *call) deepDelete() status { return enterDeep(fastDelete, unsafe.Pointer(a)) }

//go:nocheckptr
func (m *manyCall) deepGet() status { return enterDeep(fastGetMany, unsafe.Pointer(m)) }

//go:nocheckptr
func (m *manyCall) deepSet() status { return enterDeep(fastSetMany, unsafe.Pointer(m)) }

//go:nocheckptr
func (m *manyCall) deepDelete() status { return enterDeep(fastDeleteMany, unsafe.Pointer(m)) }

// nocheckptr: see slowGet.

//go:nocheckptr
func (a *call) fastGet() status { return status(fastcall.Call(fastGet, unsafe.Pointer(a))) }

//go:nocheckptr
func (a *call) fastSet() status { return status(fastcall.Call(fastSet, unsafe.Pointer(a))) }

//go:nocheckptr
func (a *call) fastDelete() status { return status(fastcall.Call(fastDelete, unsafe.Pointer(a))) }

//go:nocheckptr
func (m *manyCall) fastGet() status { return status(fastcall.Call(fastGetMany, unsafe.Pointer(m))) }

//go:nocheckptr
func (m *manyCall) fastSet() status { return status(fastcall.Call(fastSetMany, unsafe.Pointer(m))) }

//go:nocheckptr
func (m *manyCall) fastDelete() status {
	return status(fastcall.Call(fastDeleteMany, unsafe.Pointer(m)))
}
