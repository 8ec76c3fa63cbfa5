//! Who stays and who goes.
//!
//! A policy decides at two moments only: when a new entry comes (into which log?) and when the
//! drain reaches the oldest entry of a log (keep it, in which log, or drop it?). Between them a hit
//! does no more than raise a counter of two bits in the entry. Everything here runs under the
//! stripe's lock; each stripe has a policy of its own, for its part of the hashes.
//!
//! To add one: implement [`Policy`] in a file of its own, and name it in [`Kind`] and in
//! [`AnyPolicy`] (`any.rs`). Nothing else knows policies by name.

mod aged_ghost;
mod any;
mod cellar;
mod contract;
mod ghost;
mod lru;
mod s3fifo;
mod stagnation;

#[allow(unused_imports, reason = "bench/policysim has the policies without the cache")]
pub(crate) use any::each;
pub use any::{AnyPolicy, Kind, LEAST};
pub use contract::{Placement, Policy, Seen, Sizes, Tails, Ticks, Verdict};
