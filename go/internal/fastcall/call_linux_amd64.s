#include "textflag.h"

// Both look themselves whether there is room: the first word of g is the lowest address
// of the goroutine's stack (runtime/cgo relies on that, too). Below it nothing may be
// written; between it and the place at which Go's prologues ask for a larger stack only
// functions run that don't ask, and none does while C is here. There are no pointers in
// the frames, and nothing that looks for pointers ever finds these functions on a stack,
// except in CallDeep's prologue.

// NOSPLIT: no prologue, so the stack never grows here.

// func Call(fn uintptr, arg unsafe.Pointer) uintptr
TEXT ·Call(SB), NOSPLIT, $0-24
	MOVQ (TLS), CX
	LEAQ -2624(SP), DX   // Room
	CMPQ DX, 0(CX)
	JCS  full
	MOVQ fn+0(FP), AX
	MOVQ arg+8(FP), DI
	MOVQ SP, BX          // C preserves BX
	ANDQ $~15, SP        // as C expects at a call
	CALL AX
	MOVQ BX, SP
	MOVQ AX, ret+16(FP)
	RET
full:
	MOVQ $-1, ret+16(FP) // NoRoom
	RET

// The frame is for the prologue: with what Go keeps free below every frame (some 800
// bytes), it makes room enough. If it should not, nothing is called.

// func CallDeep(fn uintptr, arg unsafe.Pointer) uintptr
TEXT ·CallDeep(SB), 0, $1856-24
	MOVQ (TLS), CX
	LEAQ -768(SP), DX    // Room, less the frame
	CMPQ DX, 0(CX)
	JCS  full
	MOVQ fn+0(FP), AX
	MOVQ arg+8(FP), DI
	MOVQ SP, BX
	ADDQ $1856, SP       // the frame is C's
	ANDQ $~15, SP
	CALL AX
	MOVQ BX, SP
	MOVQ AX, ret+16(FP)
	RET
full:
	MOVQ $-1, ret+16(FP)
	RET
