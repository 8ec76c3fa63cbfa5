//! What all stripes of a cache share: memory, the hash, the clock, and what readers look at beside
//! a stripe.

use crate::entry::{Entry, Header};
use crate::index::IndexSpace;
use crate::memory::quota::Quota;
use crate::stripe::tags::{Invalidations, Judged};
use crate::sync::counters::Counters;
use crate::sync::epoch::{self, Guard};
use crate::sync::seqlock::Seqlocks;
use crate::sys::atomic::AtomicU64;
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
    pub entries: AtomicU64,
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

impl Env {
    /// Hits so far.
    pub fn hits(&self) -> u64 {
        self.counters.sum().hits
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
