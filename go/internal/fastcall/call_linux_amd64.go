package fastcall

import "unsafe"

// FrameSize is the number of bytes that a function called by Call may use.
const FrameSize = 8192

// Call calls the C function at fn with arg, on the goroutine's own stack, and
// returns its result. See the package's comment for what the function must be like.
// What arg points to, directly or not, must be kept alive by the caller.
//
//go:noescape
func Call(fn uintptr, arg unsafe.Pointer) uintptr
