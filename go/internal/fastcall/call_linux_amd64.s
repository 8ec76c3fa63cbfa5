#include "textflag.h"

// The flags must not say NOSPLIT: the prologue is what makes room for the frame.
// There are no pointers in the frame, and no NO_LOCAL_POINTERS to say so: nothing that
// looks for pointers ever finds this function on a stack, except in its prologue.

// func Call(fn uintptr, arg unsafe.Pointer) uintptr
TEXT ·Call(SB), 0, $8192-24
	MOVQ fn+0(FP), AX
	MOVQ arg+8(FP), DI
	MOVQ SP, BX          // C preserves BX
	ADDQ $8192, SP       // the frame is C's
	ANDQ $~15, SP        // as C expects at a call
	CALL AX
	MOVQ BX, SP
	MOVQ AX, ret+16(FP)
	RET
