//! The cache's memory: who has which pages, and what they add up to.
//!
//! One reserved range of address space holds two kinds of pieces, both called segments:
//!
//! * *segments* of one size, cut from the lower part. They belong to one stripe at a time and come from the pool here, so
//!   no capacity is split among stripes. A free one stays committed and is handed out again, last in first out, so that
//!   a cache that overwrites a small set stays in the CPU's caches.
//! * *runs*, one for each entry too big for a segment, in the upper part. They lie side by side, and a page is counted when the first
//!   run reaches it and given back to the system as soon as none does.
//!
//! The budget: `committed` = index + bookkeeping + segments + runs never exceeds `max`; whoever wants memory reserves it
//! here first. In large caches segments are committed 2 MiB at a time, as huge pages where the system has them.
//!
//! A piece that a stripe gives up goes through limbo: readers may still be looking at it (see `epoch`), and a borrowed
//! view may hold it longer (its pin count).

use crate::chain::Chain;
use crate::epoch;
use crate::os::{HUGE, PAGE, Region};
use crate::sync::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

/// No segment.
pub const NONE: u32 = u32::MAX;
/// The largest budget: what 36 bits of location can address in steps of 8 bytes, halved for the runs.
pub const MAX_BUDGET: u64 = 256 << 30;
/// The smallest budget.
pub const MIN_BUDGET: u64 = 256 << 10;

const LOCATION_LIMIT: u64 = 512 << 30;
/// Budgets from here on use huge pages.
const HUGE_FROM: u64 = 64 << 20;
/// Bytes of free segments that are kept ready, faulted in, while a large cache fills: a 32nd of the budget, but at least so many
/// (at a million sets of 100 bytes a second 70 ms worth: on a busy machine the background thread may not run for as long) ...
const AHEAD: u64 = 8 << 20;
/// ... and at most so many.
const MOST_AHEAD: u64 = 64 << 20;
/// By how many bytes, all together, stripes get ahead for each byte that is wanting in free segments. They are out of step by
/// a segment or two each, and what they owe is forgiven when there is no pressure: without this, the free segments would
/// wander below what compactions need, and entries be evicted for want of it.
const LEAD: u64 = 4;
/// What a run costs beside its pages: its line in the table, and its place in the maps of free address space.
const RUN_BOOKKEEPING: u64 = 192;

/// What is known of a segment. Every field is written under the lock of the stripe that has it (or by the pool); they are
/// atomics so that statistics, views and the maintenance thread may look without it. In this order: a page of the table is touched by
/// its first word (see [`Region::touch`]).
#[repr(C)]
pub struct Segment {
    start: AtomicU64,
    capacity: AtomicU64,
    /// Bytes appended so far.
    pub used: AtomicU64,
    /// Bytes of entries that the index points at. While it waits for its grace period: the epoch's stamp.
    pub live: AtomicU64,
    /// No entry in the segment expires before this.
    pub min_deadline: AtomicU64,
    /// Neighbours in the log: towards its tail, and towards its head.
    pub older: AtomicU32,
    /// See `older`.
    pub newer: AtomicU32,
    /// The policy's clock when the segment was opened.
    pub stamp: AtomicU32,
    /// Which of the stripe's logs it is in.
    pub log: AtomicU32,
    /// Views that keep it.
    pub pins: AtomicU32,
    /// What the times of its parts count from, in units of theirs: a time before it was opened.
    pub base: AtomicU32,
}

impl Segment {
    /// Its first byte, as an offset into the space.
    #[inline]
    pub fn start(&self) -> u64 {
        self.start.load(Ordering::Relaxed)
    }

    /// Its size in bytes.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Where its first entry begins. Location 0 means "no entry", so nothing is stored there.
    #[inline]
    pub fn first(&self) -> u64 {
        if self.start() == 0 { 8 } else { 0 }
    }
}

/// Bytes of a part of a segment, the least that the sweep for expired entries looks at.
pub const PART: u64 = 2 << 10;

/// What is known of a part of a segment, for the sweep: a time before which nothing that begins in it expires, and where
/// its first entry with a deadline begins. In one word of 32 bits: the place in units of 8 bytes takes 8, the time the
/// others, in units of 64 milliseconds since the segment's [`Segment::base`]. 0 when it has no deadline, 1 for a time before the
/// base. What is twelve days after the base or later is said to be just that: who finds it due walks the part and knows better.
pub struct Part(AtomicU32);

const PLACE_BITS: u32 = (PART / 8).trailing_zeros();
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
/// The logarithm of the milliseconds of a unit of a part's time.
const UNIT_BITS: u32 = 6;
const MOST_UNITS: u64 = (1 << (32 - PLACE_BITS)) - 1;
/// A base is brought forward when it is so many units old: six days.
const OLD_BASE: u64 = MOST_UNITS / 2;

impl Part {
    /// The earliest deadline in milliseconds, rounded down, and the place of the first entry with one in the part, for a
    /// segment of this base.
    #[inline]
    pub fn get(&self, base: u32) -> Option<(u64, u64)> {
        let word = self.0.load(Ordering::Relaxed);
        (word != 0).then(|| (time(word >> PLACE_BITS, base), u64::from(word & PLACE_MASK) * 8))
    }

    /// Takes notice of an entry with a deadline that begins at byte `at` of the segment.
    #[inline]
    pub fn note(&self, base: u32, deadline: u64, at: u64) {
        let code = ((deadline >> UNIT_BITS) + 2).saturating_sub(u64::from(base)).clamp(1, MOST_UNITS) as u32;
        let place = (at % PART / 8) as u32;
        let word = self.0.load(Ordering::Relaxed);
        let noted = if word == 0 {
            code << PLACE_BITS | place
        } else {
            code.min(word >> PLACE_BITS) << PLACE_BITS | place.min(word & PLACE_MASK)
        };
        if noted != word {
            self.0.store(noted, Ordering::Relaxed);
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Brings the base forward by so many units.
    fn rebase(&self, units: u32) {
        let word = self.0.load(Ordering::Relaxed);
        if word != 0 {
            let code = (word >> PLACE_BITS).saturating_sub(units).max(1);
            self.0.store(code << PLACE_BITS | word & PLACE_MASK, Ordering::Relaxed);
        }
    }
}

/// The first part of a row with something due at a time, and the earliest time of the parts before it (all, if there is
/// none). For a segment of this base. A nanosecond a part.
pub fn first_due(parts: &[Part], base: u32, due: u64) -> (Option<usize>, u64) {
    // Words less one, so that those without a deadline come last.
    let last_code = ((due >> UNIT_BITS) + 2).saturating_sub(u64::from(base)).clamp(1, MOST_UNITS - 1) as u32;
    let end = ((last_code + 1) << PLACE_BITS) - 1;
    let mut least = u32::MAX;
    let mut found = None;
    for (i, part) in parts.iter().enumerate() {
        let word = part.0.load(Ordering::Relaxed).wrapping_sub(1);
        if word < end {
            found = Some(i);
            break;
        }
        least = least.min(word);
    }
    (found, if least == u32::MAX { u64::MAX } else { time((least + 1) >> PLACE_BITS, base) })
}

#[inline]
fn time(code: u32, base: u32) -> u64 {
    if code == 1 { 0 } else { (u64::from(code) + u64::from(base) - 2) << UNIT_BITS }
}

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

/// Where things are: what never changes of a space. Each cache that shares a space has a copy, so that a get and a set find
/// an entry or a segment without another pointer on the way. Good as long as the space lives.
#[derive(Clone, Copy)]
pub struct Geometry {
    base: *mut u8,
    table: *const Segment,
    segment_shift: u32,
    segments: u32,
    run_slots: u32,
}

// SAFETY: the pointers are the starts of mappings, which is all that is done with them here but for `segment`, whose table is
// made of atomics.
unsafe impl Send for Geometry {}
// SAFETY: as above.
unsafe impl Sync for Geometry {}

impl Geometry {
    /// The first byte of the space.
    #[inline]
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// The table's line of a segment.
    ///
    /// # Safety
    /// The space lives for `'a`.
    #[inline]
    pub unsafe fn segment<'a>(&self, id: u32) -> &'a Segment {
        debug_assert!(id < self.segments + self.run_slots);
        // Clamped rather than checked: a wrong id would be a defect, but not a wrong access; and a panic has no place on the
        // fast door's stack.
        let id = id.min(self.segments + self.run_slots - 1);
        // SAFETY: the table has room for this many, Segment is made of atomics, for which zeros are valid, and the caller
        // promises that the mapping is there.
        unsafe { &*self.table.add(id as usize) }
    }

    /// Bytes of a segment.
    #[inline]
    pub fn segment_size(&self) -> u64 {
        1 << self.segment_shift
    }

    /// The segment (not the run) that holds an offset.
    #[inline]
    pub fn segment_at(&self, offset: u64) -> u32 {
        debug_assert!(offset >> self.segment_shift < u64::from(self.segments));
        (offset >> self.segment_shift) as u32
    }

    /// Whether a segment is a run.
    #[inline]
    pub fn is_run(&self, id: u32) -> bool {
        id >= self.segments
    }

    /// Whether an entry of this size lies in a shared segment or in a run of its own.
    ///
    /// Entries up to an eighth of a segment share, for a run costs system calls and page faults, and isn't overwritten in place;
    /// larger ones too, up to half a segment, if a segment full of their like loses no more than a sixth of one for each. (Values of
    /// a power of two, with their headers, are a seventh of a segment: those share.)
    #[inline]
    pub fn wants_run(&self, size: u64) -> bool {
        let segment = self.segment_size();
        if size <= segment / 8 {
            return false;
        }
        // Never 0 here, but the compiler doesn't know, and a panic has no place on the fast door's stack.
        let size = size.max(1);
        size > segment / 2 || segment % size * 6 > size * (segment / size)
    }
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
        let mut limit = (max * 4).clamp(16 << 30, MAX_BUDGET).next_multiple_of(HUGE as u64);
        let (region, limit) = loop {
            let bytes = (limit * 4).min(LOCATION_LIMIT);
            match Region::reserve(bytes as usize) {
                Ok(region) => break (region, limit),
                Err(error) if limit / 2 < max.next_multiple_of(HUGE as u64) => return Err(error),
                Err(_) => limit = (limit / 2).next_multiple_of(HUGE as u64),
            }
        };
        let segments = (limit / segment) as u32;
        let run_space = region.len() as u64 - limit;
        let run_slots = (limit / PAGE as u64) as u32;
        let table = Region::reserve((segments as usize + run_slots as usize) * size_of::<Segment>())?;
        let parts = Region::reserve((limit / PART) as usize * size_of::<Part>())?;
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

    /// What is known of the part that holds byte `at` of a segment (not a run).
    #[inline]
    pub fn part(&self, id: u32, at: u64) -> &Part {
        debug_assert!(id < self.segments && at < self.segment_size());
        let count = self.segment_size() / PART;
        let number = u64::from(id.min(self.segments - 1)) * count + (at / PART).min(count - 1);
        // SAFETY: the region has room for every part of every segment, and a Part is an atomic, for which zeros are valid. (A
        // checked index could panic, which has no place on the fast door's stack.)
        unsafe { &*self.parts.start().cast::<Part>().add(number as usize) }
    }

    /// What is known of the parts of a segment (not a run).
    #[inline]
    pub fn parts(&self, id: u32) -> &[Part] {
        debug_assert!(id < self.segments);
        let count = (self.segment_size() / PART) as usize;
        // SAFETY: the region has room for every part of every segment, and a Part is an atomic, for which zeros are valid.
        unsafe {
            let first = self.parts.start().cast::<Part>().add(id.min(self.segments - 1) as usize * count);
            std::slice::from_raw_parts(first, count)
        }
    }

    /// Says what the times of a segment's parts count from, before any is noted: the time now.
    pub fn set_base(&self, id: u32, now: u64) {
        self.segment(id).base.store((now >> UNIT_BITS) as u32, Ordering::Relaxed);
    }

    /// Brings a segment's base forward, if it is so old that its parts could soon not say their times.
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

    /// Bytes of a segment.
    #[inline]
    pub fn segment_size(&self) -> u64 {
        self.geometry.segment_size()
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

    /// Whether free segments should be made ahead.
    fn is_short_ahead(&self, pool: &Pool) -> bool {
        self.huge
            && (pool.free.len() as u64) << self.segment_shift < self.ahead / 2
            && self.committed() + HUGE as u64 <= self.max()
    }

    /// Makes a segment ready for its first entry.
    fn open(&self, id: u32) {
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

    fn reset(&self, segment: &Segment) {
        segment.used.store(segment.first(), Ordering::Relaxed);
        segment.live.store(0, Ordering::Relaxed);
        segment.min_deadline.store(u64::MAX, Ordering::Relaxed);
        segment.older.store(NONE, Ordering::Relaxed);
        segment.newer.store(NONE, Ordering::Relaxed);
        debug_assert_eq!(segment.pins.load(Ordering::Relaxed), 0);
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

    /// Commits 2 MiB of segments, to be backed by a huge page. None if the budget has no room, or the cache is small.
    fn commit_chunk(&self, pool: &mut Pool) -> Option<Range<u32>> {
        let count = (HUGE as u64 / self.segment_size()) as u32;
        let first = pool.fresh;
        if !self.huge
            || !first.is_multiple_of(count)
            || first + count > self.segments
            || !self.reserve_with_table(HUGE as u64, first, count)
        {
            return None;
        }
        pool.fresh += count;
        if self.advised {
            self.huge_bytes.fetch_add(HUGE as u64, Ordering::Relaxed);
        }
        Some(first..first + count)
    }

    /// Whether memory is committed, and touched ahead, 2 MiB at a time.
    pub fn is_large(&self) -> bool {
        self.huge
    }

    /// Whether [`Space::fault_ahead`] is due.
    #[inline]
    pub fn wants_ahead(&self) -> bool {
        self.wants_ahead.load(Ordering::Relaxed)
    }

    /// Commits and touches 2 MiB of segments, unless enough are free. Returns whether more are wanted. For the background thread.
    pub fn fault_ahead(&self) -> bool {
        let more =
            self.wants_ahead.swap(false, Ordering::Relaxed) && self.add_chunk().is_some_and(|free| free < self.ahead);
        if more {
            self.wants_ahead.store(true, Ordering::Relaxed);
        }
        more
    }

    /// Commits and touches what the first sets of a large cache will take, a segment for each stripe: the background thread
    /// could not be so fast.
    pub fn prepare(&self) {
        let wanted = (self.stripes.load(Ordering::Relaxed) * self.segment_size()).min(self.ahead);
        while self.huge && self.add_chunk().is_some_and(|free| free < wanted) {}
    }

    /// Commits and touches 2 MiB of segments. Returns the bytes of all that are free, or None if the budget has no room.
    fn add_chunk(&self) -> Option<u64> {
        let chunk = self.commit_chunk(&mut self.pool.lock())?;
        self.region.touch((u64::from(chunk.start) << self.segment_shift) as usize, HUGE);
        let line = |id: u32| id as usize * size_of::<Segment>();
        let page = line(chunk.start) / PAGE * PAGE;
        self.table.touch(page, line(chunk.end) - page);
        // The parts' words fill a page. It is only read by whoever takes a segment, as long as nothing has a deadline.
        std::hint::black_box(self.part(chunk.start, 0).get(0));
        let mut pool = self.pool.lock();
        // Behind what is free already: those may still be in the CPU's caches.
        for id in chunk {
            pool.free.push_back(&self.geometry, id);
        }
        self.free_len.store(pool.free.len(), Ordering::Relaxed);
        Some((pool.free.len() as u64) << self.segment_shift)
    }

    /// Takes bytes for `count` segments from `first` on, and for the pages of the table that they touch first.
    fn reserve_with_table(&self, bytes: u64, first: u32, count: u32) -> bool {
        let table = self.table_bytes(first + count) - self.table_bytes(first);
        let ok = self.reserve(bytes + table);
        if ok {
            self.signals.bookkeeping.fetch_add(table, Ordering::Relaxed);
        }
        ok
    }

    /// Bytes of the table for so many segments.
    fn table_bytes(&self, segments: u32) -> u64 {
        let pages = |bytes: u64| bytes.next_multiple_of(PAGE as u64);
        pages(u64::from(segments) * size_of::<Segment>() as u64)
            + pages((u64::from(segments) << self.segment_shift) / PART * size_of::<Part>() as u64)
    }

    /// The most that the table may have grown to by the largest budget so far. It is never given back: a cache that shrinks
    /// keeps it.
    pub fn most_table_bytes(&self) -> u64 {
        self.table_bytes((self.largest.load(Ordering::Relaxed) >> self.segment_shift) as u32)
    }

    /// Takes a run for one entry of `len` bytes, a multiple of 8. None when the budget is used up.
    pub fn take_run(&self, len: u64) -> Option<u32> {
        debug_assert!(len.is_multiple_of(8));
        let mut pool = self.pool.lock();
        let id = pool.run_ids.pop().or_else(|| {
            (pool.fresh_run < self.run_slots).then(|| {
                pool.fresh_run += 1;
                self.segments + pool.fresh_run - 1
            })
        })?;
        let start = self.place_run(&mut pool, len).or_else(|| {
            self.reclaim_locked(&mut pool);
            self.place_run(&mut pool, len)
        });
        let Some(start) = start else {
            pool.run_ids.push(id);
            self.signals.pressure.store(true, Ordering::Relaxed);
            return None;
        };
        self.signals.bookkeeping.fetch_add(RUN_BOOKKEEPING, Ordering::Relaxed);
        let segment = self.segment(id);
        segment.start.store(start, Ordering::Relaxed);
        segment.capacity.store(len, Ordering::Relaxed);
        self.reset(segment);
        Some(id)
    }

    /// Finds a place for a run, and takes what it costs from the budget: the pages that no other run lies in.
    fn place_run(&self, pool: &mut Pool, len: u64) -> Option<u64> {
        let (start, pages) = pool.runs.take(len)?;
        let bytes = pages.end - pages.start;
        if self.reserve(bytes + RUN_BOOKKEEPING) || self.trim(pool, bytes + RUN_BOOKKEEPING) {
            return Some(start);
        }
        pool.runs.give(start, len);
        None
    }

    /// Whether a segment is a run.
    #[inline]
    pub fn is_run(&self, id: u32) -> bool {
        self.geometry.is_run(id)
    }

    /// Gives up a segment whose entries have been unlinked. It is free once nobody can be looking at it.
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

    /// Whether the next segment would have to come out of limbo: then [`Space::reclaim`] is better called before a stripe is
    /// locked. It makes every running thread pass a barrier, some microseconds, while which others would wait for the lock.
    #[inline]
    pub fn wants_reclaim(&self) -> bool {
        // As many at once as stripes are ahead with: a barrier for each segment would be four times as many.
        self.free_len.load(Ordering::Relaxed) as u64 <= self.spare
            && self.limbo_len.load(Ordering::Relaxed) as u64 >= slack(self.stripes.load(Ordering::Relaxed))
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

    fn reclaim_locked(&self, pool: &mut Pool) {
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

    /// Makes segments free whose grace period has passed, as far as that takes no system call and no memory.
    fn try_reclaim(&self, pool: &mut Pool) {
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
                self.region.decommit(pages.start as usize, bytes as usize);
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

/// The whole pages in a free range that some range within it reaches.
fn pages_of(free: Range<u64>, within: Range<u64>) -> Range<u64> {
    let page = PAGE as u64;
    let start = free.start.next_multiple_of(page).max(within.start / page * page);
    let end = (free.end / page * page).min(within.end.next_multiple_of(page));
    start..end.max(start)
}

/// Free ranges of address space: best fit, neighbours joined.
struct AddressSpace {
    by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
}

impl AddressSpace {
    fn new(start: u64, len: u64) -> AddressSpace {
        AddressSpace { by_start: BTreeMap::from([(start, len)]), by_len: BTreeSet::from([(len, start)]) }
    }

    /// Takes a range. Returns where it begins, and those of its pages in which nothing else lies.
    fn take(&mut self, len: u64) -> Option<(u64, Range<u64>)> {
        let &(found, start) = self.by_len.range((len, 0)..).next()?;
        self.by_len.remove(&(found, start));
        self.by_start.remove(&start);
        if found > len {
            self.by_start.insert(start + len, found - len);
            self.by_len.insert((found - len, start + len));
        }
        Some((start, pages_of(start..start + found, start..start + len)))
    }

    /// Gives a range back. Returns those of its pages in which nothing lies any more.
    fn give(&mut self, mut start: u64, mut len: u64) -> Range<u64> {
        let within = start..start + len;
        if let Some((&before, &before_len)) = self.by_start.range(..start).next_back()
            && before + before_len == start
        {
            self.by_start.remove(&before);
            self.by_len.remove(&(before_len, before));
            start = before;
            len += before_len;
        }
        if let Some(&after_len) = self.by_start.get(&(start + len)) {
            self.by_start.remove(&(start + len));
            self.by_len.remove(&(after_len, start + len));
            len += after_len;
        }
        self.by_start.insert(start, len);
        self.by_len.insert((len, start));
        pages_of(start..start + len, within)
    }
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
        assert_eq!(space.take_segment(true), Some(taken[3]));
        space.retire(taken[5]);
        space.segment(taken[5]).pins.store(1, Ordering::Relaxed);
        assert_eq!(space.take_segment(true), None);
        space.segment(taken[5]).pins.store(0, Ordering::Relaxed);
        assert_eq!(space.take_segment(true), Some(taken[5]));
    }

    #[test]
    fn the_first_segments_of_a_large_space_are_committed_before_they_are_taken() {
        let space = Space::new(2 << 30, 8).unwrap();
        space.prepare();
        let committed = space.committed();
        assert!(space.usage().free >= 8 * space.segment_size());
        let taken: Vec<_> = (0..8).map(|_| space.take_segment(false).unwrap()).collect();
        assert_eq!(space.committed(), committed);
        assert_eq!(space.usage().free, committed - space.usage().bookkeeping - 8 * space.segment_size());
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

    #[test]
    fn runs_and_segments_share_the_budget() {
        let space = Space::new(1 << 20, 1).unwrap();
        let run = space.take_run(200_000).unwrap();
        assert!(space.is_run(run));
        assert_eq!(space.segment(run).capacity(), 200_000);
        let mut taken = Vec::new();
        while let Some(id) = space.take_segment(true) {
            taken.push(id);
        }
        assert!(space.take_run(200_000).is_none());
        for &id in &taken[..13] {
            space.retire(id);
        }
        let second = space.take_run(200_000).unwrap();
        assert_ne!(space.segment(second).start(), space.segment(run).start());
        assert!(space.committed() <= space.max());
        space.retire(run);
        space.retire(second);
        assert_eq!(space.reclaim(), 0);
        assert!(space.committed() + 400_000 <= space.max());
    }

    #[test]
    fn runs_lie_side_by_side_and_count_by_the_pages_they_reach() {
        let space = Space::new(1 << 20, 1).unwrap();
        let page = PAGE as u64;
        let pages = || (space.committed() - space.usage().bookkeeping) / page;
        let [a, b, c] = [5_000, 3_200, 4_088].map(|len| space.take_run(len).unwrap());
        let start = |id| space.segment(id).start();
        assert_eq!((start(b), start(c)), (start(a) + 5_000, start(a) + 8_200));
        assert_eq!(pages(), 3);
        let free = |id| {
            space.retire(id);
            space.reclaim();
            pages()
        };
        // The first page is `a`'s alone; `b` lies in the second too, and reaches the third with 8 bytes, as does `c`.
        assert_eq!(free(a), 2);
        assert_eq!(free(b), 1);
        let again = space.take_run(8_200).unwrap();
        assert_eq!((start(again), pages()), (start(c) - 8_200, 3));
        assert_eq!(free(c), 3);
        assert_eq!(free(again), 0);
        assert_eq!(space.usage().bookkeeping, 0);
    }

    #[test]
    fn a_run_that_does_not_fit_leaves_nothing_behind() {
        let space = Space::new(1 << 20, 1).unwrap();
        let run = space.take_run(1_000).unwrap();
        let before = space.committed();
        assert_eq!(space.take_run(2 << 20), None);
        assert_eq!(space.committed(), before);
        space.retire(run);
        space.reclaim();
        assert_eq!(space.committed(), 0);
    }

    #[test]
    fn a_part_knows_the_earliest_deadline_to_a_unit_and_the_first_place() {
        let part = Part(AtomicU32::new(0));
        let base = 1_000_000;
        let now = u64::from(base) << UNIT_BITS;
        assert_eq!(part.get(base), None);
        part.note(base, now + 70_000, 5 * PART + 800);
        assert_eq!(part.get(base), Some(((now + 70_000) & !63, 800)));
        part.note(base, now + 7, 7 * PART - 8);
        assert_eq!(part.get(base), Some((now, 800)));
        part.note(base, now + 80_000, 0);
        assert_eq!(part.get(base), Some((now, 0)));
        // Before the base: at any time.
        part.note(base, now - 1, 16);
        assert_eq!(part.get(base), Some((0, 0)));
        part.clear();
        assert_eq!(part.get(base), None);
        // As far away as can be said, and never later than it is.
        part.note(base, u64::MAX, 16);
        let days = 24 * 3600 * 1000;
        assert!(part.get(base).is_some_and(|(time, _)| time > now + 12 * days && time < now + 13 * days));
    }

    #[test]
    fn a_base_is_renewed_and_times_stay_what_they_were_or_are_said_to_have_come() {
        let space = Space::new(1 << 20, 1).unwrap();
        let id = space.take_segment(true).unwrap();
        let days = |n: u64| n * 24 * 3600 * 1000;
        let (opened, now) = (days(100), days(107));
        space.set_base(id, opened);
        let base = || space.segment(id).base.load(Ordering::Relaxed);
        let deadlines = [opened + 5, days(106), now + 1000, days(110), days(300)];
        for (i, &deadline) in deadlines.iter().enumerate() {
            space.part(id, i as u64 * PART).note(base(), deadline, i as u64 * PART + 8);
        }
        space.renew_base(id, opened + days(1));
        assert_eq!(u64::from(base()), opened >> UNIT_BITS);
        space.renew_base(id, now);
        assert_eq!(u64::from(base()), now >> UNIT_BITS);
        let times: Vec<u64> = (0..5).map(|i| space.part(id, i * PART).get(base()).unwrap().0).collect();
        assert_eq!(times[..2], [0, 0]);
        assert_eq!(times[2..4], [(now + 1000) & !63, days(110) & !63]);
        assert!(times[4] > days(112) && times[4] < days(113));
        let due = |time| first_due(space.parts(id), base(), time);
        assert_eq!(due(now), (Some(0), u64::MAX));
        space.part(id, 0).clear();
        space.part(id, PART).clear();
        assert_eq!(due(now), (None, (now + 1000) & !63));
        assert_eq!(due(now + 1000), (Some(2), u64::MAX));
        space.part(id, 2 * PART).clear();
        assert_eq!(due(days(110) - 64), (None, days(110) & !63));
        assert_eq!(due(days(110)), (Some(3), u64::MAX));
        space.part(id, 3 * PART).clear();
        assert_eq!(due(days(111)), (None, times[4]));
        assert_eq!(space.part(id, 5 * PART).get(base()), None);
    }

    #[test]
    fn address_space_is_joined_again() {
        let mut free = AddressSpace::new(100, 1000);
        let a = free.take(10).unwrap().0;
        let b = free.take(20).unwrap().0;
        let c = free.take(30).unwrap().0;
        free.give(a, 10);
        free.give(c, 30);
        assert_eq!(free.take(10), Some((a, 4096..4096)));
        free.give(a, 10);
        free.give(b, 20);
        assert_eq!(free.by_start, BTreeMap::from([(100, 1000)]));
        assert_eq!(pages_of(100..20_000, 5_000..9_000), 4_096..12_288);
        assert_eq!(pages_of(4_097..12_287, 5_000..9_000), 8_192..8_192);
        assert_eq!(free.by_len.len(), 1);
        assert_eq!(free.take(1001), None);
    }
}
