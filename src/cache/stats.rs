//! What a cache tells of itself.

use crate::cache::shared::Shared;
use crate::stripe::Tally;
use crate::sys::atomic::Ordering;

/// What a cache did and holds. Sums that are exact when nothing runs meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Gets that found their key.
    pub hits: u64,
    /// Gets that did not.
    pub misses: u64,
    /// Values stored.
    pub sets: u64,
    /// Entries deleted by the caller.
    pub deletes: u64,
    /// Entries dropped to make room.
    pub evictions: u64,
    /// Entries removed because their time had come.
    pub expirations: u64,
    /// Entries removed because a tag of theirs was invalidated.
    pub invalidations: u64,
    /// Sets that failed for want of room.
    pub rejections: u64,
    /// Entries now.
    pub entries: u64,
    /// Bytes in use of the budget: index, bookkeeping and segments that are not free. The fields
    /// about the budget are those of a cache and its namespaces together; those of a namespace are
    /// its own. The others are always a cache's own.
    pub bytes: u64,
    /// The budget; of a namespace its bound, or the cache's budget if it has none.
    pub max_bytes: u64,
    /// Bytes of live entries: headers, keys and values.
    pub live_bytes: u64,
    /// Bytes of segments in use that hold nothing alive: dead entries, and room not written yet.
    pub dead_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Bytes of the budget that are free: never committed, or free segments.
    pub free_bytes: u64,
    /// Bytes of tables, counters and policies.
    pub bookkeeping_bytes: u64,
    /// Bytes that the system agreed to back with huge pages.
    pub huge_page_bytes: u64,
    /// Bytes of entries written by sets, appended or in place.
    pub appended_bytes: u64,
    /// Bytes of entries appended again by drains.
    pub copied_bytes: u64,
    /// Events that found their queue full.
    pub dropped_events: u64,
    /// Bytes that this cache itself holds, without its namespaces: index, bookkeeping of its own,
    /// segments.
    pub own_bytes: u64,
    /// Namespaces that it has.
    pub namespaces: u64,
}

impl Shared {
    /// Sums what the stripes know, one stripe locked at a time.
    pub(crate) fn stats(&self) -> Stats {
        let counted = self.env.counters.sum();
        let mut sum = Tally::default();
        let (mut entries, mut live, mut footprint, mut dropped_events) = (0, 0, 0, 0);
        self.each_stripe(|stripe, state| {
            let (mut writer, policy) = state.writer(&self.env, stripe);
            // What there is no room for goes on waiting: to count is no reason to drop it.
            let _ = writer.apply_all(policy);
            sum.sets += writer.waiting();
            let tally = &state.core.tally;
            sum.sets += tally.sets;
            sum.deletes += tally.deletes;
            sum.evictions += tally.evictions;
            sum.expirations += tally.expirations;
            sum.invalidations += tally.invalidations;
            sum.appended += tally.appended;
            sum.copied += tally.copied;
            dropped_events += state.core.events.dropped();
            entries += state.core.index.entries() as u64;
            live += state.core.logs.iter().map(|log| log.live).sum::<u64>();
            footprint += stripe.footprint.load(Ordering::Relaxed);
        });
        let usage = self.env.space.usage();
        let index_huge = if self.index_huge { usage.index } else { 0 };
        let committed = usage.committed.saturating_sub(usage.free);
        let free = self.env.space.max().saturating_sub(committed);
        let max_bytes = self.env.space.max().min(self.env.space.bound());
        let own_bytes = self.env.space.held();
        let (own_index, own_bookkeeping) = self.env.space.held_beside();
        let of = |family: u64, own: u64| if self.is_namespace { own } else { family };
        let bytes = of(committed, own_bytes);
        Stats {
            hits: counted.hits,
            misses: counted.misses,
            sets: sum.sets + counted.sets,
            deletes: sum.deletes,
            evictions: sum.evictions,
            expirations: sum.expirations,
            invalidations: sum.invalidations,
            rejections: self.rejections.load(Ordering::Relaxed),
            entries,
            bytes,
            max_bytes,
            live_bytes: live,
            dead_bytes: footprint.saturating_sub(live),
            index_bytes: of(usage.index, own_index),
            free_bytes: free.min(max_bytes.saturating_sub(bytes)),
            bookkeeping_bytes: of(usage.bookkeeping, own_bookkeeping),
            huge_page_bytes: of(usage.huge + index_huge, 0),
            appended_bytes: sum.appended + counted.overwritten,
            copied_bytes: sum.copied,
            dropped_events,
            own_bytes,
            namespaces: of(self.family.len() as u64, 0),
        }
    }
}
