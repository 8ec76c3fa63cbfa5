//! The one place that names the atomics and locks, and what waits for them: tests/loom compiles
//! files of `sync` and `stripe` as they are, with the model checker's under these names.

pub use parking_lot::{Condvar, Mutex, MutexGuard};
pub use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    compiler_fence, fence,
};
pub use std::{hint::spin_loop, thread::yield_now};
