//! Least recently used, by second chance: an entry that was read since it was written goes around
//! once more.
//!
//! The clock algorithm (Corbató 1968). On the traces of docs/hit-ratio.md it is within a point of
//! exact LRU at every size, and a hit costs one bit instead of a list operation.

use super::contract::{Placement, Policy, Seen, Sizes, Tails, Verdict};

/// One log, one bit an entry, no state.
pub struct Lru;

impl Policy for Lru {
    #[inline]
    fn hit_max(&self) -> u8 {
        1
    }
    #[inline]
    fn insert<T: Tails>(&mut self, _: u64, _: u32, _: &Sizes, _: &mut T) -> Placement {
        Placement { log: 0, bits: 0 }
    }
    #[inline]
    fn update(&mut self, log: usize, _: u8) -> Placement {
        Placement { log, bits: 0 }
    }
    #[inline]
    fn victim(&mut self, _: &Sizes) -> usize {
        0
    }
    #[inline]
    fn tail(&mut self, log: usize, entry: &Seen, _: &Sizes) -> Verdict {
        if entry.bits & 3 > 0 { Verdict::Keep { log, bits: 0 } } else { Verdict::Drop }
    }
    fn in_order(&self) -> bool {
        true
    }
    fn resize(&mut self, _: u64) -> bool {
        true
    }
    fn clear(&mut self) {}
    fn bytes_for(&self, _: u64) -> u64 {
        0
    }
}
