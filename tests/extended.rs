//! What can be said of a value beside its time to live, and changes that depend on what is there.

use larder::{
    Ask, Cache, CasError, Change, Error, Load, MockClock, Options, SetOptions, State, Ttl, Write,
};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn cache_with(change: impl FnOnce(&mut Options)) -> (Cache, MockClock) {
    let clock = MockClock::default();
    let mut options = Options::new(4 << 20);
    options.clock = larder::Clock::Mock(clock.clone());
    change(&mut options);
    (Cache::new(options).unwrap(), clock)
}

fn cache() -> (Cache, MockClock) {
    cache_with(|_| {})
}

fn ttl(millis: u64) -> SetOptions<'static> {
    SetOptions { ttl: Ttl::Millis(millis), ..SetOptions::default() }
}

fn state(cache: &Cache, key: &[u8], lease: bool) -> Option<State> {
    let mut value = Vec::new();
    cache.get_with(key, &mut value, Ask { lease, version: false }).unwrap().map(|info| info.state)
}

/// Everything that is said of entries must outlive drains and compactions.
fn churn(cache: &Cache) {
    for i in 0..60_000u32 {
        cache
            .set(format!("churn{}", i % 20_000).as_bytes(), &vec![1; 30 + (i % 200) as usize])
            .unwrap();
        if i % 16 == 0 {
            // What matters is kept because it is read.
            let _ = cache.get(b"kept");
        }
    }
    cache.check();
}

fn told(cache: &Cache, key: &[u8], version: bool) -> larder::Info {
    let ask = Ask { lease: false, version };
    cache.get_with(key, &mut Vec::new(), ask).unwrap().unwrap()
}

#[test]
fn a_number_of_the_callers_stays_with_its_value() {
    let (cache, _) = cache();
    let most = (1 << 48) - 1;
    cache.set_with(b"kept", b"7", &SetOptions { user: most, ..SetOptions::default() }).unwrap();
    assert_eq!(told(&cache, b"kept", false).user, most);
    // What writes an entry again keeps it, and so does what changes a counter.
    assert_eq!(told(&cache, b"kept", true).user, most);
    assert!(cache.touch(b"kept", Ttl::Millis(5000)).unwrap());
    assert!(cache.mark_stale(b"kept").unwrap());
    assert_eq!(cache.increment(b"kept", 1, &SetOptions::default()), Ok(8));
    churn(&cache);
    assert_eq!(told(&cache, b"kept", false).user, most);
    // Another value has its own, or none.
    cache.set(b"kept", b"8").unwrap();
    assert_eq!(told(&cache, b"kept", false).user, 0);
    let too_large = SetOptions { user: most + 1, ..SetOptions::default() };
    assert!(matches!(cache.set_with(b"kept", b"9", &too_large), Err(Error::InvalidOptions(_))));
    assert_eq!(cache.get(b"kept").unwrap(), b"8");
}

#[test]
fn an_update_changes_the_number_and_makes_stale_and_keeps_the_rest() {
    let (cache, _) = cache();
    let options = SetOptions { tags: &[b"tag"], user: 5, ..ttl(1000) };
    cache.set_with(b"key", b"value", &options).unwrap();
    let before = told(&cache, b"key", true).version;
    let write = Write { user: Some(6), stale: true, versioned: true, ..Write::default() };
    let (_, version) =
        cache.update(b"key", 0, &mut Vec::new(), |_, _| (Change::Store(write), ())).unwrap();
    assert!(version > before);
    let info = told(&cache, b"key", true);
    assert_eq!((info.user, info.version, info.state), (6, version, State::Stale));
    assert_eq!((info.ttl, state(&cache, b"key", true)), (Some(1000), Some(State::Refresh)));
    cache.invalidate_tag(b"tag", false).unwrap();
    assert_eq!(cache.get(b"key"), None);
    let too_large = Write { user: Some(1 << 48), ..Write::default() };
    let refused = cache.update(b"key", 0, &mut Vec::new(), |_, _| (Change::Store(too_large), ()));
    assert!(matches!(refused, Err(Error::InvalidOptions(_))));
}

#[test]
fn one_reader_of_a_stale_entry_is_asked_to_refresh_it() {
    let (cache, clock) = cache();
    let options = SetOptions { stale_after: Some(Duration::from_millis(100)), ..ttl(1000) };
    cache.set_with(b"key", b"old", &options).unwrap();
    assert_eq!(state(&cache, b"key", true), Some(State::Fresh));
    clock.advance(100);
    assert_eq!(state(&cache, b"key", false), Some(State::Stale));
    assert_eq!(state(&cache, b"key", true), Some(State::Refresh));
    assert_eq!(state(&cache, b"key", true), Some(State::Stale));
    assert_eq!(cache.get(b"key").as_deref(), Some(&b"old"[..]));
    cache.set_with(b"key", b"new", &options).unwrap();
    assert_eq!(state(&cache, b"key", true), Some(State::Fresh));
    clock.advance(1000);
    assert_eq!(state(&cache, b"key", true), None);
}

#[test]
fn a_lease_that_nobody_honours_is_given_again() {
    let (cache, clock) = cache();
    cache.set(b"key", b"value").unwrap();
    assert!(cache.mark_stale(b"key").unwrap());
    assert_eq!(state(&cache, b"key", true), Some(State::Refresh));
    clock.advance(9_999);
    assert_eq!(state(&cache, b"key", true), Some(State::Stale));
    clock.advance(1);
    assert_eq!(state(&cache, b"key", true), Some(State::Refresh));
    assert!(!cache.mark_stale(b"other").unwrap());
}

#[test]
fn a_sliding_deadline_is_put_off_by_reads_and_by_nothing_else() {
    for whole in [false, true] {
        let (cache, clock) = cache_with(|options| options.sliding = whole);
        cache.set_with(b"key", b"value", &SetOptions { sliding: !whole, ..ttl(1000) }).unwrap();
        for _ in 0..20 {
            clock.advance(900);
            assert!(cache.get(b"key").is_some());
        }
        clock.advance(500);
        cache.check();
        assert!(cache.get(b"key").is_some());
        clock.advance(1000);
        assert!(cache.get(b"key").is_none());
        if !whole {
            cache.set_with(b"fixed", b"value", &ttl(1000)).unwrap();
            clock.advance(900);
            assert!(cache.get(b"fixed").is_some());
            clock.advance(100);
            assert!(cache.get(b"fixed").is_none());
        }
    }
}

#[test]
fn jitter_spreads_deadlines_below_the_time_to_live() {
    let (cache, clock) = cache_with(|options| options.ttl_jitter = 0.5);
    for i in 0..1000u32 {
        cache.set_ttl(&i.to_le_bytes(), b"value", Duration::from_millis(1000)).unwrap();
    }
    let left = || (0..1000u32).filter(|i| cache.get(&i.to_le_bytes()).is_some()).count();
    clock.advance(500);
    assert_eq!(left(), 1000);
    clock.advance(250);
    assert!((400..600).contains(&left()), "{}", left());
    clock.advance(250);
    assert_eq!(left(), 0);
    let mut wrong = Options::new(1 << 20);
    for jitter in [-0.1, 1.1, f64::NAN] {
        wrong.ttl_jitter = jitter;
        assert!(matches!(Cache::new(wrong.clone()), Err(Error::InvalidOptions(_))));
    }
}

#[test]
fn a_negative_entry_is_a_miss_that_is_known() {
    let (cache, _) = cache();
    cache.set_with(b"key", b"", &SetOptions { absent: true, ..ttl(1000) }).unwrap();
    assert_eq!(cache.get(b"key"), None);
    assert!(cache.view(b"key").unwrap().is_none());
    assert_eq!(state(&cache, b"key", true), Some(State::Absent));
    assert!(cache.add(b"key", b"there", &SetOptions::default()).unwrap());
    assert_eq!(cache.get(b"key").as_deref(), Some(&b"there"[..]));
    cache.set_with(b"key", b"", &SetOptions { absent: true, ..ttl(1000) }).unwrap();
    assert_eq!(cache.increment(b"key", 3, &SetOptions::default()), Ok(3));
    cache.set_with(b"key", b"", &SetOptions { absent: true, ..ttl(1000) }).unwrap();
    assert!(!cache.delete(b"key"));
    assert_eq!(state(&cache, b"key", true), None);
}

#[test]
fn add_stores_only_where_nothing_is() {
    let (cache, clock) = cache();
    assert!(cache.add(b"key", b"1", &ttl(100)).unwrap());
    assert!(!cache.add(b"key", b"2", &ttl(100)).unwrap());
    assert_eq!(cache.get(b"key").as_deref(), Some(&b"1"[..]));
    clock.advance(100);
    assert!(cache.add(b"key", b"3", &ttl(100)).unwrap());
    assert_eq!(cache.stats().unwrap().sets, 2);
}

#[test]
fn a_swap_succeeds_only_on_the_version_it_was_told() {
    let (cache, _) = cache();
    let version = |key: &[u8]| {
        let mut value = Vec::new();
        let info =
            cache.get_with(key, &mut value, Ask { lease: false, version: true }).unwrap().unwrap();
        assert_ne!(info.version, 0);
        (info.version, value)
    };
    let options = SetOptions::default();
    cache.set(b"kept", b"a").unwrap();
    let (first, value) = version(b"kept");
    assert_eq!((version(b"kept").0, &value[..]), (first, &b"a"[..]));
    churn(&cache);
    assert_eq!(version(b"kept").0, first);
    // The same value again is another version.
    cache.set(b"kept", b"a").unwrap();
    assert_eq!(cache.compare_and_swap(b"kept", b"b", first, &options), Err(CasError::Conflict));
    let second = version(b"kept").0;
    assert_ne!(second, first);
    let third = cache.compare_and_swap(b"kept", b"b", second, &options).unwrap();
    assert_eq!(version(b"kept"), (third, b"b".to_vec()));
    assert_eq!(cache.compare_and_swap(b"kept", b"c", second, &options), Err(CasError::Conflict));
    cache.delete(b"kept");
    assert_eq!(cache.compare_and_swap(b"kept", b"c", third, &options), Err(CasError::NotFound));
    cache.check();
}

#[test]
fn counters_of_many_threads_add_up() {
    let cache = Arc::new(Cache::new(Options::new(1 << 20)).unwrap());
    let swaps = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..2000u64 {
                    cache.increment(b"sum", 3, &SetOptions::default()).unwrap();
                    let mut value = Vec::new();
                    cache.add(b"swapped", b"0", &SetOptions::default()).unwrap();
                    let info =
                        cache.get_with(b"swapped", &mut value, Ask { lease: false, version: true });
                    let info = info.unwrap().unwrap();
                    let number: u64 = String::from_utf8(value).unwrap().parse().unwrap();
                    let next = (number + 1).to_string();
                    let options = SetOptions::default();
                    match cache.compare_and_swap(
                        b"swapped",
                        next.as_bytes(),
                        info.version,
                        &options,
                    ) {
                        Ok(_) => _ = swaps.fetch_add(1, Ordering::Relaxed),
                        Err(error) => assert!(
                            matches!(error, CasError::Conflict | CasError::NotFound),
                            "{error}"
                        ),
                    }
                    cache.set(&i.to_le_bytes(), &[7; 100]).unwrap();
                }
            });
        }
    });
    assert_eq!(cache.get(b"sum").unwrap(), b"24000");
    assert_eq!(
        cache.get(b"swapped").unwrap(),
        swaps.load(Ordering::Relaxed).to_string().as_bytes()
    );
    cache.check();
}

#[test]
fn a_counter_keeps_its_deadline_and_refuses_what_is_no_number() {
    let (cache, clock) = cache();
    assert_eq!(cache.increment(b"n", 5, &ttl(100)), Ok(5));
    clock.advance(60);
    assert_eq!(cache.increment(b"n", -7, &ttl(100)), Ok(-2));
    clock.advance(40);
    assert_eq!(cache.get(b"n"), None);
    cache.set(b"text", b"12 monkeys").unwrap();
    assert_eq!(cache.increment(b"text", 1, &ttl(100)), Err(Error::NotANumber));
    cache.set(b"most", i64::MAX.to_string().as_bytes()).unwrap();
    assert_eq!(cache.increment(b"most", 1, &ttl(100)), Err(Error::NotANumber));
    assert_eq!(cache.get(b"most").unwrap(), i64::MAX.to_string().as_bytes());
}

#[test]
fn touch_moves_a_deadline_both_ways_and_makes_one() {
    let (cache, clock) = cache();
    cache.set_ttl(b"a", b"1", Duration::from_millis(100)).unwrap();
    assert!(cache.touch(b"a", Ttl::Millis(1000)).unwrap());
    clock.advance(999);
    assert!(cache.get(b"a").is_some());
    assert!(cache.touch(b"a", Ttl::Never).unwrap());
    clock.advance(1 << 40);
    assert!(cache.get(b"a").is_some());
    assert!(cache.touch(b"a", Ttl::Millis(10)).unwrap());
    clock.advance(10);
    assert!(cache.get(b"a").is_none());
    assert!(!cache.touch(b"a", Ttl::Millis(10)).unwrap());
    cache.set(b"b", b"2").unwrap();
    assert!(cache.touch(b"b", Ttl::Millis(10)).unwrap());
    assert_eq!(cache.stats().unwrap().sets, 2);
    clock.advance(10);
    assert!(cache.get(b"b").is_none());
    cache.check();
}

#[test]
fn a_tag_takes_all_that_carry_it_and_nothing_else() {
    let (cache, _) = cache();
    let set = |key: String, tags: &[&[u8]]| {
        cache
            .set_with(key.as_bytes(), b"value", &SetOptions { tags, ..SetOptions::default() })
            .unwrap();
    };
    for i in 0..500u32 {
        let (even, own) = (if i % 2 == 0 { "even" } else { "odd" }, format!("own{i}"));
        set(format!("key{i}"), &[even.as_bytes(), own.as_bytes()]);
    }
    let has = |i: u32| cache.get(format!("key{i}").as_bytes()).is_some();
    for i in 0..100 {
        cache.invalidate_tag(format!("own{i}").as_bytes(), false).unwrap();
        assert!(!has(i));
    }
    assert!((100..500).all(has));
    cache.invalidate_tag(b"even", false).unwrap();
    assert!((100..500).all(|i| has(i) == (i % 2 == 1)));
    // What is stored later is not meant.
    set("key2".into(), &[b"even"]);
    assert!(has(2));
    assert!(!cache.delete(b"key4"));
    cache.settle_tags().unwrap();
    cache.check();
    assert_eq!(cache.len(), 201);
    assert!(has(2) && (100..500).all(|i| has(i) == (i % 2 == 1)));
    // Also after what was invalidated has been forgotten.
    cache.invalidate_tag(b"odd", false).unwrap();
    assert!(has(2) && !(100..500).any(has));
}

#[test]
fn a_tag_that_is_invalidated_softly_makes_stale() {
    for settle in [false, true] {
        let (cache, clock) = cache();
        let options = SetOptions { tags: &[b"t"], ..SetOptions::default() };
        cache.set_with(b"key", b"value", &options).unwrap();
        assert_eq!(state(&cache, b"key", true), Some(State::Fresh));
        cache.invalidate_tag(b"t", true).unwrap();
        if settle {
            cache.settle_tags().unwrap();
        }
        assert!(cache.get(b"key").is_some());
        assert_eq!(state(&cache, b"key", true), Some(State::Refresh));
        assert_eq!(state(&cache, b"key", true), Some(State::Stale));
        clock.advance(20_000);
        assert_eq!(state(&cache, b"key", true), Some(State::Refresh));
        cache.set_with(b"key", b"value", &options).unwrap();
        assert_eq!(state(&cache, b"key", true), Some(State::Fresh));
    }
}

#[test]
fn a_value_fetched_before_an_invalidation_is_invalid() {
    for settle in [false, true] {
        let (cache, _) = cache();
        let as_of = Some(cache.stamp().unwrap());
        cache.invalidate_tag(b"t", false).unwrap();
        if settle {
            cache.settle_tags().unwrap();
        }
        let options = SetOptions { tags: &[b"t"], as_of, ..SetOptions::default() };
        cache.set_with(b"key", b"old", &options).unwrap();
        assert_eq!(cache.get(b"key"), None);
        let options = SetOptions { as_of: Some(cache.stamp().unwrap()), ..options };
        cache.set_with(b"key", b"new", &options).unwrap();
        assert!(cache.get(b"key").is_some());
    }
}

#[test]
fn thousands_of_invalidated_tags_are_forgotten() {
    let cache = Cache::new(Options::new(8 << 20)).unwrap();
    let keep = SetOptions { tags: &[b"keep"], ..SetOptions::default() };
    cache.set_with(b"kept", b"value", &keep).unwrap();
    for i in 0..20_000u32 {
        cache.invalidate_tag(&i.to_le_bytes(), false).unwrap();
    }
    let before = cache.stats().unwrap().bookkeeping_bytes;
    // The table goes when nobody can be reading it any more, tests on other threads included.
    let end = Instant::now() + Duration::from_secs(30);
    while cache.stats().unwrap().bookkeeping_bytes + 100_000 >= before {
        assert!(Instant::now() < end, "the table of tags is not given back");
        cache.settle_tags().unwrap();
    }
    assert!(cache.get(b"kept").is_some());
    cache.invalidate_tag(b"keep", false).unwrap();
    assert!(cache.get(b"kept").is_none());
    let many: Vec<[u8; 4]> = (0..65u32).map(u32::to_le_bytes).collect();
    let many: Vec<&[u8]> = many.iter().map(|tag| &tag[..]).collect();
    let options = SetOptions { tags: &many, ..SetOptions::default() };
    assert_eq!(cache.set_with(b"k", b"v", &options), Err(Error::TooManyTags));
    let options = SetOptions { tags: &many[..64], ..SetOptions::default() };
    cache.set_with(b"k", b"v", &options).unwrap();
    cache.invalidate_tag(many[63], false).unwrap();
    assert!(cache.get(b"k").is_none());
}

#[test]
fn readers_and_invalidations_and_passes_at_once() {
    let cache = Cache::new(Options::new(8 << 20)).unwrap();
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A value counts the invalidations of its tag that came before it.
            for n in 0..3_000u64 {
                cache.invalidate_tag(b"t", false).unwrap();
                done.store(n + 1, Ordering::SeqCst);
                let options = SetOptions { tags: &[b"t", b"u"], ..SetOptions::default() };
                for key in 0..4u8 {
                    cache.set_with(&[key], &(n + 1).to_le_bytes(), &options).unwrap();
                }
                cache.invalidate_tag(&n.to_le_bytes(), n % 2 == 0).unwrap();
                if n % 64 == 0 {
                    cache.settle_tags().unwrap();
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut found = 0;
                // The values of the last round stay: whoever starts late finds those.
                while done.load(Ordering::SeqCst) < 3_000 || found == 0 {
                    for key in 0..4u8 {
                        let least = done.load(Ordering::SeqCst);
                        if let Some(value) = cache.get(&[key]) {
                            found += 1;
                            let value = u64::from_le_bytes(value.try_into().unwrap());
                            assert!(value >= least, "{value} was invalidated before {least}");
                        }
                    }
                }
                assert!(found > 0);
            });
        }
    });
    cache.check();
}

#[test]
fn a_load_is_superseded_by_whatever_changes_its_key() {
    let (cache, _) = cache();
    let plain = SetOptions::default();
    let begin = || {
        let load = cache.load_begin(b"key").unwrap();
        assert!(matches!(load, Load::Begun(_)));
        load.token()
    };
    let token = begin();
    assert_eq!(cache.load_begin(b"key"), Ok(Load::UnderWay(token)));
    assert_eq!(cache.load_end(b"key", token, b"loaded", &plain), Ok(true));
    assert_eq!(cache.get(b"key").as_deref(), Some(&b"loaded"[..]));
    assert_eq!(cache.load_end(b"key", token, b"again", &plain), Ok(false));
    let changes: [&dyn Fn(); 5] = [
        &|| cache.set(b"key", b"set").unwrap(),
        &|| assert!(cache.delete(b"key")),
        &|| assert!(!cache.delete(b"key")),
        &|| cache.clear().unwrap(),
        &|| assert!(cache.increment(b"key", 1, &plain).is_ok()),
    ];
    for change in changes {
        let old = begin();
        change();
        // Whoever comes now must not wait for the old load.
        let new = begin();
        assert_ne!(new, old);
        assert_eq!(cache.load_end(b"key", old, b"old", &plain), Ok(false));
        assert_ne!(cache.get(b"key").as_deref(), Some(&b"old"[..]));
        assert_eq!(cache.load_cancel(b"key", new), Ok(true));
        assert_eq!(cache.load_cancel(b"key", new), Ok(false));
    }
    // What fails ends it too.
    let token = begin();
    assert_eq!(cache.load_end(b"key", token, &vec![0; 2 << 20], &plain), Err(Error::ValueTooLarge));
    begin();
}

#[test]
fn a_touched_entry_slides_where_all_do() {
    let (cache, clock) = cache_with(|options| options.sliding = true);
    cache.set(b"key", b"value").unwrap();
    assert!(cache.touch(b"key", Ttl::Millis(1000)).unwrap());
    for _ in 0..3 {
        clock.advance(900);
        assert!(cache.get(b"key").is_some());
    }
    clock.advance(1000);
    assert!(cache.get(b"key").is_none());
}

#[test]
fn a_stamp_of_the_future_protects_from_nothing() {
    let (cache, _) = cache();
    let options = SetOptions { tags: &[b"t"], as_of: Some(u64::MAX), ..SetOptions::default() };
    cache.set_with(b"key", b"value", &options).unwrap();
    assert!(cache.get(b"key").is_some());
    cache.invalidate_tag(b"t", false).unwrap();
    assert!(cache.get(b"key").is_none());
}

#[test]
fn a_tag_takes_nothing_else_in_a_full_cache() {
    let (cache, _) = cache();
    let fill = |i: u32| cache.set(&i.to_le_bytes(), &[7; 200]).unwrap();
    (0..60_000).for_each(fill);
    cache
        .set_with(b"kept", b"value", &SetOptions { tags: &[b"kept"], ..SetOptions::default() })
        .unwrap();
    // More than there ever is free memory for.
    for i in 0..3_000u32 {
        let tag: &[u8] = &i.to_le_bytes();
        cache
            .set_with(b"other", b"value", &SetOptions { tags: &[tag], ..SetOptions::default() })
            .unwrap();
        cache.invalidate_tag(tag, false).unwrap();
        assert!(cache.get(b"other").is_none());
        assert!(cache.get(b"kept").is_some(), "{i}");
        (i * 8..i * 8 + 8).for_each(fill);
    }
    cache.check();
}

#[test]
fn a_thread_that_calls_from_its_destructors_sees_invalidations() {
    struct Last(RefCell<Option<(Arc<Cache>, Arc<AtomicU64>)>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let Some((cache, sum)) = self.0.take() else { return };
            let options = SetOptions { tags: &[b"t"], ..SetOptions::default() };
            let increment = || cache.increment(b"n", 1, &options).unwrap() as u64;
            sum.store(increment(), Ordering::SeqCst);
            cache.invalidate_tag(b"t", false).unwrap();
            cache.settle_tags().unwrap();
            sum.fetch_add(increment() * 100, Ordering::SeqCst);
        }
    }
    thread_local! {
        static LAST: Last = const { Last(RefCell::new(None)) };
    }
    let cache = Arc::new(cache().0);
    let options = SetOptions { tags: &[b"t"], ..SetOptions::default() };
    cache.set_with(b"n", b"5", &options).unwrap();
    cache.invalidate_tag(b"t", false).unwrap();
    let sum = Arc::new(AtomicU64::new(0));
    let parts = (cache.clone(), sum.clone());
    std::thread::spawn(move || {
        // Before the cache knows the thread: what it keeps of it goes first.
        LAST.with(|last| *last.0.borrow_mut() = Some(parts.clone()));
        let _ = parts.0.get(b"n");
    })
    .join()
    .unwrap();
    assert_eq!(sum.load(Ordering::SeqCst), 101);
    cache.check();
}
