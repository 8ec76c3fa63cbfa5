//! The table as it is at each moment, for readers and for writers.

use super::bucket::{BUCKET_BYTES, SLOTS, TAG_BITS, Words, candidates, look};
use crate::index::Slot;
use crate::index::TAG_END;
use crate::index::bucket::Bucket;
use crate::index::tag_of;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::os::PAGE;
use std::cell::Cell;

pub(super) const BUCKETS_PER_PAGE: usize = PAGE / BUCKET_BYTES;
/// How far from home an entry may lie, in buckets. Runs of full buckets get shorter by a factor of
/// e every 5 to 8 buckets at 80 to 83 % full, so hardly an insert in ten million fails for want of
/// a place; one that does takes another's.
pub(super) const REACH: usize = 2 * BUCKETS_PER_PAGE;
const _: () = assert!((2 * REACH * BUCKET_BYTES) as u64 == crate::memory::INDEX_TAIL);
/// The smallest table.
pub(super) const MIN_BUCKETS: u32 = 16;

/// Bytes of the smallest table.
pub const LEAST_BYTES: u64 = (Index::pages_for(MIN_BUCKETS) * PAGE) as u64;

/// No tag: see [`IndexState`].
pub(super) const NO_VACANCY: (u32, usize) = (TAG_END, 0);

#[inline]
pub(super) fn home(tag: u32, buckets: u32) -> usize {
    ((u64::from(tag) * u64::from(buckets)) >> TAG_BITS) as usize
}

/// The smallest tag whose home among `buckets` is `bucket` or later.
#[inline]
pub(super) fn first_tag(bucket: u32, buckets: u32) -> u32 {
    // There are always buckets; a division by zero would panic, which has no place on the fast
    // path's stack.
    ((u64::from(bucket) << TAG_BITS).div_ceil(u64::from(buckets.max(1)))) as u32
}

/// The place of a slot in the table. Good as long as the stripe's lock is held and nothing is
/// inserted or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) bucket: usize,
    pub(super) slot: usize,
}

/// What readers see.
#[repr(align(64))]
pub struct Index {
    pub(super) version: AtomicU64,
    pub(super) lo: AtomicU32,
    pub(super) hi: AtomicU32,
    pub(super) split: AtomicU32,
    pub(super) extent_bits: u32,
    pub(super) base: *mut u8,
    /// Bytes of the other stripes' tables between two extents.
    pub(super) gap: usize,
    pub(super) max_buckets: u32,
}

// SAFETY: `base` points into a mapping that outlives the index and is accessed as atomics only.
unsafe impl Send for Index {}
// SAFETY: as above.
unsafe impl Sync for Index {}

/// What only the holder of the stripe's lock sees.
pub struct IndexState {
    pub(super) entries: usize,
    pub(super) pages: usize,
    pub(super) shrinking: bool,
    /// So many entries are to be there before it is said how far the next growth will reach.
    pub(super) say_at: usize,
    /// Shrinking failed when there were a third more entries than this: no use trying before.
    pub(super) shrink_below: usize,
    /// With fewer entries than the first, or as many as the second, there is resizing to begin or
    /// to go on with.
    pub(super) calm: (usize, usize),
    /// The tag that was looked for in vain last, and the first bucket from its home on that had
    /// room. It still is that, as removals from full buckets, and resizing, forget it.
    pub(super) vacancy: Cell<(u32, usize)>,
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

impl Index {
    #[inline]
    pub(super) fn bucket_address(&self, bucket: usize) -> *mut u8 {
        let extent = bucket >> self.extent_bits;
        // wrapping_add: the buckets of a table are inside the region, and callers ask for no
        // others.
        self.base.wrapping_add(bucket * BUCKET_BYTES + extent * self.gap)
    }

    #[inline]
    pub(super) fn bucket(&self, bucket: usize) -> &Bucket {
        debug_assert!(bucket < self.max_buckets as usize + 2 * REACH);
        // SAFETY: the bucket lies in the open part of the mapping, as a table gets a size only when
        // its pages are open, and none is ever closed; they read as zeros where nothing was
        // written; it is aligned, and everyone accesses it as atomics.
        unsafe { &*self.bucket_address(bucket).cast::<Bucket>() }
    }

    /// The home bucket of a tag.
    #[inline]
    pub(super) fn home(&self, tag: u32) -> usize {
        // Both are read, so that neither waits for the comparison.
        let (lo, hi) = (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed));
        home(tag, if tag < self.split.load(Ordering::Relaxed) { lo } else { hi })
    }

    /// Starts loading the home bucket of a hash, and says which it is, for [`candidate`].
    #[inline]
    pub fn prefetch(&self, hash: u64) -> &Bucket {
        let bucket = self.bucket(self.home(tag_of(hash)));
        crate::sys::prefetch::prefetch(bucket.as_ptr().cast());
        bucket
    }

    /// Looks once, for a reader, for a slot that has the tag of a hash. Nineteen of twenty hits and
    /// four of five misses need the home bucket only.
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
                // It may have changed since it was compared; the key decides. Tag 0 also matches
                // empty slots.
                return if word == 0 { Glance::Unclear } else { Glance::Likely(Slot(word)) };
            }
            bucket += 1;
            if !seen.full || bucket == start + REACH {
                break;
            }
        }
        if self.unmoved_since(version) { Glance::Absent } else { Glance::Unclear }
    }

    /// Looks a hash up for a reader. `found` is asked about each entry whose tag matches, and
    /// returns the answer if it is the right one. Err after many tries while a writer was moving
    /// slots.
    #[inline]
    pub fn find<T>(
        &self,
        hash: u64,
        mut found: impl FnMut(Slot) -> Option<T>,
    ) -> Result<Option<T>, Moving> {
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
    pub(super) fn unmoved_since(&self, version: u64) -> bool {
        fence(Ordering::Acquire);
        version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version
    }

    /// Looks a hash up for a writer.
    #[inline(always)]
    pub fn find_place(
        &self,
        state: &IndexState,
        hash: u64,
        is_it: impl FnMut(Slot) -> bool,
    ) -> Option<(Place, Slot)> {
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

    /// As [`Index::find_place`], from the first bucket on in which a tag matches. Apart, so that
    /// looking in vain for a new key, which hardly ever meets an equal tag, has no use for what
    /// comparing keys takes.
    #[inline(never)]
    pub(super) fn find_place_from(
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

    /// The place of a slot, and whether its bucket is full. Only what a resize has lost isn't there
    /// (see `grow_step`), so nobody asks on the way whether a bucket has room.
    #[inline(always)]
    pub(super) fn seek(&self, slot: Slot) -> Option<(Place, bool)> {
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
        debug_assert!(
            tag != slot.tag() || (self.home(tag)..bucket).all(|before| self.is_full(before))
        );
        // How many buckets are full from a home on is anybody's guess, and the processor's: it was
        // found out by looking in vain.
        let done = tag == slot.tag() && self.put_into(bucket, slot) || self.put(slot);
        state.entries += usize::from(done);
        done
    }

    #[inline(never)]
    pub(super) fn put(&self, slot: Slot) -> bool {
        self.put_within(slot, REACH)
    }

    pub(super) fn put_within(&self, slot: Slot, reach: usize) -> bool {
        let start = self.home(slot.tag());
        (start..start + reach).any(|bucket| self.put_into(bucket, slot))
    }

    /// False if the bucket is full.
    #[inline(always)]
    pub(super) fn put_into(&self, bucket: usize, slot: Slot) -> bool {
        let slots = self.bucket(bucket);
        let Some(empty) = Words::of(slots).empty().first() else { return false };
        slots[empty].store(slot.0, Ordering::Release);
        true
    }

    /// Publishes a new entry in the place of another, which is returned, when [`Index::insert`]
    /// found no room.
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
    pub(super) fn slot(&self, place: Place) -> &AtomicU64 {
        &self.bucket(place.bucket)[place.slot & (SLOTS - 1)]
    }

    pub(super) fn is_full(&self, bucket: usize) -> bool {
        Words::of(self.bucket(bucket)).empty().is_empty()
    }

    /// Empties a slot.
    ///
    /// `in_move`: the version is odd already, and stays so.
    pub(super) fn take_out(&self, place: Place, in_move: bool) {
        if self.is_full(place.bucket) {
            self.pull_into(place, in_move);
        } else {
            self.slot(place).store(0, Ordering::Release);
        }
    }

    /// Empties a slot of a full bucket. An entry that lies beyond it because of that is pulled into
    /// the hole, and so on, so that a bucket with room always ends the search.
    #[inline(never)]
    pub(super) fn pull_into(&self, place: Place, in_move: bool) {
        let mut hole = place;
        let mut moving = in_move;
        let mut bucket = hole.bucket + 1;
        let mut beyond = self.first_beyond(hole.bucket);
        // Nothing lies further from its home than REACH, so nothing beyond can want the hole (which
        // moves on).
        while bucket < hole.bucket + REACH {
            let slots = self.bucket(bucket);
            let words = Words::of(slots);
            let empty = words.empty();
            // One division for eight tags.
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
    pub(super) fn first_beyond(&self, bucket: usize) -> u32 {
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

    pub(super) fn begin_move(&self) {
        let version = self.version.load(Ordering::Relaxed);
        debug_assert!(version.is_multiple_of(2));
        self.version.store(version + 1, Ordering::Relaxed);
        // The odd version is visible before any of the moves that follow.
        fence(Ordering::Release);
    }

    pub(super) fn end_move(&self) {
        let version = self.version.load(Ordering::Relaxed);
        debug_assert!(version % 2 == 1);
        self.version.store(version + 1, Ordering::Release);
    }

    pub(super) const fn pages_for(buckets: u32) -> usize {
        (buckets as usize + REACH).div_ceil(BUCKETS_PER_PAGE)
    }

    /// Calls `visit` with the slots of the home bucket of `tag`, from `tag` on, and returns the
    /// first tag not visited (`TAG_END` after the last). Going on from there visits each entry
    /// once, in the order of tags, though entries come and go and the table grows meanwhile.
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

    /// Checks everything that should be true of the table.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn check(&self, state: &IndexState) {
        let (lo, hi, split) = (
            self.lo.load(Ordering::Relaxed),
            self.hi.load(Ordering::Relaxed),
            self.split.load(Ordering::Relaxed),
        );
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
                assert!(
                    (home..bucket).all(|b| self.is_full(b)),
                    "a bucket with room before a slot"
                );
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
pub(super) mod tests {
    use super::*;
    use crate::index::space::IndexSpace;
    use crate::memory::Space;
    use crate::memory::quota::Quota;
    use std::collections::BTreeMap;

    pub(in crate::index) fn setup(stripes: usize) -> (Quota, IndexSpace) {
        let space = Quota::whole(Space::new(64 << 20, stripes).unwrap(), stripes, 0);
        let memory = IndexSpace::new(space.take_index(stripes).unwrap(), stripes);
        (space, memory)
    }

    pub(in crate::index) fn scramble(i: u64) -> u64 {
        // splitmix64
        let x = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    #[test]
    fn the_first_tag_beyond_a_bucket_is_that() {
        let (space, memory) = setup(1);
        let (index, _) = memory.table(0, &space).unwrap();
        for (lo, hi) in [(16, 16), (16, 32), (100, 101), (1000, 1125), (1152, 1296)] {
            let splits = [0, 1, TAG_END / 3, TAG_END / 2 + 7, TAG_END - 1, TAG_END];
            for split in
                splits.into_iter().chain((0..lo).step_by(7).map(|bucket| first_tag(bucket, lo)))
            {
                index.lo.store(lo, Ordering::Relaxed);
                index.hi.store(hi, Ordering::Relaxed);
                index.split.store(split, Ordering::Relaxed);
                for bucket in 0..hi as usize + REACH {
                    let first = index.first_beyond(bucket);
                    assert!(
                        first == TAG_END || index.home(first) > bucket,
                        "{lo} {hi} {split} {bucket}"
                    );
                    assert!(
                        first <= TAG_END && index.home(first - 1) <= bucket,
                        "{lo} {hi} {split} {bucket}"
                    );
                }
            }
        }
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
            tag = index.visit_home(&state, tag, |slot| {
                *seen.entry(slot.offset() / 8 - 1).or_default() += 1
            });
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
}
