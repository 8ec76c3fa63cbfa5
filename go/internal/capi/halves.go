package capi

import "fmt"

// halves says what one of the two halves of a program, the archive and this package, was made
// of: the version, the number of the interface, and the hash of the headers' declarations.
type halves struct {
	version string
	abi     uint
	layout  uint64
}

func (h halves) String() string {
	return fmt.Sprintf("version %s, ABI %d, layout %016x", h.version, h.abi, h.layout)
}

// mismatch says why the package can't work with the archive that is linked; "" if it can.
func (h halves) mismatch(linked halves) string {
	if h == linked {
		return ""
	}
	return fmt.Sprintf("larder: liblarder.a is of %v; the Go package, of %v, can't work with it: run make lib",
		linked, h)
}
