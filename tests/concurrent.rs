//! Readers against writers, everything at once. `LARDER_STRESS_SECONDS` says for how long (2 for
//! each test).
//!
//! Each key has one writer, which counts its versions. Values carry their key, version and
//! checksum, so a reader knows a torn value, another key's and an old one: for each key, `floor`
//! says below which version nothing may be returned any more, and `begun` above which nothing was
//! ever stored.
#![allow(missing_docs)]

mod support;

use larder::{Ask, Cache, Error, Load, Options, Policy, SetOptions, Ttl, View};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::*;

/// What is known of each key, and what was done.
struct History {
    keys: Vec<Known>,
    gets: AtomicU64,
    sets: AtomicU64,
    deletes: AtomicU64,
    full: AtomicU64,
    /// Some versions are stored with tags.
    tagging: bool,
}

struct Known {
    /// The highest version that a set was begun with.
    begun: AtomicU64,
    /// The highest version that a set has returned for.
    stored: AtomicU64,
    /// No get that begins from now on may return less.
    floor: AtomicU64,
    /// A version (the low 24 bits) and when it had certainly expired, in milliseconds of the clock;
    /// 0 for never.
    expired: AtomicU64,
}

impl History {
    fn new(keys: u64) -> History {
        let known = |_| Known {
            begun: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        };
        History {
            keys: (0..keys).map(known).collect(),
            gets: AtomicU64::new(0),
            sets: AtomicU64::new(0),
            deletes: AtomicU64::new(0),
            full: AtomicU64::new(0),
            tagging: false,
        }
    }

    /// Whether a version is stored with tags.
    fn is_tagged(&self, version: u64) -> bool {
        self.tagging && version.is_multiple_of(3)
    }

    /// Reads a key by one of the ways there are, and checks what comes. Returns whether it was
    /// found.
    fn read(&self, cache: &Cache, key: u64, way: Way<'_>) -> Result<bool, Error> {
        let known = &self.keys[key as usize];
        let bytes = key_bytes(key);
        let floor = known.floor.load(Ordering::Acquire);
        let expired = known.expired.load(Ordering::Acquire);
        let before = now();
        let check = |value: &[u8]| {
            let version = version_of(key, value);
            assert!(
                version >= floor,
                "key {key}: version {version} was returned after {floor} was stored"
            );
            assert!(
                version <= known.begun.load(Ordering::Acquire),
                "key {key}: version {version} was never stored"
            );
            assert!(
                expired == 0
                    || version & 0xff_ffff != expired & 0xff_ffff
                    || before < expired >> 24,
                "key {key}: version {version} was returned after its time"
            );
        };
        let found = match way {
            Way::Copy => match cache.get(&bytes) {
                Some(value) => {
                    check(&value);
                    true
                }
                None => false,
            },
            Way::Fast(buffer) => match fast_get(cache, &bytes, buffer) {
                Ok(found) => {
                    if found {
                        check(buffer);
                    }
                    found
                }
                // Not counted: it must be repeated.
                Err(Fast::Busy) => return self.read(cache, key, Way::Copy),
                Err(Fast::Closed) => return Err(Error::Closed),
                Err(Fast::Other(status)) => panic!("status {status}"),
            },
            Way::View(views) => match cache.view(&bytes)? {
                Some(view) => {
                    check(&view);
                    views.0.lock().push_back((key, version_of(key, &view), view));
                    true
                }
                None => false,
            },
        };
        self.gets.fetch_add(1, Ordering::Relaxed);
        Ok(found)
    }

    /// Stores the next version of a key. Only the key's own writer may. False if there was no room.
    fn write(
        &self,
        cache: &Cache,
        key: u64,
        value: &mut Vec<u8>,
        filling: usize,
        ttl: Ttl,
        fast: bool,
    ) -> Result<bool, Error> {
        let known = &self.keys[key as usize];
        let version = known.begun.load(Ordering::Relaxed) + 1;
        known.begun.store(version, Ordering::Release);
        let bytes = key_bytes(key);
        fill_value(value, key, version, filling);
        let millis = match ttl {
            Ttl::Millis(millis) => Some(millis),
            _ => None,
        };
        let mut done = Err(Fast::Busy);
        if fast && !self.is_tagged(version) {
            done = fast_set(cache, &bytes, value, millis);
        }
        match done {
            Ok(()) => {}
            Err(Fast::Closed) => return Err(Error::Closed),
            Err(Fast::Other(status)) => panic!("status {status}"),
            Err(Fast::Busy) => match self.store(cache, key, version, value, ttl) {
                Ok(()) => {}
                Err(Error::Full) => {
                    self.full.fetch_add(1, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            },
        }
        // The deadline was computed before now.
        let expired = millis.map_or(0, |millis| (now() + millis) << 24 | version & 0xff_ffff);
        known.expired.store(expired, Ordering::Release);
        known.stored.store(version, Ordering::Release);
        known.floor.fetch_max(version, Ordering::AcqRel);
        self.sets.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Some versions are said more of.
    fn store(
        &self,
        cache: &Cache,
        key: u64,
        version: u64,
        value: &[u8],
        ttl: Ttl,
    ) -> Result<(), Error> {
        if !self.is_tagged(version) {
            return cache.set_ttl(&key_bytes(key), value, ttl);
        }
        let stale_after = version.is_multiple_of(2).then_some(Duration::from_millis(1));
        let tags: &[&[u8]] = &[b"all", &[(key % TAGS) as u8]];
        cache.set_with(
            &key_bytes(key),
            value,
            &SetOptions { ttl, stale_after, tags, ..SetOptions::default() },
        )
    }

    /// Invalidates a tag. What carried it is not returned any more.
    fn invalidate(&self, cache: &Cache, tag: u64) {
        let stored: Vec<u64> =
            self.keys.iter().map(|known| known.stored.load(Ordering::Acquire)).collect();
        cache.invalidate_tag(&[tag as u8], false).unwrap();
        for (key, (known, stored)) in self.keys.iter().zip(stored).enumerate() {
            if key as u64 % TAGS == tag && self.is_tagged(stored) {
                known.floor.fetch_max(stored + 1, Ordering::AcqRel);
            }
        }
    }

    /// Does what writes an entry again, or changes it, and leaves its value.
    fn unsettle(&self, cache: &Cache, rng: &mut Rng, buffer: &mut Vec<u8>) {
        let key = rng.below(self.keys.len() as u64);
        let known = &self.keys[key as usize];
        match rng.below(1000) {
            0..10 => self.invalidate(cache, rng.below(TAGS)),
            10 => cache.invalidate_tag(b"all", true).unwrap(),
            11 => cache.settle_tags().unwrap(),
            12..300 => {
                assert!(matches!(cache.mark_stale(&key_bytes(key)), Ok(_) | Err(Error::Full)))
            }
            _ => {
                let floor = known.floor.load(Ordering::Acquire);
                buffer.clear();
                let ask = Ask { lease: true, version: rng.one_in(2) };
                match cache.get_with(&key_bytes(key), buffer, ask) {
                    Ok(found) => {
                        self.gets.fetch_add(1, Ordering::Relaxed);
                        if let Some(info) = found {
                            let version = version_of(key, buffer);
                            assert!(
                                version >= floor,
                                "key {key}: version {version} was returned after {floor}"
                            );
                            assert_eq!(info.version != 0, ask.version);
                        }
                    }
                    Err(error) => assert_eq!(error, Error::Full),
                }
            }
        }
    }

    /// Deletes a key. Only its own writer may.
    fn delete(&self, cache: &Cache, key: u64, fast: bool) {
        let known = &self.keys[key as usize];
        let bytes = key_bytes(key);
        let mut done = Err(Fast::Busy);
        if fast {
            done = fast_delete(cache, &bytes);
        }
        let deleted = done.unwrap_or_else(|_| cache.delete(&bytes));
        known.floor.fetch_max(known.begun.load(Ordering::Relaxed) + 1, Ordering::AcqRel);
        self.deletes.fetch_add(u64::from(deleted), Ordering::Relaxed);
    }

    fn clear(&self, cache: &Cache) -> Result<(), Error> {
        let stored: Vec<u64> =
            self.keys.iter().map(|known| known.stored.load(Ordering::Acquire)).collect();
        cache.clear()?;
        for (known, stored) in self.keys.iter().zip(stored) {
            known.floor.fetch_max(stored + 1, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Goes through all entries; none may come twice. Returns how many there were.
    fn iterate(&self, cache: &Cache) -> usize {
        let floors: Vec<u64> =
            self.keys.iter().map(|known| known.floor.load(Ordering::Acquire)).collect();
        let mut seen = vec![false; self.keys.len()];
        cache.for_each(|bytes, value| {
            let key = key_of(bytes);
            let version = version_of(key, value);
            assert!(
                !std::mem::replace(&mut seen[key as usize], true),
                "key {key} was visited twice"
            );
            assert!(
                version >= floors[key as usize],
                "key {key}: version {version} was visited after it had gone"
            );
            assert!(version <= self.keys[key as usize].begun.load(Ordering::Acquire));
        });
        seen.iter().filter(|&&seen| seen).count()
    }

    /// What must be true when nobody is at work.
    fn check_at_rest(&self, cache: &Cache) {
        cache.check();
        let stats = cache.stats().unwrap();
        assert_eq!(stats.hits + stats.misses, self.gets.load(Ordering::Relaxed), "{stats:?}");
        assert_eq!(stats.sets, self.sets.load(Ordering::Relaxed), "{stats:?}");
        assert_eq!(stats.deletes, self.deletes.load(Ordering::Relaxed), "{stats:?}");
        assert!(stats.bytes <= stats.max_bytes, "{stats:?}");
        assert_eq!(stats.entries, cache.len());
    }
}

/// Tags that keys are divided among.
const TAGS: u64 = 8;

/// How to read.
enum Way<'a> {
    Copy,
    Fast(&'a mut Vec<u8>),
    /// The view goes to another thread, which looks at it again and releases it.
    View(&'a Views),
}

/// Views with their keys and versions, on their way to another thread.
#[derive(Default)]
struct Views(Mutex<VecDeque<(u64, u64, View)>>);

impl Views {
    /// Looks at each view again after a while, when its entry may be long gone, and releases it.
    /// Holds so many at once.
    fn hold(&self, most: usize, done: &AtomicBool) {
        loop {
            let finish = done.load(Ordering::Acquire);
            let mut views = self.0.lock();
            let some = if finish || views.len() > most { views.pop_front() } else { None };
            drop(views);
            match some {
                Some((key, version, view)) => {
                    assert_eq!(version_of(key, &view), version, "a view has changed")
                }
                None if finish => return,
                None => std::thread::yield_now(),
            }
        }
    }
}

/// Fewer bytes are ever stored than there is room for, so every key is there from its first set on,
/// and every get must find it. In rounds, each with a cache of its own.
#[test]
fn nothing_is_lost_or_old_while_all_fits() {
    const KEYS: u64 = 240;
    const WRITERS: u64 = 3;
    let end = Instant::now() + stress();
    let mut round = 0;
    while round == 0 || Instant::now() < end {
        let policy = [Policy::Lru, Policy::S3Fifo, Policy::Default][round as usize % 3];
        let cache =
            Cache::new(Options { policy, stripes: 1 << (round % 4), ..Options::new(64 << 20) })
                .unwrap();
        let history = History::new(KEYS);
        let written: [AtomicBool; WRITERS as usize] = Default::default();
        team(|team| {
            let (cache, history, written) = (&cache, &history, &written);
            for writer in 0..WRITERS {
                team.spawn(move || {
                    let _over = Over(&written[writer as usize]);
                    let mut rng = Rng(round * 100 + writer);
                    let mut value = Vec::new();
                    let mut bytes = 0;
                    while bytes < (40 << 20) / WRITERS as usize {
                        let key = rng.below(KEYS / WRITERS) * WRITERS + writer;
                        let largest = if rng.one_in(50) { 1 << 18 } else { 2048 };
                        let filling = rng.size(largest);
                        assert!(
                            history
                                .write(cache, key, &mut value, filling, Ttl::Never, !rng.one_in(3))
                                .unwrap()
                        );
                        // A run may have a page to itself.
                        bytes += value.len() + if value.len() > 2048 { 4096 } else { 64 };
                    }
                });
            }
            for reader in 0..3 {
                team.spawn(move || {
                    let mut rng = Rng(round * 100 + 50 + reader);
                    let mut buffer = Vec::with_capacity(1 << 20);
                    while !written.iter().all(|over| over.load(Ordering::Acquire)) {
                        let key = rng.below(KEYS);
                        let there = history.keys[key as usize].floor.load(Ordering::Acquire) > 0;
                        let way = if rng.one_in(3) { Way::Copy } else { Way::Fast(&mut buffer) };
                        assert!(
                            history.read(cache, key, way).unwrap() || !there,
                            "key {key} was lost"
                        );
                        if rng.one_in(2000) {
                            let there = history
                                .keys
                                .iter()
                                .filter(|k| k.floor.load(Ordering::Acquire) > 0)
                                .count();
                            assert!(history.iterate(cache) >= there, "an iteration missed a key");
                        }
                    }
                });
            }
        });
        history.check_at_rest(&cache);
        let stats = cache.stats().unwrap();
        assert_eq!((stats.evictions, stats.expirations, stats.rejections), (0, 0, 0), "{stats:?}");
        round += 1;
    }
}

/// Values of one size under a few keys, overwritten where they lie, by both doors, with and without
/// deadlines, while they are read in every way. Nothing is appended but what was pinned by a view.
#[test]
fn small_values_are_overwritten_in_place() {
    const KEYS: u64 = 24;
    const WRITERS: u64 = 2;
    /// Elsewhere 4 KiB is the most.
    const LONG: bool = cfg!(target_arch = "x86_64");
    let end = Instant::now() + stress();
    let mut round = 0;
    while round < 2 || Instant::now() < end {
        let with_views = round % 2 == 1;
        // Large enough that all values lie in segments.
        let cache = Cache::new(Options { stripes: 2, ..Options::new(256 << 20) }).unwrap();
        let history = History::new(KEYS);
        let mut value = Vec::new();
        // Eight sizes, each key's its own, in whole words: what is copied in registers, in a loop,
        // and the most that is overwritten in place.
        let filling = |key: u64| {
            [0, 32, 64, 128, 248, 1000, 4000, if LONG { 16_200 } else { 4000 }][key as usize % 8]
        };
        for key in 0..KEYS {
            let ttl = if key.is_multiple_of(3) { Ttl::Millis(60_000) } else { Ttl::Never };
            assert!(history.write(&cache, key, &mut value, filling(key), ttl, false).unwrap());
        }
        let dead = cache.stats().unwrap().dead_bytes;
        let (views, done) = (Views::default(), AtomicBool::new(false));
        let written: Vec<AtomicBool> = (0..WRITERS).map(|_| AtomicBool::new(false)).collect();
        team(|team| {
            let (cache, history, views, done, written) =
                (&cache, &history, &views, &done, &written);
            team.spawn(move || views.hold(3, done));
            for writer in 0..WRITERS {
                team.spawn(move || {
                    let _over = Over(&written[writer as usize]);
                    let mut rng = Rng(round * 100 + writer);
                    let mut value = Vec::new();
                    for _ in 0..20_000 {
                        let key = rng.below(KEYS / WRITERS) * WRITERS + writer;
                        let ttl = if key.is_multiple_of(3) {
                            Ttl::Millis(60_000 - rng.below(1000))
                        } else {
                            Ttl::Never
                        };
                        // As many bytes of the entry after rounding up, but not always the same
                        // number.
                        let over = (key_bytes(key).len() - 1) % 8 + 1;
                        let filling = filling(key).saturating_sub(rng.below(over as u64) as usize);
                        assert!(
                            history
                                .write(cache, key, &mut value, filling, ttl, !rng.one_in(3))
                                .unwrap()
                        );
                    }
                });
            }
            let _over = Over(done);
            let mut rng = Rng(round * 100 + 50);
            let mut buffer = Vec::with_capacity(20_000);
            while !written.iter().all(|over| over.load(Ordering::Acquire)) {
                let key = rng.below(KEYS);
                let way = match rng.below(10) {
                    0 if with_views => Way::View(views),
                    0..4 => Way::Copy,
                    _ => Way::Fast(&mut buffer),
                };
                assert!(history.read(cache, key, way).unwrap(), "key {key} was lost");
                if rng.one_in(500) {
                    assert_eq!(history.iterate(cache), KEYS as usize);
                }
            }
        });
        drop(views);
        history.check_at_rest(&cache);
        let stats = cache.stats().unwrap();
        assert_eq!((stats.entries, stats.evictions, stats.expirations), (KEYS, 0, 0), "{stats:?}");
        assert!(stats.appended_bytes > WRITERS * 20_000 * 32, "{stats:?}");
        assert!(with_views || stats.dead_bytes == dead, "something was appended: {stats:?}");
        round += 1;
    }
}

/// Sets that take no lock, by the fast path, against all who move, remove, rewrite or pin what they
/// overwrite: evictions and compactions that keep it, touches, versions, views, iterations, loads,
/// deletes. None that was acknowledged is lost.
#[test]
fn sets_without_the_lock_are_not_lost() {
    const OVERWRITTEN: u64 = 200;
    const OTHERS: u64 = 8000;
    const PATIENCE: Duration = Duration::from_secs(120);
    let cache = Cache::new(Options { stripes: 1, ..Options::new(1 << 20) }).unwrap();
    let history = History::new(OVERWRITTEN + OTHERS);
    let end = Instant::now() + stress();
    // A busy machine may not get as far in that time.
    let seen = |cache: &Cache| {
        let stats = cache.stats().unwrap();
        stats.evictions > 0
            && stats.copied_bytes > 0
            && cache.sets_without_the_lock() > stats.sets / 50
    };
    let (views, done) = (Views::default(), AtomicBool::new(false));
    team(|team| {
        let (cache, history, views, done) = (&cache, &history, &views, &done);
        team.spawn(move || views.hold(1, done));
        for writer in 0..2 {
            team.spawn(move || {
                let _over = Over(done);
                let mut rng = Rng(writer);
                let (mut value, mut buffer) = (Vec::new(), Vec::with_capacity(4096));
                while Instant::now() < end || !seen(cache) && Instant::now() < end + PATIENCE {
                    for _ in 0..64 {
                        let key = rng.below(OVERWRITTEN / 2) * 2 + writer;
                        let ttl = match key % 4 {
                            0 => Ttl::Millis(5 + key % 50),
                            1 => Ttl::Millis(10_000),
                            _ => Ttl::Never,
                        };
                        history
                            .write(cache, key, &mut value, (key % 64) as usize, ttl, true)
                            .unwrap();
                        if rng.one_in(2) {
                            history.read(cache, key, Way::Fast(&mut buffer)).unwrap();
                        }
                        if rng.one_in(500) {
                            history.delete(cache, key, rng.one_in(2));
                        }
                    }
                }
            });
        }
        team.spawn(move || {
            let mut rng = Rng(10);
            let mut value = Vec::new();
            while !done.load(Ordering::Acquire) {
                let key = OVERWRITTEN + rng.below(OTHERS);
                let filling = rng.size(500);
                history.write(cache, key, &mut value, filling, Ttl::Never, !rng.one_in(4)).unwrap();
            }
        });
        let mut rng = Rng(20);
        let mut buffer = Vec::with_capacity(4096);
        while !done.load(Ordering::Acquire) {
            // Few keys get more words in their entries by this: those aren't overwritten without
            // the lock.
            let key = rng.below(OVERWRITTEN);
            let bytes = key_bytes(key);
            match rng.below(100) {
                0 => {
                    history.iterate(cache);
                }
                1 => {
                    let token = cache.load_begin(&bytes).unwrap().token();
                    cache.load_cancel(&bytes, token).unwrap();
                }
                2..5 => {
                    history.read(cache, key, Way::View(views)).unwrap();
                }
                5..8 => {
                    assert!(matches!(cache.mark_stale(&bytes), Ok(_) | Err(Error::Full)));
                }
                8..12 if key % 4 == 1 => {
                    cache.touch(&bytes, Duration::from_millis(20_000 - rng.below(10_000))).unwrap();
                }
                12..50 => {
                    history.read(cache, key, Way::Copy).unwrap();
                }
                _ => {
                    history.read(cache, key, Way::Fast(&mut buffer)).unwrap();
                }
            }
        }
    });
    drop(views);
    history.check_at_rest(&cache);
    let stats = cache.stats().unwrap();
    assert!(
        cache.sets_without_the_lock() > stats.sets / 50,
        "{} of {stats:?}",
        cache.sets_without_the_lock()
    );
    assert!(stats.evictions > 0 && stats.copied_bytes > 0, "nothing was moved: {stats:?}");
}

/// A counter is set by one, without the lock, and raised by others: it never falls below what it
/// was last set to.
#[test]
fn increments_do_not_undo_sets_without_the_lock() {
    const STEP: i64 = 1_000_000;
    // As many digits all the while.
    const FIRST: i64 = 1_000_000 * STEP;
    let cache = Cache::new(Options { stripes: 1, ..Options::new(1 << 20) }).unwrap();
    let (least, done) = (AtomicU64::new(FIRST as u64), AtomicBool::new(false));
    cache.set(b"counter", FIRST.to_string().as_bytes()).unwrap();
    let end = Instant::now() + stress() / 2;
    team(|team| {
        let (cache, least, done) = (&cache, &least, &done);
        for _ in 0..2 {
            team.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let before = least.load(Ordering::Acquire);
                    let now = cache.increment(b"counter", 1, &SetOptions::default()).unwrap();
                    assert!(now as u64 > before, "{now} after {before} was set");
                }
            });
        }
        let _over = Over(done);
        let mut to = FIRST;
        while Instant::now() < end {
            for pause in 0..64 {
                to += STEP;
                if fast_set(cache, b"counter", to.to_string().as_bytes(), None).is_err() {
                    cache.set(b"counter", to.to_string().as_bytes()).unwrap();
                }
                least.store(to as u64, Ordering::Release);
                let now: i64 =
                    String::from_utf8(cache.get(b"counter").unwrap()).unwrap().parse().unwrap();
                assert!((to..to + STEP).contains(&now), "{now} after {to} was set");
                for _ in 0..pause * 8 {
                    std::hint::spin_loop();
                }
            }
        }
    });
    assert!(cache.sets_without_the_lock() > 0);
    cache.check();
}

/// The index grows and shrinks all the time under keys that stay: they are always found, and every
/// iteration visits each of them once.
#[test]
fn keys_that_stay_are_found_while_the_index_resizes() {
    const STAY: u64 = 300;
    const COME_AND_GO: u64 = 6000;
    let cache =
        Cache::new(Options { stripes: 2, policy: Policy::Lru, ..Options::new(64 << 20) }).unwrap();
    let history = History::new(STAY + 2 * COME_AND_GO);
    let mut value = Vec::new();
    for key in 0..STAY {
        assert!(history.write(&cache, key, &mut value, 8, Ttl::Never, false).unwrap());
    }
    let end = Instant::now() + stress();
    let done = AtomicBool::new(false);
    team(|team| {
        let (cache, history, done) = (&cache, &history, &done);
        for writer in 0..2 {
            team.spawn(move || {
                let _over = Over(done);
                let mut value = Vec::new();
                let first = STAY + writer * COME_AND_GO;
                while Instant::now() < end {
                    for key in first..first + COME_AND_GO {
                        history.write(cache, key, &mut value, 0, Ttl::Never, key % 2 == 0).unwrap();
                    }
                    for key in first..first + COME_AND_GO {
                        history.delete(cache, key, key % 2 == 0);
                    }
                }
            });
        }
        for reader in 0..2 {
            team.spawn(move || {
                let mut rng = Rng(reader);
                let mut buffer = Vec::with_capacity(4096);
                while !done.load(Ordering::Acquire) {
                    for _ in 0..1000 {
                        let way = if rng.one_in(2) { Way::Copy } else { Way::Fast(&mut buffer) };
                        let key = rng.below(STAY);
                        assert!(history.read(cache, key, way).unwrap(), "key {key} was lost");
                    }
                    let mut seen = 0;
                    cache.for_each(|bytes, _| seen += u64::from(key_of(bytes) < STAY));
                    assert_eq!(seen, STAY, "an iteration missed a key, or visited one twice");
                }
            });
        }
    });
    history.check_at_rest(&cache);
}

struct Mix {
    budget: u64,
    policy: Policy,
    stripes: usize,
    max_entries: u64,
    keys: u64,
    largest: u64,
}

/// Overwrites, deletes, deadlines, clear, resize, views and iterations, all under eviction.
fn everything(mix: &Mix, duration: Duration) {
    let Mix { budget, policy, stripes, max_entries, keys, largest } = *mix;
    const WRITERS: u64 = 2;
    let cache =
        Cache::new(Options { policy, stripes, max_entries, ..Options::new(budget) }).unwrap();
    let history = History { tagging: true, ..History::new(keys) };
    let end = Instant::now() + duration;
    let (views, done) = (Views::default(), AtomicBool::new(false));
    team(|team| {
        let (cache, history, views, done) = (&cache, &history, &views, &done);
        // A few views of large values are a good part of a small budget.
        team.spawn(move || views.hold(if budget < 4 << 20 { 1 } else { 8 }, done));
        for writer in 0..WRITERS {
            team.spawn(move || {
                let mut rng = Rng(writer);
                let mut value = Vec::new();
                while Instant::now() < end {
                    for _ in 0..64 {
                        let key = rng.below(keys / WRITERS) * WRITERS + writer;
                        let ttl = if rng.one_in(4) {
                            Ttl::Millis(1 + rng.below(300))
                        } else {
                            Ttl::Never
                        };
                        if rng.one_in(10) {
                            history.delete(cache, key, rng.one_in(2));
                        } else {
                            let filling = rng.size(largest);
                            history
                                .write(cache, key, &mut value, filling, ttl, !rng.one_in(4))
                                .unwrap();
                        }
                    }
                }
            });
        }
        for reader in 0..2 {
            team.spawn(move || {
                let mut rng = Rng(100 + reader);
                let mut buffer = Vec::with_capacity(1 << 20);
                while Instant::now() < end {
                    for _ in 0..64 {
                        // Some keys are read more often than others.
                        let key = rng.below(keys).min(rng.below(keys));
                        let way = match rng.below(100) {
                            0 => Way::View(views),
                            1..30 => Way::Copy,
                            _ => Way::Fast(&mut buffer),
                        };
                        history.read(cache, key, way).unwrap();
                    }
                }
            });
        }
        team.spawn(move || {
            let mut rng = Rng(300);
            let mut buffer = Vec::new();
            while Instant::now() < end {
                history.unsettle(cache, &mut rng, &mut buffer);
            }
        });
        let _over = Over(done);
        let mut rng = Rng(200);
        while Instant::now() < end {
            match rng.below(10) {
                0 => history.clear(cache).unwrap(),
                1..4 => {
                    let bytes = budget - rng.below(budget / 2);
                    match cache.resize(bytes) {
                        Ok(()) | Err(Error::Full) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                4..7 => {
                    history.iterate(cache);
                }
                _ => {
                    // The sum over several stripes is exact only at rest.
                    assert!(max_entries == 0 || stripes > 1 || cache.len() <= max_entries);
                    std::thread::sleep(Duration::from_millis(rng.below(20)));
                }
            }
        }
    });
    drop(views);
    cache.resize(budget).unwrap();
    history.check_at_rest(&cache);
    let stats = cache.stats().unwrap();
    assert!(stats.hits > 0 && stats.sets > 0, "nothing happened: {stats:?}");
    assert!(max_entries == 0 || stats.entries <= max_entries, "{stats:?}");
    let full = history.full.load(Ordering::Relaxed);
    assert!(full * 100 <= stats.sets, "{full} sets found no room: {stats:?}");
    history.clear(&cache).unwrap();
    assert_eq!(cache.len(), 0);
    history.check_at_rest(&cache);
}

#[test]
fn everything_at_once_in_a_small_cache() {
    for (policy, stripes) in [(Policy::Lru, 1), (Policy::S3Fifo, 2), (Policy::Default, 2)] {
        let mix =
            Mix { budget: 1 << 20, policy, stripes, max_entries: 0, keys: 2_000, largest: 8 << 10 };
        everything(&mix, stress() / 3);
    }
}

#[test]
fn everything_at_once_in_a_large_cache() {
    for (policy, stripes) in [(Policy::Lru, 2), (Policy::S3Fifo, 0), (Policy::Default, 8)] {
        let mix = Mix {
            budget: 64 << 20,
            policy,
            stripes,
            max_entries: 0,
            keys: 40_000,
            largest: 64 << 10,
        };
        everything(&mix, stress() / 3);
    }
}

#[test]
fn everything_at_once_under_a_bound_on_entries() {
    for (policy, stripes) in [(Policy::Lru, 1), (Policy::S3Fifo, 4), (Policy::Default, 4)] {
        let mix = Mix {
            budget: 16 << 20,
            policy,
            stripes,
            max_entries: 500,
            keys: 2_000,
            largest: 4 << 10,
        };
        everything(&mix, stress() / 3);
    }
}

/// Closing under readers, writers, views and iterations: every call that is under way ends as if
/// the cache were open, every later one says that it is closed, and views stay.
#[test]
fn close_while_in_use() {
    // Nobody's but the main thread's.
    const KEPT: u64 = 399;
    let end = Instant::now() + stress();
    let mut round = 0;
    while round < 3 || Instant::now() < end {
        let cache = Cache::new(Options { stripes: 2, ..Options::new(1 << 20) }).unwrap();
        let history = History::new(400);
        let (closing, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let views = Views::default();
        let mut kept = None;
        team(|team| {
            let (cache, history, closing, done, views) =
                (&cache, &history, &closing, &done, &views);
            for worker in 0..3u64 {
                team.spawn(move || {
                    let mut rng = Rng(round * 10 + worker);
                    let (mut value, mut buffer) = (Vec::new(), Vec::with_capacity(1 << 20));
                    loop {
                        let key = rng.below(400 / 3) * 3 + worker;
                        let filling = rng.size(20_000);
                        let ttl = if rng.one_in(3) { Ttl::Millis(50) } else { Ttl::Never };
                        let closing = closing.load(Ordering::Acquire);
                        let fast = rng.one_in(2);
                        let done = match rng.below(10) {
                            0..4 => history.write(cache, key, &mut value, filling, ttl, fast),
                            4 => history.read(cache, key, Way::View(views)),
                            5 => {
                                history.iterate(cache);
                                cache.stats().map(|_| true)
                            }
                            6 => cache
                                .resize(1 << 20)
                                .or_else(|e| if e == Error::Full { Ok(()) } else { Err(e) })
                                .map(|()| true),
                            7 => cache.clear().map(|()| true),
                            _ if fast => history.read(cache, key, Way::Fast(&mut buffer)),
                            // After the close this finds nothing.
                            _ => history.read(cache, key, Way::Copy),
                        };
                        match done {
                            Ok(_) if closing && cache.stats() != Err(Error::Closed) => {
                                panic!("open after close")
                            }
                            Ok(_) => {}
                            Err(Error::Closed) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
            let mut value = Vec::new();
            while kept.is_none() {
                history.write(cache, KEPT, &mut value, 100, Ttl::Never, false).unwrap();
                kept = cache.view(&key_bytes(KEPT)).unwrap();
            }
            std::thread::sleep(Duration::from_millis(5 + round % 20));
            if round % 2 == 0 {
                // Twice at once.
                team.spawn(|| cache.close());
            }
            cache.close();
            closing.store(true, Ordering::Release);
            team.join();
            // The views are looked at when the cache is gone.
            team.spawn(|| views.hold(4, done));
            done.store(true, Ordering::Release);
        });
        assert_eq!(cache.get(&key_bytes(KEPT)), None);
        assert_eq!(cache.set(&key_bytes(KEPT), b"again"), Err(Error::Closed));
        assert_eq!(cache.len(), 0);
        drop(cache);
        version_of(KEPT, &kept.unwrap());
        round += 1;
    }
}

/// Threads that come and go: their places in the epoch and their counters are handed on.
#[test]
fn threads_come_and_go() {
    let cache = Cache::new(Options { stripes: 2, ..Options::new(1 << 20) }).unwrap();
    let history = History::new(64);
    let end = Instant::now() + stress() / 2;
    let (cache, history) = (&cache, &history);
    team(|team| {
        for lane in 0..4u64 {
            team.spawn(move || {
                let mut rng = Rng(lane);
                while Instant::now() < end {
                    let seed = rng.next();
                    support::team(|inner| {
                        inner.spawn(move || {
                            let mut rng = Rng(seed);
                            let (mut value, mut buffer) = (Vec::new(), Vec::with_capacity(4096));
                            for _ in 0..20 {
                                let key = rng.below(16) * 4 + lane;
                                history
                                    .write(cache, key, &mut value, 100, Ttl::Never, true)
                                    .unwrap();
                                history.read(cache, rng.below(64), Way::Fast(&mut buffer)).unwrap();
                                history.read(cache, rng.below(64), Way::Copy).unwrap();
                            }
                        });
                    });
                }
            });
        }
    });
    history.check_at_rest(cache);
}

/// Loads against changes of what is loaded: once a change has been made known to the cache, by a
/// set or a delete, nothing older is returned, however slow the loaders were.
#[test]
fn what_was_loaded_before_a_change_is_not_stored_after_it() {
    const KEYS: u64 = 4;
    let cache = Cache::new(Options { stripes: 2, ..Options::new(1 << 20) }).unwrap();
    let (source, known) = (
        [const { AtomicU64::new(1) }; KEYS as usize],
        [const { AtomicU64::new(0) }; KEYS as usize],
    );
    let (stored, superseded) = (AtomicU64::new(0), AtomicU64::new(0));
    let end = Instant::now() + stress() / 2;
    team(|team| {
        let (cache, source, known, stored, superseded) =
            (&cache, &source, &known, &stored, &superseded);
        team.spawn(move || {
            let mut rng = Rng(1);
            while Instant::now() < end {
                let key = rng.below(KEYS) as usize;
                let next = source[key].load(Ordering::SeqCst) + 1;
                source[key].store(next, Ordering::SeqCst);
                let (bytes, value) = (key_bytes(key as u64), next.to_le_bytes());
                match rng.below(4) {
                    0 if fast_set(cache, &bytes, &value, None).is_ok() => {}
                    1 if fast_delete(cache, &bytes).is_ok() => {}
                    2 => cache.set(&bytes, &value).unwrap(),
                    _ => {
                        cache.delete(&bytes);
                    }
                }
                known[key].store(next, Ordering::SeqCst);
                for _ in 0..rng.below(200) {
                    std::hint::spin_loop();
                }
            }
        });
        for loader in 0..3 {
            team.spawn(move || {
                let mut rng = Rng(10 + loader);
                while Instant::now() < end {
                    let key = rng.below(KEYS) as usize;
                    let bytes = key_bytes(key as u64);
                    let least = known[key].load(Ordering::SeqCst);
                    if let Some(value) = cache.get(&bytes) {
                        let value = u64::from_le_bytes(value.try_into().unwrap());
                        assert!(value >= least, "{value} was returned after {least}");
                        continue;
                    }
                    let Load::Begun(token) = cache.load_begin(&bytes).unwrap() else { continue };
                    let value = source[key].load(Ordering::SeqCst);
                    if rng.one_in(3) {
                        std::thread::yield_now();
                    }
                    if rng.one_in(10) {
                        cache.load_cancel(&bytes, token).unwrap();
                        continue;
                    }
                    let ended = cache
                        .load_end(&bytes, token, &value.to_le_bytes(), &SetOptions::default())
                        .unwrap();
                    if ended { stored } else { superseded }.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(
        stored.load(Ordering::Relaxed) > 0 && superseded.load(Ordering::Relaxed) > 0,
        "nothing happened"
    );
    cache.check();
}

/// A thread may use the cache from the destructors of its thread-locals, when its place in the
/// epoch has gone already.
#[test]
fn a_thread_may_call_while_it_ends() {
    thread_local! {
        static LAST_WORDS: std::cell::RefCell<Option<LastWords>> = const { std::cell::RefCell::new(None) };
    }
    struct LastWords(std::sync::Arc<Cache>, u64);
    impl Drop for LastWords {
        fn drop(&mut self) {
            self.0.set(&self.1.to_le_bytes(), b"last words").unwrap();
            assert!(self.0.get(&self.1.to_le_bytes()).is_some());
            assert!(self.0.view(&self.1.to_le_bytes()).unwrap().is_some());
        }
    }
    let cache = std::sync::Arc::new(Cache::new(Options::new(1 << 20)).unwrap());
    for i in 0..50u64 {
        let cache = cache.clone();
        std::thread::spawn(move || {
            LAST_WORDS.with(|words| *words.borrow_mut() = Some(LastWords(cache.clone(), i)));
            if i % 2 == 0 {
                // Now the destructor of the cache's own thread-local is registered after, and so
                // runs before.
                let _ = cache.get(b"something");
            }
        })
        .join()
        .unwrap();
    }
    assert_eq!(cache.len(), 50);
    cache.check();
    let stats = cache.stats().unwrap();
    assert_eq!((stats.hits, stats.misses), (100, 25));
}
