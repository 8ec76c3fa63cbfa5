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
		runtime.RaceReadRange(unsafe.Pointer(p), n)
	}
}

func raceWrite(p *byte, n int) {
	if n > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(p), n)
	}
}
