//! A space: the address ranges of a cache and its namespaces, with what is counted and known of
//! them.

use crate::memory::address_space::AddressSpace;
use crate::memory::deadlines::{OLD_BASE, PART, Part, UNIT_BITS};
use crate::memory::list::Chain;
use crate::memory::reservation::{
    MAX_BUDGET, MIN_BUDGET, Reservation, reserve_index, segment_bytes,
};
use crate::memory::segment::{Geometry, NONE, Segment};
use crate::sys::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::sys::region::Region;
use std::io;

/// Budgets from here on use huge pages.
pub(super) const HUGE_FROM: u64 = 64 << 20;
/// Bytes of free segments that are kept ready, faulted in, while a large cache fills: a 32nd of the
/// budget, but at least so many (at a million sets of 100 bytes a second 70 ms worth: on a busy
/// machine the background thread may not run for as long) ...
pub(super) const AHEAD: u64 = 8 << 20;
/// ... and at most so many.
pub(super) const MOST_AHEAD: u64 = 64 << 20;

/// The segments that no stripe has, and the runs.
pub struct Pool {
    /// Committed and free.
    pub(super) free: Chain,
    /// Given back to the system.
    pub(super) holes: Vec<u32>,
    /// Never used so far.
    pub(super) fresh: u32,
    /// Retired.
    pub(super) limbo: Chain,
    /// Past their grace period, but held by a view.
    pub(super) pinned: Vec<u32>,
    pub(super) runs: AddressSpace,
    pub(super) run_ids: Vec<u32>,
    pub(super) fresh_run: u32,
}

/// What each set looks at. In a line of its own, that is written to only when something changes.
#[repr(align(64))]
pub struct Signals {
    pub(super) max: AtomicU64,
    pub(super) index: AtomicU64,
    pub(super) bookkeeping: AtomicU64,
    /// What is said of how short memory is: see [`Pressure`].
    pub(super) pressure: AtomicU64,
}

/// The memory of a cache and its namespaces.
pub struct Space {
    pub(super) signals: Signals,
    pub(super) region: Region,
    pub(super) run_region: Region,
    /// The table's mappings; its lines are reached through `geometry`.
    pub(super) table: Region,
    pub(super) run_table: Region,
    pub(super) parts: Region,
    /// For the tables of the cache that the space was made for, until it takes them.
    pub(super) index: Mutex<Option<Region>>,
    pub(super) geometry: Geometry,
    pub(super) segment_shift: u32,
    pub(super) segments: u32,
    pub(super) run_slots: u32,
    pub(super) huge: bool,
    /// The system agreed to huge pages. It is asked once for all address space: to be asked for
    /// each 2 MiB it would have to change its map of the process, and whoever has a page fault
    /// meanwhile waits for that.
    pub(super) advised: bool,
    /// Free bytes that are kept ready while the cache fills.
    pub(super) ahead: u64,
    /// Segments that only drains may take.
    pub(super) spare: u64,
    /// Stripes of all caches that share the space. Half of them is the slack: free segments beyond
    /// the spare ones below which stripes drain as much as they append, for what their open and
    /// half drained segments are out of step by.
    pub stripes: AtomicU64,
    /// Bytes of segments and runs that caches hold.
    pub in_use: AtomicU64,
    /// Caches that hold any. Signed, since the counting lags behind.
    pub sharers: AtomicI64,
    /// See `admission`.
    pub(super) admission: Mutex<()>,
    /// Bytes that only go when their cache is closed, of all caches.
    pub(super) fixed: AtomicU64,
    pub(super) limit: u64,
    pub(super) committed: AtomicU64,
    /// The largest budget so far.
    pub(super) largest: AtomicU64,
    pub(super) huge_bytes: AtomicU64,
    pub(super) free_len: AtomicUsize,
    pub(super) limbo_len: AtomicUsize,
    /// The system refused memory that the budget has: what isn't free can't be had.
    pub(super) refused: AtomicBool,
    /// Set when few faulted segments are left and the budget has room for more.
    pub(super) wants_ahead: AtomicBool,
    pub(super) pool: Mutex<Pool>,
}

/// Segments by which so many stripes are out of step.
pub fn slack(stripes: u64) -> u64 {
    (stripes / 2).max(1)
}

impl Space {
    /// Reserves address space for a budget, with room to grow to at least four times it (16 GiB at
    /// least) where there is that much.
    pub fn new(max: u64, stripes: usize) -> io::Result<Space> {
        debug_assert!((MIN_BUDGET..=MAX_BUDGET).contains(&max));
        let segment = segment_bytes(max);
        let Reservation { region, runs, table, run_table, parts, index, limit } =
            Reservation::new(max, stripes)?;
        let runs_most = runs.most() as u64;
        let lines = |table: &Region| (table.most() / size_of::<Segment>()) as u32;
        let (segments, run_slots) = (lines(&table), lines(&run_table));
        let advised = max >= HUGE_FROM && region.use_huge();
        Ok(Space {
            signals: Signals {
                max: AtomicU64::new(max),
                index: AtomicU64::new(0),
                bookkeeping: AtomicU64::new(0),
                pressure: AtomicU64::new(0),
            },
            geometry: Geometry {
                base: region.start(),
                table: table.start().cast::<Segment>(),
                segment_shift: segment.trailing_zeros(),
                segments,
                run_slots,
            },
            region,
            run_region: runs,
            table,
            run_table,
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
            admission: Mutex::new(()),
            fixed: AtomicU64::new(0),
            limit,
            committed: AtomicU64::new(0),
            largest: AtomicU64::new(max),
            huge_bytes: AtomicU64::new(0),
            free_len: AtomicUsize::new(0),
            limbo_len: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            wants_ahead: AtomicBool::new(false),
            pool: Mutex::new(Pool {
                free: Chain::EMPTY,
                holes: Vec::new(),
                fresh: 0,
                limbo: Chain::EMPTY,
                pinned: Vec::new(),
                runs: AddressSpace::new(limit, runs_most),
                run_ids: Vec::new(),
                fresh_run: 0,
            }),
        })
    }

    /// Address space for the tables of one more cache, of so many stripes.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn take_index(&self, stripes: usize) -> io::Result<Region> {
        let first = self.index.lock().take();
        first.map_or_else(|| reserve_index(self.limit, self.max(), stripes), Ok)
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

    /// Reserves what a budget needs. False when the system refuses it.
    pub(super) fn make_ready(&self, max: u64) -> bool {
        let lines = max.div_ceil(self.segment_size()) as usize * size_of::<Segment>();
        let parts = max.div_ceil(PART) as usize * size_of::<Part>();
        self.region.reserve(max as usize).is_ok()
            && self.table.reserve(lines).is_ok()
            && self.parts.reserve(parts).is_ok()
    }

    /// Opens the segments below a number, their lines and parts. False when the system refuses.
    pub(super) fn open_segments(&self, end: u32) -> bool {
        let bytes = u64::from(end) << self.segment_shift;
        let opened = self.table.open(end as usize * size_of::<Segment>())
            && self.parts.open((bytes / PART) as usize * size_of::<Part>())
            && self.region.open(bytes as usize);
        self.refused.store(!opened, Ordering::Relaxed);
        opened
    }

    /// The largest budget that there is room for.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes of the budget that segments may have.
    #[inline]
    pub fn segment_budget(&self) -> u64 {
        let beside = self.signals.index.load(Ordering::Relaxed)
            + self.signals.bookkeeping.load(Ordering::Relaxed);
        self.max().saturating_sub(beside)
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

    /// Where things are.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// What is known of a segment.
    #[inline]
    pub fn segment(&self, id: u32) -> &Segment {
        // SAFETY: for as long as `self`.
        unsafe { self.geometry.segment(id) }
    }

    /// Bytes of a segment.
    #[inline]
    pub fn segment_size(&self) -> u64 {
        self.geometry.segment_size()
    }

    /// Whether a segment is a run.
    #[inline]
    pub fn is_run(&self, id: u32) -> bool {
        self.geometry.is_run(id)
    }

    pub(super) fn reset(&self, segment: &Segment) {
        segment.used.store(segment.first(), Ordering::Relaxed);
        segment.live.store(0, Ordering::Relaxed);
        segment.min_deadline.store(u64::MAX, Ordering::Relaxed);
        segment.older.store(NONE, Ordering::Relaxed);
        segment.newer.store(NONE, Ordering::Relaxed);
        debug_assert_eq!(segment.pins.load(Ordering::Relaxed), 0);
    }

    /// What is known of the part that holds byte `at` of a segment (not a run).
    #[inline]
    pub fn part(&self, id: u32, at: u64) -> &Part {
        debug_assert!(id < self.segments && at < self.segment_size());
        let count = self.segment_size() / PART;
        let number = u64::from(id.min(self.segments - 1)) * count + (at / PART).min(count - 1);
        // SAFETY: the region has room for every part of every segment, those of this one are open
        // (`open_segments`), and a Part is an atomic, for which zeros are valid. (A checked index
        // could panic, which has no place on the fast path's stack.)
        unsafe { &*self.parts.start().cast::<Part>().add(number as usize) }
    }

    /// What is known of the parts of a segment (not a run).
    #[inline]
    pub fn parts(&self, id: u32) -> &[Part] {
        debug_assert!(id < self.segments);
        let count = (self.segment_size() / PART) as usize;
        // SAFETY: the region has room for every part of every segment, those of this one are open
        // (`open_segments`), and a Part is an atomic, for which zeros are valid.
        unsafe {
            let first =
                self.parts.start().cast::<Part>().add(id.min(self.segments - 1) as usize * count);
            std::slice::from_raw_parts(first, count)
        }
    }

    /// Says what the times of a segment's parts count from, before any is noted: the time now.
    pub fn set_base(&self, id: u32, now: u64) {
        self.segment(id).base.store((now >> UNIT_BITS) as u32, Ordering::Relaxed);
    }

    /// Brings a segment's base forward, if it is so old that its parts could soon not say their
    /// times.
    pub fn renew_base(&self, id: u32, now: u64) {
        let base = &self.segment(id).base;
        let units = (now >> UNIT_BITS).saturating_sub(u64::from(base.load(Ordering::Relaxed)));
        if units >= OLD_BASE {
            for part in self.parts(id) {
                part.rebase(units.min(u64::from(u32::MAX)) as u32);
            }
            self.set_base(id, now);
        }
    }

    /// Whether memory is committed, and touched ahead, 2 MiB at a time.
    pub fn is_large(&self) -> bool {
        self.huge
    }
}
