//! Loading by `get_or_insert_with` and `get_or_guard`: one thread fetches, the others wait; what
//! was overtaken isn't stored.

use larder::{Cache, Error, Load, Lookup, Options, SetOptions};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{panic, thread};

fn new() -> Cache {
    Cache::new(Options::new(4 << 20)).unwrap()
}

fn guard<'a>(cache: &'a Cache, key: &[u8]) -> larder::LoadGuard<'a> {
    match cache.get_or_guard(key, None).unwrap() {
        Lookup::Guard(guard) => guard,
        other => panic!("{other:?}"),
    }
}

/// Waits until a thread waits for the load of a key: the leader can see that only by asking as one
/// more.
fn joined(cache: &Cache, key: &[u8]) {
    thread::scope(|scope| {
        let timed_out = scope.spawn(|| {
            matches!(cache.get_or_guard(key, Some(Duration::ZERO)), Ok(Lookup::TimedOut))
        });
        assert!(timed_out.join().unwrap(), "a load is under way");
    });
}

#[test]
fn of_many_threads_one_loads() {
    const THREADS: usize = 8;
    let cache = new();
    for round in 0..100u32 {
        let key = round.to_le_bytes();
        let (loads, start) = (AtomicUsize::new(0), Barrier::new(THREADS));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    let value = cache.get_or_insert_with(&key, &SetOptions::default(), || {
                        loads.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, Error>(b"value".to_vec())
                    });
                    assert_eq!(value.unwrap(), b"value");
                });
            }
        });
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }
    cache.check();
}

#[test]
fn a_load_that_fails_leaves_the_duty_to_the_next() {
    let cache = new();
    let plain = SetOptions::default();
    let failed = cache.get_or_insert_with(b"key", &plain, || {
        Err::<Vec<u8>, Box<dyn std::error::Error>>("down".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "down");
    let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        cache.get_or_insert_with(b"key", &plain, || -> Result<Vec<u8>, Error> {
            panic!("the loader's own")
        })
    }));
    assert!(panicked.is_err());
    // While a thread waits.
    let first = guard(&cache, b"key");
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            cache.get_or_insert_with(b"key", &plain, || Ok::<_, Error>(b"second".to_vec()))
        });
        joined(&cache, b"key");
        drop(first);
        assert_eq!(second.join().unwrap().unwrap(), b"second");
    });
    assert_eq!(cache.get(b"key").unwrap(), b"second");
}

#[test]
fn what_was_overtaken_is_not_stored() {
    let cache = new();
    let old = guard(&cache, b"key");
    assert_eq!(old.key(), b"key");
    cache.set(b"key", b"set").unwrap();
    cache.delete(b"key");
    // Who comes now doesn't wait for the old load, nor is given its value.
    let new = guard(&cache, b"key");
    assert_eq!(old.insert(b"old", &SetOptions::default()), Ok(false));
    assert_eq!(cache.get(b"key"), None);
    joined(&cache, b"key");
    assert_eq!(new.insert(b"new", &SetOptions::default()), Ok(true));
    assert_eq!(cache.get(b"key").unwrap(), b"new");
}

#[test]
fn who_waits_is_given_a_value_that_could_not_be_stored() {
    let cache = new();
    let huge = vec![7; 2 << 20];
    let waits = || {
        let first = guard(&cache, b"key");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| cache.get_or_guard(b"key", None).unwrap());
            joined(&cache, b"key");
            assert_eq!(first.insert(&huge, &SetOptions::default()), Err(Error::ValueTooLarge));
            match waiter.join().unwrap() {
                Lookup::Value(value) => {
                    assert_eq!(value, huge);
                    true
                }
                // It came too late to wait.
                _ => false,
            }
        })
    };
    assert!((0..10_000).any(|_| waits()), "nobody who waited was given the value");
    let value =
        cache.get_or_insert_with(b"key", &SetOptions::default(), || Ok::<_, Error>(huge.clone()));
    assert_eq!(value.unwrap(), huge);
    assert!(cache.is_empty());
}

#[test]
fn a_load_inside_its_own_runs_again_and_is_not_stored() {
    let cache = new();
    let plain = SetOptions::default();
    let value = cache.get_or_insert_with(b"key", &plain, || {
        cache.get_or_insert_with(b"key", &plain, || Ok::<_, Error>(b"inner".to_vec()))
    });
    assert_eq!(value.unwrap(), b"inner");
    assert_eq!(cache.get(b"key").unwrap(), b"inner");
}

#[test]
fn a_load_that_is_no_flight_is_not_waited_for() {
    let cache = new();
    let Ok(Load::Begun(token)) = cache.load_begin(b"key") else { panic!("nobody else loads") };
    let alone = guard(&cache, b"key");
    assert_eq!(alone.insert(b"alone", &SetOptions::default()), Ok(false));
    assert_eq!(cache.load_end(b"key", token, b"value", &SetOptions::default()), Ok(true));
    assert_eq!(cache.get(b"key").unwrap(), b"value");
}

#[test]
fn a_closed_cache_and_a_long_key_are_refused_before_the_load() {
    let cache = new();
    let plain = SetOptions::default();
    let refuse = |key: &[u8]| {
        cache.get_or_insert_with(key, &plain, || -> Result<_, Error> { panic!("loads") })
    };
    assert_eq!(refuse(&vec![0; (64 << 10) + 1]), Err(Error::KeyTooLarge));
    let under_way = guard(&cache, b"other");
    cache.close();
    assert_eq!(refuse(b"key"), Err(Error::Closed));
    assert_eq!(under_way.insert(b"late", &plain), Err(Error::Closed));
}
