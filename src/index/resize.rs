//! Growing and shrinking in place, a few buckets at a time.
//!
//! A table that has got too full gets an eighth more buckets, one that has got too empty an eighth
//! fewer, and nobody waits for it: each insert and removal moves the entries of [`STEPS`] buckets
//! on, and all are found meanwhile. While the table has two sizes, tags from `split` on have their
//! home among `hi` buckets and those below among `lo`. Growing begins with `split` at 2^28 and
//! moves it down to 0, shrinking begins with 0 and moves it up to 2^28. A step takes the entries
//! out whose home is the bucket next to `split`, moves `split` past their tags, and puts them in
//! again, now at their other home. When `split` has arrived, `lo` and `hi` become equal.
//!
//! The slots hold all bits that are needed, so no entry is touched. (Linear hashing, Litwin 1980,
//! also grows in place, but buckets that are not split yet hold twice what the others hold;
//! Larson's partial expansions soften that. Order-keeping tables are Amble and Knuth 1974.)
//!
//! Two things can go wrong. To begin a growth takes memory: if there is none in the budget, the
//! table gets fuller, and works as long as there are places. (How far it will reach is said before
//! it begins, so that its pages can be touched ahead: `memory.rs`.) And tags may not be evenly
//! spread, if somebody deletes in the order of an iteration: a shrink that would pile entries up is
//! taken back, and tried again when a quarter more has gone.
//!
//! Whether anything is to be done is asked with each insert and removal. So the numbers of entries
//! between which there is nothing to do are kept (`calm`), and written anew when what they depend
//! on changes.

use super::bucket::{BUCKET_BYTES, SLOTS, Slot, TAG_BITS, TAG_END};
use super::space::IndexSpace;
use super::table::{Index, IndexState, MIN_BUCKETS, NO_VACANCY, Place, REACH, first_tag, home};
use crate::memory::quota::Quota;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sys::os::HUGE;
use crate::sys::os::PAGE;
use std::cell::Cell;

/// As REACH, for what is moved while the table shrinks: if it takes more, shrinking is given up.
const NEAR: usize = 8;
/// Grow above 80 % of the slots (a hit looks at 1.05 buckets, a miss at 1.2), shrink below 56 %.
const GROW_AT: u64 = 80;
/// What memory a growth will take is said when it is so many hundredths of the entries away, or as
/// many entries as fill a third of a huge page of all stripes, so that it can be touched ahead: a
/// growth of eight million entries takes five pages, and one page may take 9 milliseconds, as many
/// as 9,000 sets.
const SAY_BEFORE: usize = 3;
const SHRINK_AT: u64 = 56;
/// Buckets moved for each insert or removal while the table grows or shrinks: with 4, a growth by
/// an eighth is done before the part that waits is 83 % full.
const STEPS: usize = 4;
/// More entries than one bucket is ever home to (the mean is 7).
const MOVERS: usize = 64;

impl IndexSpace {
    /// The table of one stripe, empty. `space` pays for it. None if it can't, or the system refuses
    /// the memory.
    pub fn table(&self, stripe: usize, space: &Quota) -> Option<(Index, IndexState)> {
        let extent = HUGE / self.stripes;
        let rounds = self.region.most() / HUGE;
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
        if !self.open(pages) {
            return None;
        }
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
}

impl Index {
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
    pub(super) fn say_at(&self, memory: &IndexSpace) -> usize {
        if !memory.huge.load(Ordering::Relaxed) {
            return usize::MAX;
        }
        let full = self.growth_at();
        let third = 2 << self.extent_bits;
        full.saturating_sub(third.max(full * SAY_BEFORE / 100))
    }

    /// Says how far the next growth will reach, if there is memory for the entries that are wanting
    /// until then: a full cache may never get there, and what was touched for nothing is resident
    /// all the same.
    fn say(&self, state: &mut IndexState, space: &Quota, memory: &IndexSpace) {
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
            self.resizing()
                || self.wants_to_say(state)
                || self.wants_growth(state)
                || self.wants_shrink(state)
        );
        wants
    }

    /// Notes with how many entries [`Index::wants_steps`]. To be called when anything that it
    /// depends on has changed, but their number.
    pub(super) fn measure(&self, state: &mut IndexState) {
        state.vacancy.set(NO_VACANCY);
        let hi = self.hi.load(Ordering::Relaxed);
        let shrink_at = (u64::from(hi) * SLOTS as u64 * SHRINK_AT).div_ceil(100) as usize;
        let low = if hi > MIN_BUCKETS { shrink_at.min(state.shrink_below) } else { 0 };
        let high =
            if self.resizing() { 0 } else { self.growth_at().min(state.say_at.saturating_add(1)) };
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

    /// Goes on growing or shrinking by a bounded amount. Returns false if the table must grow and
    /// the budget has no room (an insert may still succeed as long as it finds a free slot).
    pub fn steps(&self, state: &mut IndexState, space: &Quota, memory: &IndexSpace) -> bool {
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

    /// Goes on with a growth, for the fast path: its memory was reserved when it began. False if
    /// there is something else to do, or pages of it haven't been touched yet, which whoever finds
    /// them so would have to wait for.
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
    pub fn settle(&self, state: &mut IndexState, space: &Quota, memory: &IndexSpace) {
        while self.resizing() || self.wants_shrink(state) {
            self.steps(state, space, memory);
        }
    }

    /// As [`Index::settle`], a bounded amount of it.
    pub fn shrink_on(&self, state: &mut IndexState, space: &Quota, memory: &IndexSpace) {
        if self.resizing() || self.wants_shrink(state) {
            self.steps(state, space, memory);
        }
    }

    /// Buckets after the next growth: an eighth more, or less, down to a sixteenth, if an extent
    /// ends there. (One that is begun takes a whole huge page, of which this stripe's part may be
    /// hardly used.)
    fn larger(&self) -> u32 {
        let n = self.hi.load(Ordering::Relaxed);
        let more = (n + (n / 8).max(MIN_BUCKETS)).min(self.max_buckets);
        let end = (((more as usize + REACH) >> self.extent_bits) << self.extent_bits)
            .saturating_sub(REACH) as u32;
        if end > n + n / 16 { end } else { more }
    }

    /// Tells the memory that the table is going to have so many buckets, and how many it will have
    /// in the end.
    fn reach(&self, buckets: u32, space: &Quota, memory: &IndexSpace) {
        let mut growth = space.outlook();
        let mut last = buckets;
        while growth > 1.125 && last < self.max_buckets {
            last = (last + (last / 8).max(MIN_BUCKETS)).min(self.max_buckets);
            growth /= 1.125;
        }
        memory.reach(Self::pages_for(buckets), Self::pages_for(last));
    }

    fn begin_growth(&self, state: &mut IndexState, space: &Quota, memory: &IndexSpace) -> bool {
        let n = self.hi.load(Ordering::Relaxed);
        let more = self.larger();
        let pages = Self::pages_for(more);
        let bytes = ((pages - state.pages) * PAGE) as u64;
        if more == n || !space.reserve_index(bytes) {
            return false;
        }
        if !memory.open(pages) {
            space.unreserve_index(bytes);
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
        let (lo, hi, split) = (
            self.lo.load(Ordering::Relaxed),
            self.hi.load(Ordering::Relaxed),
            self.split.load(Ordering::Relaxed),
        );
        let bucket = home(split - 1, lo);
        let from = first_tag(bucket as u32, lo);
        self.begin_move();
        let mut movers = [Slot(0); MOVERS];
        let count = self.take_all(state, bucket, from..split, &mut movers);
        self.split.store(from, Ordering::Relaxed);
        for &mover in movers.iter().take(count) {
            if !self.put(mover) {
                // Beyond all chance (see REACH). The entry is lost as if evicted; the drain finds
                // it dead.
                state.entries -= 1;
            }
        }
        self.end_move();
        if from == 0 {
            self.lo.store(hi, Ordering::Release);
        }
    }

    /// Moves the entries whose home is the bucket at `split` to the smaller table.
    fn shrink_step(&self, state: &mut IndexState, space: &Quota, memory: &IndexSpace) {
        let (lo, hi, split) = (
            self.lo.load(Ordering::Relaxed),
            self.hi.load(Ordering::Relaxed),
            self.split.load(Ordering::Relaxed),
        );
        let bucket = home(split, hi);
        let to = first_tag(bucket as u32 + 1, hi).min(TAG_END);
        self.begin_move();
        let mut movers = [Slot(0); MOVERS];
        let count = self.take_all(state, bucket, split..to, &mut movers);
        let movers = &movers[..count];
        self.split.store(to, Ordering::Relaxed);
        let placed = movers.iter().take_while(|&&mover| self.put_within(mover, NEAR)).count();
        if placed < movers.len() {
            // Tags are not evenly spread: somebody deletes in the order of an iteration. The
            // entries go back to where they were, and the table to what it was.
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

    /// Takes the entries with these tags, whose home is one bucket, out of the table. Returns how
    /// many.
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
    pub fn clear(&self, state: &mut IndexState, space: &Quota, memory: &IndexSpace) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::bucket::BUCKET_BYTES;
    use crate::index::table::tests::{scramble, setup};
    use crate::index::tag_of;
    use crate::memory::Space;
    use crate::sys::atomic::AtomicBool;
    use crate::sys::os::HUGE;

    #[test]
    fn grows_and_shrinks_in_place_and_loses_nothing() {
        let (space, memory) = setup(4);
        let (index, mut state) = memory.table(2, &space).unwrap();
        let n = 100_000u64;
        let find = |state: &IndexState, i: u64| {
            index.find_place(state, scramble(i), |s| s.offset() == (i + 1) * 8)
        };
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
            let (place, _) = index
                .find_place(&state, scramble(i), |s| s.offset() == (i + 1) * 8)
                .expect("still there");
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
    fn how_far_a_growth_reaches_is_said_before_it_begins_if_there_is_room() {
        let insert =
            |index: &Index, state: &mut IndexState, space: &Quota, memory: &IndexSpace, i: u64| {
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
        let (index, mut state) =
            memory.table(0, &Quota::whole(Space::new(1 << 20, 1).unwrap(), 1, 0)).unwrap();
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
        let space = Quota::whole(Space::new(256 << 10, 1).unwrap(), 1, 0);
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
