#include "textflag.h"

#define PATTERN $0x5AFE57AC4BADF00D
#define WORDS $8192

// func Call(fn uintptr, arg unsafe.Pointer) (result, depth uintptr)
TEXT ·Call(SB), 0, $65536-32
	MOVQ PATTERN, AX
	MOVQ WORDS, CX
	MOVQ SP, DI
	REP; STOSQ

	MOVQ fn+0(FP), AX
	MOVQ arg+8(FP), DI
	MOVQ SP, BX          // C preserves BX and R12
	ADDQ $65536, SP
	ANDQ $~15, SP
	MOVQ SP, R12
	CALL AX
	MOVQ BX, SP
	MOVQ AX, result+16(FP)

	// The lowest word that is not the pattern any more.
	MOVQ PATTERN, AX
	MOVQ WORDS, CX
	MOVQ BX, DI
	REP; SCASQ          // while equal
	SUBQ $8, DI
	SUBQ DI, R12
	MOVQ R12, depth+24(FP)
	RET
