// Package stackpaint measures how much stack a C function uses, for tests of what
// fastcall may call.
package stackpaint

import "unsafe"

// Room is the number of bytes that a function called by Call may use.
const Room = 64 << 10

// Call fills a stretch of the stack with a pattern, calls the C function at fn with
// arg on it, as fastcall.Call does, and looks how far down the pattern has been
// written over. It returns what the function returned, and its depth in bytes with
// its return address. Stack that is reserved and never written isn't seen.
//
//go:noescape
func Call(fn uintptr, arg unsafe.Pointer) (result, depth uintptr)
