//! Flat combining for small sets: a set that finds the stripe's lock held publishes key and value
//! in one of four lanes; the lock holder applies it before unlocking.
//!
//! A cache of 1 MiB has two stripes, and more would cost it memory that it doesn't have. When two
//! threads set without pause, the lock changes hands all the time, and with it go a dozen cache
//! lines, all that a set touches of the stripe. So a small set by the fast path that finds the lock
//! taken puts its key and value into the stripe's mailbox, and returns. Whoever has the lock does
//! what has been left there, before letting go (docs/performance.md has the numbers). That is flat
//! combining (Hendler, Incze, Shavit and Tzafrir 2010) for an operation that nobody waits for.
//!
//! To everybody else the set is done, by the rules of `write_buffer`, whose [`PendingFilter`] say
//! what waits: a letter is in the mailbox when it is marked. Who looks for a key that is marked
//! completes what there is, and whoever takes the lock to know of a key, or of all, does so too.
//!
//! 1. Who leaves a letter first takes a lane ([`PendingFilter::take`]), writes, and then marks it.
//!    Who does what it says has the lock, applies it, and then frees the lane.
//! 2. Of one key there is one letter at most, but for those that are left at the same time: so
//!    their order doesn't matter.
//!
//! tests/loom/tests/mailbox.rs tries every order.

use crate::stripe::deferred::pending_filter::{LANES, PendingFilter};
use crate::stripe::deferred::record::Record;
use crate::stripe::request::Store;
use std::cell::UnsafeCell;

/// The longest key and value, together, that are left in a mailbox ...
const ROOM: usize = 1280;
/// ... and in caches of less than so many bytes, to which larger mailboxes would be one per cent.
const SMALL_ROOM: usize = 256;
const SMALL: u64 = 4 << 20;
/// Lines of a letter that are asked for ahead.
const PREFETCHED: usize = 3;

/// Lanes to whoever has a stripe's lock.
pub enum Publications {
    /// For small sets only.
    Small(Box<Lanes<SMALL_ROOM>>),
    /// For larger ones too.
    Large(Box<Lanes<ROOM>>),
}

pub struct Lanes<const N: usize>([Lane<N>; LANES]);

#[repr(align(64))]
struct Lane<const N: usize>(UnsafeCell<Record<[u8; N]>>);

// SAFETY: a letter is written by the one thread that has taken its lane, and read by the holder of
// the stripe's lock after it was marked and before its lane is freed; all three order the accesses.
unsafe impl<const N: usize> Sync for Lanes<N> {}

impl<const N: usize> Lanes<N> {
    fn new() -> Box<Lanes<N>> {
        Box::new(Lanes(std::array::from_fn(|_| Lane(UnsafeCell::new(Record::of([0; N]))))))
    }

    #[inline]
    fn publish(&self, marks: &PendingFilter, store: &Store<'_>) -> bool {
        if store.key.len() + store.value.len() > N {
            return false;
        }
        let Some(lane) = marks.take(store.hash) else { return false };
        // SAFETY: the lane is this thread's until it is marked.
        unsafe { (*self.0[lane % LANES].0.get()).fill(store) };
        marks.put(lane, store.hash);
        true
    }

    /// # Safety
    /// As [`Publications::letter`].
    #[inline]
    unsafe fn published(&self, lane: usize) -> Store<'_> {
        // SAFETY: nobody writes to it, as the caller promises.
        unsafe { (*self.0[lane % LANES].0.get()).store() }
    }
}

impl Publications {
    /// An empty one, for a stripe of a cache with such a budget.
    pub fn new(budget: u64) -> Publications {
        if budget < SMALL {
            Publications::Small(Lanes::new())
        } else {
            Publications::Large(Lanes::new())
        }
    }

    /// Bytes that it takes.
    pub fn bytes(budget: u64) -> u64 {
        let bytes =
            if budget < SMALL { size_of::<Lanes<SMALL_ROOM>>() } else { size_of::<Lanes<ROOM>>() };
        bytes as u64
    }

    /// Leaves a set. False if it is too long, no lane is free, or there is a letter of the same key
    /// (or of what looks like it).
    pub fn publish(&self, marks: &PendingFilter, store: &Store<'_>) -> bool {
        match self {
            Publications::Small(letters) => letters.publish(marks, store),
            Publications::Large(letters) => letters.publish(marks, store),
        }
    }

    /// The set of a lane.
    ///
    /// # Safety
    /// The lane was seen marked since the stripe was locked, it is still locked, and the lane isn't
    /// freed while the answer is in use.
    pub unsafe fn published(&self, lane: usize) -> Store<'_> {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                Publications::Small(letters) => letters.published(lane),
                Publications::Large(letters) => letters.published(lane),
            }
        }
    }

    /// Starts loading the letter of a lane.
    pub fn prefetch(&self, lane: usize) {
        let start = match self {
            Publications::Small(letters) => letters.0[lane % LANES].0.get().cast::<u8>(),
            Publications::Large(letters) => letters.0[lane % LANES].0.get().cast::<u8>(),
        };
        for line in 0..PREFETCHED {
            crate::sys::prefetch::prefetch(start.wrapping_add(64 * line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::request::Condition;

    #[test]
    fn there_are_so_many_lanes_and_one_for_a_key() {
        let marks = PendingFilter::new();
        let mailbox = Publications::new(1 << 20);
        let key = b"a key";
        let store = |hash| Store {
            hash,
            key,
            value: b"its value",
            deadline: Some(hash),
            extra: None,
            condition: Condition::Always,
        };
        let hashes: Vec<u64> = (1..=LANES as u64).map(|i| i << 21).collect();
        for round in 0..3 {
            for &hash in &hashes {
                assert!(mailbox.publish(&marks, &store(hash)), "{round}");
                assert!(marks.has(hash) && !mailbox.publish(&marks, &store(hash)));
            }
            assert!(!mailbox.publish(&marks, &store(99 << 21)));
            let lanes: Vec<usize> = marks.lanes().collect();
            assert_eq!(lanes, (0..LANES).collect::<Vec<_>>());
            for (&lane, &hash) in lanes.iter().zip(&hashes) {
                // SAFETY: there is one thread.
                let letter = unsafe { mailbox.published(lane) };
                assert_eq!(
                    (letter.hash, letter.key, letter.value),
                    (hash, &key[..], &b"its value"[..])
                );
                assert_eq!(letter.deadline, Some(hash));
            }
            marks.free(1);
            assert!(!marks.has(hashes[0]) && marks.has(hashes[1]));
            assert!(mailbox.publish(&marks, &store(hashes[0])));
            marks.free((1 << LANES) - 1);
            assert!(marks.is_empty() && hashes.iter().all(|&hash| !marks.has(hash)));
        }
        // A lane that is taken, and not marked yet, is nobody's letter.
        let lane = marks.take(hashes[0]).unwrap();
        assert!(!marks.has(hashes[0]) && marks.lanes().next().is_none());
        marks.put(lane, hashes[0]);
        assert!(marks.has(hashes[0]));
    }
}
