//! How deep can the fast-door functions of a built liblarder reach on the stack of whoever calls
//! them?
//!
//! The fast door of the Go package runs Rust code on a goroutine's own stack, in room of fixed
//! size. This crate computes the deepest call chain of each `larder_fast_*` function from the
//! machine code that is shipped: stack adjustments, calls, tail jumps and jump tables, through
//! every function of the library they can reach, with a fixed allowance for the few C library
//! functions they may call. What can't be proven (recursion, a call through an unknown pointer, a
//! reachable panic) fails; so does a depth over four fifths of the room.

#![allow(missing_docs, reason = "the insides of a program: what its parts say is in their files")]

pub mod allow;
pub mod causes;
pub mod chain;
pub mod door;
pub mod frame;
pub mod image;
