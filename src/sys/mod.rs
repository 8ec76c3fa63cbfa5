//! What the machine and the operating system give: atomics and locks, memory and clocks, copies of
//! bytes that another thread may change, the hash of a key. Nothing here knows of a cache.

pub mod atomic;
pub mod bytes;
pub mod clock;
pub mod hash;
pub mod os;
pub mod plots;
pub mod prefetch;
pub mod region;
