//! The index of a stripe: where its entries are.
//!
//! A hash table of buckets of one cache line, eight slots of 64 bits each: 28 bits of *tag* (the top bits of the hash) and
//! 36 bits of *location* (in steps of 8 bytes); 0 is an empty slot. An entry whose home bucket is full lies in the next
//! one with room, and whoever looks for it goes on while buckets are full.
//!
//! # Order by hash
//!
//! The home of a tag in a table of `n` buckets is `tag * n / 2^28`: not a remainder but a proportion, so that a larger tag
//! never has a smaller home. Three good things follow.
//!
//! * The table can have any number of buckets, so it grows by an eighth at most and stays 71 to 80 % full: 10 to 11.3 bytes an
//!   entry, where doubling would swing between 10 and 20.
//! * It grows and shrinks *in place*, a bucket at a time. While it does, tags from `split` on have their home among `hi`
//!   buckets and those below among `lo <= hi`. That is still a proportion that never decreases, so at each moment the
//!   table is an ordinary one. Growing moves `split` down to 0, shrinking moves it up to 2^28.
//! * An iteration in the order of tags sees each entry exactly once, whatever grows meanwhile.
//!
//! The slots hold all bits that are needed, so no entry is touched. (Linear hashing, Litwin 1980, also grows in place, but
//! buckets that are not split yet hold twice what the others hold; Larson's partial expansions soften that. Order-keeping
//! tables are Amble and Knuth 1974.)
//!
//! # Readers
//!
//! Readers take no lock. A slot is read as one word and points at an entry that is whole. A writer that *moves* slots
//! makes `version` odd before and even again after; a reader that found nothing trusts that only if the version was even
//! and has not changed. A hit needs no such check: what it found was there. Plain inserts, overwrites and removals from
//! buckets that nothing overflowed from move nothing.

use crate::os::{HUGE, PAGE, Region};
use crate::share::Share;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::cell::Cell;

/// Bits of the tag.
pub const TAG_BITS: u32 = 28;
/// One more than the largest tag.
pub const TAG_END: u32 = 1 << TAG_BITS;
const LOCATION_BITS: u32 = 36;
const LOCATION_MASK: u64 = (1 << LOCATION_BITS) - 1;
const SLOTS: usize = 8;
/// Where the tag begins in the upper half of a word.
#[cfg(target_arch = "x86_64")]
const TAG_SHIFT: i32 = LOCATION_BITS as i32 - 32;
const BUCKET_BYTES: usize = 64;
const BUCKETS_PER_PAGE: usize = PAGE / BUCKET_BYTES;
/// How far from home an entry may lie, in buckets. Runs of full buckets get shorter by a factor of e every 5 to 8 buckets
/// at 80 to 83 % full, so hardly an insert in ten million fails for want of a place; one that does takes another's.
const REACH: usize = 2 * BUCKETS_PER_PAGE;
/// As REACH, for what is moved while the table shrinks: if it takes more, shrinking is given up.
const NEAR: usize = 8;
/// The smallest table.
const MIN_BUCKETS: u32 = 16;
/// Grow above 80 % of the slots (a hit looks at 1.05 buckets, a miss at 1.2), shrink below 56 %.
const GROW_AT: u64 = 80;
/// What memory a growth will take is said when it is so many hundredths of the entries away, or as many entries as fill a third of a huge
/// page of all stripes, so that it can be touched ahead: a growth of eight million entries takes five pages, and one page
/// may take 9 milliseconds, as many as 9,000 sets.
const SAY_BEFORE: usize = 3;
const SHRINK_AT: u64 = 56;
/// Buckets moved for each insert or removal while the table grows or shrinks: with 4, a growth by an eighth is done before
/// the part that waits is 83 % full.
const STEPS: usize = 4;
/// More entries than one bucket is ever home to (the mean is 7).
const MOVERS: usize = 64;

/// No tag: see [`IndexState`].
const NO_VACANCY: (u32, usize) = (TAG_END, 0);

/// The tag of a hash.
#[inline]
pub fn tag_of(hash: u64) -> u32 {
    (hash >> LOCATION_BITS) as u32
}

#[inline]
fn home(tag: u32, buckets: u32) -> usize {
    ((u64::from(tag) * u64::from(buckets)) >> TAG_BITS) as usize
}

/// The smallest tag whose home among `buckets` is `bucket` or later.
#[inline]
fn first_tag(bucket: u32, buckets: u32) -> u32 {
    // There are always buckets; a division by zero would panic, which has no place on the fast door's stack.
    ((u64::from(bucket) << TAG_BITS).div_ceil(u64::from(buckets.max(1)))) as u32
}

/// A slot's word: where an entry is, and its tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(u64);

impl Slot {
    /// A slot for an entry at a byte offset (a multiple of 8, not 0).
    #[inline]
    pub fn new(tag: u32, offset: u64) -> Slot {
        debug_assert!(tag < TAG_END && offset != 0 && offset.is_multiple_of(8) && offset >> 3 <= LOCATION_MASK);
        Slot(u64::from(tag) << LOCATION_BITS | offset >> 3)
    }

    /// The tag.
    #[inline]
    pub fn tag(self) -> u32 {
        (self.0 >> LOCATION_BITS) as u32
    }

    /// The entry's offset in the space, in bytes.
    #[inline]
    pub fn offset(self) -> u64 {
        (self.0 & LOCATION_MASK) << 3
    }
}

/// The place of a slot in the table. Good as long as the stripe's lock is held and nothing is inserted or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    bucket: usize,
    slot: usize,
}

/// Eight slots: one cache line.
pub type Bucket = [AtomicU64; SLOTS];

/// What readers see.
#[repr(align(64))]
pub struct Index {
    version: AtomicU64,
    lo: AtomicU32,
    hi: AtomicU32,
    split: AtomicU32,
    extent_bits: u32,
    base: *mut u8,
    /// Bytes of the other stripes' tables between two extents.
    gap: usize,
    max_buckets: u32,
}

// SAFETY: `base` points into a mapping that outlives the index and is accessed as atomics only.
unsafe impl Send for Index {}
// SAFETY: as above.
unsafe impl Sync for Index {}

/// What only the holder of the stripe's lock sees.
pub struct IndexState {
    entries: usize,
    pages: usize,
    shrinking: bool,
    /// So many entries are to be there before it is said how far the next growth will reach.
    say_at: usize,
    /// Shrinking failed when there were a third more entries than this: no use trying before.
    shrink_below: usize,
    /// With fewer entries than the first, or as many as the second, there is resizing to begin or to go on with.
    calm: (usize, usize),
    /// The tag that was looked for in vain last, and the first bucket from its home on that had room. It still is that, as removals from
    /// full buckets, and resizing, forget it.
    vacancy: Cell<(u32, usize)>,
}

/// The reserved address space of all the stripes' tables, interleaved so that a huge page serves all of them: stripe `s`
/// has the `s`-th part of every 2 MiB.
pub struct IndexSpace {
    region: Region,
    stripes: usize,
    huge: AtomicBool,
    /// Rounds, of 2 MiB each, that the tables reach into or are about to; those of them that are to be touched ahead; and those
    /// that have been.
    reached: AtomicUsize,
    ahead: AtomicUsize,
    touched: AtomicUsize,
}

impl IndexSpace {
    /// Address space for the tables of `stripes` (a power of two) stripes, enough for a cache of at most `limit` bytes.
    pub fn new(limit: u64, stripes: usize) -> std::io::Result<IndexSpace> {
        debug_assert!(stripes.is_power_of_two() && stripes <= 512);
        // The smallest entry that can exist in numbers takes 16 bytes in the log and 9 to 11 in the index.
        Ok(IndexSpace {
            region: Region::reserve((limit / 2) as usize + HUGE)?,
            stripes,
            huge: AtomicBool::new(false),
            reached: AtomicUsize::new(1),
            ahead: AtomicUsize::new(1),
            touched: AtomicUsize::new(0),
        })
    }

    /// Asks for huge pages. Returns whether the system agrees.
    pub fn use_huge(&self) -> bool {
        let agreed = self.region.advise_huge(0, self.region.len());
        self.huge.store(agreed, Ordering::Relaxed);
        agreed
    }

    /// Notes that a table is going to have `pages` pages, and will have about `outlook` when the memory is used up. The last
    /// round gets small pages, if less than three quarters of it will ever be used: a huge page is resident as a whole.
    fn reach(&self, pages: usize, outlook: usize) {
        if !self.huge.load(Ordering::Relaxed) {
            return;
        }
        let extent = HUGE / PAGE / self.stripes;
        let rounds = pages.div_ceil(extent);
        let before = self.reached.fetch_max(rounds, Ordering::Relaxed);
        if before >= rounds {
            return;
        }
        if outlook < rounds * extent - extent / 4 {
            self.region.advise_small((rounds - 1) * HUGE, HUGE);
            self.ahead.fetch_max(rounds - 1, Ordering::Relaxed);
        } else {
            self.ahead.fetch_max(rounds, Ordering::Relaxed);
        }
    }

    /// Whether [`IndexSpace::fault_ahead`] is due: a table is about to reach into a huge page that hasn't been touched.
    #[inline]
    pub fn wants_ahead(&self) -> bool {
        self.huge.load(Ordering::Relaxed) && self.ahead.load(Ordering::Relaxed) > self.touched.load(Ordering::Relaxed)
    }

    /// Touches them. For the background thread.
    pub fn fault_ahead(&self) {
        while self.wants_ahead() {
            let round = self.touched.load(Ordering::Relaxed);
            if (round + 1) * HUGE <= self.region.len() {
                self.region.touch(round * HUGE, HUGE);
            }
            // When it is done: till then the fast door leaves what lies there to the slow one.
            self.touched.fetch_max(round + 1, Ordering::Relaxed);
        }
    }

    /// The table of one stripe, empty. `space` pays for it.
    pub fn table(&self, stripe: usize, space: &Share) -> Option<(Index, IndexState)> {
        let extent = HUGE / self.stripes;
        let rounds = self.region.len() / HUGE;
        // Behind the last bucket there is room to look for the end of a chain.
        let buckets = rounds * extent / BUCKET_BYTES - 2 * REACH;
        let index = Index {
            version: AtomicU64::new(0),
            lo: AtomicU32::new(MIN_BUCKETS),
            hi: AtomicU32::new(MIN_BUCKETS),
            split: AtomicU32::new(0),
            extent_bits: (extent / BUCKET_BYTES).trailing_zeros(),
            // SAFETY: the first extents of all stripes lie in the region's first 2 MiB.
            base: unsafe { self.region.start().add(stripe * extent) },
            gap: HUGE - extent,
            // Sixteen tags to a bucket keep them evenly filled.
            max_buckets: buckets.min(1 << (TAG_BITS - 4)) as u32,
        };
        let pages = Index::pages_for(MIN_BUCKETS);
        let say_at = index.say_at(self);
        let mut state = IndexState {
            entries: 0,
            pages,
            shrinking: false,
            say_at,
            shrink_below: usize::MAX,
            calm: (0, 0),
            vacancy: Cell::new(NO_VACANCY),
        };
        index.measure(&mut state);
        space.reserve_index((pages * PAGE) as u64).then_some((index, state))
    }

    fn decommit(&self, index: &Index, from_page: usize, to_page: usize) {
        let pages_per_extent = (1 << index.extent_bits) / BUCKETS_PER_PAGE;
        let mut page = from_page;
        while page < to_page {
            let end = ((page / pages_per_extent + 1) * pages_per_extent).min(to_page);
            let offset = index.bucket_address(page * BUCKETS_PER_PAGE) as usize - self.region.start() as usize;
            self.region.decommit(offset, (end - page) * PAGE);
            page = end;
        }
    }
}

/// A bucket as it was read: which slots match (an empty one may, for tag 0), and whether none was empty.
struct Seen {
    matches: Matches,
    full: bool,
}

/// Slots of a bucket: two bits each, as the comparison of vectors leaves them.
#[derive(Clone, Copy)]
struct Matches(u32);

impl Matches {
    #[inline(always)]
    fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that aren't among others.
    #[inline(always)]
    fn without(self, others: Matches) -> Matches {
        Matches(self.0 & !others.0)
    }

    /// The first, which is looked at next, if there is one.
    #[inline(always)]
    fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| (self.0.trailing_zeros() / 2) as usize & (SLOTS - 1))
    }
}

impl Iterator for Matches {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let slot = self.first()?;
        self.0 &= !(3 << (2 * slot));
        Some(slot)
    }
}

/// What a glance at the buckets of a hash says.
pub enum Glance {
    /// This slot, the first with its tag, is probably the right one.
    Likely(Slot),
    /// There is no entry.
    Absent,
    /// A writer was moving slots.
    Unclear,
}

/// Asks `found` about the slots of a bucket whose tags matched.
#[inline(always)]
fn candidates<T>(slots: &Bucket, matches: Matches, found: &mut impl FnMut(Slot) -> Option<T>) -> Option<T> {
    for slot in matches {
        let word = slots[slot].load(Ordering::Acquire);
        // It may have changed since it was compared; the key decides. Tag 0 also matches empty slots.
        if word != 0
            && let Some(answer) = found(Slot(word))
        {
            return Some(answer);
        }
    }
    None
}

/// The slot of a bucket that a hash probably has, before keys are compared.
#[inline(always)]
pub fn candidate(slots: &Bucket, hash: u64) -> Option<Slot> {
    let slot = look(slots, tag_of(hash)).matches.first()?;
    let word = slots[slot].load(Ordering::Acquire);
    (word != 0).then_some(Slot(word))
}

/// Reads a bucket and compares all its tags, without a branch: 25 instructions, where eight loads and compares take 120.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn look(slots: &Bucket, tag: u32) -> Seen {
    use std::arch::asm;
    use std::arch::x86_64::*;
    let start = slots.as_ptr().cast::<u8>();
    // SAFETY: SSE2 is part of x86-64. The bucket is 64 bytes, aligned to 64. The loads are written in assembly because other
    // threads store to the slots meanwhile: each stands for two relaxed atomic loads of 8 bytes (aligned 8-byte halves of a
    // vector load are read whole on x86-64), and x86 orders no later load before them, which makes them acquire loads.
    // Nothing is concluded from a word seen here but that its slot is worth a look or that the bucket had no empty slot.
    unsafe {
        let (a, b, c, d): (__m128, __m128, __m128, __m128);
        asm!(
            "movaps {a}, [{p}]",
            "movaps {b}, [{p} + 16]",
            "movaps {c}, [{p} + 32]",
            "movaps {d}, [{p} + 48]",
            p = in(reg) start,
            a = out(xmm_reg) a,
            b = out(xmm_reg) b,
            c = out(xmm_reg) c,
            d = out(xmm_reg) d,
            options(nostack, preserves_flags, readonly),
        );
        // The high halves hold tag << 4 and the top of the location, the low halves the rest of it.
        let high = [_mm_shuffle_ps::<0xdd>(a, b), _mm_shuffle_ps::<0xdd>(c, d)].map(|x| _mm_castps_si128(x));
        let low = [_mm_shuffle_ps::<0x88>(a, b), _mm_shuffle_ps::<0x88>(c, d)].map(|x| _mm_castps_si128(x));
        let wanted = _mm_set1_epi32(tag as i32);
        let matches = |i: usize| _mm_cmpeq_epi32(_mm_srli_epi32::<TAG_SHIFT>(high[i]), wanted);
        let empty = |i: usize| _mm_cmpeq_epi32(_mm_or_si128(high[i], low[i]), _mm_setzero_si128());
        Seen {
            matches: Matches(_mm_movemask_epi8(_mm_packs_epi32(matches(0), matches(1))) as u32),
            full: _mm_movemask_epi8(_mm_or_si128(empty(0), empty(1))) == 0,
        }
    }
}

/// Reads a bucket and compares all its tags.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn look(slots: &Bucket, tag: u32) -> Seen {
    let mut seen = Seen { matches: Matches(0), full: true };
    for (i, slot) in slots.iter().enumerate() {
        let word = slot.load(Ordering::Acquire);
        seen.matches.0 |= (u32::from(Slot(word).tag() == tag) * 3) << (2 * i);
        seen.full &= word != 0;
    }
    seen
}

/// A bucket as a writer reads it, who has the stripe's lock: nobody stores to its slots meanwhile. All eight are compared at once, without
/// a branch: what lies where is random.
#[cfg(target_arch = "x86_64")]
struct Words {
    /// Tag << 4 and the top of the location, and the rest of it.
    high: [std::arch::x86_64::__m128i; 2],
    low: [std::arch::x86_64::__m128i; 2],
}

#[cfg(target_arch = "x86_64")]
impl Words {
    #[inline(always)]
    fn of(slots: &Bucket) -> Words {
        use std::arch::x86_64::*;
        let start = slots.as_ptr().cast::<f32>();
        // SAFETY: SSE2 is part of x86-64; the bucket is 64 bytes, aligned to 64. The stripe's lock is held, so nobody stores to the
        // slots meanwhile: these are loads of what doesn't change.
        unsafe {
            let [a, b, c, d] = [0, 4, 8, 12].map(|at| _mm_load_ps(start.add(at)));
            Words {
                high: [_mm_shuffle_ps::<0xdd>(a, b), _mm_shuffle_ps::<0xdd>(c, d)].map(|x| _mm_castps_si128(x)),
                low: [_mm_shuffle_ps::<0x88>(a, b), _mm_shuffle_ps::<0x88>(c, d)].map(|x| _mm_castps_si128(x)),
            }
        }
    }

    /// The slots for which `is` answers with ones, for each half of the bucket.
    #[inline(always)]
    fn those(is: impl Fn(usize) -> std::arch::x86_64::__m128i) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        unsafe { Matches(_mm_movemask_epi8(_mm_packs_epi32(is(0), is(1))) as u32) }
    }

    /// The empty slots.
    #[inline(always)]
    fn empty(&self) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        Self::those(|i| unsafe { _mm_cmpeq_epi32(_mm_or_si128(self.high[i], self.low[i]), _mm_setzero_si128()) })
    }

    /// The slot with this word.
    #[inline(always)]
    fn equal(&self, slot: Slot) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let (high, low) = (_mm_set1_epi32((slot.0 >> 32) as i32), _mm_set1_epi32(slot.0 as i32));
            Self::those(|i| _mm_and_si128(_mm_cmpeq_epi32(self.high[i], high), _mm_cmpeq_epi32(self.low[i], low)))
        }
    }

    /// The slots with this tag; for tag 0 the empty ones as well.
    #[inline(always)]
    fn tagged(&self, tag: u32) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        Self::those(|i| unsafe {
            _mm_cmpeq_epi32(_mm_srli_epi32::<TAG_SHIFT>(self.high[i]), _mm_set1_epi32(tag as i32))
        })
    }

    /// The slots with tags below this one, which is at most `TAG_END`; and the empty ones, if that isn't 0.
    #[inline(always)]
    fn below(&self, tag: u32) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        Self::those(|i| unsafe {
            _mm_cmpgt_epi32(_mm_set1_epi32(tag as i32), _mm_srli_epi32::<TAG_SHIFT>(self.high[i]))
        })
    }
}

/// A bucket as a writer reads it, who has the stripe's lock.
#[cfg(not(target_arch = "x86_64"))]
struct Words([u64; SLOTS]);

#[cfg(not(target_arch = "x86_64"))]
impl Words {
    fn of(slots: &Bucket) -> Words {
        Words(std::array::from_fn(|i| slots[i].load(Ordering::Relaxed)))
    }

    fn those(&self, is: impl Fn(Slot) -> bool) -> Matches {
        Matches(self.0.iter().enumerate().map(|(i, &word)| (u32::from(is(Slot(word))) * 3) << (2 * i)).sum())
    }

    fn empty(&self) -> Matches {
        self.those(|slot| slot.0 == 0)
    }

    fn equal(&self, wanted: Slot) -> Matches {
        self.those(|slot| slot == wanted)
    }

    fn tagged(&self, tag: u32) -> Matches {
        self.those(|slot| slot.tag() == tag)
    }

    fn below(&self, tag: u32) -> Matches {
        self.those(|slot| slot.tag() < tag)
    }
}

impl Index {
    #[inline]
    fn bucket_address(&self, bucket: usize) -> *mut u8 {
        let extent = bucket >> self.extent_bits;
        // wrapping_add: the buckets of a table are inside the region, and callers ask for no others.
        self.base.wrapping_add(bucket * BUCKET_BYTES + extent * self.gap)
    }

    #[inline]
    fn bucket(&self, bucket: usize) -> &Bucket {
        debug_assert!(bucket < self.max_buckets as usize + 2 * REACH);
        // SAFETY: the bucket lies in the reserved mapping (`max_buckets` is derived from its size), which reads as zeros
        // where nothing was written; it is aligned, and everyone accesses it as atomics.
        unsafe { &*self.bucket_address(bucket).cast::<Bucket>() }
    }

    /// The home bucket of a tag.
    #[inline]
    fn home(&self, tag: u32) -> usize {
        // Both are read, so that neither waits for the comparison.
        let (lo, hi) = (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed));
        home(tag, if tag < self.split.load(Ordering::Relaxed) { lo } else { hi })
    }

    /// Starts loading the home bucket of a hash, and says which it is, for [`candidate`].
    #[inline]
    pub fn prefetch(&self, hash: u64) -> &Bucket {
        let bucket = self.bucket(self.home(tag_of(hash)));
        crate::entry::prefetch(bucket.as_ptr().cast());
        bucket
    }

    /// Looks once, for a reader, for a slot that has the tag of a hash. Nineteen of twenty hits and four of five misses need the
    /// home bucket only.
    #[inline(always)]
    pub fn glance(&self, hash: u64) -> Glance {
        let tag = tag_of(hash);
        let version = self.version.load(Ordering::Acquire);
        let start = self.home(tag);
        let mut bucket = start;
        loop {
            let slots = self.bucket(bucket);
            let seen = look(slots, tag);
            if let Some(slot) = seen.matches.first() {
                let word = slots[slot].load(Ordering::Acquire);
                // It may have changed since it was compared; the key decides. Tag 0 also matches empty slots.
                return if word == 0 { Glance::Unclear } else { Glance::Likely(Slot(word)) };
            }
            bucket += 1;
            if !seen.full || bucket == start + REACH {
                break;
            }
        }
        if self.unmoved_since(version) { Glance::Absent } else { Glance::Unclear }
    }

    /// Looks a hash up for a reader. `found` is asked about each entry whose tag matches, and returns the answer if it is
    /// the right one. Err after many tries while a writer was moving slots.
    #[inline]
    pub fn find<T>(&self, hash: u64, mut found: impl FnMut(Slot) -> Option<T>) -> Result<Option<T>, Moving> {
        let tag = tag_of(hash);
        for _ in 0..64 {
            let version = self.version.load(Ordering::Acquire);
            let start = self.home(tag);
            for bucket in start..start + REACH {
                let slots = self.bucket(bucket);
                let seen = look(slots, tag);
                if let Some(answer) = candidates(slots, seen.matches, &mut found) {
                    return Ok(Some(answer));
                }
                if !seen.full {
                    break;
                }
            }
            if self.unmoved_since(version) {
                return Ok(None);
            }
            std::hint::spin_loop();
        }
        Err(Moving)
    }

    /// Whether no slot has moved since `version` was read: what was not found then was not there.
    #[inline(always)]
    fn unmoved_since(&self, version: u64) -> bool {
        fence(Ordering::Acquire);
        version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version
    }

    /// Looks a hash up for a writer.
    #[inline(always)]
    pub fn find_place(&self, state: &IndexState, hash: u64, is_it: impl FnMut(Slot) -> bool) -> Option<(Place, Slot)> {
        let tag = tag_of(hash);
        let start = self.home(tag);
        let mut bucket = start;
        loop {
            let words = Words::of(self.bucket(bucket));
            if !words.tagged(tag).is_empty() {
                return self.find_place_from(tag, bucket, start + REACH, is_it);
            }
            if !words.empty().is_empty() {
                state.vacancy.set((tag, bucket));
                return None;
            }
            bucket += 1;
            if bucket == start + REACH {
                return None;
            }
        }
    }

    /// As [`Index::find_place`], from the first bucket on in which a tag matches. Apart, so that looking in vain for a new key, which
    /// hardly ever meets an equal tag, has no use for what comparing keys takes: it is 80 instructions, not 126.
    #[inline(never)]
    fn find_place_from(
        &self,
        tag: u32,
        start: usize,
        end: usize,
        mut is_it: impl FnMut(Slot) -> bool,
    ) -> Option<(Place, Slot)> {
        for bucket in start..end {
            let slots = self.bucket(bucket);
            let words = Words::of(slots);
            for slot in words.tagged(tag) {
                let word = slots[slot].load(Ordering::Relaxed);
                // Tag 0 also matches empty slots.
                if word != 0 && is_it(Slot(word)) {
                    return Some((Place { bucket, slot }, Slot(word)));
                }
            }
            if !words.empty().is_empty() {
                break;
            }
        }
        None
    }

    /// The place of a slot, and whether its bucket is full. Only what a resize has lost isn't there (see `grow_step`), so nobody asks
    /// on the way whether a bucket has room.
    #[inline(always)]
    fn seek(&self, slot: Slot) -> Option<(Place, bool)> {
        let start = self.home(slot.tag());
        let mut bucket = start;
        loop {
            let words = Words::of(self.bucket(bucket));
            if let Some(slot) = words.equal(slot).first() {
                return Some((Place { bucket, slot }, words.empty().is_empty()));
            }
            bucket += 1;
            if bucket == start + REACH {
                return None;
            }
        }
    }

    /// The place of the slot of an entry that is known by its hash and offset.
    #[inline]
    pub fn place_of(&self, _: &IndexState, hash: u64, offset: u64) -> Option<Place> {
        Some(self.seek(Slot::new(tag_of(hash), offset))?.0)
    }

    /// Points an existing slot at another entry with the same key.
    #[inline]
    pub fn replace(&self, _: &mut IndexState, place: Place, slot: Slot) {
        self.slot(place).store(slot.0, Ordering::Release);
    }

    /// Publishes a new entry. False if there is no room within reach of its home.
    #[inline]
    #[must_use]
    pub fn insert(&self, state: &mut IndexState, slot: Slot) -> bool {
        let (tag, bucket) = state.vacancy.get();
        debug_assert!(tag != slot.tag() || (self.home(tag)..bucket).all(|before| self.is_full(before)));
        // How many buckets are full from a home on is anybody's guess, and the processor's: it was found out by looking in vain.
        let done = tag == slot.tag() && self.put_into(bucket, slot) || self.put(slot);
        state.entries += usize::from(done);
        done
    }

    #[inline(never)]
    fn put(&self, slot: Slot) -> bool {
        self.put_within(slot, REACH)
    }

    fn put_within(&self, slot: Slot, reach: usize) -> bool {
        let start = self.home(slot.tag());
        (start..start + reach).any(|bucket| self.put_into(bucket, slot))
    }

    /// False if the bucket is full.
    #[inline(always)]
    fn put_into(&self, bucket: usize, slot: Slot) -> bool {
        let slots = self.bucket(bucket);
        let Some(empty) = Words::of(slots).empty().first() else { return false };
        slots[empty].store(slot.0, Ordering::Release);
        true
    }

    /// Publishes a new entry in the place of another, which is returned, when [`Index::insert`] found no room.
    pub fn insert_instead(&self, _: &mut IndexState, slot: Slot) -> Slot {
        // The home bucket is full. Whoever lies there is as good as any, and the chain stays whole.
        let word = &self.bucket(self.home(slot.tag()))[0];
        Slot(word.swap(slot.0, Ordering::AcqRel))
    }

    /// Removes a slot.
    #[inline]
    pub fn remove(&self, state: &mut IndexState, place: Place) {
        state.entries -= 1;
        state.vacancy.set(NO_VACANCY);
        self.take_out(place, false);
    }

    /// Removes the slot of an entry that is known by its hash and offset, if it is there.
    #[inline]
    pub fn remove_entry(&self, state: &mut IndexState, hash: u64, offset: u64) {
        if let Some((place, full)) = self.seek(Slot::new(tag_of(hash), offset)) {
            state.entries -= 1;
            if full {
                state.vacancy.set(NO_VACANCY);
                self.pull_into(place, false);
            } else {
                self.slot(place).store(0, Ordering::Release);
            }
        }
    }

    #[inline]
    fn slot(&self, place: Place) -> &AtomicU64 {
        &self.bucket(place.bucket)[place.slot & (SLOTS - 1)]
    }

    fn is_full(&self, bucket: usize) -> bool {
        Words::of(self.bucket(bucket)).empty().is_empty()
    }

    /// Empties a slot.
    ///
    /// `in_move`: the version is odd already, and stays so.
    fn take_out(&self, place: Place, in_move: bool) {
        if self.is_full(place.bucket) {
            self.pull_into(place, in_move);
        } else {
            self.slot(place).store(0, Ordering::Release);
        }
    }

    /// Empties a slot of a full bucket. An entry that lies beyond it because of that is pulled into the hole, and so on, so that a
    /// bucket with room always ends the search.
    #[inline(never)]
    fn pull_into(&self, place: Place, in_move: bool) {
        let mut hole = place;
        let mut moving = in_move;
        let mut bucket = hole.bucket + 1;
        let mut beyond = self.first_beyond(hole.bucket);
        // Nothing lies further from its home than REACH, so nothing beyond can want the hole (which moves on).
        while bucket < hole.bucket + REACH {
            let slots = self.bucket(bucket);
            let words = Words::of(slots);
            let empty = words.empty();
            // One division for eight tags. With the home of each, one after the other, a removal took 138 instructions on the mean instead
            // of 50, and mispredicted branches.
            let candidate = words.below(beyond).without(empty).first();
            if let Some(slot) = candidate {
                if !moving {
                    self.begin_move();
                    moving = true;
                }
                self.slot(hole).store(slots[slot].load(Ordering::Relaxed), Ordering::Release);
                hole = Place { bucket, slot };
            }
            if !empty.is_empty() {
                break;
            }
            if candidate.is_some() {
                beyond = self.first_beyond(bucket);
            }
            bucket += 1;
        }
        self.slot(hole).store(0, Ordering::Release);
        if moving && !in_move {
            self.end_move();
        }
    }

    /// The smallest tag whose home lies beyond a bucket; at most `TAG_END`.
    #[inline]
    fn first_beyond(&self, bucket: usize) -> u32 {
        let split = self.split.load(Ordering::Relaxed);
        let next = bucket as u32 + 1;
        // Homes never decrease, so if there is such a tag below `split`, it is that.
        if split > 0 {
            let first = first_tag(next, self.lo.load(Ordering::Relaxed));
            if first < split {
                return first;
            }
        }
        // Not `clamp`, which can panic.
        first_tag(next, self.hi.load(Ordering::Relaxed)).max(split).min(TAG_END)
    }

    fn begin_move(&self) {
        let version = self.version.load(Ordering::Relaxed);
        debug_assert!(version.is_multiple_of(2));
        self.version.store(version + 1, Ordering::Relaxed);
        // The odd version is visible before any of the moves that follow.
        fence(Ordering::Release);
    }

    fn end_move(&self) {
        let version = self.version.load(Ordering::Relaxed);
        debug_assert!(version % 2 == 1);
        self.version.store(version + 1, Ordering::Release);
    }

    fn pages_for(buckets: u32) -> usize {
        (buckets as usize + REACH).div_ceil(BUCKETS_PER_PAGE)
    }

    fn resizing(&self) -> bool {
        self.lo.load(Ordering::Relaxed) != self.hi.load(Ordering::Relaxed)
    }

    /// Whether the next insert has to begin a growth, which takes memory.
    #[inline]
    pub fn wants_growth(&self, state: &IndexState) -> bool {
        let hi = u64::from(self.hi.load(Ordering::Relaxed));
        !self.resizing() && (state.entries as u64 + 1) * 100 > hi * SLOTS as u64 * GROW_AT
    }

    /// Entries with which the next growth begins.
    fn growth_at(&self) -> usize {
        (u64::from(self.hi.load(Ordering::Relaxed)) * SLOTS as u64 * GROW_AT / 100) as usize
    }

    /// Entries that may be there before it is to be said how far that will reach.
    fn say_at(&self, memory: &IndexSpace) -> usize {
        if !memory.huge.load(Ordering::Relaxed) {
            return usize::MAX;
        }
        let full = self.growth_at();
        let third = 2 << self.extent_bits;
        full.saturating_sub(third.max(full * SAY_BEFORE / 100))
    }

    /// Says how far the next growth will reach, if there is memory for the entries that are wanting until then: a full cache
    /// may never get there, and what was touched for nothing is resident all the same.
    fn say(&self, state: &mut IndexState, space: &Share, memory: &IndexSpace) {
        let wanting = self.growth_at().saturating_sub(state.entries);
        // All stripes get there at about the same time. By the mean size so far.
        let bytes = space.held_segments() / state.entries.max(1) as u64 * wanting as u64;
        if bytes <= space.room() {
            self.reach(self.larger(), space, memory);
            state.say_at = usize::MAX;
        } else {
            state.say_at = state.entries + wanting.div_ceil(2);
        }
    }

    /// Whether there is resizing to begin or to go on with.
    #[inline]
    pub fn wants_steps(&self, state: &IndexState) -> bool {
        let (low, high) = state.calm;
        let wants = state.entries < low || state.entries >= high;
        debug_assert_eq!(
            wants,
            self.resizing() || self.wants_to_say(state) || self.wants_growth(state) || self.wants_shrink(state)
        );
        wants
    }

    /// Notes with how many entries [`Index::wants_steps`]. To be called when anything that it depends on has changed, but their number.
    fn measure(&self, state: &mut IndexState) {
        state.vacancy.set(NO_VACANCY);
        let hi = self.hi.load(Ordering::Relaxed);
        let shrink_at = (u64::from(hi) * SLOTS as u64 * SHRINK_AT).div_ceil(100) as usize;
        let low = if hi > MIN_BUCKETS { shrink_at.min(state.shrink_below) } else { 0 };
        let high = if self.resizing() { 0 } else { self.growth_at().min(state.say_at.saturating_add(1)) };
        state.calm = (low, high);
    }

    /// Whether growth is near, and it hasn't been said how far it will reach.
    #[inline]
    fn wants_to_say(&self, state: &IndexState) -> bool {
        state.entries > state.say_at
    }

    #[inline]
    fn wants_shrink(&self, state: &IndexState) -> bool {
        let hi = self.hi.load(Ordering::Relaxed);
        hi > MIN_BUCKETS
            && state.entries < state.shrink_below
            && state.entries as u64 * 100 < u64::from(hi) * SLOTS as u64 * SHRINK_AT
    }

    /// Goes on growing or shrinking by a bounded amount. Returns false if the table must grow and the budget has no room
    /// (an insert may still succeed as long as it finds a free slot).
    pub fn steps(&self, state: &mut IndexState, space: &Share, memory: &IndexSpace) -> bool {
        let mut ok = true;
        if !self.resizing() {
            if self.wants_growth(state) {
                ok = self.begin_growth(state, space, memory);
            } else if self.wants_to_say(state) {
                self.say(state, space, memory);
            } else if self.wants_shrink(state) {
                let n = self.hi.load(Ordering::Relaxed);
                let fewer = (n - n / 8).max(MIN_BUCKETS).min(n - 1);
                self.begin_move();
                self.lo.store(fewer, Ordering::Relaxed);
                self.split.store(0, Ordering::Relaxed);
                self.end_move();
                state.shrinking = true;
            }
        }
        for _ in 0..STEPS {
            if !self.resizing() {
                break;
            }
            if state.shrinking {
                self.shrink_step(state, space, memory);
            } else {
                self.grow_step(state);
            }
        }
        self.measure(state);
        ok
    }

    /// Goes on with a growth, for the fast door: its memory was reserved when it began. False if there is something else
    /// to do, or pages of it haven't been touched yet, which whoever finds them so would have to wait for.
    #[cold]
    #[inline(never)]
    pub fn grow_on(&self, state: &mut IndexState, memory: &IndexSpace) -> bool {
        if !self.resizing() || state.shrinking || memory.wants_ahead() {
            return false;
        }
        for _ in 0..STEPS {
            if !self.resizing() {
                break;
            }
            self.grow_step(state);
        }
        self.measure(state);
        true
    }

    /// Finishes a growth or shrink that is under way, and shrinks as far as the entries allow.
    pub fn settle(&self, state: &mut IndexState, space: &Share, memory: &IndexSpace) {
        while self.resizing() || self.wants_shrink(state) {
            self.steps(state, space, memory);
        }
    }

    /// Buckets after the next growth: an eighth more, or less, down to a sixteenth, if an extent ends there. (One that is begun
    /// takes a whole huge page, of which this stripe's part may be hardly used.)
    fn larger(&self) -> u32 {
        let n = self.hi.load(Ordering::Relaxed);
        let more = (n + (n / 8).max(MIN_BUCKETS)).min(self.max_buckets);
        let end = (((more as usize + REACH) >> self.extent_bits) << self.extent_bits).saturating_sub(REACH) as u32;
        if end > n + n / 16 { end } else { more }
    }

    /// Tells the memory that the table is going to have so many buckets, and how many it will have in the end.
    fn reach(&self, buckets: u32, space: &Share, memory: &IndexSpace) {
        let mut growth = space.outlook();
        let mut last = buckets;
        while growth > 1.125 && last < self.max_buckets {
            last = (last + (last / 8).max(MIN_BUCKETS)).min(self.max_buckets);
            growth /= 1.125;
        }
        memory.reach(Self::pages_for(buckets), Self::pages_for(last));
    }

    fn begin_growth(&self, state: &mut IndexState, space: &Share, memory: &IndexSpace) -> bool {
        let n = self.hi.load(Ordering::Relaxed);
        let more = self.larger();
        let pages = Self::pages_for(more);
        if more == n || !space.reserve_index(((pages - state.pages) * PAGE) as u64) {
            return false;
        }
        state.pages = pages;
        state.shrink_below = usize::MAX;
        self.reach(more, space, memory);
        self.begin_move();
        self.hi.store(more, Ordering::Relaxed);
        self.split.store(TAG_END, Ordering::Relaxed);
        self.end_move();
        state.shrinking = false;
        state.say_at = self.say_at(memory);
        true
    }

    /// Moves the entries whose home is the one bucket below `split` to the larger table.
    fn grow_step(&self, state: &mut IndexState) {
        let (lo, hi, split) =
            (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed), self.split.load(Ordering::Relaxed));
        let bucket = home(split - 1, lo);
        let from = first_tag(bucket as u32, lo);
        self.begin_move();
        let mut movers = [Slot(0); MOVERS];
        let count = self.take_all(state, bucket, from..split, &mut movers);
        self.split.store(from, Ordering::Relaxed);
        for &mover in movers.iter().take(count) {
            if !self.put(mover) {
                // Beyond all chance (see REACH). The entry is lost as if evicted; the drain finds it dead.
                state.entries -= 1;
            }
        }
        self.end_move();
        if from == 0 {
            self.lo.store(hi, Ordering::Release);
        }
    }

    /// Moves the entries whose home is the bucket at `split` to the smaller table.
    fn shrink_step(&self, state: &mut IndexState, space: &Share, memory: &IndexSpace) {
        let (lo, hi, split) =
            (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed), self.split.load(Ordering::Relaxed));
        let bucket = home(split, hi);
        let to = first_tag(bucket as u32 + 1, hi).min(TAG_END);
        self.begin_move();
        let mut movers = [Slot(0); MOVERS];
        let count = self.take_all(state, bucket, split..to, &mut movers);
        let movers = &movers[..count];
        self.split.store(to, Ordering::Relaxed);
        let placed = movers.iter().take_while(|&&mover| self.put_within(mover, NEAR)).count();
        if placed < movers.len() {
            // Tags are not evenly spread: somebody deletes in the order of an iteration. The entries go back to where they
            // were, and the table to what it was.
            for &mover in &movers[..placed] {
                self.take_back(mover);
            }
            self.split.store(split, Ordering::Relaxed);
            for &mover in movers {
                if !self.put(mover) {
                    state.entries -= 1; // as in `grow_step`
                }
            }
            state.shrinking = false;
            state.shrink_below = state.entries / 4 * 3;
            if split == 0 {
                self.lo.store(hi, Ordering::Release);
            }
        }
        self.end_move();
        if state.shrinking && to == TAG_END {
            self.hi.store(lo, Ordering::Release);
            let pages = Self::pages_for(lo);
            memory.decommit(self, pages, state.pages);
            space.unreserve_index(((state.pages - pages) * PAGE) as u64);
            state.pages = pages;
            state.say_at = self.say_at(memory);
        }
    }

    /// Takes the entries with these tags, whose home is one bucket, out of the table. Returns how many.
    fn take_all(
        &self,
        state: &mut IndexState,
        bucket: usize,
        tags: std::ops::Range<u32>,
        movers: &mut [Slot; MOVERS],
    ) -> usize {
        let mut count = 0;
        let mut at = bucket;
        while at < bucket + REACH {
            for slot in 0..SLOTS {
                loop {
                    let word = self.bucket(at)[slot].load(Ordering::Relaxed);
                    if word == 0 || !tags.contains(&Slot(word).tag()) {
                        break;
                    }
                    if let Some(mover) = movers.get_mut(count) {
                        *mover = Slot(word);
                        count += 1;
                    } else {
                        state.entries -= 1; // lost as if evicted: the drain finds it dead
                    }
                    // Another may be pulled into this very place.
                    self.take_out(Place { bucket: at, slot }, true);
                }
            }
            if !self.is_full(at) {
                break;
            }
            at += 1;
        }
        count
    }

    /// Takes a slot out again that was put into the table in this very move.
    fn take_back(&self, slot: Slot) {
        let start = self.home(slot.tag());
        for bucket in start..start + REACH {
            for i in 0..SLOTS {
                if self.bucket(bucket)[i].load(Ordering::Relaxed) == slot.0 {
                    return self.take_out(Place { bucket, slot: i }, true);
                }
            }
        }
    }

    /// Empties the table and gives its memory back, but for the smallest size.
    pub fn clear(&self, state: &mut IndexState, space: &Share, memory: &IndexSpace) {
        self.begin_move();
        memory.decommit(self, 0, state.pages);
        self.lo.store(MIN_BUCKETS, Ordering::Relaxed);
        self.hi.store(MIN_BUCKETS, Ordering::Relaxed);
        self.end_move();
        let pages = Self::pages_for(MIN_BUCKETS);
        space.unreserve_index(((state.pages - pages) * PAGE) as u64);
        state.pages = pages;
        state.say_at = self.say_at(memory);
        state.entries = 0;
        state.shrink_below = usize::MAX;
        self.measure(state);
    }

    /// Calls `visit` with the slots of the home bucket of `tag`, from `tag` on, and returns the first tag not visited
    /// (`TAG_END` after the last). Going on from there visits each entry once, in the order of tags, though entries come
    /// and go and the table grows meanwhile.
    pub fn visit_home(&self, _: &IndexState, tag: u32, mut visit: impl FnMut(Slot)) -> u32 {
        let split = self.split.load(Ordering::Relaxed);
        let (buckets, end) = if tag < split {
            (self.lo.load(Ordering::Relaxed), split)
        } else {
            (self.hi.load(Ordering::Relaxed), TAG_END)
        };
        let start = home(tag, buckets);
        let next = first_tag(start as u32 + 1, buckets).min(end);
        for bucket in start..start + REACH {
            for word in self.bucket(bucket) {
                let slot = Slot(word.load(Ordering::Relaxed));
                if slot.0 != 0 && (tag..next).contains(&slot.tag()) {
                    visit(slot);
                }
            }
            if !self.is_full(bucket) {
                break;
            }
        }
        next
    }

    /// Checks everything that should be true of the table. For tests.
    pub fn check(&self, state: &IndexState) {
        let (lo, hi, split) =
            (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed), self.split.load(Ordering::Relaxed));
        assert!(lo <= hi && hi <= self.max_buckets && split <= TAG_END);
        assert!(self.version.load(Ordering::Relaxed).is_multiple_of(2));
        assert_eq!(state.pages, Self::pages_for(hi));
        let mut count = 0;
        for bucket in 0..hi as usize + REACH {
            for word in self.bucket(bucket) {
                let slot = Slot(word.load(Ordering::Relaxed));
                if slot.0 == 0 {
                    continue;
                }
                count += 1;
                let home = self.home(slot.tag());
                assert!(home <= bucket && bucket < home + REACH, "slot out of reach of its home");
                assert!((home..bucket).all(|b| self.is_full(b)), "a bucket with room before a slot");
            }
        }
        assert_eq!(count, state.entries);
    }
}

impl IndexState {
    /// Entries in the table.
    #[inline]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes of the table.
    #[inline]
    pub fn bytes(&self) -> u64 {
        (self.pages * PAGE) as u64
    }
}

/// A writer was moving slots whenever a reader looked.
#[derive(Debug)]
pub struct Moving;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Space;
    use std::collections::BTreeMap;

    fn setup(stripes: usize) -> (Share, IndexSpace) {
        let space = Share::whole(Space::new(64 << 20, stripes).unwrap(), stripes);
        let memory = IndexSpace::new(space.limit(), stripes).unwrap();
        (space, memory)
    }

    fn scramble(i: u64) -> u64 {
        // splitmix64
        let x = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    #[test]
    fn grows_and_shrinks_in_place_and_loses_nothing() {
        let (space, memory) = setup(4);
        let (index, mut state) = memory.table(2, &space).unwrap();
        let n = 100_000u64;
        let find = |state: &IndexState, i: u64| index.find_place(state, scramble(i), |s| s.offset() == (i + 1) * 8);
        for i in 0..n {
            index.steps(&mut state, &space, &memory);
            assert!(index.insert(&mut state, Slot::new(tag_of(scramble(i)), (i + 1) * 8)));
            if i.is_power_of_two() {
                index.check(&state);
                assert!((0..=i).all(|i| find(&state, i).is_some()));
            }
        }
        index.check(&state);
        let bytes = state.pages * PAGE;
        assert!(bytes as f64 / (n as f64) < 12.0, "{bytes}");
        for i in 0..n {
            assert!(find(&state, i).is_some(), "{i}");
            assert!(find(&state, n + i).is_none());
        }
        for i in 0..n - 10 {
            let (place, _) = find(&state, i).unwrap();
            assert_eq!(index.place_of(&state, scramble(i), (i + 1) * 8), Some(place));
            assert_eq!(index.place_of(&state, scramble(i), (n + i + 1) * 8), None);
            if i % 2 == 0 {
                index.remove(&mut state, place);
            } else {
                index.remove_entry(&mut state, scramble(i), (i + 1) * 8);
            }
            index.steps(&mut state, &space, &memory);
            if (i & (i + 1)) == 0 {
                index.check(&state);
                assert!((i + 1..n).all(|i| find(&state, i).is_some()));
            }
        }
        index.settle(&mut state, &space, &memory);
        index.check(&state);
        assert_eq!(state.entries(), 10);
        assert!(state.pages <= 4);
    }

    #[test]
    fn the_first_tag_beyond_a_bucket_is_that() {
        let (space, memory) = setup(1);
        let (index, _) = memory.table(0, &space).unwrap();
        for (lo, hi) in [(16, 16), (16, 32), (100, 101), (1000, 1125), (1152, 1296)] {
            let splits = [0, 1, TAG_END / 3, TAG_END / 2 + 7, TAG_END - 1, TAG_END];
            for split in splits.into_iter().chain((0..lo).step_by(7).map(|bucket| first_tag(bucket, lo))) {
                index.lo.store(lo, Ordering::Relaxed);
                index.hi.store(hi, Ordering::Relaxed);
                index.split.store(split, Ordering::Relaxed);
                for bucket in 0..hi as usize + REACH {
                    let first = index.first_beyond(bucket);
                    assert!(first == TAG_END || index.home(first) > bucket, "{lo} {hi} {split} {bucket}");
                    assert!(first <= TAG_END && index.home(first - 1) <= bucket, "{lo} {hi} {split} {bucket}");
                }
            }
        }
    }

    #[test]
    fn growth_ends_where_an_extent_does_if_that_is_near() {
        let (space, memory) = setup(64);
        let (index, _) = memory.table(0, &space).unwrap();
        let extent = HUGE as u32 / 64 / BUCKET_BYTES as u32;
        let is_end = |buckets: u32| (buckets + REACH as u32).is_multiple_of(extent);
        for n in 128..20 * extent {
            index.hi.store(n, Ordering::Relaxed);
            let more = index.larger();
            assert!(more > n + n / 16 && more <= n + n / 8, "{n}: {more}");
            assert_eq!(is_end(more), (n + n / 16 + 1..=n + n / 8).any(is_end), "{n}: {more}");
        }
    }

    #[test]
    fn a_huge_page_that_will_hardly_be_used_is_not_touched_ahead() {
        let (_, memory) = setup(4);
        memory.huge.store(true, Ordering::Relaxed);
        let extent = HUGE / PAGE / 4;
        let ahead = |pages, outlook| {
            memory.reach(pages, outlook);
            memory.ahead.load(Ordering::Relaxed)
        };
        assert_eq!(ahead(extent, extent), 1);
        assert_eq!(ahead(extent + 1, extent * 3 / 2), 1);
        assert_eq!(ahead(2 * extent, 2 * extent), 1, "said once");
        assert_eq!(ahead(2 * extent + 1, extent * 11 / 4), 3);
        assert_eq!(ahead(5 * extent + 1, extent * 21 / 4), 5, "all but the last of several");
    }

    #[test]
    fn deleting_in_order_loses_nothing() {
        let (space, memory) = setup(1);
        let (index, mut state) = memory.table(0, &space).unwrap();
        let n = 20_000u64;
        for i in 0..n {
            index.steps(&mut state, &space, &memory);
            assert!(index.insert(&mut state, Slot::new(tag_of(scramble(i)), (i + 1) * 8)));
        }
        let mut keys: Vec<u64> = (0..n).collect();
        keys.sort_by_key(|&i| scramble(i));
        for (done, &i) in keys.iter().enumerate() {
            let (place, _) = index.find_place(&state, scramble(i), |s| s.offset() == (i + 1) * 8).expect("still there");
            index.remove(&mut state, place);
            index.steps(&mut state, &space, &memory);
            if done % 199 == 0 {
                index.check(&state);
            }
        }
        assert_eq!(state.entries(), 0);
        index.settle(&mut state, &space, &memory);
        index.check(&state);
        assert!(state.pages <= 4);
    }

    #[test]
    fn an_iteration_sees_each_entry_once_while_the_table_grows() {
        let (space, memory) = setup(1);
        let (index, mut state) = memory.table(0, &space).unwrap();
        let put = |state: &mut IndexState, i: u64| {
            index.steps(state, &space, &memory);
            assert!(index.insert(state, Slot::new(tag_of(scramble(i)), (i + 1) * 8)));
        };
        (0..2000).for_each(|i| put(&mut state, i));
        let mut seen = BTreeMap::<u64, u32>::new();
        let (mut tag, mut next) = (0, 2000);
        while tag < TAG_END {
            tag = index.visit_home(&state, tag, |slot| *seen.entry(slot.offset() / 8 - 1).or_default() += 1);
            for _ in 0..10 {
                put(&mut state, next);
                next += 1;
            }
        }
        assert!((0..2000).all(|i| seen[&i] == 1));
        assert!(seen.values().all(|&n| n == 1));
        index.clear(&mut state, &space, &memory);
        index.check(&state);
        assert_eq!(index.visit_home(&state, 0, |_| panic!("not empty")), first_tag(1, MIN_BUCKETS));
    }

    #[test]
    fn how_far_a_growth_reaches_is_said_before_it_begins_if_there_is_room() {
        let insert = |index: &Index, state: &mut IndexState, space: &Share, memory: &IndexSpace, i: u64| {
            index.steps(state, space, memory);
            assert!(index.insert(state, Slot::new(tag_of(scramble(i)), (i + 1) * 8)));
        };
        let (space, mut memory) = setup(64);
        memory.huge = AtomicBool::new(true);
        let (index, mut state) = memory.table(0, &space).unwrap();
        let mut growths = 0;
        for i in 0..50_000 {
            if index.wants_growth(&state) {
                let said = memory.reached.load(Ordering::Relaxed);
                insert(&index, &mut state, &space, &memory, i);
                assert_eq!(memory.reached.load(Ordering::Relaxed), said);
                growths += 1;
            } else {
                insert(&index, &mut state, &space, &memory, i);
            }
        }
        assert!(growths > 20 && memory.reached.load(Ordering::Relaxed) > 10);

        // All is taken: what is said would never come.
        let (space, mut memory) = setup(64);
        memory.huge = AtomicBool::new(true);
        while space.take_segment(true).is_some() {}
        let (index, mut state) = memory.table(0, &Share::whole(Space::new(1 << 20, 1).unwrap(), 1)).unwrap();
        let mut i = 0;
        while !index.wants_growth(&state) {
            index.say(&mut state, &space, &memory);
            assert_ne!(state.say_at, usize::MAX);
            assert!(index.insert(&mut state, Slot::new(tag_of(scramble(i)), (i + 1) * 8)));
            i += 1;
        }
        assert!(i > 90);
    }

    #[test]
    fn the_fast_door_goes_on_with_a_growth_whose_pages_are_there() {
        let (space, mut memory) = setup(64);
        memory.huge = AtomicBool::new(true);
        let (index, mut state) = memory.table(1, &space).unwrap();
        let (mut by_fast, mut waited, mut begun) = (0, 0, 0);
        for i in 0..20_000u64 {
            if index.wants_steps(&state) && !index.grow_on(&mut state, &memory) {
                begun += usize::from(index.wants_growth(&state));
                waited += usize::from(index.resizing() && memory.wants_ahead());
                index.steps(&mut state, &space, &memory);
            } else {
                by_fast += usize::from(index.resizing());
            }
            if i % 1000 == 999 {
                memory.fault_ahead();
            }
            assert!(index.insert(&mut state, Slot::new(tag_of(scramble(i)), (i + 1) * 8)));
        }
        index.check(&state);
        assert!(by_fast > 1000 && waited > 100 && begun > 20, "{by_fast} {waited} {begun}");
        let find = |i: u64| index.find_place(&state, scramble(i), |s| s.offset() == (i + 1) * 8);
        assert!((0..20_000).all(|i| find(i).is_some()));
        // Nothing to go on with.
        while index.grow_on(&mut state, &memory) {}
        assert!(!index.resizing());
    }

    #[test]
    fn a_full_budget_refuses_growth_but_keeps_working() {
        let (_, memory) = setup(1);
        let space = Share::whole(Space::new(256 << 10, 1).unwrap(), 1);
        let (index, mut state) = memory.table(0, &space).unwrap();
        let (mut i, mut refused) = (0, false);
        while !refused {
            refused = !index.steps(&mut state, &space, &memory);
            assert!(index.insert(&mut state, Slot::new(tag_of(scramble(i)), (i + 1) * 8)));
            i += 1;
        }
        assert!(i > 15_000);
        index.check(&state);
    }
}
