//! Algorithms between threads that know of no cache: who is still reading (`epoch`), who pays for
//! the fence between a reader and a reclaimer (`asymmetric_fence`), how a reader notices that a
//! value changed under it (`seqlock`), and counters that no two threads share (`counters`), and how
//! the background thread is woken (`waker`).

pub mod asymmetric_fence;
pub mod counters;
pub mod epoch;
pub mod seqlock;
pub mod waker;
