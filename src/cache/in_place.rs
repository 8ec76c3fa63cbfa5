//! Overwriting in place without the stripe's lock: the commonest set of a small cache.
//!
//! A cache of a few MiB has one stripe or a few. When two threads set without pause, the lock's
//! line and all that a set writes beside it go from core to core. A set that finds its key's entry,
//! small and of the same room, needs none of that: it finds it as a reader does, has the key's
//! *sequence* to itself while it writes (`sync::seqlock` says who else must), and counts on the
//! thread's own line. Anything else goes the way of all sets.
//!
//! A set of a key that isn't there has looked in vain: a twelfth of what it costs otherwise
//! (docs/performance.md). So a thread whose set couldn't be done this way doesn't try it for the
//! next few.

use crate::cache::shared::Shared;
use crate::stripe::request::{Condition, Store};
use crate::sync::counters::Handle;
use crate::sync::epoch::Guard;
use crate::sys::atomic::Ordering;

/// Sets of a thread that aren't tried after one that couldn't be done.
const SKIPS: u64 = 31;

impl Shared {
    /// Overwrites the value of a key where it lies, without a lock. False if that can't be done;
    /// nothing has changed then.
    #[inline(always)]
    pub(crate) fn try_overwrite(&self, guard: &Guard, store: &Store<'_>) -> bool {
        self.overwrites_alone
            && self
                .try_line(guard)
                .is_some_and(|line| !line.skips() && self.overwrite_and_count(guard, line, store))
    }

    /// As [`Shared::try_overwrite`], if the thread isn't to skip it. Not inlined: all sets come by
    /// here.
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
        let sequence = self.env.seqlocks.of(hash);
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
        let offset = entry.address() as u64 - self.env.space.base() as u64;
        let segment = self.env.space.segment(self.env.space.segment_at(offset));
        if !sequence.begin_at(number) {
            return None;
        }
        // SeqCst: as in `Writer::overwrite`.
        if segment.pins.load(Ordering::SeqCst) > 0 {
            sequence.end_alone();
            return None;
        }
        // SAFETY: the sequence is odd by `begin_at`, and nobody had it since before the entry was
        // found, so the header is as it was but for hits and death; the shape fits over it. Nobody
        // has pinned the segment, and slices of small values are made of closed sequences only. The
        // epoch is pinned, so the memory is an entry's still.
        unsafe { entry.overwrite(header, &shape, value, self.env.hit_max) };
        sequence.end_alone();
        Some(header.size() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::shared::MOST_OVERWRITTEN_ALONE;
    use crate::sync::epoch;
    use crate::sys::clock::MockClock;
    use crate::{Cache, Clock, Options, Ttl};
    use std::time::Duration;

    /// Whether a set can do without the lock, which is held meanwhile. It is done then.
    fn alone(cache: &Cache, key: &[u8], value: &[u8], ttl: Ttl) -> bool {
        cache
            .with(|shared| {
                let guard = epoch::pin();
                let hash = shared.env.hasher.hash(key);
                let _lock = shared.stripe(hash).state.lock();
                let (deadline, _) = shared.deadline(ttl, hash, false);
                let store =
                    Store { hash, key, value, deadline, extra: None, condition: Condition::Always };
                shared.overwrites_alone && shared.overwrite(&guard, &store).is_some()
            })
            .unwrap()
    }

    #[test]
    fn what_is_there_small_and_of_the_same_room_is_overwritten() {
        let cache = Cache::new(Options::new(1 << 20)).unwrap();
        assert!(!alone(&cache, b"key", b"value", Ttl::Default), "there is none");
        cache.set(b"key", b"value").unwrap();
        assert!(alone(&cache, b"key", b"other", Ttl::Default));
        assert_eq!(cache.get(b"key").as_deref(), Some(b"other".as_slice()));
        assert!(alone(&cache, b"key", b"less", Ttl::Default));
        assert_eq!(cache.get(b"key").as_deref(), Some(b"less".as_slice()));
        assert!(!alone(&cache, b"key", b"more than that", Ttl::Default));
        let view = cache.view(b"key").unwrap();
        assert!(!alone(&cache, b"key", b"other", Ttl::Default), "there is a view");
        drop(view);
        assert!(alone(&cache, b"key", b"other", Ttl::Default));
        cache
            .get_with(
                b"key",
                &mut Vec::new(),
                crate::Ask { version: true, ..crate::Ask::default() },
            )
            .unwrap();
        assert!(!alone(&cache, b"key", b"value", Ttl::Default), "it has a version");
        assert_eq!(cache.get(b"key").as_deref(), Some(b"other".as_slice()));
        cache.set(b"large", &[1; 20_000]).unwrap();
        assert!(!alone(&cache, b"large", &[2; 20_000], Ttl::Default));
        cache.check();
    }

    #[test]
    fn a_deadline_is_only_put_off() {
        let clock = MockClock::default();
        let cache =
            Cache::new(Options { clock: Clock::Mock(clock.clone()), ..Options::new(1 << 20) })
                .unwrap();
        cache.set_ttl(b"key", b"value", Duration::from_millis(100)).unwrap();
        assert!(!alone(&cache, b"key", b"other", Ttl::Never));
        assert!(!alone(&cache, b"key", b"other", Ttl::Millis(99)));
        assert!(alone(&cache, b"key", b"other", Ttl::Millis(200)));
        clock.advance(199);
        assert_eq!(cache.get(b"key").as_deref(), Some(b"other".as_slice()));
        cache.check();
        clock.advance(1);
        assert!(!alone(&cache, b"key", b"third", Ttl::Millis(200)), "it has expired");
        assert_eq!(cache.get(b"key"), None);
    }

    #[test]
    fn a_load_under_way_has_its_stripe_go_by_the_lock() {
        let cache = Cache::new(Options { stripes: 1, ..Options::new(1 << 20) }).unwrap();
        cache.set(b"key", b"value").unwrap();
        let first = cache.load_begin(b"key").unwrap().token();
        let second = cache.load_begin(b"other").unwrap().token();
        assert!(!alone(&cache, b"key", b"third", Ttl::Default));
        assert!(cache.load_cancel(b"key", first).unwrap());
        assert!(!alone(&cache, b"key", b"third", Ttl::Default));
        assert!(cache.load_cancel(b"other", second).unwrap());
        assert!(alone(&cache, b"key", b"third", Ttl::Default));
        let _ = cache.load_begin(b"key").unwrap();
        cache.set(b"key", b"fifth").unwrap();
        assert!(alone(&cache, b"key", b"sixth", Ttl::Default), "the set has ended the load");
        let _ = cache.load_begin(b"gone").unwrap();
        cache.clear().unwrap();
        cache.set(b"key", b"value").unwrap();
        assert!(alone(&cache, b"key", b"third", Ttl::Default), "there are no loads after a clear");
    }

    #[test]
    fn large_caches_and_those_with_events_go_by_the_lock() {
        for (options, expected) in [
            (Options::new(MOST_OVERWRITTEN_ALONE), true),
            (Options::new(MOST_OVERWRITTEN_ALONE + 1), false),
            (Options { event_bytes: 64 << 10, ..Options::new(1 << 20) }, false),
        ] {
            let cache = Cache::new(options).unwrap();
            cache.set(b"key", b"value").unwrap();
            assert_eq!(alone(&cache, b"key", b"other", Ttl::Default), expected);
        }
    }

    #[test]
    fn all_sets_are_counted_and_a_thread_that_has_tried_in_vain_waits() {
        let cache = Cache::new(Options { stripes: 1, ..Options::new(1 << 20) }).unwrap();
        cache.set(b"key", b"value").unwrap();
        let overwrite = |times: u64| {
            let before = cache.sets_without_the_lock();
            (0..times).for_each(|_| cache.try_store(b"key", b"other", Ttl::Default).unwrap());
            cache.sets_without_the_lock() - before
        };
        assert_eq!(overwrite(10), 10);
        cache.try_store(b"new", b"value", Ttl::Default).unwrap();
        assert_eq!(overwrite(SKIPS), 0);
        assert_eq!(overwrite(10), 10);
        let stats = cache.stats().unwrap();
        assert_eq!(stats.sets, 22 + SKIPS);
        assert_eq!(stats.appended_bytes, 16 * stats.sets);
        cache.check();
    }
}
