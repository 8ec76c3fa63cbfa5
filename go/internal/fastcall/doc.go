// Package fastcall calls a C function on the stack of the calling goroutine, in
// about 2 ns, where a cgo call takes about 25.
//
// cgo switches to the thread's own stack and tells the scheduler that the goroutine
// is away in a system call. Neither is needed for a function that is known to be
// short and shallow. Such a function may be called here, and no other. It must
//
//  1. take one pointer and return one word;
//  2. fit into [Room] bytes of stack, on every path: the test of the library's stack
//     depth demands that a fifth of them stays free, proven from the machine code and
//     not only observed, and there must be no recursion;
//  3. be done in microseconds: it can't be preempted, and a garbage collection that
//     wants to start waits for it. So no system call, no lock that may block, no
//     unbounded loop or copy;
//  4. never call back into Go, unwind, or longjmp;
//  5. need no lazy work of the C side on first use: symbols are bound when the
//     program is loaded, thread-local variables of the thread were set up by an
//     earlier call through cgo.
//
// # Why this works
//
// The stack. Call compares the stack pointer with the end of the stack, and does nothing
// if there is too little between: a goroutine that was just started has 2 KiB, and to
// copy them to a larger stack costs more than cgo does, and memory for as long as the
// goroutine lives. CallDeep has a prologue that Go gives it, which grows the stack, for
// goroutines that call often. The C function runs below their frames.
//
// Moving stacks. The runtime moves a stack when a prologue finds it too small, and
// when the collector shrinks it at a point where the goroutine has stopped. The goroutine
// doesn't stop and enters no prologue inside the C function, so pointers to its stack
// stay valid from the end of CallDeep's prologue (in Call from its begin) until it
// returns. In the prologue, the pointer argument is adjusted, as the Go declaration has
// its type.
//
// Signals. Go handles all of its signals on a stack of their own (SA_ONSTACK), and finds the
// goroutine through thread-local storage, not through a register the C function may have used. Its
// handler for preemption looks up the program counter, finds no Go function, and tries
// again later. The profiler books such a sample as external code. In Call itself, the
// assembler marks the function as one that writes SP, so that a traceback that begins
// there stops there; and without a map of its locals it is no point of preemption.
//
// Registers. In Go's assembly convention the callee may use all registers but SP and
// BP. In C's, BX, BP and R12 to R15 survive a call. What the compiler's own
// convention holds in R14 (the goroutine) and X15 (zero) is set up again by the
// wrapper between the two conventions.
package fastcall
