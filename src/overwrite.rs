//! Overwriting in place without the stripe's lock: the commonest set of a small cache.
//!
//! A cache of up to 2 MiB has one stripe. When two threads set without pause, the lock's line and all that a set writes beside
//! it go from core to core. A set that finds its key's entry, small and of the same room, needs none of that: it finds it as a
//! reader does, has the key's *sequence* to itself while it writes (`sequence` says who else must), and counts on the
//! thread's own line. Anything else goes the way of all sets.
//!
//! A set of a key that isn't there has looked in vain: a tenth of what it costs otherwise. So a thread whose set
//! couldn't be done this way doesn't try it for the next few.

use crate::cache::Shared;
use crate::counters::Handle;
use crate::epoch::Guard;
use crate::stripe::{Condition, Store};
use crate::sync::Ordering;

/// Caches of a larger budget don't. They have more stripes; and there a set waits for its bucket and its entry to come from
/// memory, which is better done under the lock, where something else is done meanwhile.
pub const MOST_BYTES: u64 = 32 << 20;
/// Sets of a thread that aren't tried after one that couldn't be done.
const SKIPS: u64 = 31;

impl Shared {
    /// Overwrites the value of a key where it lies, without a lock. False if that can't be done; nothing has changed then.
    #[inline(always)]
    pub(crate) fn try_overwrite(&self, guard: &Guard, store: &Store<'_>) -> bool {
        self.overwrites_alone
            && self.try_line(guard).is_some_and(|line| !line.skips() && self.overwrite_and_count(guard, line, store))
    }

    /// As [`Shared::try_overwrite`], if the thread isn't to skip it. Not inlined: all sets come by here.
    #[inline(never)]
    fn overwrite_and_count(&self, guard: &Guard, line: Handle<'_>, store: &Store<'_>) -> bool {
        let done = self.overwrite(guard, store);
        match done {
            Some(bytes) => line.overwrote(bytes),
            None => line.skip(SKIPS),
        }
        done.is_some()
    }

    /// Returns the entry's size.
    #[inline(always)]
    fn overwrite(&self, guard: &Guard, store: &Store<'_>) -> Option<u64> {
        let &Store { hash, key, value, deadline, .. } = store;
        debug_assert!(store.extra.is_none() && store.condition == Condition::Always);
        let sequence = self.sequences.of(hash);
        let number = sequence.number();
        // After the number was read: who begins a load changes it, once this is set.
        if self.stripe(hash).loading.load(Ordering::Relaxed) {
            return None;
        }
        let (entry, header) = self.lookup_any(guard, hash, key).ok().flatten()?;
        let shape = store.shape();
        if !shape.fits_over(header) || deadline < entry.deadline(header) {
            return None;
        }
        let offset = entry.address() as u64 - self.space.base() as u64;
        let segment = self.space.segment(self.space.segment_at(offset));
        if !sequence.begin_at(number) {
            return None;
        }
        // SeqCst: as in `Writer::overwrite`.
        if segment.pins.load(Ordering::SeqCst) > 0 {
            sequence.end();
            return None;
        }
        // SAFETY: the sequence is odd by `begin_at`, and nobody had it since before the entry was found, so the header is as it was
        // but for hits and death; the shape fits over it. Nobody has pinned the segment, and slices of small values are
        // made of closed sequences only. The epoch is pinned, so the memory is an entry's still.
        unsafe { entry.overwrite(header, &shape, value, self.hit_max) };
        sequence.end();
        Some(header.size() as u64)
    }
}
