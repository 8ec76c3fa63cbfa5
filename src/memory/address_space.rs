//! The free ranges of address space between runs. Address space is plenty: each run takes the
//! smallest range that it fits, and ranges that become neighbours are joined. What is counted are
//! whole pages.

use crate::sys::os::PAGE;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What a run costs beside its pages: its line in the table, and its place in the maps of free
/// address space.
pub(super) const RUN_BOOKKEEPING: u64 = 192;

/// The whole pages in a free range that some range within it reaches.
fn pages_of(free: Range<u64>, within: Range<u64>) -> Range<u64> {
    let page = PAGE as u64;
    let start = free.start.next_multiple_of(page).max(within.start / page * page);
    let end = (free.end / page * page).min(within.end.next_multiple_of(page));
    start..end.max(start)
}

/// Free ranges of address space: best fit, neighbours joined.
pub(super) struct AddressSpace {
    by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
}

impl AddressSpace {
    pub(super) fn new(start: u64, len: u64) -> AddressSpace {
        AddressSpace {
            by_start: BTreeMap::from([(start, len)]),
            by_len: BTreeSet::from([(len, start)]),
        }
    }

    /// Takes a range. Returns where it begins, and those of its pages in which nothing else lies.
    pub(super) fn take(&mut self, len: u64) -> Option<(u64, Range<u64>)> {
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
    pub(super) fn give(&mut self, mut start: u64, mut len: u64) -> Range<u64> {
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
    use crate::memory::Space;
    use crate::sync::epoch;

    #[test]
    fn who_finds_no_number_for_a_run_has_stripes_drain() {
        let mut space = Space::new(1 << 20, 1).unwrap();
        space.run_slots = 3;
        let taken: Vec<_> = (0..3).map(|_| space.take_run(4_000).unwrap()).collect();
        assert!(!space.pressure().drains());
        assert_eq!(space.take_run(4_000), None);
        assert!(space.pressure().drains());
        // It is free after its grace period, which nobody holds back for ever.
        space.retire(taken[1]);
        let begun = std::time::Instant::now();
        let again = loop {
            if let Some(id) = space.take_run(4_000) {
                break id;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(60));
            std::thread::yield_now();
        };
        assert_eq!(again, taken[1]);
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
        epoch::synchronize();
        let second = space.take_run(200_000).unwrap();
        assert_ne!(space.segment(second).start(), space.segment(run).start());
        assert!(space.committed() <= space.max());
        space.retire(run);
        space.retire(second);
        epoch::synchronize();
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
            epoch::synchronize();
            space.reclaim();
            pages()
        };
        // The first page is `a`'s alone; `b` lies in the second too, and reaches the third with 8
        // bytes, as does `c`.
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
        epoch::synchronize();
        space.reclaim();
        assert_eq!(space.committed(), 0);
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
