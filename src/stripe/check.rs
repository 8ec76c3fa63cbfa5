//! What should be true of a stripe at any time, for tests.

use crate::memory::{NONE, PART};
use crate::stripe::log::Frontier;
use crate::stripe::writer::Writer;
use crate::sys::atomic::Ordering;
impl<const FAST: bool> Writer<'_, FAST> {
    /// Checks everything that should be true of the stripe. For tests.
    pub fn check(&self) {
        let space = &self.env.space;
        self.stripe.index.check(&self.core.index);
        let (mut entries, mut footprint) = (0, 0);
        for (number, log) in self.core.logs.iter().enumerate() {
            let (mut live_entries, mut live_bytes, mut log_footprint) = (0, 0, 0);
            for id in log.segments(space) {
                let segment = space.segment(id);
                assert_eq!(segment.log.load(Ordering::Relaxed) as usize, number);
                assert!(segment.used.load(Ordering::Relaxed) <= segment.capacity());
                log_footprint += segment.capacity();
                let mut at = segment.first();
                let mut live = 0;
                while at < segment.used.load(Ordering::Relaxed) {
                    let offset = segment.start() + at;
                    let entry = self.entry(offset);
                    let header = entry.header();
                    at += header.size() as u64;
                    if header.is_dead() {
                        continue;
                    }
                    assert!(
                        id != log.tail || at > log.cursor,
                        "a live entry that the drain has passed"
                    );
                    live += header.size() as u64;
                    live_entries += 1;
                    let key = entry.key(header);
                    let found = self.find(self.env.hasher.hash(key), key);
                    assert!(
                        found.is_some_and(|found| found.1 == offset),
                        "a live entry that the index doesn't know"
                    );
                    let earliest = segment.min_deadline.load(Ordering::Relaxed);
                    // Of a run a hold of the sweep looks at all or nothing.
                    let swept = self.core.sweep.is_at(id) && !space.is_run(id);
                    assert!(
                        swept || entry.deadline(header).is_none_or(|d| d >= earliest),
                        "a deadline is forgotten"
                    );
                    if let Some(d) = entry.deadline(header) {
                        let said = self.stripe.next_deadline.load(Ordering::Relaxed);
                        assert!(d >= said, "a deadline that the stripe doesn't know");
                    }
                    if let (false, false, Some(d)) =
                        (self.core.sweep.is_at(id), space.is_run(id), entry.deadline(header))
                    {
                        let at = offset - segment.start();
                        let part = space.part(id, at).get(segment.base.load(Ordering::Relaxed));
                        assert!(
                            part.is_some_and(
                                |(earliest, first)| earliest <= d && first <= at % PART
                            )
                        );
                    }
                }
                assert_eq!(live, segment.live.load(Ordering::Relaxed));
                let deferred = self.core.deferred[..self.core.owed.deferred_len].contains(&id);
                assert!(
                    live > 0 || log.is_open(id) || deferred,
                    "a closed segment without live entries"
                );
                live_bytes += live;
            }
            assert_eq!(
                (live_entries, live_bytes, log_footprint),
                (log.entries, log.live, log.footprint)
            );
            for Frontier { open, rest, left, room } in [&log.young, &log.filling] {
                assert!(
                    [*open, *rest]
                        .iter()
                        .all(|id| *id == NONE || log.segments(space).any(|other| other == *id))
                );
                assert!(*left == 0 || *left == self.left(*rest), "what is left of the rest");
                assert_eq!(
                    *room,
                    if *open == NONE { 0 } else { self.left(*open) },
                    "what is left of the open one"
                );
            }
            entries += live_entries;
            footprint += log_footprint;
        }
        assert_eq!(entries, self.core.index.entries() as u64);
        assert_eq!(footprint, self.stripe.footprint.load(Ordering::Relaxed));
    }
}
