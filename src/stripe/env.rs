//! What all stripes of a cache share: memory, the hash, the clock, and what readers look at beside
//! a stripe.

use crate::entry::{Entry, Header};
use crate::index::IndexSpace;
use crate::memory::Pressure;
use crate::memory::quota::Quota;
use crate::stripe::tags::{Invalidations, Judged};
use crate::sync::counters::Counters;
use crate::sync::epoch::{self, Guard};
use crate::sync::seqlock::Seqlocks;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::clock::Clock;
use crate::sys::hash::KeyHasher;

/// What all stripes of a cache share.
pub struct Env {
    /// Memory: what this cache has of it.
    pub space: Quota,
    /// Address space of the indexes.
    pub index_space: IndexSpace,
    /// Hashes keys.
    pub hasher: KeyHasher,
    /// By which readers notice that a value was overwritten in place.
    pub seqlocks: Seqlocks,
    /// Tells the time.
    pub clock: Clock,
    /// The bound on entries, or 0.
    pub max_entries: u64,
    /// Entries, counted only under a bound.
    pub entries: Entries,
    /// Where the policy's counter of hits stops.
    pub hit_max: u8,
    /// What a set touches is likely to be further away than the second-level cache: it is asked for
    /// ahead. Where all is near, that costs more than it gains.
    pub far: bool,
    /// The stripes' number is two to this power.
    pub stripe_bits: u32,
    /// Tags that were invalidated.
    pub invalidations: Invalidations,
    /// Hits and misses, and sets that took no lock.
    pub counters: Counters,
}

/// How many places of a cache with a bound on entries are taken. In a line of its own: while the
/// cache fills each set writes to it, and what lies beside it in [`Env`] everybody reads.
#[repr(align(128))]
#[derive(Default)]
pub struct Entries(AtomicU64);

impl Entries {
    /// Takes a place, if one of `max` is left.
    #[inline]
    pub fn take(&self, max: u64) -> bool {
        // Looked at first: a full cache is full mostly, and only looks.
        if self.0.load(Ordering::Relaxed) >= max {
            return false;
        }
        if self.0.fetch_add(1, Ordering::Relaxed) < max {
            return true;
        }
        self.give(1);
        false
    }

    /// Gives so many places back.
    #[inline]
    pub fn give(&self, places: u64) {
        self.0.fetch_sub(places, Ordering::Relaxed);
    }

    /// Whether none of `max` is left.
    #[inline]
    pub fn are_full(&self, max: u64) -> bool {
        self.0.load(Ordering::Relaxed) >= max
    }
}

impl Env {
    /// Hits so far.
    pub fn hits(&self) -> u64 {
        self.counters.sum().hits
    }

    /// Whether what comes now sends something else away: for want of memory, or of a place.
    #[inline]
    pub fn evicts(&self, pressure: Pressure) -> bool {
        pressure.drains() || self.max_entries > 0 && self.entries.are_full(self.max_entries)
    }

    /// Bytes that this cache's segments may have now.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.space.allowance(self.space.segment_budget())
    }

    /// Whether an entry with an extension has a tag that was invalidated after it got it. Under the
    /// stripe's lock.
    pub(crate) fn is_invalidated(&self, entry: Entry<'_>, header: Header) -> bool {
        // Whoever holds a stripe's lock and asks is pinned already, so this never fails; on the
        // fast path it must not register.
        epoch::try_pin().is_some_and(|guard| self.judge(&guard, entry, header) == Judged::Invalid)
    }

    /// Whether it has one that was invalidated softly. Under the stripe's lock.
    pub(crate) fn is_soft(&self, entry: Entry<'_>, header: Header) -> bool {
        epoch::try_pin().is_some_and(|guard| self.judge(&guard, entry, header) == Judged::Stale)
    }

    /// What its tags make of an entry.
    #[inline(never)]
    pub(crate) fn judge(&self, guard: &Guard, entry: Entry<'_>, header: Header) -> Judged {
        let Some(tags) = entry.tags(header) else { return Judged::Valid };
        let judged = self.invalidations.judge(guard, tags);
        if judged != Judged::Invalid {
            return judged;
        }
        // A pass may have judged the entry and given it a new stamp between the two looks.
        entry.tags(header).map_or(Judged::Valid, |tags| self.invalidations.judge(guard, tags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_places_are_taken_than_there_are() {
        let entries = Entries::default();
        assert!(entries.take(2) && !entries.are_full(2) && entries.take(2));
        assert!(!entries.take(2) && entries.are_full(2));
        assert!(entries.take(3), "what found none has left nothing");
        entries.give(3);
        assert!(entries.take(1) && !entries.take(1));
    }
}
