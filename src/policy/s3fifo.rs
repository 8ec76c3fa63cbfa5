//! S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP
//! 2023).
//!
//! A small log (a tenth) takes new entries; what was read at least twice by its end moves to the
//! main log, the rest leaves a fingerprint. A key that comes back while its fingerprint is known
//! goes to the main log at once. At the main log's end an entry goes around as often as it was
//! read, up to three times.

use super::contract::{Placement, Policy, Seen, Sizes, Tails, Verdict};
use super::ghost::Ghost;

const SMALL: usize = 0;
const MAIN: usize = 1;

/// Two logs and a ghost as long as the main one.
pub struct S3Fifo {
    ghost: Ghost,
}

impl S3Fifo {
    /// For a stripe of about so many entries; without a ghost where the system refuses memory.
    pub fn new(entries: u64) -> S3Fifo {
        let mut policy = S3Fifo { ghost: Ghost::none() };
        policy.resize(entries);
        policy
    }
}

impl Policy for S3Fifo {
    #[inline]
    fn hit_max(&self) -> u8 {
        3
    }

    fn insert<T: Tails>(&mut self, hash: u64, _: u32, _: &Sizes, _: &mut T) -> Placement {
        let log = if self.ghost.take(hash) { MAIN } else { SMALL };
        Placement { log, bits: 0 }
    }

    #[inline]
    fn update(&mut self, log: usize, bits: u8) -> Placement {
        Placement { log, bits }
    }

    fn victim(&mut self, sizes: &Sizes) -> usize {
        if sizes.used[SMALL] >= sizes.capacity / 10 || sizes.used[MAIN] == 0 { SMALL } else { MAIN }
    }

    fn tail(&mut self, log: usize, entry: &Seen, _: &Sizes) -> Verdict {
        let hits = entry.bits & 3;
        if log == SMALL {
            if hits > 1 {
                return Verdict::Keep { log: MAIN, bits: 0 };
            }
            self.ghost.put(entry.hash);
            Verdict::Drop
        } else if hits > 0 {
            Verdict::Keep { log: MAIN, bits: hits - 1 }
        } else {
            Verdict::Drop
        }
    }

    #[inline]
    fn prefetch(&self, hash: u64) {
        self.ghost.prefetch(hash);
    }

    fn resize(&mut self, entries: u64) -> bool {
        let ghost = if entries == 0 { Ok(Ghost::none()) } else { Ghost::new(entries * 9 / 10) };
        ghost.map(|ghost| self.ghost = ghost).is_ok()
    }

    fn clear(&mut self) {
        self.ghost.clear();
    }

    fn bytes_for(&self, entries: u64) -> u64 {
        bytes_for(entries)
    }
}

/// Bytes for so many entries.
pub fn bytes_for(entries: u64) -> u64 {
    if entries == 0 { 0 } else { Ghost::bytes_for(entries * 9 / 10) }
}
