//! Stale-while-revalidate: an entry may become *stale* before it expires, and its first reader from
//! then on gets a *lease* to refresh it.
//!
//! Both are in one word of the entry: the time from which it is stale, and a bit that says that
//! somebody holds the lease, until the time in the word. A reader of a stale entry whose lease is
//! free takes it with a compare-and-swap; the others are told that the entry is stale and that
//! somebody sees to it. A refresh that succeeds writes a new entry, and the word goes with the old
//! one. One that fails, or whose thread is gone, leaves the lease to run out after
//! [`LEASE_MILLIS`]: that is the pause between tries. (The leases of Nishtala et al., Scaling
//! Memcache at Facebook, NSDI 2013, without a server.)
//!
//! The word may be lost with a copy made by a drain at the same moment: the lease is then given
//! twice, and the second refresh is one too many, no more.
//!
//! Also here: deadlines that slide with each read.

use crate::entry::{Entry, Header};
use crate::sys::atomic::{AtomicU64, Ordering};

/// How long a lease lasts.
pub const LEASE_MILLIS: u64 = 10_000;
const LEASED: u64 = 1 << 63;
/// A read puts a sliding deadline off only when that moves it by a 32nd of the time to live or
/// more, so that a hot entry isn't written at each read. It may expire that much early.
const SLIDE_SHIFT: u32 = 5;

/// How fresh an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not stale.
    Fresh,
    /// Stale, and somebody else holds the lease to refresh it (or the lease wasn't asked for).
    Stale,
    /// Stale, and the caller now holds the lease: he should refresh it.
    Refresh,
    /// The entry says that the key has no value.
    Absent,
}

/// The word of an entry that is stale from `at` on.
pub fn word(at: u64) -> u64 {
    at.min(LEASED - 1)
}

/// What a reader is told, who takes the lease if `lease` says so and it is free.
///
/// `soft`: it is stale whatever the word says, since a tag of it was invalidated softly.
pub fn look(word: &AtomicU64, now: u64, lease: bool, soft: bool) -> State {
    let seen = word.load(Ordering::Relaxed);
    if now < seen & !LEASED && !(soft && seen & LEASED == 0) {
        return if seen & LEASED == 0 { State::Fresh } else { State::Stale };
    }
    let taken = LEASED | now.saturating_add(LEASE_MILLIS).min(LEASED - 1);
    if lease && word.compare_exchange(seen, taken, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        State::Refresh
    } else {
        State::Stale
    }
}

/// Gives a lease back that nothing will come of: the entry is stale, and the next reader gets it.
/// Nothing if nobody has one.
pub fn give_back(word: &AtomicU64, now: u64) {
    let seen = word.load(Ordering::Relaxed);
    if seen & LEASED != 0 {
        // Who has stored something else there since knows better.
        let _ =
            word.compare_exchange(seen, now.min(LEASED - 1), Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Makes an entry stale at once, its lease free.
pub fn expire(word: &AtomicU64) {
    word.store(0, Ordering::Relaxed);
}

/// A read of an entry whose deadline slides puts it off.
pub fn slide(entry: Entry<'_>, header: Header, now: u64) {
    if let (Some(ttl), Some(deadline)) = (entry.sliding(header), entry.deadline(header)) {
        let later = now.saturating_add(ttl);
        if later > deadline && later - deadline > ttl >> SLIDE_SHIFT {
            // Not over a deadline that a touch has set meanwhile.
            entry.put_off(header, deadline, later);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reader_gets_the_lease_and_another_when_it_has_run_out() {
        let word = AtomicU64::new(super::word(100));
        assert_eq!(look(&word, 99, true, false), State::Fresh);
        assert_eq!(look(&word, 100, false, false), State::Stale);
        assert_eq!(look(&word, 100, true, false), State::Refresh);
        assert_eq!(look(&word, 100, true, false), State::Stale);
        assert_eq!(look(&word, 99 + LEASE_MILLIS, true, false), State::Stale);
        assert_eq!(look(&word, 100 + LEASE_MILLIS, true, false), State::Refresh);
        expire(&word);
        assert_eq!(look(&word, 0, true, false), State::Refresh);
        assert_eq!(look(&word, 1, true, false), State::Stale);
        give_back(&word, 1);
        assert_eq!(look(&word, 1, true, false), State::Refresh);
        assert_eq!(look(&word, 1, true, false), State::Stale);
        let word = AtomicU64::new(super::word(u64::MAX));
        give_back(&word, 5);
        assert_eq!(look(&word, 5, true, false), State::Fresh);
        assert_eq!(look(&word, 5, true, true), State::Refresh);
        assert_eq!(look(&word, 6, true, true), State::Stale);
    }
}
