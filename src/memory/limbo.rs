//! Limbo: where a piece is that a stripe has given up, until it may be used again.
//!
//! Readers may still be looking at it (see `sync::epoch`), and a borrowed view may hold it longer
//! (its pin count). So it is stamped with the epoch and waits in a row, oldest first. Once its
//! grace period has passed no new pin can come: it is free, or waits among the pinned ones for its
//! last view. A free segment goes to the pool, a run's pages to the system.
//!
//! To know whose grace period has passed may take a system call, by which every running thread
//! passes a barrier. What begins with `try_`, for the fast path, does only what takes neither that
//! nor a wait.

use crate::memory::address_space::RUN_BOOKKEEPING;
use crate::memory::space::{Pool, Space, slack};
use crate::sync::epoch;
use crate::sys::atomic::Ordering;

impl Space {
    /// Gives up a segment whose entries have been unlinked. It is free once nobody can be looking
    /// at it.
    pub fn retire(&self, id: u32) {
        self.retire_locked(&mut self.pool.lock(), id);
    }

    /// As [`Space::retire`], if that needs no waiting. `unlink` is called if so, before.
    #[inline]
    pub fn try_retire(&self, id: u32, unlink: impl FnOnce()) -> bool {
        let Some(mut pool) = self.pool.try_lock() else { return false };
        unlink();
        self.retire_locked(&mut pool, id);
        true
    }

    #[inline]
    fn retire_locked(&self, pool: &mut Pool, id: u32) {
        let stamp = epoch::retire();
        self.segment(id).live.store(stamp, Ordering::Relaxed);
        pool.limbo.push_back(&self.geometry, id);
        self.limbo_len.store(pool.limbo.len(), Ordering::Relaxed);
    }

    /// Whether the next segment would have to come out of limbo: then [`Space::reclaim`] is better
    /// called before a stripe is locked. It makes every running thread pass a barrier, some
    /// microseconds, while which others would wait for the lock.
    #[inline]
    pub fn wants_reclaim(&self) -> bool {
        // As many at once as stripes are ahead with: a barrier for each segment would be four times
        // as many.
        self.free_len.load(Ordering::Relaxed) as u64 <= self.spare
            && self.limbo_len.load(Ordering::Relaxed) as u64
                >= slack(self.stripes.load(Ordering::Relaxed))
    }

    /// Whether anything waits for its grace period.
    pub fn is_waiting(&self) -> bool {
        self.limbo_len.load(Ordering::Relaxed) > 0
    }

    /// Makes segments free whose grace period has passed. Returns how many are still waiting.
    pub fn reclaim(&self) -> usize {
        // Not under the lock. What is retired from here on isn't below it.
        let safe = epoch::safe_before();
        epoch::relieve();
        let mut pool = self.pool.lock();
        self.reclaim_before(&mut pool, safe);
        pool.limbo.len()
    }

    pub(super) fn reclaim_locked(&self, pool: &mut Pool) {
        // Stamp 0 is never given.
        let safe = if pool.limbo.len() == 0 { 0 } else { epoch::safe_before() };
        self.reclaim_before(pool, safe);
    }

    fn reclaim_before(&self, pool: &mut Pool, safe: u64) {
        let mut i = 0;
        while i < pool.pinned.len() {
            if self.segment(pool.pinned[i]).pins.load(Ordering::Acquire) == 0 {
                let id = pool.pinned.swap_remove(i);
                self.release(pool, id);
            } else {
                i += 1;
            }
        }
        if pool.limbo.len() == 0 {
            return;
        }
        while let Some(id) = self.first_before(pool, safe) {
            pool.limbo.pop_front(&self.geometry);
            // Nobody can find the segment any more, so no new pin can come.
            if self.segment(id).pins.load(Ordering::Acquire) == 0 {
                self.release(pool, id);
            } else {
                pool.pinned.push(id);
            }
        }
        self.limbo_len.store(pool.limbo.len(), Ordering::Relaxed);
        self.weigh(pool);
    }

    /// The segment that has been in limbo longest, if its grace period has passed.
    fn first_before(&self, pool: &Pool, safe: u64) -> Option<u32> {
        pool.limbo.first().filter(|&id| {
            let stamp = self.segment(id).live.load(Ordering::Relaxed);
            stamp < safe
        })
    }

    /// Makes segments free whose grace period has passed, as far as that takes no system call and
    /// no memory.
    pub(super) fn try_reclaim(&self, pool: &mut Pool) {
        let Some(safe) = epoch::try_safe_before() else { return };
        while let Some(id) = self.first_before(pool, safe) {
            if self.is_run(id) || self.segment(id).pins.load(Ordering::Acquire) > 0 {
                break;
            }
            pool.limbo.pop_front(&self.geometry);
            pool.free.push_front(&self.geometry, id);
        }
        self.limbo_len.store(pool.limbo.len(), Ordering::Relaxed);
        self.free_len.store(pool.free.len(), Ordering::Relaxed);
    }

    fn release(&self, pool: &mut Pool, id: u32) {
        let segment = self.segment(id);
        if self.is_run(id) {
            let (start, len) = (segment.start(), segment.capacity());
            let pages = pool.runs.give(start, len);
            let bytes = pages.end - pages.start;
            if bytes > 0 {
                self.run_region.decommit((pages.start - self.limit) as usize, bytes as usize);
            }
            pool.run_ids.push(id);
            self.signals.bookkeeping.fetch_sub(RUN_BOOKKEEPING, Ordering::Relaxed);
            self.unreserve(bytes + RUN_BOOKKEEPING);
        } else {
            pool.free.push_front(&self.geometry, id);
            self.free_len.store(pool.free.len(), Ordering::Relaxed);
            if self.committed() > self.max() {
                self.trim(pool, 0);
            }
        }
    }
}
