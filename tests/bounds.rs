//! The edges: smallest budgets, largest values, shortest and longest keys, bounds on entries, many
//! stripes with little memory, shrinking under load, and deadlines by the real clock.
#![allow(missing_docs)]

mod support;

use larder::{Cache, Error, Options, Policy, Ttl};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const POLICIES: [Policy; 3] = [Policy::Lru, Policy::S3Fifo, Policy::Default];
const LONGEST_KEY: usize = 65_536;

fn cache(options: Options) -> Cache {
    Cache::new(options).unwrap()
}

/// The cache checks itself, and holds its budget.
fn check(cache: &Cache) {
    cache.check();
    let stats = cache.stats().unwrap();
    assert!(stats.bytes <= stats.max_bytes, "{stats:?}");
    assert_eq!(stats.entries, cache.len());
}

/// Waits for something that has to come about, for at most ten seconds.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "{what} never came about");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn budgets_out_of_range_are_refused() {
    for bytes in [0, 1, 256 * KIB - 1, 256 << 30 | 1, 1 << 40, u64::MAX] {
        assert!(
            matches!(Cache::new(Options::new(bytes)), Err(Error::InvalidOptions(_))),
            "{bytes}"
        );
    }
    for stripes in [3, 257, 512, usize::MAX] {
        assert!(matches!(
            Cache::new(Options { stripes, ..Options::new(MIB) }),
            Err(Error::InvalidOptions(_))
        ));
    }
    let zero = Options { default_ttl: Some(Duration::ZERO), ..Options::new(MIB) };
    assert!(matches!(Cache::new(zero), Err(Error::InvalidOptions(_))));
    let cache = cache(Options::new(MIB));
    for bytes in [0, 256 * KIB - 1, u64::MAX] {
        assert!(matches!(cache.resize(bytes), Err(Error::InvalidOptions(_))), "{bytes}");
    }
    assert_eq!(cache.stats().unwrap().max_bytes, MIB);
}

/// Whatever number of stripes is accepted for a budget, a set works for any value up to a quarter
/// of it, and the next get sees it.
#[test]
fn every_cache_that_can_be_made_can_be_used() {
    let mut accepted = 0;
    for budget in [256 * KIB, 300_001, 512 * KIB, MIB, 3 * MIB, 4 * MIB] {
        for stripes in (0..=8).map(|shift| 1usize << shift).chain([0]) {
            for policy in POLICIES {
                let cache = match Cache::new(Options { policy, stripes, ..Options::new(budget) }) {
                    Ok(cache) => cache,
                    Err(Error::InvalidOptions(_)) if stripes > 1 => continue,
                    Err(error) => panic!("{budget} bytes, {stripes} stripes: {error}"),
                };
                accepted += 1;
                let mut rng = Rng(budget ^ stripes as u64);
                let mut value = Vec::new();
                for i in 0..600u64 {
                    let largest = budget as usize / 4 - PREFIX;
                    let filling = match i % 20 {
                        0 => largest,
                        1 => largest - 1,
                        2 => 0,
                        _ => rng.size(largest as u64),
                    };
                    fill_value(&mut value, i, i, filling);
                    let set = cache.set(&key_bytes(i), &value);
                    assert_eq!(
                        set,
                        Ok(()),
                        "{budget} bytes, {stripes} stripes, {policy:?}: set {i} of {} bytes",
                        value.len()
                    );
                    let Some(got) = cache.get(&key_bytes(i)) else {
                        panic!(
                            "{budget} bytes, {stripes} stripes, {policy:?}: set {i} of {} bytes is gone",
                            value.len()
                        );
                    };
                    assert_eq!(version_of(i, &got), i);
                    if i % 50 == 0 {
                        check(&cache);
                    }
                }
                check(&cache);
            }
        }
    }
    assert!(accepted > 80, "{accepted}");
}

#[test]
fn a_value_may_be_a_quarter_of_the_budget_and_no_more() {
    for budget in [256 * KIB, MIB, 5 * MIB + 12_345] {
        for policy in POLICIES {
            let cache = cache(Options { policy, ..Options::new(budget) });
            let value = vec![7; budget as usize / 4];
            for i in 0..20u64 {
                cache.set(&i.to_le_bytes(), &value).unwrap();
                assert_eq!(cache.get(&i.to_le_bytes()).as_ref(), Some(&value));
                check(&cache);
            }
            // The last ones are still there: three of four quarters are room for values.
            assert!(cache.len() >= 2, "{}", cache.len());
            let longer = vec![7; budget as usize / 4 + 1];
            assert_eq!(cache.set(b"longer", &longer), Err(Error::ValueTooLarge));
            assert_eq!(cache.get(b"longer"), None);
            // With the longest key as well.
            let key = vec![b'k'; LONGEST_KEY];
            cache.set(&key, &value).unwrap();
            assert_eq!(cache.get(&key).as_ref(), Some(&value));
            check(&cache);
        }
    }
}

#[test]
fn keys_and_values_of_no_bytes_and_of_the_most() {
    for budget in [256 * KIB, MIB, 64 * MIB] {
        let cache = cache(Options::new(budget));
        let longest = vec![b'l'; LONGEST_KEY];
        let almost = vec![b'l'; LONGEST_KEY - 1];
        cache.set(b"", b"").unwrap();
        assert_eq!(cache.get(b""), Some(Vec::new()));
        cache.set(b"", b"x").unwrap();
        cache.set(b"empty", b"").unwrap();
        cache.set(&longest, b"").unwrap();
        cache.set(&almost, b"almost").unwrap();
        assert_eq!(cache.get(b""), Some(b"x".to_vec()));
        assert_eq!(cache.get(b"empty"), Some(Vec::new()));
        assert_eq!(&*cache.view(b"empty").unwrap().unwrap(), b"");
        assert_eq!(cache.get(&longest), Some(Vec::new()));
        assert_eq!(cache.get(&almost), Some(b"almost".to_vec()));
        assert_eq!(cache.len(), 4);
        let longer = vec![b'l'; LONGEST_KEY + 1];
        assert_eq!(cache.set(&longer, b""), Err(Error::KeyTooLarge));
        assert_eq!(cache.get(&longer), None);
        assert!(!cache.delete(&longer));
        assert!(cache.delete(b"") && !cache.delete(b""));
        assert!(cache.delete(&longest));
        check(&cache);
        // Many of the longest keys.
        for i in 0..40u8 {
            let mut key = longest.clone();
            key[30_000] = i;
            cache.set(&key, &[i]).unwrap();
            assert_eq!(cache.get(&key), Some(vec![i]));
        }
        check(&cache);
    }
}

/// Entries that have no bytes to spare for anything but the key: the most that index and log can
/// have.
#[test]
fn the_smallest_entries_fill_the_cache() {
    for policy in POLICIES {
        let cache = cache(Options { policy, stripes: 1, ..Options::new(MIB) });
        for i in 0..100_000u32 {
            cache.set(&i.to_le_bytes(), b"").unwrap();
            assert!(cache.get(&i.to_le_bytes()).is_some());
        }
        check(&cache);
        // 16 bytes in the log, about 10 in the index, ghosts.
        assert!(cache.len() > 25_000, "{}: {:?}", cache.len(), cache.stats());
    }
}

#[test]
fn a_bound_on_entries_is_exact() {
    for max_entries in [1, 2, 3, 7, 8, 9, 100, 1000] {
        for stripes in [1, 2, 8] {
            for policy in POLICIES {
                let cache =
                    cache(Options { policy, stripes, max_entries, ..Options::new(4 * MIB) });
                let mut rng = Rng(max_entries);
                for i in 0..max_entries * 3 + 50 {
                    cache.set(&key_bytes(i), b"value").unwrap();
                    assert!(cache.get(&key_bytes(i)).is_some(), "the entry that was just set");
                    assert!(cache.len() <= max_entries);
                    // Overwriting needs no place.
                    let again = rng.below(i + 1);
                    let there = cache.get(&key_bytes(again)).is_some();
                    let before = cache.len();
                    if there {
                        cache.set(&key_bytes(again), b"again").unwrap();
                        assert_eq!(cache.len(), before);
                    }
                }
                if stripes == 1 {
                    assert_eq!(cache.len(), max_entries, "{policy:?}");
                }
                check(&cache);
                cache.clear().unwrap();
                // All places are free again.
                for i in 0..max_entries {
                    cache.set(&key_bytes(i), b"value").unwrap();
                }
                assert!(cache.len() <= max_entries);
                check(&cache);
            }
        }
    }
}

/// A bound far beyond what the bytes can hold changes nothing, and costs nothing.
#[test]
fn a_bound_that_bytes_never_reach_is_no_bound() {
    for policy in POLICIES {
        for max_entries in [1 << 20, 1 << 30, 1 << 50, u64::MAX] {
            let before = resident_bytes();
            let cache = cache(Options { policy, stripes: 2, max_entries, ..Options::new(MIB) });
            let mut hits = 0;
            for i in 0..60_000u64 {
                cache.set(&key_bytes(i % 20_000), b"value").unwrap();
                hits += u64::from(i > 5 && cache.get(&key_bytes((i - 5) % 20_000)).is_some());
            }
            check(&cache);
            assert!(cache.len() > 5_000, "{policy:?}, {max_entries}: {} entries", cache.len());
            assert!(hits > 50_000, "{policy:?}, {max_entries}: {hits} hits");
            // Generous: other tests run meanwhile, and sanitizers keep what was freed.
            let grown = resident_bytes().saturating_sub(before);
            assert!(grown < 64 * MIB, "{policy:?}, {max_entries}: grown by {grown} bytes");
        }
    }
}

/// Values many times larger than a stripe's share come and go among small ones.
#[test]
fn entries_larger_than_a_stripes_share() {
    for policy in POLICIES {
        let cache = cache(Options { policy, stripes: 8, ..Options::new(4 * MIB) });
        let mut rng = Rng(1);
        let mut value = Vec::new();
        for i in 0..3_000u64 {
            let filling = if rng.one_in(10) { MIB as usize - PREFIX } else { rng.size(4 * KIB) };
            let key = rng.below(500);
            fill_value(&mut value, key, i, filling);
            cache.set(&key_bytes(key), &value).unwrap();
            assert_eq!(version_of(key, &cache.get(&key_bytes(key)).expect("just set")), i);
            if i % 100 == 0 {
                check(&cache);
            }
        }
        check(&cache);
    }
}

/// Shrinks far while four threads set values of all sizes, and grows again. Nothing fails but for
/// want of room, and the budget holds at the end.
#[test]
fn resize_under_load() {
    for policy in POLICIES {
        let cache = cache(Options { policy, ..Options::new(64 * MIB) });
        let done = AtomicBool::new(false);
        let (sets, full) = (AtomicU64::new(0), AtomicU64::new(0));
        let smallest = smallest_size(&cache);
        team(|team| {
            let (cache, done, sets, full) = (&cache, &done, &sets, &full);
            for thread in 0..4u64 {
                team.spawn(move || {
                    let mut rng = Rng(thread);
                    let mut value = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let key = rng.below(5_000) * 4 + thread;
                        fill_value(&mut value, key, 1, rng.size(100 * KIB));
                        match cache.set(&key_bytes(key), &value) {
                            Ok(()) => sets.fetch_add(1, Ordering::Relaxed),
                            Err(Error::Full) => full.fetch_add(1, Ordering::Relaxed),
                            // It may be longer than a quarter of the budget of the moment.
                            Err(Error::ValueTooLarge) => 0,
                            Err(error) => panic!("{error}"),
                        };
                        if let Some(value) = cache.get(&key_bytes(key ^ 4)) {
                            version_of(key ^ 4, &value);
                        }
                    }
                });
            }
            let _over = Over(done);
            let pause = || std::thread::sleep(stress() / 20);
            for bytes in [32 * MIB, 64 * MIB, 4 * MIB, smallest, 64 * MIB, smallest] {
                pause();
                match cache.resize(bytes) {
                    Ok(()) => {
                        let stats = cache.stats().unwrap();
                        assert!(stats.bytes <= bytes, "{stats:?}");
                    }
                    Err(Error::Full) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            pause();
        });
        cache.resize(smallest).unwrap();
        check(&cache);
        let stats = cache.stats().unwrap();
        assert_eq!(stats.max_bytes, smallest);
        let (sets, full) = (sets.into_inner(), full.into_inner());
        assert!(full * 50 <= sets, "{full} of {sets} sets found no room");
        // It is of use at its smallest, too.
        let mut value = Vec::new();
        for key in 0..200 {
            fill_value(&mut value, key, 2, (key * 80) as usize);
            cache.set(&key_bytes(key), &value).unwrap();
            assert_eq!(version_of(key, &cache.get(&key_bytes(key)).unwrap()), 2);
        }
        check(&cache);
    }
}

/// The smallest budget that the cache can be resized to.
fn smallest_size(cache: &Cache) -> u64 {
    let first = cache.stats().unwrap().max_bytes;
    let mut bytes = 256 * KIB;
    while let Err(error) = cache.resize(bytes) {
        assert!(matches!(error, Error::InvalidOptions(_)), "{error}");
        bytes += 64 * KIB;
        assert!(bytes <= first / 16, "a cache of {first} bytes can't be resized to {bytes}");
    }
    cache.resize(first).unwrap();
    bytes
}

/// A cache full of the smallest entries, with the largest index and ghosts, becomes a small one and
/// works.
#[test]
fn index_and_ghosts_shrink_with_the_budget() {
    for policy in POLICIES {
        let cache = cache(Options { policy, ..Options::new(64 * MIB) });
        let smallest = smallest_size(&cache);
        for i in 0..2_000_000u32 {
            cache.set(&i.to_le_bytes(), b"").unwrap();
        }
        for bytes in [8 * MIB, smallest] {
            cache.resize(bytes).unwrap();
            check(&cache);
            for i in 0..2_000u32 {
                cache.set(&i.to_le_bytes(), b"again").unwrap();
                assert!(
                    cache.get(&i.to_le_bytes()).is_some(),
                    "{policy:?}, {bytes}: set {i} is gone"
                );
            }
            check(&cache);
            // At its smallest, open segments take nearly all of it.
            let least = if bytes == smallest { 20 } else { 1_000 };
            assert!(cache.len() >= least, "{policy:?}, {bytes}: {} entries", cache.len());
        }
    }
}

/// Sets that wait for room, because views hold all there is, end when the cache is closed under
/// them.
#[test]
fn close_while_sets_wait_for_room() {
    for _ in 0..3 {
        let cache = cache(Options { stripes: 1, ..Options::new(MIB) });
        let value = vec![1; 200 << 10];
        let mut views = Vec::new();
        for i in 0..4u64 {
            cache.set(&i.to_le_bytes(), &value).unwrap();
            views.extend(cache.view(&i.to_le_bytes()).unwrap());
        }
        let started = AtomicU64::new(0);
        team(|team| {
            let (cache, value, started) = (&cache, &value, &started);
            for i in 0..3u64 {
                team.spawn(move || {
                    started.fetch_add(1, Ordering::Relaxed);
                    loop {
                        match cache.set(&(100 + i).to_le_bytes(), value) {
                            Err(Error::Closed) => return,
                            Err(Error::Full) => {}
                            other => panic!("there is no room, but {other:?}"),
                        }
                    }
                });
            }
            while started.load(Ordering::Relaxed) < 3 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(20));
            cache.close();
        });
        assert_eq!(views.len(), 4);
        assert!(views.iter().all(|view| **view == value[..]));
    }
}

/// When the views go, the room they held can be used.
#[test]
fn room_held_by_views_comes_back() {
    for len in [1_000, 200 << 10] {
        let cache = cache(Options { stripes: 1, ..Options::new(MIB) });
        let value = vec![1; len];
        let mut views = Vec::new();
        let mut i = 0u64;
        loop {
            match cache.set(&i.to_le_bytes(), &value) {
                Ok(()) => views.extend(cache.view(&i.to_le_bytes()).unwrap()),
                Err(Error::Full) => break,
                Err(error) => panic!("{error}"),
            }
            i += 1;
            assert!(i < 2_000, "views hold nothing");
        }
        assert!(cache.stats().unwrap().bytes <= MIB);
        assert!(views.iter().all(|view| **view == value[..]), "a view has changed");
        drop(views);
        for i in 0..i {
            cache.set(&i.to_le_bytes(), &value).unwrap();
        }
        check(&cache);
    }
}

/// By the real clock: nothing is returned after its time, by any way of reading.
#[test]
fn nothing_expired_is_returned() {
    let cache = cache(Options {
        stripes: 2,
        default_ttl: Some(Duration::from_millis(40)),
        ..Options::new(4 * MIB)
    });
    let mut latest = Vec::new();
    for key in 0..400u64 {
        let ttl = match key % 4 {
            0 => Ttl::Millis(1),
            1 => Ttl::Millis(key),
            2 => Ttl::Default,
            _ => Ttl::Never,
        };
        cache.set_ttl(&key_bytes(key), &[9; 100], ttl).unwrap();
        latest.push(match ttl {
            Ttl::Millis(ttl) => now() + ttl,
            Ttl::Default => now() + 40,
            Ttl::Never => u64::MAX,
        });
    }
    let end = now() + 500;
    let mut alive = 0;
    while now() < end {
        for key in 0..400u64 {
            let before = now();
            let key_bytes = key_bytes(key);
            let found = match key % 3 {
                0 => cache.get(&key_bytes).is_some(),
                1 => cache.view(&key_bytes).unwrap().is_some(),
                _ => fast_get(&cache, &key_bytes, &mut Vec::with_capacity(100)) == Ok(true),
            };
            let latest = latest[key as usize];
            assert!(
                !found || before < latest,
                "key {key} was returned {} ms after its time",
                before - latest
            );
            assert!(found || latest != u64::MAX || key % 3 == 2, "key {key} has no deadline");
            alive += u64::from(found && latest != u64::MAX);
        }
        let before = now();
        cache.for_each(|bytes, _| {
            assert!(before < latest[key_of(bytes) as usize], "visited after its time")
        });
    }
    assert!(alive > 0);
    assert!(!cache.delete(&key_bytes(1)), "an expired entry was deleted");
    cache.set_ttl(b"over", b"old", Ttl::Millis(1)).unwrap();
    cache.set_ttl(b"over", b"new", Ttl::Never).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(
        cache.get(b"over"),
        Some(b"new".to_vec()),
        "the old deadline has gone with the old value"
    );
    cache.set_ttl(b"over", b"old", Ttl::Never).unwrap();
    cache.set_ttl(b"over", b"new", Ttl::Millis(1)).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(cache.get(b"over"), None, "the old value doesn't come back");
    check(&cache);
}

/// What has expired is given back by the maintenance thread, without a call of anybody.
#[test]
fn expired_bytes_are_given_back() {
    for fast in [false, true] {
        let cache = cache(Options { stripes: 2, ..Options::new(8 * MIB) });
        // The thread is awake or asleep, whatever other tests have stored: both are tried.
        std::thread::sleep(Duration::from_millis(if fast { 0 } else { 50 }));
        let value = vec![5; 1_000];
        for round in 0..3 {
            for i in 0..4_000u64 {
                let done = fast && fast_set(&cache, &key_bytes(i), &value, Some(20)).is_ok();
                if !done {
                    cache.set_ttl(&key_bytes(i), &value, Ttl::Millis(20)).unwrap();
                }
            }
            eventually("an empty cache", || cache.is_empty());
            let stats = cache.stats().unwrap();
            assert!(stats.dead_bytes < MIB, "round {round}: {stats:?}");
            check(&cache);
        }
        let stats = cache.stats().unwrap();
        // Some may have been overwritten or drained after their time, all of them count.
        assert!(stats.expirations > 0, "{stats:?}");
        assert_eq!(stats.evictions, 0, "expired entries were in the way of new ones: {stats:?}");
    }
}

/// A log that grows slowly must not close its segments half empty because their stamps have grown
/// old.
#[test]
fn nothing_but_new_keys_fill_a_small_cache() {
    for stripes in [1, 2, 4] {
        let cache = Cache::new(Options { stripes, ..Options::new(1_200_000) }).unwrap();
        for i in 0..400_000u64 {
            cache.set(&[&i.to_le_bytes()[..], &[7; 16]].concat(), &[1; 64]).unwrap();
        }
        let stats = cache.stats().unwrap();
        let live = stats.live_bytes * 100 / stats.max_bytes;
        assert!(live >= [76, 70, 60][stripes / 2], "{stripes} stripes: {live} per cent");
        cache.check();
    }
}
