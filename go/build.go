package larder

import "github.com/larder-cache/larder/go/internal/capi"

// BuildInfo says what a program has of larder.
type BuildInfo struct {
	// Version is the core's.
	Version string
	// ABI is the number of the interface between the core and this package. A program
	// whose two halves disagree about it doesn't start.
	ABI int
	// Archive is the SHA-256, in hexadecimal, of the library that was linked.
	Archive string
	// FastDoor is as [FastDoor] says.
	FastDoor bool
}

// Build says what this program has of larder: for logs, and reports of faults. It costs no call
// into the core.
func Build() BuildInfo {
	return BuildInfo{
		Version:  capi.Version,
		ABI:      capi.ABI,
		Archive:  capi.Archive,
		FastDoor: capi.FastDoor,
	}
}
