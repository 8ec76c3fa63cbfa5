//go:build race

package larder

import (
	"runtime"
	"unsafe"
)

// What the core reads and writes of the caller's memory is told to the race detector, which
// can't see it. That a Set comes before the Get that finds its value it knows from cgo.

func raceRead(p *byte, n int) {
	if n > 0 {
		runtime.RaceReadRange(hidden(p), n)
	}
}

func raceWrite(p *byte, n int) {
	if n > 0 {
		runtime.RaceWriteRange(hidden(p), n)
	}
}

// hidden is a pointer that the compiler loses sight of: it would have to think that the
// detector keeps it, and put every key and buffer on the heap.
func hidden(p *byte) unsafe.Pointer {
	u := uintptr(unsafe.Pointer(p))
	return *(*unsafe.Pointer)(unsafe.Pointer(&u))
}
