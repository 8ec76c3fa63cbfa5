// Package capi is package larder's way into its core, which is written in Rust: the calls of C
// functions, the structs that are laid out as theirs, and the choice between cgo (the slow
// door) and package fastcall (the fast path). It decides nothing else.
package capi

import "unsafe"

// A Call is what Get, Set and Delete hand to the core: one pointer to one struct,
// through either door. Its layout is that of larder_call in larder_go.h, which
// cgo.go checks when it is compiled.
//
// It lives on the stack of the goroutine that calls, and so may the key, the value
// and the destination it points to. Why that is sound:
//
//  1. Its pointers are Go pointers, not integers. Between filling it in and entering
//     the core, function prologues may still move the stack, and then everything that
//     points into it is adjusted, the words of this struct included. An integer
//     would be left behind: never make these fields uintptr.
//  2. While the core runs the stack doesn't move. Stacks move only where a goroutine
//     calls a Go function or blocks; behind the fast path it does neither, and a
//     goroutine in a cgo call is never moved by the collector, which knows that C may hold
//     pointers into its stack (runtime.isShrinkStackSafe). Nothing calls back into Go.
//  3. While the core runs the collector may run, and frees nothing the call
//     needs: the struct is alive, because it is read or kept alive after the
//     call, and what it points to with it. Objects on the Go heap don't move.
//  4. The core keeps none of the pointers, and writes no pointer into Go memory:
//     bytes into the destination, and words of this struct that are integers.
//  5. cgo asks that memory passed to C hold no pointers to unpinned Go memory. Its
//     purpose is what 1 to 4 see to; pinning three objects a call would cost more
//     than a hit. Its check can't see into a struct on the stack that comes as an
//     unsafe.Pointer.
type Call struct {
	Cache  Handle
	Key    *byte
	KeyLen uintptr
	Buf    *byte // get: where the value goes; set: the value
	BufLen uintptr
	OutLen uintptr // get: the length of the value, also when it is more than bufLen
	TTLMS  uint64
	Flags  uint64
	// set: what else there is to say about the entry, or nil.
	Options *EntryOptions
	State   uint64 // get: the entry's State, if flags has flagState
}

// EntryOptions is larder_set_options: what a set may say beside key and value. Like the
// call that it goes with it lives on the stack of the caller, and so may the tags.
type EntryOptions struct {
	StructSize uintptr
	Flags      uint64
	TTLMS      uint64
	StaleMS    uint64
	Tags       *byte   // all tags, one behind the other
	TagEnds    *uint32 // where each ends
	TagCount   uintptr
	AsOf       uint64
}

// A LongCall is a call through the slow path of one of the operations that have no
// fast one, with the fields that any of them needs. Its layout is that of go_larder_long in
// cgo.go. What is said of a Call's pointers holds for it as well.
type LongCall struct {
	Cache   Handle
	Key     *byte
	KeyLen  uintptr
	Buf     *byte // get: where the value goes; else the value
	BufLen  uintptr
	OutLen  uintptr
	Options *EntryOptions
	Flags   uint64
	Number  uint64 // version, delta, time to live or token: in
	Out     uint64 // version, sum, token or stamp: out
	State   uint64
	TTLMS   uint64 // time left: out
}

// A ManyCall is a call for many keys, with the layout of larder_many. Each call does the
// next group of them and moves done on.
type ManyCall struct {
	Cache     Handle
	Keys      *byte
	KeyEnds   *uint32
	N         uintptr
	Values    *byte
	ValueEnds *uint32
	Buf       *byte
	BufLen    uintptr
	OutEnds   *uint32
	OutStatus *uint8
	Done      uintptr
	Used      uintptr
	Need      uintptr
	TTLMS     uint64
	Flags     uint64
}

// A Handle is a larder_cache of the core's, which is not Go memory.
type Handle struct{ p unsafe.Pointer }

// IsNil reports whether there is no cache.
func (h Handle) IsNil() bool { return h.p == nil }
