package fastcall

import "unsafe"

// Room is the number of bytes of stack that a function called by Call or CallDeep may
// use.
const Room = 2624

// NoRoom is what Call and CallDeep return if they have not called the function, because
// the goroutine's stack had less than Room bytes left.
const NoRoom = ^uintptr(0)

// Call calls the C function at fn with arg, on the goroutine's own stack, and
// returns its result; or NoRoom. See the package's comment for what the function must be
// like. What arg points to, directly or not, must be kept alive by the caller.
//
//go:noescape
func Call(fn uintptr, arg unsafe.Pointer) uintptr

// CallDeep is Call that lets the stack grow first, if it has to: it is copied then.
//
//go:noescape
func CallDeep(fn uintptr, arg unsafe.Pointer) uintptr
