//! Growing: large caches commit segments 2 MiB at a time, as huge pages where the system has them,
//! and touch them before they are asked for.
//!
//! The first write to a page takes the system as long as it takes to zero it, and whoever sets
//! would wait for that. So some free segments are kept ready while the cache fills: those of the
//! first sets when it is made (`prepare`), the others by the background thread (`fault_ahead`),
//! which is asked for more when fewer than half of them are left. When the budget has no room for
//! another 2 MiB, the last segments are committed one at a time, in small pages.

use crate::memory::segment::Segment;
use crate::memory::space::{Pool, Space};
use crate::sys::atomic::Ordering;
use crate::sys::os::{HUGE, PAGE};
use std::ops::Range;

impl Space {
    /// Whether [`Space::fault_ahead`] is due.
    #[inline]
    pub fn wants_ahead(&self) -> bool {
        self.wants_ahead.load(Ordering::Relaxed)
    }

    /// Whether free segments should be made ahead.
    pub(super) fn is_short_ahead(&self, pool: &Pool) -> bool {
        self.huge
            && (pool.free.len() as u64) << self.segment_shift < self.ahead / 2
            && self.committed() + HUGE as u64 <= self.max()
    }

    /// Commits and touches 2 MiB of segments, unless enough are free. Returns whether more are
    /// wanted. For the background thread.
    pub fn fault_ahead(&self) -> bool {
        let more = self.wants_ahead.swap(false, Ordering::Relaxed)
            && self.add_chunk().is_some_and(|free| free < self.ahead);
        if more {
            self.wants_ahead.store(true, Ordering::Relaxed);
        }
        more
    }

    /// Commits and touches what the first sets of a large cache will take, a segment for each
    /// stripe: the background thread could not be so fast.
    pub fn prepare(&self) {
        let wanted = (self.stripes.load(Ordering::Relaxed) * self.segment_size()).min(self.ahead);
        while self.huge && self.add_chunk().is_some_and(|free| free < wanted) {}
    }

    /// Commits and touches 2 MiB of segments. Returns the bytes of all that are free, or None if
    /// the budget has no room.
    fn add_chunk(&self) -> Option<u64> {
        let chunk = self.commit_chunk(&mut self.pool.lock())?;
        self.region.touch((u64::from(chunk.start) << self.segment_shift) as usize, HUGE);
        let line = |id: u32| id as usize * size_of::<Segment>();
        let page = line(chunk.start) / PAGE * PAGE;
        self.table.touch(page, line(chunk.end) - page);
        // The parts' words fill a page. It is only read by whoever takes a segment, as long as
        // nothing has a deadline.
        std::hint::black_box(self.part(chunk.start, 0).get(0));
        let mut pool = self.pool.lock();
        // Behind what is free already: those may still be in the CPU's caches.
        for id in chunk {
            pool.free.push_back(&self.geometry, id);
        }
        self.free_len.store(pool.free.len(), Ordering::Relaxed);
        Some((pool.free.len() as u64) << self.segment_shift)
    }

    /// Commits 2 MiB of segments, to be backed by a huge page. None if the budget has no room, or
    /// the cache is small.
    pub(super) fn commit_chunk(&self, pool: &mut Pool) -> Option<Range<u32>> {
        let count = (HUGE as u64 / self.segment_size()) as u32;
        let first = pool.fresh;
        if !self.huge
            || !first.is_multiple_of(count)
            // What was given back comes first when the budget was all in use once.
            || u64::from(first + count) << self.segment_shift > self.max()
            || !self.reserve_new(HUGE as u64, first, count)
        {
            return None;
        }
        pool.fresh += count;
        if self.advised {
            self.huge_bytes.fetch_add(HUGE as u64, Ordering::Relaxed);
        }
        Some(first..first + count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segments_of_a_large_space_are_committed_before_they_are_taken() {
        let space = Space::new(2 << 30, 8).unwrap();
        space.prepare();
        let committed = space.committed();
        assert!(space.usage().free >= 8 * space.segment_size());
        let taken: Vec<_> = (0..8).map(|_| space.take_segment(false).unwrap()).collect();
        assert_eq!(space.committed(), committed);
        assert_eq!(
            space.usage().free,
            committed - space.usage().bookkeeping - 8 * space.segment_size()
        );
        assert!(taken.iter().all(|&id| space.segment(id).start() < committed));
        let small = Space::new(32 << 20, 8).unwrap();
        small.prepare();
        assert_eq!(small.committed(), 0);
    }

    #[test]
    fn free_segments_are_touched_ahead_a_chunk_at_a_time() {
        let space = Space::new(1 << 30, 8).unwrap();
        space.prepare();
        while !space.wants_ahead() {
            space.take_segment(false).unwrap();
        }
        let mut free = space.usage().free;
        assert!(free < space.ahead / 2);
        loop {
            let more = space.fault_ahead();
            assert_eq!(space.usage().free, free + HUGE as u64);
            free = space.usage().free;
            if !more {
                break;
            }
        }
        assert!(free >= space.ahead && free < space.ahead + HUGE as u64 && !space.wants_ahead());
        assert!(!space.fault_ahead());
        assert_eq!(space.usage().free, free);
    }
}
