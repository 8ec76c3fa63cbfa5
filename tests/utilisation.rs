//! What is dead makes way before anything that lives is evicted.
#![allow(missing_docs)]

mod support;

use larder::{Cache, Options};
use support::*;

/// Overwrites keys with values of varying size, whose live bytes and index are so many hundredths
/// of the budget, and returns evictions for each set.
fn evictions_at(hundredths: u64, max_bytes: u64) -> f64 {
    let cache =
        Cache::new(Options { seed: Some(1), stripes: 8, ..Options::new(max_bytes) }).unwrap();
    let mut rng = Rng(7);
    let value = [7; 2048];
    let mut keys = 0;
    let mut stats = cache.stats().unwrap();
    while (stats.live_bytes + stats.index_bytes + stats.bookkeeping_bytes) * 100
        < hundredths * max_bytes
    {
        for _ in 0..16 {
            cache.set(&u64::to_le_bytes(keys), &value[..64 + rng.below(1900) as usize]).unwrap();
            keys += 1;
        }
        stats = cache.stats().unwrap();
    }
    assert_eq!(stats.evictions, 0, "while it filled");
    let mut sets = 0;
    while cache.stats().unwrap().appended_bytes < 6 * max_bytes {
        for _ in 0..256 {
            let key = rng.below(keys);
            cache.set(&key.to_le_bytes(), &value[..64 + rng.below(1900) as usize]).unwrap();
        }
        sets += 256;
    }
    cache.check();
    let stats = cache.stats().unwrap();
    // What that costs: each byte appended may have some copied, but not any number.
    assert!(stats.copied_bytes < 6 * stats.appended_bytes, "{stats:?}");
    stats.evictions as f64 / sets as f64
}

#[test]
fn keys_that_fit_stay() {
    for (hundredths, most) in [(80, 0.0003), (84, 0.0005), (88, 0.0008), (90, 0.001)] {
        let evictions = evictions_at(hundredths, 64 << 20);
        assert!(evictions < most, "{hundredths} %: {evictions} evictions a set");
    }
}

/// What new keys of all sizes leave over is what segments end with: it is not copied about for
/// that.
#[test]
fn without_dead_entries_nothing_is_compacted() {
    let cache =
        Cache::new(Options { seed: Some(1), stripes: 8, ..Options::new(64 << 20) }).unwrap();
    let mut rng = Rng(3);
    let value = [7; 16 << 10];
    for key in 0..40_000u64 {
        let len =
            (64.0 * (rng.below(1 << 20) as f64 / f64::from(1 << 20) * 256f64.ln()).exp()) as usize;
        cache.set(&key.to_le_bytes(), &value[..len]).unwrap();
    }
    let stats = cache.stats().unwrap();
    assert!(stats.evictions > 10_000, "{stats:?}");
    assert!(stats.copied_bytes < stats.appended_bytes / 5, "{stats:?}");
}

/// Live bytes, per cent of the budget, after as many values as four times fill the cache, under new
/// keys or overwriting.
fn live_after(max_bytes: u64, overwrites: bool, mut len: impl FnMut(&mut Rng) -> usize) -> u64 {
    let cache =
        Cache::new(Options { seed: Some(1), stripes: 8, ..Options::new(max_bytes) }).unwrap();
    let mut rng = Rng(5);
    let value = vec![7; 64 << 10];
    let mut fresh = 1 << 40;
    while cache.stats().unwrap().appended_bytes < 4 * max_bytes {
        for _ in 0..16 {
            fresh += 1;
            let key = if overwrites { rng.below(max_bytes / 2048) } else { fresh };
            cache.set(&key.to_le_bytes(), &value[..len(&mut rng)]).unwrap();
        }
    }
    cache.check();
    let stats = cache.stats().unwrap();
    assert!(stats.bytes <= max_bytes && stats.evictions > 0, "{stats:?}");
    stats.live_bytes * 100 / max_bytes
}

#[test]
fn small_entries_fill_what_large_ones_leave() {
    let log_uniform = |rng: &mut Rng| {
        (64.0 * (rng.below(1 << 20) as f64 / f64::from(1 << 20) * 256f64.ln()).exp()) as usize
    };
    for (overwrites, least) in [(false, 95), (true, 91)] {
        let live = live_after(64 << 20, overwrites, log_uniform);
        assert!(live >= least, "overwrites: {overwrites}: {live} %");
    }
}

/// Sizes that fit badly into segments, and into pages.
#[test]
fn large_values_of_one_size_waste_little() {
    for (mib, len) in [(16, 4096), (16, 8192), (64, 8192), (64, 16 << 10), (256, 32 << 10)] {
        let live = live_after(mib << 20, false, |_| len);
        assert!(live >= 92, "{mib} MiB, {len}: {live} %");
    }
}

/// The policy's tables are made for the entries that fit beside index and tables, not for those
/// that would fit without them.
#[test]
fn what_the_policy_remembers_is_for_the_entries_that_fit() {
    let cache =
        Cache::new(Options { seed: Some(1), stripes: 8, ..Options::new(64 << 20) }).unwrap();
    for key in 0..1_000_000u128 {
        cache.set(&key.to_le_bytes(), &[7; 100]).unwrap();
    }
    let stats = cache.stats().unwrap();
    assert!(stats.evictions > 500_000, "{stats:?}");
    // 3.2 for the ghosts, 0.25 for the parts of segments, 0.3 for tables, the rest for pages.
    assert!(stats.bookkeeping_bytes as f64 / (stats.entries as f64) < 4.1, "{stats:?}");
}
