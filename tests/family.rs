//! A cache and its namespaces keep to their budget, and make use of it, whatever is done to them.

use larder::{Cache, Error, NamespaceOptions, Options, Policy};
use std::sync::Arc;

mod support;
use support::Rng;

const MIB: u64 = 1 << 20;

fn key(i: u64) -> [u8; 8] {
    i.to_le_bytes()
}

/// Sets so many entries of 100 bytes, none of which may fail.
fn fill(cache: &Cache, entries: u64) {
    (0..entries).for_each(|i| cache.set(&key(i), &[i as u8; 100]).unwrap());
}

fn found(cache: &Cache, entries: u64) -> u64 {
    (0..entries).filter(|&i| cache.get(&key(i)).is_some()).count() as u64
}

/// A family of so many namespaces, each filled in turn and then idle.
fn family(
    max_bytes: u64,
    namespaces: usize,
    entries: u64,
    options: &NamespaceOptions,
) -> (Cache, Vec<Arc<Cache>>) {
    let cache = Cache::new(Options { seed: Some(7), ..Options::new(max_bytes) }).unwrap();
    let all: Vec<_> = (0..namespaces)
        .map(|i| cache.namespace(format!("{i}"), options.clone()).unwrap())
        .collect();
    for it in &all {
        fill(it, entries);
        cache.check();
    }
    (cache, all)
}

#[test]
fn idle_namespaces_keep_what_a_single_cache_would() {
    for (namespaces, entries) in [(100, 3_000), (30, 10_000), (10, 30_000)] {
        let single = Cache::new(Options { seed: Some(7), ..Options::new(64 * MIB) }).unwrap();
        fill(&single, namespaces * entries);
        let by_one = found(&single, namespaces * entries);
        let (cache, all) =
            family(64 * MIB, namespaces as usize, entries, &NamespaceOptions::default());
        let by_all: u64 = all.iter().map(|it| found(it, entries)).sum();
        assert!(by_all * 100 >= by_one * 85, "{by_all} of {by_one}: {:?}", cache.stats());
        all.iter().for_each(|it| it.check());
    }
}

#[test]
fn a_full_family_holds_nearly_as_much_as_a_single_cache() {
    for namespaces in [4, 16, 64] {
        // Twice what there is room for.
        let entries = 64 * MIB / 60 / namespaces;
        let single = Cache::new(Options { seed: Some(7), ..Options::new(64 * MIB) }).unwrap();
        fill(&single, namespaces * entries);
        let (cache, all) =
            family(64 * MIB, namespaces as usize, entries, &NamespaceOptions::default());
        let live: u64 = all.iter().map(|it| it.stats().unwrap().live_bytes).sum();
        let by_one = single.stats().unwrap().live_bytes;
        assert!(live * 100 >= by_one * 85, "{namespaces}: {live} of {by_one}: {:?}", cache.stats());
    }
}

#[test]
fn a_family_that_is_resized_fits_and_goes_on() {
    let small = |policy| NamespaceOptions { stripes: 1, policy, ..NamespaceOptions::default() };
    let families = [
        (4, 16, 1, small(Policy::Lru)),
        (16, 64, 1, small(Policy::Cellar)),
        (32, 200, 1, small(Policy::S3Fifo)),
        (64, 100, 3_000, NamespaceOptions::default()),
    ];
    for (mib, namespaces, entries, options) in families {
        let (cache, all) = family(mib * MIB, namespaces, entries, &options);
        // The smallest that is accepted, to a segment.
        let (mut least, mut most) = (0, mib * MIB);
        while most - least > 16 << 10 {
            let middle = (least + most) / 2;
            match cache.resize(middle) {
                Ok(()) => most = middle,
                Err(Error::InvalidOptions(_)) => least = middle,
                Err(error) => panic!("{middle} of {mib} MiB: {error}"),
            }
            cache.check();
        }
        cache.resize(most).unwrap();
        for round in 0..3 {
            all.iter()
                .chain([&Arc::new(cache.namespace("0", options.clone()).unwrap())].map(|it| &**it))
                .for_each(|it| {
                    it.set(&key(round), &[1; 100])
                        .unwrap_or_else(|error| panic!("{mib} MiB at {most}: {error}"));
                });
            cache
                .set(&key(round), &vec![1; most as usize / 4])
                .unwrap_or_else(|error| panic!("{mib} at {most}: {error}"));
            cache.check();
        }
        cache.resize(mib * MIB).unwrap();
        all.iter().for_each(|it| fill(it, entries));
        cache.check();
    }
}

#[test]
fn of_namespaces_made_at_once_no_more_come_than_can_live() {
    let cache = Cache::new(Options { stripes: 1, ..Options::new(MIB) }).unwrap();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for t in 0..16 {
                let cache = &cache;
                scope.spawn(move || {
                    let options = NamespaceOptions { stripes: 1, ..NamespaceOptions::default() };
                    for i in 0..8 {
                        let _ = cache.namespace(format!("{t} {i}"), options.clone());
                    }
                });
            }
        });
        // As many as there are can be at this size: it could be set.
        cache.resize(MIB).unwrap();
        for (_, it) in cache.namespaces().unwrap() {
            it.set(b"key", b"value").unwrap();
        }
        cache.check();
        cache.namespaces().unwrap().iter().for_each(|(_, it)| it.close());
    }
}

/// Everything at random. Nothing fails that isn't out of range, and the budget holds after each
/// step.
#[test]
fn anything_may_be_done_to_a_family() {
    let seed = std::env::var("LARDER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for run in 0..4 {
        let mut rng = Rng(seed + run);
        let mut max = (1 << rng.below(4)) * 4 * MIB;
        let most = [4, 30, 100, 256][run as usize % 4];
        let cache = Cache::new(Options {
            stripes: 1 << rng.below(3),
            seed: Some(run),
            ..Options::new(max)
        })
        .unwrap();
        let mut open: Vec<Arc<Cache>> = Vec::new();
        for step in 0..300 {
            let said = format!("seed {seed}, run {run}, step {step}");
            match rng.below(12) {
                0..3 if open.len() < most => {
                    let options = NamespaceOptions {
                        max_bytes: if rng.below(4) == 0 { max / (2 + rng.below(20)) } else { 0 },
                        max_entries: if rng.below(4) == 0 { 1 + rng.below(5_000) } else { 0 },
                        policy: [Policy::Default, Policy::Lru, Policy::S3Fifo]
                            [rng.below(3) as usize],
                        stripes: [0, 1, 2, 4][rng.below(4) as usize],
                        ..NamespaceOptions::default()
                    };
                    match cache.namespace(format!("{step}"), options) {
                        Ok(it) => open.push(it),
                        Err(Error::InvalidOptions(_)) => {}
                        Err(error) => panic!("{said}: {error}"),
                    }
                }
                3 if !open.is_empty() => {
                    let gone = open.swap_remove(rng.below(open.len() as u64) as usize);
                    gone.close();
                }
                4 if !open.is_empty() => {
                    open[rng.below(open.len() as u64) as usize].clear().unwrap()
                }
                5 => {
                    let wanted = (max / 4 + rng.below(max * 2)).min(64 * MIB);
                    match cache.resize(wanted) {
                        Ok(()) => max = wanted,
                        Err(Error::InvalidOptions(_)) => {}
                        Err(error) => panic!("{said}: {error}"),
                    }
                }
                6 if !open.is_empty() => {
                    let it = &open[rng.below(open.len() as u64) as usize];
                    match it.resize(max / (1 + rng.below(50))) {
                        Ok(()) | Err(Error::InvalidOptions(_)) => {}
                        Err(error) => panic!("{said}: {error}"),
                    }
                }
                7 if !open.is_empty() => {
                    let it = &open[rng.below(open.len() as u64) as usize];
                    for i in 0..2_000 {
                        it.delete(&key(i));
                    }
                }
                _ => {
                    let it = open
                        .get(rng.below(open.len() as u64 + 1) as usize)
                        .map_or(&cache, |it| &**it);
                    let len = [20, 100, 1_000, 20_000][rng.below(4) as usize];
                    for i in 0..(1 + rng.below(60_000) / (1 + len as u64 / 100)) {
                        match it.set(&key(i), &vec![i as u8; len]) {
                            // A quarter of the bound, or of the budget.
                            Ok(()) | Err(Error::ValueTooLarge) => {}
                            Err(error) => {
                                panic!("{said}: a set of {len} in {:?}: {error}", it.stats())
                            }
                        }
                    }
                }
            }
            cache.check();
        }
        open.iter().for_each(|it| it.check());
    }
}
