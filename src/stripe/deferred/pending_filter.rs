//! What readers see of the sets that wait in a stripe: 16 bits of each hash, in four lanes of one
//! word. A filter: it never says that none waits when one does, and once in some 8,000 times it
//! says that one may.
//!
//! Where sets wait in a [write buffer](super::write_buffer) the word is written under the stripe's
//! lock. Where others leave them ([combining](super::combining)) a lane is taken without it, then
//! marked, and freed by the lock's holder.

use crate::sys::atomic::{AtomicU64, Ordering};

/// PendingFilter that there may be.
pub const LANES: usize = 4;
/// Bits of a lane.
pub const LANE_BITS: usize = 16;
const LANE: u64 = 0xffff;
/// What a lane holds that is taken, and not marked yet. No mark: those are odd.
const TAKEN: u64 = 2;

/// What readers see of them: 16 bits of each hash; 0: none. In a line of its own, which is the only
/// one that who leaves a set in a mailbox writes to beside that.
#[repr(align(64))]
pub struct PendingFilter(AtomicU64);

/// Bits of a hash that neither choose the stripe nor the bucket. Never 0.
#[inline]
pub fn mark(hash: u64) -> u64 {
    u64::from((hash >> 20) as u16 | 1)
}

#[inline]
fn lane_of(marks: u64, lane: usize) -> u64 {
    marks >> (lane % LANES * LANE_BITS) & LANE
}

impl PendingFilter {
    /// None.
    pub fn new() -> PendingFilter {
        PendingFilter(AtomicU64::new(0))
    }

    /// Whether a set of a hash may be waiting: once in some 8,000 times it is another's.
    #[inline(always)]
    pub fn has(&self, hash: u64) -> bool {
        // Acquire: who doesn't find a mark any more sees what the set has changed.
        let marks = self.0.load(Ordering::Acquire);
        marks != 0 && {
            // A lane of zeros borrows from its highest bit, which it didn't have before.
            const ONES: u64 = u64::MAX / LANE;
            let lanes = marks ^ (mark(hash) * ONES);
            lanes.wrapping_sub(ONES) & !lanes & (ONES << (LANE_BITS - 1)) != 0
        }
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Says which sets wait, where they are changed under the stripe's lock.
    #[inline]
    pub fn set(&self, marks: u64) {
        self.0.store(marks, Ordering::Release);
    }

    /// Takes a free lane, unless a set of this hash may be waiting.
    pub fn take(&self, hash: u64) -> Option<usize> {
        // Acquire: who was in the lane before is done with what lies there.
        let mut marks = self.0.load(Ordering::Acquire);
        loop {
            let lane = (0..LANES).find(|lane| lane_of(marks, *lane) == 0)?;
            if (0..LANES).any(|lane| lane_of(marks, lane) == mark(hash)) {
                return None;
            }
            let taken = marks | TAKEN << (lane * LANE_BITS);
            match self.0.compare_exchange_weak(marks, taken, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(lane),
                Err(now) => marks = now,
            }
        }
    }

    /// PendingFilter a lane that was taken for a hash.
    pub fn put(&self, lane: usize, hash: u64) {
        // Release: who sees it sees what was written before.
        self.0.fetch_xor((mark(hash) ^ TAKEN) << (lane % LANES * LANE_BITS), Ordering::Release);
    }

    /// Frees lanes (a bit for each): their sets are done.
    pub fn free(&self, lanes: u32) {
        let marks = (0..LANES)
            .filter(|lane| lanes >> lane & 1 == 1)
            .fold(0, |marks, lane| marks | LANE << (lane * LANE_BITS));
        self.0.fetch_and(!marks, Ordering::Release);
    }

    /// The lanes that are marked.
    pub fn lanes(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        // Acquire: what the marks are of was written before.
        let marks = self.0.load(Ordering::Acquire);
        (0..LANES).filter(move |lane| lane_of(marks, *lane) & 1 == 1)
    }
}
