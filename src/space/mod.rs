//! The cache's memory: who has which pages, and what they add up to.
//!
//! One reserved range of address space holds two kinds of pieces, both called segments:
//!
//! * *segments* of one size, cut from the lower part. They belong to one stripe at a time and come from the pool here, so
//!   no capacity is split among stripes. A free one stays committed and is handed out again, last in first out, so that
//!   a cache that overwrites a small set stays in the CPU's caches.
//! * *runs*, one for each entry too big for a segment, in the upper part (`runs`).
//!
//! The budget: `committed` = index + bookkeeping + segments + runs never exceeds `max`; whoever wants memory reserves it
//! here first. When it is used up, free segments go back to the system for what isn't a segment, and stripes are told to
//! drain.
//!
//! Here are the budget and the pool. Beside them: where a segment is and what is known of it (`segment`), and of its parts
//! (`parts`); what becomes of a piece that a stripe gives up, until nobody can be looking at it (`limbo`), with the rows
//! in which it waits (`chain`); and how large caches commit memory 2 MiB at a time, before it is asked for (`ahead`).

mod admission;
mod ahead;
mod chain;
mod limbo;
mod parts;
mod reservation;
mod runs;
mod segment;

pub use admission::least_segments;
pub use parts::{PART, first_due};
pub use reservation::reserve_index;
pub use segment::{Geometry, Segment};

use crate::os::{self, HUGE, PAGE, Region};
use crate::sync::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Mutex, Ordering};
use admission::Admission;
use ahead::{AHEAD, HUGE_FROM, MOST_AHEAD};
use chain::Chain;
use reservation::Reservation;
use runs::AddressSpace;
use std::io;

/// No segment.
pub const NONE: u32 = u32::MAX;
/// The largest budget: what 36 bits of location can address in steps of 8 bytes, halved for the runs.
pub const MAX_BUDGET: u64 = 256 << 30;
/// The smallest budget.
pub const MIN_BUDGET: u64 = 256 << 10;

const LOCATION_LIMIT: u64 = 512 << 30;
/// By how many bytes, all together, stripes get ahead for each byte that is wanting in free segments. They are out of step by
/// a segment or two each, and what they owe is forgiven when there is no pressure: without this, the free segments would
/// wander below what compactions need, and entries be evicted for want of it.
const LEAD: u64 = 4;

struct Pool {
    /// Committed and free.
    free: Chain,
    /// Given back to the system.
    holes: Vec<u32>,
    /// Never used so far.
    fresh: u32,
    /// Retired.
    limbo: Chain,
    /// Past their grace period, but held by a view.
    pinned: Vec<u32>,
    runs: AddressSpace,
    run_ids: Vec<u32>,
    fresh_run: u32,
}

/// What each set looks at. In a line of its own, that is written to only when something changes: with a segment for each
/// fifteen entries, to fetch the lines of all counts again was a fifth of what two threads took.
#[repr(align(64))]
struct Signals {
    max: AtomicU64,
    index: AtomicU64,
    bookkeeping: AtomicU64,
    /// See [`Space::lead`].
    lead: AtomicI64,
    /// Set when the last attempt to take memory failed: stripes begin to drain.
    pressure: AtomicBool,
    /// Set when there are three segments a stripe left beyond that.
    nearly_full: AtomicBool,
    /// See [`Space::is_shared`].
    shared: AtomicBool,
}

/// Sets a flag that others read, if it isn't set so.
fn say(flag: &AtomicBool, said: bool) {
    if flag.load(Ordering::Relaxed) != said {
        flag.store(said, Ordering::Relaxed);
    }
}

/// The memory of a cache and its namespaces.
pub struct Space {
    signals: Signals,
    region: Region,
    /// The table's mapping; its lines are reached through `geometry`.
    table: Region,
    parts: Region,
    /// For the tables of the cache that the space was made for, until it takes them.
    index: Mutex<Option<Region>>,
    geometry: Geometry,
    segment_shift: u32,
    segments: u32,
    run_slots: u32,
    huge: bool,
    /// The system agreed to huge pages. It is asked once for all address space: to be asked for each 2 MiB it would have to change
    /// its map of the process, and whoever has a page fault meanwhile waits for that.
    advised: bool,
    /// Free bytes that are kept ready while the cache fills.
    ahead: u64,
    /// Segments that only drains may take.
    spare: u64,
    /// Stripes of all caches that share the space. Half of them is the slack: free segments beyond the spare ones below
    /// which stripes drain as much as they append, for what their open and half drained segments are out of step by.
    pub stripes: AtomicU64,
    /// Bytes of segments and runs that caches hold.
    pub in_use: AtomicU64,
    /// Caches that hold any. Signed, since the counting lags behind.
    pub sharers: AtomicI64,
    admission: Admission,
    limit: u64,
    committed: AtomicU64,
    /// The largest budget so far.
    largest: AtomicU64,
    huge_bytes: AtomicU64,
    free_len: AtomicUsize,
    limbo_len: AtomicUsize,
    /// Set when few faulted segments are left and the budget has room for more.
    wants_ahead: AtomicBool,
    pool: Mutex<Pool>,
}

/// Segments by which so many stripes are out of step.
pub fn slack(stripes: u64) -> u64 {
    (stripes / 2).max(1)
}

/// The size of segments for a budget: about two thousand to a cache, 16 KiB to 2 MiB.
pub fn segment_bytes(max: u64) -> u64 {
    (max / 2048).next_power_of_two().clamp(16 << 10, HUGE as u64)
}

impl Space {
    /// Reserves address space for a budget, with room to grow to at least four times it (16 GiB at least) where the system
    /// allows that much.
    pub fn new(max: u64, stripes: usize) -> io::Result<Space> {
        debug_assert!((MIN_BUDGET..=MAX_BUDGET).contains(&max));
        let segment = segment_bytes(max);
        let Reservation { region, table, parts, index, limit } = Reservation::new(max)?;
        let segments = (limit / segment) as u32;
        let run_space = region.len() as u64 - limit;
        let run_slots = (limit / PAGE as u64) as u32;
        let advised = max >= HUGE_FROM && region.advise_huge(0, limit as usize);
        Ok(Space {
            signals: Signals {
                max: AtomicU64::new(max),
                index: AtomicU64::new(0),
                bookkeeping: AtomicU64::new(0),
                lead: AtomicI64::new(0),
                pressure: AtomicBool::new(false),
                nearly_full: AtomicBool::new(false),
                shared: AtomicBool::new(false),
            },
            geometry: Geometry {
                base: region.start(),
                table: table.start().cast::<Segment>(),
                segment_shift: segment.trailing_zeros(),
                segments,
                run_slots,
            },
            region,
            table,
            parts,
            index: Mutex::new(Some(index)),
            segment_shift: segment.trailing_zeros(),
            segments,
            run_slots,
            huge: max >= HUGE_FROM,
            advised,
            ahead: (max / 32).clamp(AHEAD, MOST_AHEAD),
            spare: if max / segment >= 64 { 2 } else { 1 },
            stripes: AtomicU64::new(stripes as u64),
            in_use: AtomicU64::new(0),
            sharers: AtomicI64::new(0),
            admission: Admission::new(),
            limit,
            committed: AtomicU64::new(0),
            largest: AtomicU64::new(max),
            huge_bytes: AtomicU64::new(0),
            free_len: AtomicUsize::new(0),
            limbo_len: AtomicUsize::new(0),
            wants_ahead: AtomicBool::new(false),
            pool: Mutex::new(Pool {
                free: Chain::EMPTY,
                holes: Vec::new(),
                fresh: 0,
                limbo: Chain::EMPTY,
                pinned: Vec::new(),
                runs: AddressSpace::new(limit, run_space),
                run_ids: Vec::new(),
                fresh_run: 0,
            }),
        })
    }

    /// Address space for the tables of one more cache.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn take_index(&self) -> io::Result<Region> {
        let first = self.index.lock().take();
        first.map_or_else(|| reserve_index(self.limit, self.max()), Ok)
    }

    /// Segments that only drains may take.
    pub fn spare(&self) -> u64 {
        self.spare
    }

    /// The budget.
    #[inline]
    pub fn max(&self) -> u64 {
        self.signals.max.load(Ordering::Relaxed)
    }

    /// The largest budget that the reserved address space allows.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Changes the budget. Bytes above it must be freed by the caller.
    pub fn set_max(&self, max: u64) {
        self.signals.max.store(max, Ordering::SeqCst);
        self.largest.fetch_max(max, Ordering::Relaxed);
        self.signals.pressure.store(false, Ordering::Relaxed);
    }

    /// Bytes of the budget that segments may have.
    #[inline]
    pub fn segment_budget(&self) -> u64 {
        let beside = self.signals.index.load(Ordering::Relaxed) + self.signals.bookkeeping.load(Ordering::Relaxed);
        self.max().saturating_sub(beside)
    }

    /// Whether there are several caches here, or were: a cache that has always been alone needn't ask what others hold.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.signals.shared.load(Ordering::Relaxed)
    }

    /// Says that there are several.
    pub fn share(&self) {
        self.signals.shared.store(true, Ordering::Relaxed);
    }

    /// Index, bookkeeping, segments (free ones too) and runs.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// How many times as much as now the caches may hold when the memory is used up.
    pub fn outlook(&self) -> f64 {
        let free = self.free_len.load(Ordering::Relaxed) as u64 * self.segment_size();
        let used = self.committed().saturating_sub(free);
        self.max() as f64 / used.max(1) as f64
    }

    /// Bytes that are free or could be committed.
    pub fn room(&self) -> u64 {
        self.max().saturating_sub(self.committed()) + self.usage().free
    }

    /// Whether memory was short when it was last asked for.
    #[inline]
    pub fn under_pressure(&self) -> bool {
        self.signals.pressure.load(Ordering::Relaxed)
    }

    /// Whether it soon will be, if the cache goes on filling.
    #[inline]
    pub fn is_nearly_full(&self) -> bool {
        self.signals.nearly_full.load(Ordering::Relaxed)
    }

    /// Bytes that each stripe should have drained beyond what it appended, to bring the free segments back to what is wanted.
    pub fn lead(&self) -> i64 {
        self.signals.lead.load(Ordering::Relaxed)
    }

    /// Takes bytes from the budget. False if they don't fit.
    fn reserve(&self, bytes: u64) -> bool {
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

    fn unreserve(&self, bytes: u64) {
        self.committed.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Takes bytes for the index. False if they don't fit even after free segments were given back.
    pub fn reserve_index(&self, bytes: u64) -> bool {
        let ok = self.reserve(bytes) || self.trim(&mut self.pool.lock(), bytes);
        if ok {
            self.signals.index.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.signals.pressure.store(true, Ordering::Relaxed);
        }
        ok
    }

    /// Gives bytes of the index back.
    pub fn unreserve_index(&self, bytes: u64) {
        self.signals.index.fetch_sub(bytes, Ordering::Relaxed);
        self.unreserve(bytes);
    }

    /// Takes bytes for bookkeeping. False if they don't fit even after free segments were given back.
    #[must_use]
    pub fn reserve_bookkeeping(&self, bytes: u64) -> bool {
        let ok = self.reserve(bytes) || self.trim(&mut self.pool.lock(), bytes);
        if ok {
            self.signals.bookkeeping.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.signals.pressure.store(true, Ordering::Relaxed);
        }
        ok
    }

    /// Bytes of bookkeeping that are no longer used.
    pub fn unreserve_bookkeeping(&self, bytes: u64) {
        self.signals.bookkeeping.fetch_sub(bytes, Ordering::Relaxed);
        self.unreserve(bytes);
    }

    /// Takes a free segment for a stripe. None when the budget is used up.
    ///
    /// A few are left for `for_keep`: a drain that wants to keep what it finds needs room for the copies first.
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

    /// As [`Space::take_segment`], if one is free, or known to be without a system call; and if nothing else is to be done. It doesn't wait.
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

    /// Says whether stripes must drain. What waits for its grace period will be free soon: to evict for want of that would
    /// be hasty.
    fn weigh(&self, pool: &Pool) {
        let soon = self.available(pool) + pool.limbo.len() as u64;
        let stripes = self.stripes.load(Ordering::Relaxed);
        let wanted = self.spare + slack(stripes);
        say(&self.signals.pressure, soon <= wanted);
        say(&self.signals.nearly_full, soon <= wanted + 3 * stripes);
        let ahead = (LEAD * (wanted.saturating_sub(soon) << self.segment_shift) / stripes.max(1)) as i64;
        if self.signals.lead.load(Ordering::Relaxed) != ahead {
            self.signals.lead.store(ahead, Ordering::Relaxed);
        }
    }

    /// Segments that are free or could be committed.
    fn available(&self, pool: &Pool) -> u64 {
        pool.free.len() as u64 + (self.max().saturating_sub(self.committed()) >> self.segment_shift)
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
        if pool.fresh < self.segments && self.reserve_with_table(size, pool.fresh, 1) {
            let start = u64::from(pool.fresh) << self.segment_shift;
            if self.huge && start.is_multiple_of(HUGE as u64) {
                // One segment is paid for, not all that a huge page holds.
                self.region.advise_small(start as usize, HUGE);
            }
            pool.fresh += 1;
            return Some(pool.fresh - 1);
        }
        None
    }

    /// Gives free segments back to the system until `bytes` more fit the budget, and reserves them.
    fn trim(&self, pool: &mut Pool, bytes: u64) -> bool {
        loop {
            if self.committed() + bytes <= self.max() && self.reserve(bytes) {
                return true;
            }
            if !self.give_back_one(pool) {
                return false;
            }
        }
    }

    fn give_back_one(&self, pool: &mut Pool) -> bool {
        let Some(id) = pool.free.pop_front(&self.geometry) else { return false };
        self.free_len.store(pool.free.len(), Ordering::Relaxed);
        let size = self.segment_size();
        let start = (u64::from(id) * size) as usize;
        if self.huge {
            // Else the kernel would fill the hole again when it collapses small pages into a huge one.
            self.region.advise_small(start / HUGE * HUGE, HUGE);
            let _ = self.huge_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| now.checked_sub(size));
        }
        self.region.decommit(start, size as usize);
        pool.holes.push(id);
        self.unreserve(size);
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_come_until_the_budget_is_used_and_come_back_after_a_grace_period() {
        let space = Space::new(1 << 20, 1).unwrap();
        let mut taken = Vec::new();
        while let Some(id) = space.take_segment(true) {
            taken.push(id);
            assert!(space.committed() <= space.max());
        }
        assert!(taken.len() >= 60, "{}", taken.len());
        assert!(space.under_pressure());
        space.retire(taken[3]);
        // Other tests' readers may be inside.
        crate::epoch::synchronize();
        assert_eq!(space.take_segment(true), Some(taken[3]));
        space.retire(taken[5]);
        crate::epoch::synchronize();
        space.segment(taken[5]).pins.store(1, Ordering::Relaxed);
        assert_eq!(space.take_segment(true), None);
        space.segment(taken[5]).pins.store(0, Ordering::Relaxed);
        assert_eq!(space.take_segment(true), Some(taken[5]));
    }
}
