//! Small sets of large caches wait to be completed (`src/stripe/deferred/write_buffer.rs`): whoever
//! asks, by whatever way, finds them done.

mod support;

use larder::{Ask, Cache, Clock, Load, MockClock, Options, Reasons, SetOptions};
use std::time::Duration;
use support::*;

/// One stripe, so that what waits is known: the last two sets.
fn large() -> Cache {
    Cache::new(Options { stripes: 1, ..Options::new(64 << 20) }).unwrap()
}

fn set(cache: &Cache, key: &[u8], value: &[u8]) {
    fast_set(cache, key, value, None).unwrap();
}

fn get(cache: &Cache, key: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = Vec::with_capacity(512);
    fast_get(cache, key, &mut buffer).unwrap().then_some(buffer)
}

/// A cache in which "old" was overwritten and "new" set, and both wait.
fn waiting() -> Cache {
    let cache = large();
    cache.set(b"old", b"1").unwrap();
    set(&cache, b"old", b"2");
    set(&cache, b"new", b"3");
    cache
}

#[test]
fn gets_find_them() {
    for key in [&b"old"[..], b"new"] {
        let expected = if key == b"old" { b"2" } else { b"3" };
        assert_eq!(get(&waiting(), key).unwrap(), expected);
        assert_eq!(waiting().get(key).unwrap(), expected);
        assert_eq!(&*waiting().view(key).unwrap().unwrap(), expected);
        // By the fast path many keys are got as far as none of them waits.
        let cache = waiting();
        assert_eq!(fast_get_many(&cache, &[b"none", key]), [None]);
        assert_eq!(cache.len(), 2);
        assert_eq!(fast_get_many(&cache, &[b"none", key]), [None, Some(expected.to_vec())]);
        let cache = waiting();
        let mut out = Vec::new();
        let info =
            cache.get_with(key, &mut out, Ask { lease: false, version: true }).unwrap().unwrap();
        assert!(info.version > 0 && out == expected);
    }
    assert_eq!(get(&waiting(), b"none"), None);
}

#[test]
fn deletes_find_them() {
    for key in [&b"old"[..], b"new"] {
        let cache = waiting();
        // The last entry of its segment can't be deleted by the fast path; here there is another.
        assert!(fast_delete(&cache, key).unwrap());
        assert_eq!((get(&cache, key), cache.len()), (None, 1));
        let cache = waiting();
        assert!(cache.delete(key) && !cache.delete(key));
        assert_eq!((get(&cache, key), cache.len()), (None, 1));
        let stats = cache.stats().unwrap();
        assert_eq!((stats.sets, stats.deletes), (3, 1));
    }
}

#[test]
fn whoever_looks_at_all_entries_finds_them() {
    assert_eq!(waiting().len(), 2);
    let stats = waiting().stats().unwrap();
    assert_eq!((stats.sets, stats.entries), (3, 2));
    assert!(stats.appended_bytes > 0 && stats.live_bytes > 0);
    let mut seen = Vec::new();
    waiting().for_each(|key, value| seen.push((key.to_vec(), value.to_vec())));
    seen.sort();
    assert_eq!(seen, [(b"new".to_vec(), b"3".to_vec()), (b"old".to_vec(), b"2".to_vec())]);
    let cache = waiting();
    cache.clear().unwrap();
    assert_eq!((cache.len(), get(&cache, b"old"), get(&cache, b"new")), (0, None, None));
    assert_eq!(cache.stats().unwrap().sets, 3);
    cache.check();
}

#[test]
fn what_depends_on_an_entry_finds_them() {
    let options = SetOptions::default();
    let cache = waiting();
    assert!(!cache.add(b"new", b"4", &options).unwrap());
    assert!(cache.touch(b"new", Duration::from_secs(9)).unwrap());
    assert_eq!(cache.increment(b"old", 5, &options).unwrap(), 7);
    set(&cache, b"old", b"8");
    assert_eq!(cache.increment(b"old", 1, &options).unwrap(), 9);
    // A load that begins after a set isn't superseded by it; one that began before is.
    set(&cache, b"old", b"10");
    let Ok(Load::Begun(token)) = cache.load_begin(b"old") else { panic!("nobody else loads") };
    for i in 0..4u8 {
        set(&cache, &[i], b"another");
    }
    assert!(cache.load_end(b"old", token, b"11", &options).unwrap());
    let token = cache.load_begin(b"old").unwrap().token();
    if fast_set(&cache, b"old", b"12", None).is_err() {
        cache.set(b"old", b"12").unwrap();
    }
    assert!(!cache.load_end(b"old", token, b"13", &options).unwrap());
    assert_eq!(get(&cache, b"old").unwrap(), b"12");
}

#[test]
fn the_last_of_several_sets_stays() {
    let cache = large();
    for i in 0..100u32 {
        set(&cache, b"key", &i.to_le_bytes());
        if i.is_multiple_of(3) {
            // By the slow path, and by the fast one but too large to wait.
            cache.set(b"key", &[i as u8]).unwrap();
            set(&cache, b"key", &[i as u8; 300]);
        }
        if i.is_multiple_of(7) {
            let expected =
                if i.is_multiple_of(3) { vec![i as u8; 300] } else { i.to_le_bytes().to_vec() };
            assert_eq!(get(&cache, b"key").unwrap(), expected);
        }
    }
    assert_eq!(get(&cache, b"key").unwrap(), [99; 300]);
    assert_eq!((cache.len(), cache.stats().unwrap().sets), (1, 100 + 34 * 2));
}

#[test]
fn they_expire() {
    let clock = MockClock::default();
    let cache = Cache::new(Options {
        stripes: 1,
        clock: Clock::Mock(clock.clone()),
        ..Options::new(64 << 20)
    })
    .unwrap();
    cache.set_ttl(b"awake", b"", Duration::from_secs(3600)).unwrap();
    if fast_set(&cache, b"key", b"value", Some(50)).is_err() {
        cache.set_ttl(b"key", b"value", Duration::from_millis(50)).unwrap();
    }
    assert_eq!(get(&cache, b"key").unwrap(), b"value");
    let _ = fast_set(&cache, b"key", b"another", Some(50));
    clock.advance(51);
    assert_eq!(cache.get(b"key"), None);
    cache.check();
}

/// Sets that nobody asks for fill the cache and push others out as any.
#[test]
fn a_full_cache_keeps_to_its_budget_and_its_order() {
    let cache = large();
    let value = [7; 200];
    let mut busy = 0;
    for i in 0..600_000u64 {
        if fast_set(&cache, &i.to_le_bytes(), &value, None).is_err() {
            busy += 1;
            cache.set(&i.to_le_bytes(), &value).unwrap();
        }
    }
    let stats = cache.stats().unwrap();
    assert_eq!(stats.sets, 600_000);
    assert_eq!(stats.entries + stats.evictions, 600_000);
    assert!(stats.bytes <= stats.max_bytes && stats.live_bytes > 50 << 20, "{stats:?}");
    assert!(busy < 200_000, "{busy}");
    cache.check();
}

/// Whoever listens hears of a set when it has returned.
#[test]
fn none_waits_where_there_are_events() {
    let options = Options {
        stripes: 1,
        event_bytes: 1 << 16,
        events: Reasons::ALL,
        ..Options::new(64 << 20)
    };
    let cache = Cache::new(options).unwrap();
    cache.set(b"key", b"1").unwrap();
    set(&cache, b"key", b"2");
    let mut heard = 0;
    cache.drain_events(|_| heard += 1).unwrap();
    assert_eq!(heard, 1);
}
