//! The budget: `committed` = index + bookkeeping + segments + runs never exceeds `max`; whoever
//! wants memory reserves it here first. When it is used up, free segments go back to the system for
//! what isn't a segment, and stripes are told to drain.

use crate::memory::deadlines::{PART, Part};
use crate::memory::segment::Segment;
use crate::memory::space::{Pool, Space, slack};
use crate::sys::atomic::Ordering;
use crate::sys::os::{self, HUGE, PAGE};

/// Gain of the free-segment reserve: for each byte the reserve is short, the stripes together evict
/// LEAD bytes beyond their debt. Without it the reserve drifts below what compaction needs, and
/// live entries are evicted for lack of a destination segment.
const LEAD: u64 = 4;

impl Space {
    /// Changes the budget. Bytes above it must be freed by the caller.
    pub fn set_max(&self, max: u64) {
        self.signals.max.store(max, Ordering::SeqCst);
        self.largest.fetch_max(max, Ordering::Relaxed);
        self.relieve();
    }

    /// Takes bytes from the budget. False if they don't fit.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        if os::refused(os::Ask::Budget) {
            return false;
        }
        let max = || self.signals.max.load(Ordering::SeqCst);
        let fits = |now: u64| (now + bytes <= max()).then_some(now + bytes);
        if self.committed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_err() {
            return false;
        }
        // A resize that has returned sees what was reserved before it, or is seen here.
        if self.committed.load(Ordering::SeqCst) > max() {
            self.unreserve(bytes);
            return false;
        }
        true
    }

    pub(super) fn unreserve(&self, bytes: u64) {
        self.committed.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Takes bytes for the index. False if they don't fit even after free segments were given back.
    pub fn reserve_index(&self, bytes: u64) -> bool {
        let ok = self.reserve(bytes) || self.trim(&mut self.pool.lock(), bytes);
        if ok {
            self.signals.index.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.press();
        }
        ok
    }

    /// Gives bytes of the index back.
    pub fn unreserve_index(&self, bytes: u64) {
        self.signals.index.fetch_sub(bytes, Ordering::Relaxed);
        self.unreserve(bytes);
    }

    /// Takes bytes for bookkeeping. False if they don't fit even after free segments were given
    /// back.
    #[must_use]
    pub fn reserve_bookkeeping(&self, bytes: u64) -> bool {
        let ok = self.reserve(bytes) || self.trim(&mut self.pool.lock(), bytes);
        if ok {
            self.signals.bookkeeping.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.press();
        }
        ok
    }

    /// Bytes of bookkeeping that are no longer used.
    pub fn unreserve_bookkeeping(&self, bytes: u64) {
        self.signals.bookkeeping.fetch_sub(bytes, Ordering::Relaxed);
        self.unreserve(bytes);
    }

    /// Takes bytes for `count` segments from `first` on, which are new, and for the pages of the
    /// table that they touch first. False if they don't fit, or the system refuses them.
    pub(super) fn reserve_new(&self, bytes: u64, first: u32, count: u32) -> bool {
        let table = self.table_bytes(first + count) - self.table_bytes(first);
        if !self.reserve(bytes + table) {
            return false;
        }
        if !self.open_segments(first + count) {
            self.unreserve(bytes + table);
            return false;
        }
        self.signals.bookkeeping.fetch_add(table, Ordering::Relaxed);
        true
    }

    /// Bytes of the table for so many segments.
    pub(super) fn table_bytes(&self, segments: u32) -> u64 {
        let pages = |bytes: u64| bytes.next_multiple_of(PAGE as u64);
        pages(u64::from(segments) * size_of::<Segment>() as u64)
            + pages((u64::from(segments) << self.segment_shift) / PART * size_of::<Part>() as u64)
    }

    /// The most that the table may have grown to by the largest budget so far. It is never given
    /// back: a cache that shrinks keeps it.
    pub fn most_table_bytes(&self) -> u64 {
        self.table_bytes((self.largest.load(Ordering::Relaxed) >> self.segment_shift) as u32)
    }

    /// Bytes that are free or could be committed.
    pub fn room(&self) -> u64 {
        self.max().saturating_sub(self.committed()) + self.usage().free
    }

    /// Says whether stripes must drain. What waits for its grace period will be free soon: to evict
    /// for want of that would be hasty.
    pub(super) fn weigh(&self, pool: &Pool) {
        let refused = self.refused.load(Ordering::Relaxed) && pool.holes.is_empty();
        let now = if refused { pool.free.len() as u64 } else { self.available(pool) };
        let soon = now + pool.limbo.len() as u64;
        let stripes = self.stripes.load(Ordering::Relaxed);
        let wanted = self.spare + slack(stripes);
        let lead = LEAD * (wanted.saturating_sub(soon) << self.segment_shift) / stripes.max(1);
        self.say(soon <= wanted, soon <= wanted + 3 * stripes, lead);
    }

    /// Segments that are free or could be committed.
    pub(super) fn available(&self, pool: &Pool) -> u64 {
        pool.free.len() as u64 + (self.max().saturating_sub(self.committed()) >> self.segment_shift)
    }

    /// Gives free segments back to the system until `bytes` more fit the budget, and reserves them.
    pub(super) fn trim(&self, pool: &mut Pool, bytes: u64) -> bool {
        loop {
            if self.committed() + bytes <= self.max() && self.reserve(bytes) {
                return true;
            }
            if !self.give_back_one(pool) {
                return false;
            }
        }
    }

    pub(super) fn give_back_one(&self, pool: &mut Pool) -> bool {
        let Some(id) = pool.free.pop_front(&self.geometry) else { return false };
        self.free_len.store(pool.free.len(), Ordering::Relaxed);
        let size = self.segment_size();
        let start = (u64::from(id) * size) as usize;
        if self.huge {
            // Else the kernel would fill the hole again when it collapses small pages into a huge
            // one.
            self.region.advise(start / HUGE * HUGE, HUGE, false);
            let _ = self
                .huge_bytes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| now.checked_sub(size));
        }
        self.region.decommit(start, size as usize);
        pool.holes.push(id);
        self.unreserve(size);
        true
    }

    /// Where the bytes are.
    pub fn usage(&self) -> Usage {
        let free = self.free_len.load(Ordering::Relaxed) as u64 * self.segment_size();
        Usage {
            committed: self.committed(),
            index: self.signals.index.load(Ordering::Relaxed),
            bookkeeping: self.signals.bookkeeping.load(Ordering::Relaxed),
            free,
            huge: self.huge_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Bytes by what they are used for.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// All that counts against the budget.
    pub committed: u64,
    /// The index.
    pub index: u64,
    /// Tables, counters and policies.
    pub bookkeeping: u64,
    /// Free segments.
    pub free: u64,
    /// Segments in ranges that the system agreed to back with huge pages.
    pub huge: u64,
}
