//go:build linux && amd64 && !larder_nofast && !msan && !asan

package larder

import (
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
