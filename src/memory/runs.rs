//! Runs: pieces of any size, one for each entry too big for a segment, and the free ranges of
//! address space between them.
//!
//! They lie side by side, and a page is counted when the first run reaches it and given back to the
//! system as soon as none does. So a run costs the pages that no other lies in, which may be none.
//! Where there is room is in `address_space`.

use crate::memory::address_space::RUN_BOOKKEEPING;
use crate::memory::segment::Segment;
use crate::memory::space::{Pool, Space};
use crate::sys::atomic::Ordering;

impl Space {
    /// Takes a run for one entry of `len` bytes, a multiple of 8. None when the budget is used up.
    pub fn take_run(&self, len: u64) -> Option<u32> {
        debug_assert!(len.is_multiple_of(8));
        let mut pool = self.pool.lock();
        let id = self.run_id(&mut pool).or_else(|| {
            self.reclaim_locked(&mut pool);
            self.run_id(&mut pool)
        });
        let Some(id) = id else {
            // There is memory, but no line of the table for a run more: some are to go, as if there
            // were none.
            self.press();
            return None;
        };
        let start = self.place_run(&mut pool, len).or_else(|| {
            self.reclaim_locked(&mut pool);
            self.place_run(&mut pool, len)
        });
        let Some(start) = start else {
            pool.run_ids.push(id);
            self.press();
            return None;
        };
        self.signals.bookkeeping.fetch_add(RUN_BOOKKEEPING, Ordering::Relaxed);
        let segment = self.segment(id);
        segment.start.store(start, Ordering::Relaxed);
        segment.capacity.store(len, Ordering::Relaxed);
        self.reset(segment);
        Some(id)
    }

    /// The number of a run that isn't in use.
    fn run_id(&self, pool: &mut Pool) -> Option<u32> {
        pool.run_ids.pop().or_else(|| {
            let next = pool.fresh_run + 1;
            let opened =
                next <= self.run_slots && self.run_table.open(next as usize * size_of::<Segment>());
            opened.then(|| {
                pool.fresh_run = next;
                self.segments + next - 1
            })
        })
    }

    /// Finds a place for a run, and takes what it costs from the budget: the pages that no other
    /// run lies in.
    fn place_run(&self, pool: &mut Pool, len: u64) -> Option<u64> {
        let (start, pages) = pool.runs.take(len)?;
        let bytes = pages.end - pages.start + RUN_BOOKKEEPING;
        if self.reserve(bytes) || self.trim(pool, bytes) {
            if self.run_region.open((start + len - self.limit) as usize) {
                return Some(start);
            }
            self.unreserve(bytes);
        }
        pool.runs.give(start, len);
        None
    }
}
