//! Namespaces: their own keys, statistics and bounds in one budget.

use larder::{Ask, Cache, Error, NamespaceOptions, Options, SetOptions};
use std::sync::Arc;

fn parent(mib: u64) -> Cache {
    Cache::new(Options { stripes: 2, seed: Some(7), ..Options::new(mib << 20) }).unwrap()
}

fn small() -> NamespaceOptions {
    NamespaceOptions { stripes: 1, ..NamespaceOptions::default() }
}

fn fill(cache: &Cache, from: u64, to: u64) {
    for i in from..to {
        cache.set(&i.to_le_bytes(), &[i as u8; 200]).unwrap();
    }
}

#[test]
fn keys_and_statistics_are_a_namespaces_own() {
    let cache = parent(4);
    let (a, b) = (cache.namespace("a", small()).unwrap(), cache.namespace("b", small()).unwrap());
    cache.set(b"k", b"parent").unwrap();
    a.set(b"k", b"in a").unwrap();
    assert_eq!(cache.get(b"k").unwrap(), b"parent");
    assert_eq!(a.get(b"k").unwrap(), b"in a");
    assert_eq!(b.get(b"k"), None);
    let (of_a, of_b, of_all) = (a.stats().unwrap(), b.stats().unwrap(), cache.stats().unwrap());
    assert_eq!((of_a.hits, of_a.misses, of_a.sets, of_a.entries), (1, 0, 1, 1));
    assert_eq!((of_b.hits, of_b.misses, of_b.sets, of_b.entries), (0, 1, 0, 0));
    assert_eq!((of_all.hits, of_all.misses, of_all.sets, of_all.namespaces), (1, 0, 1, 2));
    assert_eq!(of_a.bytes, of_a.own_bytes);
    assert!(of_all.bytes >= of_all.own_bytes + of_a.bytes + of_b.bytes);
    a.clear().unwrap();
    assert_eq!((a.len(), cache.len()), (0, 1));
}

#[test]
fn a_name_is_one_namespace_and_its_options_hold() {
    let cache = parent(4);
    let a = cache.namespace("a", NamespaceOptions { max_bytes: 1 << 20, ..small() }).unwrap();
    a.set(b"k", b"v").unwrap();
    let again = cache.namespace("a", NamespaceOptions::default()).unwrap();
    assert!(Arc::ptr_eq(&a, &again));
    drop((a, again));
    assert_eq!(cache.namespace("a", small()).unwrap().get(b"k").unwrap(), b"v");
    let other = NamespaceOptions { max_bytes: 2 << 20, ..small() };
    assert!(matches!(cache.namespace("a", other), Err(Error::InvalidOptions(_))));
    for name in [&b""[..], &[b'x'; 256]] {
        assert!(matches!(cache.namespace(name, small()), Err(Error::InvalidOptions(_))));
    }
    let tiny = NamespaceOptions { max_bytes: 1, ..small() };
    assert!(matches!(cache.namespace("tiny", tiny), Err(Error::InvalidOptions(_))));
    let a = cache.namespace("a", small()).unwrap();
    assert!(matches!(a.namespace("b", small()), Err(Error::InvalidOptions(_))));
    assert_eq!(cache.namespaces().unwrap().len(), 1);
}

#[test]
fn a_bound_holds_under_pressure_and_can_be_changed() {
    let cache = parent(8);
    let a = cache.namespace("a", NamespaceOptions { max_bytes: 1 << 20, ..small() }).unwrap();
    for i in 0..20_000u64 {
        a.set(&i.to_le_bytes(), &[1; 200]).unwrap();
        if i % 64 == 0 {
            let stats = a.stats().unwrap();
            assert!(stats.bytes <= 1 << 20, "{stats:?}");
        }
    }
    assert!(a.stats().unwrap().live_bytes > 600 << 10, "{:?}", a.stats());
    assert_eq!(cache.stats().unwrap().evictions, 0);
    assert_eq!(a.set(b"large", &vec![0; 300 << 10]), Err(Error::ValueTooLarge));
    a.resize(512 << 10).unwrap();
    assert!(a.stats().unwrap().bytes <= 512 << 10);
    a.resize(2 << 20).unwrap();
    fill(&a, 0, 20_000);
    assert!(a.stats().unwrap().bytes > 1 << 20);
    assert!(a.resize(1).is_err());
    a.check();
    cache.check();
}

#[test]
fn a_new_namespace_gets_its_part_of_a_full_cache_and_a_small_one_keeps_its_entries() {
    let cache = parent(8);
    let tiny = cache.namespace("tiny", small()).unwrap();
    fill(&tiny, 0, 500);
    fill(&cache, 0, 100_000);
    assert_eq!(tiny.len(), 500, "a busy neighbour took from one that holds less than its part");
    let late = cache.namespace("late", small()).unwrap();
    fill(&late, 0, 100_000);
    let (of_late, of_all) = (late.stats().unwrap(), cache.stats().unwrap());
    assert_eq!(tiny.len(), 500);
    assert!(of_late.bytes > (8 << 20) / 4, "{of_late:?}");
    assert!(of_all.own_bytes > (8 << 20) / 4, "{of_all:?}");
    assert!(of_all.bytes <= of_all.max_bytes);
    late.set(b"large", &vec![1; 2 << 20]).unwrap();
    assert_eq!(late.get(b"large").unwrap().len(), 2 << 20);
    for it in [&cache, &*tiny, &*late] {
        it.check();
    }
}

#[test]
fn closing_in_any_order_and_views_survive() {
    let cache = parent(4);
    let a = cache.namespace("a", small()).unwrap();
    let b = cache.namespace("b", small()).unwrap();
    let before = cache.stats().unwrap().bytes;
    a.set(b"k", &[7; 1000]).unwrap();
    fill(&a, 0, 5_000);
    a.set(b"k", &[7; 1000]).unwrap();
    let view = a.view(b"k").unwrap().unwrap();
    a.close();
    a.close();
    assert_eq!(a.set(b"k", b"v"), Err(Error::Closed));
    assert_eq!(&*view, &[7; 1000]);
    assert_eq!(cache.stats().unwrap().namespaces, 1);
    let fresh = cache.namespace("a", small()).unwrap();
    assert_eq!(fresh.get(b"k"), None);
    drop(view);
    fresh.close();
    cache.clear().unwrap();
    assert!(cache.stats().unwrap().bytes <= before, "memory of closed namespaces came back");
    b.set(b"k", b"v").unwrap();
    let view = b.view(b"k").unwrap().unwrap();
    cache.close();
    assert_eq!(b.set(b"k", b"v"), Err(Error::Closed));
    assert!(matches!(cache.namespace("c", small()), Err(Error::Closed)));
    assert_eq!(&*view, b"v");
}

#[test]
fn the_number_is_bounded_by_the_budgets_segments_and_by_256() {
    let cache = Cache::new(Options { stripes: 1, ..Options::new(1 << 20) }).unwrap();
    let made = (0..300).take_while(|i| cache.namespace(format!("{i}"), small()).is_ok()).count();
    assert!((8..64).contains(&made), "{made}");
    fill(&cache, 0, 10_000);
    cache.check();
    let cache = parent(64);
    let made = (0..300).take_while(|i| cache.namespace(format!("{i}"), small()).is_ok()).count();
    assert_eq!(made, 256);
}

#[test]
fn made_used_and_closed_from_many_threads() {
    let cache = parent(8);
    std::thread::scope(|scope| {
        for t in 0..4u64 {
            let cache = &cache;
            scope.spawn(move || {
                for round in 0..60u64 {
                    let name = format!("{}", (t + round) % 3);
                    let it = cache.namespace(&name, small()).unwrap();
                    for i in 0..400u64 {
                        match it.set(&i.to_le_bytes(), &[i as u8; 300]) {
                            Ok(()) | Err(Error::Closed) => {}
                            Err(error) => panic!("{error}"),
                        }
                        if let Some(value) = it.get(&i.to_le_bytes()) {
                            assert_eq!(value, [i as u8; 300]);
                        }
                        cache.set(&(t << 32 | round << 16 | i).to_le_bytes(), &[0; 200]).unwrap();
                    }
                    if round % 5 == t {
                        it.close();
                    }
                }
            });
        }
    });
    cache.check();
    assert!(cache.stats().unwrap().bytes <= 8 << 20);
}

#[test]
fn a_version_from_before_a_namespace_was_closed_is_none_of_the_new_ones() {
    let cache = parent(4);
    let ask = Ask { version: true, ..Ask::default() };
    let mut before: Option<u64> = None;
    for _ in 0..20 {
        let it = cache.namespace("n", small()).unwrap();
        it.set(b"key", b"value").unwrap();
        let version = it.get_with(b"key", &mut Vec::new(), ask).unwrap().unwrap().version;
        if let Some(before) = before {
            let swapped = it.compare_and_swap(b"key", b"other", before, &SetOptions::default());
            assert_eq!(swapped, Err(larder::CasError::Conflict));
        }
        let load = it.load_begin(b"other").unwrap();
        let (token, fresh) = (load.token(), matches!(load, larder::Load::Begun(_)));
        assert!(fresh && token != version);
        before = Some(version);
        it.close();
    }
}
