//! The fast path decides as the slow one does: what it can't carry out isn't lost.

use larder::{Cache, Options, Policy};

/// How a test stores.
type Set = fn(&Cache, &[u8], &[u8]);

fn by_the_slow_door(cache: &Cache, key: &[u8], value: &[u8]) {
    cache.set(key, value).unwrap();
}

/// Like Go.
fn by_the_fast_door(cache: &Cache, key: &[u8], value: &[u8]) {
    if !cache.set_by_the_fast_door(key, value) {
        cache.set(key, value).unwrap();
    }
}

/// Hits of 200,000 gets of a loop of 1000 keys after a scan, with 300 entries in one stripe.
fn hits(value: &[u8], set: Set) -> u64 {
    let options = Options {
        max_entries: 300,
        stripes: 1,
        policy: Policy::Cellar,
        seed: Some(1),
        ..Options::new(16 << 20)
    };
    let cache = Cache::new(options).unwrap();
    let scan = (0..50_000).map(|i| i + 1_000_000);
    let rounds = (0..200_000).map(|i| i % 1000);
    for key in scan.chain(rounds).map(u64::to_le_bytes) {
        if cache.get(&key).is_none() {
            set(&cache, &key, value);
        }
    }
    cache.check();
    cache.stats().unwrap().hits
}

fn assert_alike(value: &[u8]) {
    let [fast, slow] = [by_the_fast_door as Set, by_the_slow_door].map(|set| hits(value, set));
    assert!(slow > 40_000, "{slow}");
    assert!(fast.abs_diff(slow) < slow / 100, "{fast} {slow}");
}

#[test]
fn a_loop_after_a_scan_is_found_with_many_entries_to_a_segment() {
    assert_alike(b"8 bytes.");
}

#[test]
fn a_loop_after_a_scan_is_found_with_few_entries_to_a_segment() {
    assert_alike(&[7; 3000]);
}

#[test]
fn a_ruling_is_void_when_its_entry_is_gone() {
    let options = Options {
        max_entries: 300,
        stripes: 1,
        policy: Policy::Cellar,
        seed: Some(1),
        ..Options::new(16 << 20)
    };
    let cache = Cache::new(options).unwrap();
    let mut random = 1u64;
    let mut busy = 0;
    for i in 0..200_000u64 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = ((random >> 33) % 200 + (random >> 50) % 300).to_le_bytes();
        if cache.get(&key).is_none() && !cache.set_by_the_fast_door(&key, &[7; 3000]) {
            // Somebody else comes by the slow path first, and takes away what the ruling may be
            // about.
            busy += 1;
            match busy % 3 {
                0 if busy % 999 == 0 => cache.clear().unwrap(),
                0 => cache.set(&key, b"short").unwrap(),
                _ => drop((0..300u64).find(|key| cache.delete(&(key + i % 200).to_le_bytes()))),
            }
            cache.check();
        }
    }
    assert!(busy > 1000, "{busy}");
}

#[test]
fn new_keys_come_by_the_fast_door_while_the_index_grows() {
    let cache = Cache::new(Options { stripes: 1, ..Options::new(32 << 20) }).unwrap();
    let busy = (0..100_000u64).filter(|i| {
        let fast = cache.set_by_the_fast_door(&i.to_le_bytes(), b"a value");
        if !fast {
            cache.set(&i.to_le_bytes(), b"a value").unwrap();
        }
        !fast
    });
    // Each segment and each growth begins by the slow one; going on with a growth took it a third
    // of the time.
    let busy = busy.count();
    assert!(busy < 2_000, "{busy}");
    cache.check();
    assert_eq!(cache.stats().unwrap().entries, 100_000);
    assert!((0..100_000u64).all(|i| cache.get(&i.to_le_bytes()).is_some()));
}
