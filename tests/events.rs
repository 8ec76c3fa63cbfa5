//! Events: each reason, their order, what is dropped, and that every value that was stored leaves
//! exactly once.
#![allow(missing_docs)]

mod support;

use larder::{
    Ask, Cache, CasError, Clock, Error, MockClock, Options, Policy, Reason, Reasons, SetOptions,
    Ttl,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const HEADER: u64 = 12;

type Owned = (Reason, Vec<u8>, usize);

/// A cache of one stripe that tells of everything.
fn telling(event_bytes: u64) -> Options {
    Options { stripes: 1, event_bytes, events: Reasons::ALL, ..Options::new(MIB) }
}

fn cache(options: Options) -> Cache {
    Cache::new(options).unwrap()
}

/// All events that are there, and how many were dropped.
fn drain(cache: &Cache) -> (Vec<Owned>, u64) {
    let mut events = Vec::new();
    let dropped = cache
        .drain_events(|event| events.push((event.reason, event.key.to_vec(), event.value_len)))
        .unwrap();
    (events, dropped)
}

fn events(cache: &Cache) -> Vec<Owned> {
    let (events, dropped) = drain(cache);
    assert_eq!(dropped, 0);
    events
}

fn event(reason: Reason, key: &[u8], value_len: usize) -> Owned {
    (reason, key.to_vec(), value_len)
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
fn what_the_caller_does_comes_in_order() {
    let cache = cache(telling(64 * KIB));
    cache.set(b"a", b"1").unwrap();
    cache.set(b"a", b"12").unwrap();
    cache.set(b"", b"").unwrap();
    assert!(cache.delete(b"a"));
    assert!(!cache.delete(b"a"));
    cache.set(b"a", b"123").unwrap();
    cache.set(b"a", b"1234").unwrap();
    assert!(cache.delete(b""));
    let expected = [
        event(Reason::Overwritten, b"a", 1),
        event(Reason::Deleted, b"a", 2),
        event(Reason::Overwritten, b"a", 3),
        event(Reason::Deleted, b"", 0),
    ];
    assert_eq!(events(&cache), expected);
    assert_eq!(events(&cache), [], "events come once");
}

#[test]
fn the_fast_door_tells_too() {
    let cache = cache(telling(64 * KIB));
    cache.set(b"neighbour", b"stays").unwrap();
    // The first call on a thread may be too much for it.
    for i in 0..4 {
        cache.set(b"key", &[0; 10][..i]).unwrap();
    }
    events(&cache);
    fast_set(&cache, b"key", &[0; 10], None).unwrap();
    assert_eq!(fast_delete(&cache, b"key"), Ok(true));
    assert_eq!(
        events(&cache),
        [event(Reason::Overwritten, b"key", 3), event(Reason::Deleted, b"key", 10)]
    );
}

#[test]
fn evictions_are_told_as_they_are_counted() {
    for policy in [Policy::Lru, Policy::S3Fifo, Policy::Cellar] {
        for max_entries in [0, 100] {
            let options = Options {
                policy,
                max_entries,
                stripes: 2,
                event_bytes: 128 * KIB,
                ..Options::new(MIB)
            };
            let cache = cache(options);
            let mut evicted = HashMap::new();
            for i in 0..20_000u64 {
                let value = &[7; 200][..(i % 200) as usize];
                if fast_set(&cache, &i.to_le_bytes(), value, None).is_err() {
                    cache.set(&i.to_le_bytes(), value).unwrap();
                }
                if i % 500 == 0 {
                    for (reason, key, value_len) in events(&cache) {
                        assert_eq!(reason, Reason::Evicted);
                        let key = u64::from_le_bytes(key.try_into().unwrap());
                        assert_eq!(value_len as u64, key % 200);
                        assert_eq!(evicted.insert(key, ()), None, "{key} was evicted twice");
                    }
                    assert_eq!(evicted.len() as u64, cache.stats().unwrap().evictions);
                }
            }
            assert!(evicted.len() > 1000);
            evicted.keys().for_each(|key| assert_eq!(cache.get(&key.to_le_bytes()), None));
        }
    }
}

#[test]
fn expirations_are_told_wherever_they_are_found() {
    let clock = MockClock::default();
    let cache = cache(Options { clock: Clock::Mock(clock.clone()), ..telling(64 * KIB) });
    let ttl = Ttl::Millis(100);
    cache.set_ttl(b"set anew", b"1", ttl).unwrap();
    cache.set_ttl(b"deleted", b"12", ttl).unwrap();
    cache.set_ttl(b"left", b"123", ttl).unwrap();
    cache.set_ttl(b"later", b"1234", Ttl::Millis(1000)).unwrap();
    assert_eq!(events(&cache), []);
    clock.advance(100);
    assert_eq!(cache.get(b"left"), None);
    cache.set(b"set anew", b"12345").unwrap();
    assert!(!cache.delete(b"deleted"));
    // Whoever is first, this thread or the one in the background, which waits for more: it is an
    // expiration.
    clock.advance(300);
    let mut all = Vec::new();
    eventually("the third expiration", || {
        all.extend(events(&cache));
        all.len() == 3
    });
    all.sort_by_key(|event| event.2);
    let expected = [
        event(Reason::Expired, b"set anew", 1),
        event(Reason::Expired, b"deleted", 2),
        event(Reason::Expired, b"left", 3),
    ];
    assert_eq!(all, expected);
    assert_eq!(cache.stats().unwrap().expirations, 3);
}

#[test]
fn a_set_that_finds_no_room_is_told_and_counted() {
    let cache = cache(telling(16 * KIB));
    let mut views = Vec::new();
    let value = vec![1; 200 << 10];
    cache.set(b"old", b"value").unwrap();
    let rejected = loop {
        let key = views.len().to_le_bytes();
        match cache.set(&key, &value) {
            Ok(()) => views.extend(cache.view(&key).unwrap()),
            Err(Error::Full) => break key,
            Err(error) => panic!("{error}"),
        }
        assert!(views.len() < 10, "views hold nothing");
    };
    let told: Vec<_> =
        events(&cache).into_iter().filter(|event| event.0 == Reason::Rejected).collect();
    assert_eq!(told, [event(Reason::Rejected, &rejected, value.len())]);
    assert_eq!(cache.stats().unwrap().rejections, 1);

    // A shrink that finds no room is not a set, nor is what can't be stored at all.
    assert_eq!(cache.resize(512 << 10), Err(Error::Full));
    assert_eq!(cache.set(b"too large", &vec![0; 1 << 20]), Err(Error::ValueTooLarge));
    assert_eq!(cache.stats().unwrap().rejections, 1);
    assert!(events(&cache).iter().all(|event| event.0 != Reason::Rejected));
}

#[test]
fn invalidations_are_told_when_they_are_found() {
    let cache = cache(telling(64 * KIB));
    let tagged = SetOptions { tags: &[b"tag"], ..SetOptions::default() };
    for (key, value) in [(&b"set anew"[..], &b"1"[..]), (b"deleted", b"12"), (b"left", b"123")] {
        cache.set_with(key, value, &tagged).unwrap();
    }
    cache.set(b"other", b"1234").unwrap();
    cache.invalidate_tag(b"tag", false).unwrap();
    assert_eq!(events(&cache), []);
    cache.set(b"set anew", b"12345").unwrap();
    cache.delete(b"deleted");
    cache.settle_tags().unwrap();
    let expected = [
        event(Reason::Invalidated, b"set anew", 1),
        event(Reason::Invalidated, b"deleted", 2),
        event(Reason::Invalidated, b"left", 3),
    ];
    assert_eq!(events(&cache), expected);
    assert_eq!(cache.stats().unwrap().invalidations, 3);
}

/// What only changes what is said of a value doesn't replace it.
#[test]
fn an_entry_that_is_written_again_has_not_left() {
    let cache = cache(telling(64 * KIB));
    let options = SetOptions::default();
    cache.set(b"key", b"1").unwrap();
    assert!(cache.touch(b"key", Ttl::Millis(100_000)).unwrap());
    assert!(cache.mark_stale(b"key").unwrap());
    let ask = Ask { version: true, ..Ask::default() };
    let version = cache.get_with(b"key", &mut Vec::new(), ask).unwrap().unwrap().version;
    assert!(!cache.add(b"key", b"12", &options).unwrap());
    assert_eq!(events(&cache), []);
    let version = cache.compare_and_swap(b"key", b"12", version, &options).unwrap();
    assert_eq!(
        cache.compare_and_swap(b"key", b"123", version + 1, &options),
        Err(CasError::Conflict)
    );
    assert_eq!(cache.increment(b"key", 100, &options).unwrap(), 112);
    let expected = [event(Reason::Overwritten, b"key", 1), event(Reason::Overwritten, b"key", 2)];
    assert_eq!(events(&cache), expected);
}

#[test]
fn clear_tells_nothing_and_loses_nothing() {
    let cache = cache(telling(64 * KIB));
    cache.set(b"a", b"1").unwrap();
    cache.delete(b"a");
    cache.set(b"b", b"1").unwrap();
    cache.clear().unwrap();
    assert_eq!(events(&cache), [event(Reason::Deleted, b"a", 1)]);
}

#[test]
fn only_what_is_wanted_comes() {
    for (wanted, expected) in [
        (Reasons::default(), vec![]),
        (Reasons::of(&[Reason::Deleted]), vec![event(Reason::Deleted, b"a", 2)]),
        (Reasons::of(&[Reason::Overwritten]), vec![event(Reason::Overwritten, b"a", 1)]),
        (Reasons::of(&[]), vec![]),
    ] {
        let cache = cache(Options { events: wanted, ..telling(64 * KIB) });
        cache.set(b"a", b"1").unwrap();
        cache.set(b"a", b"12").unwrap();
        cache.delete(b"a");
        assert_eq!(events(&cache), expected, "{wanted:?}");
    }
}

#[test]
fn without_memory_for_them_there_are_none_and_they_cost_none() {
    let plain = cache(Options { stripes: 4, ..Options::new(MIB) });
    let off = cache(Options { stripes: 4, ..telling(0) });
    let on = cache(Options { stripes: 4, ..telling(32 * KIB) });
    let bookkeeping = |cache: &Cache| cache.stats().unwrap().bookkeeping_bytes;
    assert_eq!(bookkeeping(&off), bookkeeping(&plain));
    // Where somebody listens, no set is left to another: there are no mailboxes, of a KiB or so
    // each.
    let more = bookkeeping(&on) - bookkeeping(&plain);
    assert!((32 * KIB - 4 * 2 * KIB..32 * KIB).contains(&more), "{more}");
    for i in 0..20_000u64 {
        off.set(&i.to_le_bytes(), &[0; 100]).unwrap();
        off.delete(&(i / 2).to_le_bytes());
    }
    assert_eq!(drain(&off), (vec![], 0));
    let stats = off.stats().unwrap();
    assert!(stats.evictions > 0 && stats.dropped_events == 0);
}

#[test]
fn memory_out_of_range_is_refused() {
    for budget in [256 * KIB, MIB, 64 * MIB] {
        for event_bytes in [budget / 8 + 1, u64::MAX] {
            let refused = Cache::new(Options { event_bytes, ..Options::new(budget) });
            assert!(matches!(refused, Err(Error::InvalidOptions(_))));
        }
        for event_bytes in [1, budget / 8] {
            let cache = cache(Options { event_bytes, ..Options::new(budget) });
            let most = vec![0; budget as usize / 4];
            for i in 0..20u64 {
                cache.set(&i.to_le_bytes(), &most).unwrap();
            }
            assert!(!events(&cache).is_empty());
            cache.check();
        }
    }
}

#[test]
fn what_finds_the_queue_full_is_dropped_and_counted() {
    let cache = cache(telling(1)); // a page
    let mut total = 0;
    for round in 1..=3 {
        for i in 0..1000u64 {
            cache.set(&i.to_le_bytes(), b"value").unwrap();
            assert!(cache.delete(&i.to_le_bytes()));
        }
        // The oldest stay.
        let kept = 4 * KIB / (HEADER + 8);
        total += 1000 - kept;
        let (events, dropped) = drain(&cache);
        let expected: Vec<_> =
            (0..kept).map(|i| event(Reason::Deleted, &i.to_le_bytes(), 5)).collect();
        assert_eq!(events, expected);
        assert_eq!(dropped, 1000 - kept, "round {round}");
        assert_eq!(cache.stats().unwrap().dropped_events, total);
        assert_eq!(drain(&cache), (vec![], 0), "they are reported once");
    }
    // A key that is longer than the ring never fits, others still do.
    let long = vec![b'k'; 5000];
    cache.set(&long, b"").unwrap();
    cache.set(b"short", b"").unwrap();
    cache.delete(&long);
    cache.delete(b"short");
    assert_eq!(drain(&cache), (vec![event(Reason::Deleted, b"short", 0)], 1));
}

/// Longer than the buffer that the drain begins with, and than what it copies under one lock.
#[test]
fn the_longest_keys_come_whole() {
    let cache = cache(Options {
        stripes: 1,
        event_bytes: 256 * KIB,
        events: Reasons::ALL,
        ..Options::new(8 * MIB)
    });
    let key = |i: usize| {
        (0..[65_536, 3, 16_372, 16_373, 40_000][i])
            .map(|at| (at * 7 + i) as u8)
            .collect::<Vec<u8>>()
    };
    for _ in 0..5 {
        for i in 0..5 {
            cache.set(&key(i), b"value").unwrap();
            cache.delete(&key(i));
        }
        let expected: Vec<_> = (0..5).map(|i| event(Reason::Deleted, &key(i), 5)).collect();
        assert_eq!(events(&cache), expected);
    }
}

#[test]
fn the_cache_may_be_used_and_closed_while_draining() {
    let cache = cache(telling(128 * KIB));
    for i in 0..5_000u64 {
        cache.set(&i.to_le_bytes(), b"value").unwrap();
        cache.delete(&i.to_le_bytes());
    }
    // Each event makes another one: a pass ends all the same.
    let mut seen = 0;
    let dropped = cache.drain_events(|event| {
        seen += 1;
        cache.set(event.key, b"again").unwrap();
        cache.delete(event.key);
    });
    assert_eq!(dropped, Ok(0));
    assert!((5_000..=20_000).contains(&seen), "{seen}");

    let mut seen = 0;
    let closed = cache.drain_events(|_| {
        seen += 1;
        cache.close();
    });
    assert_eq!(closed, Err(Error::Closed));
    assert!(seen > 0);
    assert_eq!(cache.drain_events(|_| panic!("a closed cache has no events")), Err(Error::Closed));
}

#[derive(Clone, Debug)]
enum Op {
    Set { key: u8, len: usize, ttl: Option<u64> },
    FastSet { key: u8, len: usize },
    Delete { key: u8 },
    FastDelete { key: u8 },
    Get { key: u8 },
    Advance { millis: u64 },
    Resize { kib: u64 },
    Drain,
}

fn op() -> impl Strategy<Value = Op> {
    let len = || prop_oneof![6 => 0..200usize, 3 => 200..4_000usize, 1 => 4_000..60_000usize];
    prop_oneof![
        20 => (any::<u8>(), len()).prop_map(|(key, len)| Op::Set { key, len, ttl: None }),
        20 => (any::<u8>(), len(), 1..500u64).prop_map(|(key, len, ttl)| Op::Set { key, len, ttl: Some(ttl) }),
        20 => (any::<u8>(), len()).prop_map(|(key, len)| Op::FastSet { key, len }),
        8 => any::<u8>().prop_map(|key| Op::Delete { key }),
        8 => any::<u8>().prop_map(|key| Op::FastDelete { key }),
        20 => any::<u8>().prop_map(|key| Op::Get { key }),
        5 => (0..300u64).prop_map(|millis| Op::Advance { millis }),
        1 => (384..1024u64).prop_map(|kib| Op::Resize { kib }),
        4 => Just(Op::Drain),
    ]
}

/// What a key went through.
#[derive(Default)]
struct Life {
    /// Values stored: their lengths, and whether they had a deadline.
    stored: Vec<(usize, bool)>,
    /// Which of them were deleted, by their number.
    deleted: Vec<usize>,
    /// How the first ones left, as told.
    left: Vec<(Reason, usize)>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Every value that was stored leaves exactly once, in the order in which they came, for a
    /// reason that can be; and the numbers are those of the statistics. Keys of up to 255 bytes,
    /// through both doors, under eviction and expiry.
    #[test]
    fn every_value_leaves_once(
        policy in prop_oneof![Just(Policy::Lru), Just(Policy::S3Fifo), Just(Policy::Cellar)],
        stripes in 0..2u32,
        max_entries in prop_oneof![3 => Just(0), 1 => 1..60u64],
        ops in prop::collection::vec(op(), 1..800),
    ) {
        let clock = MockClock::default();
        let cache = cache(Options {
            policy,
            stripes: 1 << stripes,
            max_entries,
            clock: Clock::Mock(clock.clone()),
            event_bytes: 64 * KIB,
            events: Reasons::ALL,
            ..Options::new(512 * KIB)
        });
        let name = |key: u8| vec![key; usize::from(key)];
        let mut lives: BTreeMap<u8, Life> = BTreeMap::new();
        let mut counts: HashMap<u8, u64> = HashMap::new();
        let mut take = |lives: &mut BTreeMap<u8, Life>| {
            let (events, dropped) = drain(&cache);
            assert_eq!(dropped, 0);
            for (reason, key, value_len) in events {
                assert_eq!(key, name(key.len() as u8));
                *counts.entry(reason as u8).or_default() += 1;
                lives.entry(key.len() as u8).or_default().left.push((reason, value_len));
            }
            counts.clone()
        };
        // A set that the fast path does only in part would show as a value that never came.
        for (n, op) in ops.iter().enumerate() {
            match *op {
                Op::Set { key, len, ttl } => {
                    cache.set_ttl(&name(key), &vec![1; len], ttl.map_or(Ttl::Never, Ttl::Millis)).unwrap();
                    lives.entry(key).or_default().stored.push((len, ttl.is_some()));
                }
                Op::FastSet { key, len } => {
                    if fast_set(&cache, &name(key), &vec![1; len], None).is_ok() {
                        lives.entry(key).or_default().stored.push((len, false));
                    }
                }
                Op::Delete { key } => {
                    if cache.delete(&name(key)) {
                        let life = lives.entry(key).or_default();
                        life.deleted.push(life.stored.len() - 1);
                    }
                }
                Op::FastDelete { key } => {
                    if fast_delete(&cache, &name(key)) == Ok(true) {
                        let life = lives.entry(key).or_default();
                        life.deleted.push(life.stored.len() - 1);
                    }
                }
                Op::Get { key } => {
                    let _ = cache.get(&name(key));
                }
                Op::Advance { millis } => clock.advance(millis),
                Op::Resize { kib } => cache.resize(kib << 10).unwrap(),
                Op::Drain => {
                    take(&mut lives);
                }
            }
            if n % 100 == 99 {
                take(&mut lives); // before a queue is full
            }
        }
        let in_place = cache.len();
        let stats = cache.stats().unwrap();
        let counts = take(&mut lives);
        let count = |reason: Reason| counts.get(&(reason as u8)).copied().unwrap_or_default();
        // What is expired may go at any time. Everything else stands still.
        prop_assert!(count(Reason::Expired) >= stats.expirations);
        prop_assert_eq!(count(Reason::Evicted), stats.evictions);
        prop_assert_eq!(count(Reason::Deleted), stats.deletes);
        prop_assert_eq!(count(Reason::Rejected), 0);
        prop_assert!(counts.values().sum::<u64>() >= stats.sets - in_place);
        cache.check();

        for (&key, life) in &lives {
            let present = life.stored.len() - life.left.len();
            prop_assert!(present <= 1, "values of key {key} left without a word");
            for (i, (&(reason, len), &(stored, has_deadline))) in life.left.iter().zip(&life.stored).enumerate() {
                prop_assert_eq!(len, stored);
                prop_assert_eq!(reason == Reason::Deleted, life.deleted.contains(&i));
                prop_assert!(reason != Reason::Expired || has_deadline);
                prop_assert!(reason != Reason::Overwritten || i + 1 < life.stored.len());
            }
            let found = cache.get(&name(key)).map(|value| value.len());
            let left = life.stored.last().filter(|_| present == 1).map(|&(len, _)| len);
            prop_assert!(found == left || found.is_none() && life.stored.last().is_some_and(|last| last.1), "key {key}");
        }
    }
}

/// Writers through both doors, and several who drain: nothing is told twice, and what isn't told is
/// counted as dropped.
#[test]
fn several_may_drain_while_others_write() {
    const WRITERS: u64 = 3;
    const SETS: u64 = 40_000;
    // The second is full most of the time.
    for event_bytes in [1 << 20, 1] {
        let options =
            Options { stripes: 4, event_bytes, events: Reasons::ALL, ..Options::new(8 * MIB) };
        let cache = cache(options);
        let writing = AtomicU64::new(WRITERS);
        let over = AtomicBool::new(false);
        let told = Mutex::new(HashMap::<(u64, usize), Reason>::new());
        let reported = AtomicU64::new(0);
        let collect = || {
            let (events, dropped) = drain(&cache);
            reported.fetch_add(dropped, Ordering::Relaxed);
            let mut told = told.lock().unwrap();
            for (reason, key, value_len) in events {
                let before = told.insert((key_of(&key), value_len), reason);
                assert_eq!(before, None, "{value_len} bytes of {key:?} left twice");
            }
        };
        let collect = &collect;
        team(|team| {
            for writer in 0..WRITERS {
                let (cache, writing, over) = (&cache, &writing, &over);
                team.spawn(move || {
                    let mut rng = Rng(writer);
                    // Each key is one writer's, and its values are longer each time: so each value
                    // has a name.
                    let mut lengths = HashMap::new();
                    for n in 0..SETS {
                        // Before the larger of the queues is full, whatever the drains are at.
                        if event_bytes > 1 && n % 1_000 == 0 {
                            collect();
                        }
                        let key = rng.below(1_000) * WRITERS + writer;
                        let length = lengths.entry(key).or_insert(0usize);
                        *length += 1;
                        let value = vec![1; *length];
                        let key = key_bytes(key);
                        if rng.one_in(2) || fast_set(cache, &key, &value, None).is_err() {
                            cache.set(&key, &value).unwrap();
                        }
                        if rng.one_in(8) && fast_delete(cache, &key).is_err() {
                            cache.delete(&key);
                        }
                    }
                    if writing.fetch_sub(1, Ordering::AcqRel) == 1 {
                        over.store(true, Ordering::Release);
                    }
                });
            }
            for _ in 0..2 {
                let over = &over;
                team.spawn(move || {
                    loop {
                        let last = over.load(Ordering::Acquire);
                        collect();
                        if last {
                            break;
                        }
                    }
                });
            }
        });
        let told = told.into_inner().unwrap();
        let stats = cache.stats().unwrap();
        assert_eq!(drain(&cache), (vec![], 0));
        assert_eq!(stats.sets, WRITERS * SETS);
        assert_eq!(reported.into_inner(), stats.dropped_events);
        assert_eq!(told.len() as u64 + stats.dropped_events, stats.sets - stats.entries);
        assert_eq!(stats.dropped_events > 0, event_bytes == 1);
        let count = |reason: Reason| told.values().filter(|&&told| told == reason).count() as u64;
        if event_bytes > 1 {
            assert_eq!(count(Reason::Deleted), stats.deletes);
            assert_eq!(count(Reason::Evicted), stats.evictions);
        }
        assert!(told.len() > 1_000);
        cache.check();
    }
}
