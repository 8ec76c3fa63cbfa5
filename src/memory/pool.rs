//! The pool: how stripes get segments, and how free ones go back to the system.

use crate::memory::space::{Pool, Space};
use crate::sys::atomic::Ordering;
use crate::sys::os::HUGE;

impl Space {
    /// Takes a free segment for a stripe. None when the budget is used up.
    ///
    /// A few are left for `for_keep`: a drain that wants to keep what it finds needs room for the
    /// copies first.
    pub fn take_segment(&self, for_keep: bool) -> Option<u32> {
        let mut pool = self.pool.lock();
        let leave = self.left_by(for_keep);
        if pool.free.len() as u64 <= leave {
            self.reclaim_locked(&mut pool);
        }
        let id = if self.available(&pool) > leave { self.pop_free(&mut pool) } else { None };
        self.weigh(&pool);
        if self.is_short_ahead(&pool) {
            self.wants_ahead.store(true, Ordering::Relaxed);
        }
        let id = id?;
        self.open(id);
        Some(id)
    }

    /// As [`Space::take_segment`], if one is free, or known to be without a system call; and if
    /// nothing else is to be done. It doesn't wait.
    pub fn try_take_segment(&self, for_keep: bool) -> Option<u32> {
        let mut pool = self.pool.try_lock()?;
        if self.is_short_ahead(&pool) || self.committed() > self.max() {
            return None;
        }
        if pool.free.len() as u64 <= self.left_by(for_keep) {
            self.try_reclaim(&mut pool);
            if pool.free.len() as u64 <= self.left_by(for_keep) {
                return None;
            }
        }
        let id = pool.free.pop_front(&self.geometry)?;
        self.free_len.store(pool.free.len(), Ordering::Relaxed);
        self.weigh(&pool);
        self.open(id);
        Some(id)
    }

    /// Free segments that aren't for everyone.
    fn left_by(&self, for_keep: bool) -> u64 {
        if for_keep { 0 } else { self.spare }
    }

    fn pop_free(&self, pool: &mut Pool) -> Option<u32> {
        if self.committed() > self.max() {
            // After a shrink: free segments go to the system first.
            self.trim(pool, 0);
        }
        if let Some(id) = pool.free.pop_front(&self.geometry) {
            self.free_len.store(pool.free.len(), Ordering::Relaxed);
            return Some(id);
        }
        let size = self.segment_size();
        if let Some(chunk) = self.commit_chunk(pool) {
            for id in chunk.clone().skip(1).rev() {
                pool.free.push_front(&self.geometry, id);
            }
            self.free_len.store(pool.free.len(), Ordering::Relaxed);
            return Some(chunk.start);
        }
        if !pool.holes.is_empty() {
            return if self.reserve(size) { pool.holes.pop() } else { None };
        }
        if pool.fresh < self.segments && self.reserve_new(size, pool.fresh, 1) {
            let start = u64::from(pool.fresh) << self.segment_shift;
            if self.huge && start.is_multiple_of(HUGE as u64) {
                // One segment is paid for, not all that a huge page holds.
                self.region.advise(start as usize, HUGE, false);
            }
            pool.fresh += 1;
            return Some(pool.fresh - 1);
        }
        None
    }

    /// Gives back free segments while more is committed than the budget allows. True once it fits.
    pub fn trim_to_budget(&self) -> bool {
        let mut pool = self.pool.lock();
        self.reclaim_locked(&mut pool);
        self.trim(&mut pool, 0)
    }

    /// Gives every free segment back to the system.
    pub fn give_back_free(&self) {
        let mut pool = self.pool.lock();
        self.reclaim_locked(&mut pool);
        while self.give_back_one(&mut pool) {}
    }

    /// Makes a segment ready for its first entry.
    pub(super) fn open(&self, id: u32) {
        let segment = self.segment(id);
        segment.start.store(u64::from(id) << self.segment_shift, Ordering::Relaxed);
        segment.capacity.store(self.segment_size(), Ordering::Relaxed);
        self.reset(segment);
        for part in self.parts(id) {
            // Looked at first, so that a cache without deadlines never touches the pages.
            if part.get(0).is_some() {
                part.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::epoch;

    #[test]
    fn segments_come_until_the_budget_is_used_and_come_back_after_a_grace_period() {
        let space = Space::new(1 << 20, 1).unwrap();
        let mut taken = Vec::new();
        while let Some(id) = space.take_segment(true) {
            taken.push(id);
            assert!(space.committed() <= space.max());
        }
        assert!(taken.len() >= 60, "{}", taken.len());
        assert!(space.pressure().drains());
        space.retire(taken[3]);
        // Other tests' readers may be inside.
        epoch::synchronize();
        epoch::synchronize();
        assert_eq!(space.take_segment(true), Some(taken[3]));
        space.retire(taken[5]);
        epoch::synchronize();
        space.segment(taken[5]).pins.store(1, Ordering::Relaxed);
        epoch::synchronize();
        assert_eq!(space.take_segment(true), None);
        space.segment(taken[5]).pins.store(0, Ordering::Relaxed);
        assert_eq!(space.take_segment(true), Some(taken[5]));
    }
}
