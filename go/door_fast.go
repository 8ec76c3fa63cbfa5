//go:build linux && amd64 && !larder_nofast && !msan && !asan

package larder

import (
	"math/rand/v2"
	"os"
	"runtime/debug"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/fastcall"
)

var fastDoor = os.Getenv("LARDER_FASTDOOR") != "off" && boundAtLoad()

// boundAtLoad reports whether all symbols of the core were resolved when the program
// was loaded, which the linker flags of lib/ see to in a Go program. What is linked
// into or loaded by a program in C may be bound at the first call, on the stack of the
// goroutine that makes it, and its thread-local storage may be allocated then: there is
// no room for that.
func boundAtLoad() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return true
	}
	for _, s := range info.Settings {
		if s.Key == "-buildmode" {
			return s.Value == "exe" || s.Value == "pie"
		}
	}
	return true
}

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
