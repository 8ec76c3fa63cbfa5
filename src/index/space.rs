//! The memory of the tables: address space that all stripes share.
//!
//! One range is reserved for the tables of all stripes. They are interleaved: stripe `s` has the
//! `s`-th part of every 2 MiB, its *extent*, so that a huge page serves all of them, however small
//! each is. Open pages cost nothing until they are written, and read as zeros, which is what empty
//! buckets are. So a table has its final place from the beginning: it grows into pages that nobody
//! has used yet, and gives back those at its end when it has shrunk. What it uses is reserved in
//! the budget first, and then opened.
//!
//! Huge pages have two drawbacks. One takes long to come, so a table says how far it is going to
//! reach before it does (`Index::say` in `resize.rs`), and the background thread touches what lies
//! there; till then the fast path stays away. And it is resident as a whole, so a round of 2 MiB
//! that the tables will hardly ever use has small pages.

use super::table::{BUCKETS_PER_PAGE, Index};
use crate::sys::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::os::{HUGE, PAGE};
use crate::sys::region::Region;

/// The reserved address space of all the stripes' tables, interleaved so that a huge page serves
/// all of them: stripe `s` has the `s`-th part of every 2 MiB.
pub struct IndexSpace {
    pub(super) region: Region,
    pub(super) stripes: usize,
    pub(super) huge: AtomicBool,
    /// Rounds, of 2 MiB each, that the tables reach into or are about to; those of them that are to
    /// be touched ahead; and those that have been.
    pub(super) reached: AtomicUsize,
    ahead: AtomicUsize,
    touched: AtomicUsize,
    /// The first round that has small pages since a table that shrank gave back a part of it.
    small_from: AtomicUsize,
}

impl IndexSpace {
    /// Address space for the tables of `stripes` (a power of two) stripes.
    pub fn new(region: Region, stripes: usize) -> IndexSpace {
        debug_assert!(stripes.is_power_of_two() && stripes <= 512);
        IndexSpace {
            region,
            stripes,
            huge: AtomicBool::new(false),
            reached: AtomicUsize::new(1),
            ahead: AtomicUsize::new(1),
            touched: AtomicUsize::new(0),
            small_from: AtomicUsize::new(usize::MAX),
        }
    }

    /// Asks for huge pages. Returns whether the system agrees.
    pub fn use_huge(&self) -> bool {
        let agreed = self.region.use_huge();
        self.huge.store(agreed, Ordering::Relaxed);
        agreed
    }

    /// Opens the first so many pages of all tables. False when the system refuses.
    #[must_use]
    pub(super) fn open(&self, pages: usize) -> bool {
        self.region.open(pages.div_ceil(HUGE / PAGE / self.stripes) * HUGE)
    }

    /// Notes that a table is going to have `pages` pages, and will have about `outlook` when the
    /// memory is used up. The last round gets small pages, if less than three quarters of it will
    /// ever be used: a huge page is resident as a whole.
    pub(super) fn reach(&self, pages: usize, outlook: usize) {
        if !self.huge.load(Ordering::Relaxed) || !self.open(pages) {
            return;
        }
        let extent = HUGE / PAGE / self.stripes;
        let rounds = pages.div_ceil(extent);
        self.enlarge_before(rounds - 1);
        let before = self.reached.fetch_max(rounds, Ordering::Relaxed);
        if before >= rounds {
            return;
        }
        if outlook < rounds * extent - extent / 4 {
            self.region.advise((rounds - 1) * HUGE, HUGE, false);
            self.ahead.fetch_max(rounds - 1, Ordering::Relaxed);
        } else {
            self.ahead.fetch_max(rounds, Ordering::Relaxed);
        }
    }

    /// Asks for huge pages again in the rounds before this one, which tables that had shrunk are
    /// about to fill.
    fn enlarge_before(&self, round: usize) {
        let small = self.small_from.load(Ordering::Relaxed);
        if small < round {
            self.region.advise(small * HUGE, (round - small) * HUGE, true);
            self.small_from.store(round, Ordering::Relaxed);
        }
    }

    /// Whether [`IndexSpace::fault_ahead`] is due: a table is about to reach into a huge page that
    /// hasn't been touched.
    #[inline]
    pub fn wants_ahead(&self) -> bool {
        self.huge.load(Ordering::Relaxed)
            && self.ahead.load(Ordering::Relaxed) > self.touched.load(Ordering::Relaxed)
    }

    /// Touches them. For the background thread.
    pub fn fault_ahead(&self) {
        while self.wants_ahead() {
            let round = self.touched.load(Ordering::Relaxed);
            if (round + 1) * HUGE <= self.region.most() {
                self.region.touch(round * HUGE, HUGE);
            }
            // When it is done: till then the fast path leaves what lies there to the slow one.
            self.touched.fetch_max(round + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn decommit(&self, index: &Index, from_page: usize, to_page: usize) {
        let pages_per_extent = (1 << index.extent_bits) / BUCKETS_PER_PAGE;
        if from_page > 0 && self.huge.load(Ordering::Relaxed) {
            // Else the kernel would fill the hole again when it collapses small pages into a huge
            // one. (Of a table that is emptied nothing stays in those rounds that could be
            // collapsed.)
            let (first, end) = (from_page / pages_per_extent, to_page.div_ceil(pages_per_extent));
            self.region.advise(first * HUGE, (end - first) * HUGE, false);
            self.small_from.fetch_min(first, Ordering::Relaxed);
        }
        let mut page = from_page;
        while page < to_page {
            let end = ((page / pages_per_extent + 1) * pages_per_extent).min(to_page);
            let offset = index.bucket_address(page * BUCKETS_PER_PAGE) as usize
                - self.region.start() as usize;
            self.region.decommit(offset, (end - page) * PAGE);
            page = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::table::tests::setup;

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

    /// Whether the pages at an offset of the region may be huge.
    fn may_be_huge(memory: &IndexSpace, offset: usize) -> bool {
        let at = memory.region.start() as usize + offset;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            let address = |text: &str| usize::from_str_radix(text, 16).ok();
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            if let Some((Some(from), Some(to))) =
                range.map(|(from, to)| (address(from), address(to)))
            {
                inside = (from..to).contains(&at);
            } else if inside && line.starts_with("VmFlags:") {
                return line.split(' ').any(|flag| flag == "hg");
            }
        }
        panic!("it is mapped");
    }

    #[test]
    fn a_round_of_which_a_part_was_given_back_has_small_pages_until_it_fills_again() {
        let (space, memory) = setup(4);
        if !memory.use_huge() {
            return;
        }
        let (index, _) = memory.table(0, &space).unwrap();
        let extent = HUGE / PAGE / 4;
        assert!(memory.open(4 * extent));
        let rounds = |memory: &IndexSpace| {
            [0, 1, 2, 3].map(|round| may_be_huge(memory, round * HUGE + PAGE))
        };
        assert_eq!(rounds(&memory), [true; 4]);
        memory.decommit(&index, extent + 3, 3 * extent);
        assert_eq!(rounds(&memory), [true, false, false, true]);
        memory.reach(2 * extent, 10 * extent);
        assert_eq!(rounds(&memory), [true, false, false, true], "it isn't full");
        memory.reach(3 * extent, 10 * extent);
        assert_eq!(rounds(&memory), [true, true, false, true]);
        memory.decommit(&index, 0, 3 * extent);
        assert_eq!(rounds(&memory), [true, true, false, true]);
    }
}
