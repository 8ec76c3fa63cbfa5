//! Small sets of small caches that find their stripe locked leave a letter
//! (`src/stripe/deferred/combining.rs`): whoever asks, by whatever way, finds them done.
//! `LARDER_STRESS_SECONDS` says for how long the threads run.

mod support;

use larder::{
    Ask, Cache, CasError, Clock, Error, Load, MockClock, Options, Policy, Reasons, SetOptions,
    State, Ttl,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::*;

/// Letters that wait at once, at most.
const LANES: usize = 4;

fn options() -> Options {
    Options { stripes: 1, ..Options::new(1 << 20) }
}

/// Sets by the fast path while another has the lock. They must be left.
fn leave(cache: &Cache, sets: &[(&[u8], &[u8])]) {
    let before = cache.sets_without_the_lock();
    cache.with_stripe_locked(sets[0].0, || {
        for (key, value) in sets {
            fast_set(cache, key, value, None).unwrap();
        }
    });
    assert_eq!(cache.sets_without_the_lock(), before, "it overwrites without the lock");
}

/// Sets by the fast path if it can.
fn set(cache: &Cache, key: &[u8], value: &[u8]) {
    fast_set(cache, key, value, None).unwrap_or_else(|_| cache.set(key, value).unwrap());
}

/// Gets by the fast path if it can.
fn get(cache: &Cache, key: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = Vec::with_capacity(4096);
    match fast_get(cache, key, &mut buffer) {
        Ok(found) => found.then_some(buffer),
        Err(_) => cache.get(key),
    }
}

/// A cache in which "new" was set and "old" overwritten, and both were left. There is a third, so
/// that neither is the last of its segment.
fn left_in(options: Options) -> Cache {
    let cache = Cache::new(options).unwrap();
    cache.set(b"third", b"1").unwrap();
    cache.set(b"old", b"1").unwrap();
    // The new one first: a thread that has tried in vain to overwrite without the lock doesn't try
    // at the next set.
    leave(&cache, &[(b"new", b"3"), (b"old", b"2")]);
    cache
}

fn left() -> Cache {
    left_in(options())
}

#[test]
fn gets_find_them() {
    for key in [&b"old"[..], b"new"] {
        let expected = if key == b"old" { b"2" } else { b"3" };
        assert_eq!(get(&left(), key).unwrap(), expected);
        assert_eq!(left().get(key).unwrap(), expected);
        assert_eq!(&*left().view(key).unwrap().unwrap(), expected);
        // By the fast path many keys are got as far as none of them waits.
        let cache = left();
        assert_eq!(fast_get_many(&cache, &[b"none", key]), [None]);
        assert_eq!(cache.len(), 3);
        assert_eq!(fast_get_many(&cache, &[b"none", key]), [None, Some(expected.to_vec())]);
        for version in [false, true] {
            let cache = left();
            let mut out = Vec::new();
            let info =
                cache.get_with(key, &mut out, Ask { lease: false, version }).unwrap().unwrap();
            assert!(out == expected && (info.version > 0) == version && info.state == State::Fresh);
        }
        // While the lock is taken, who asks by the fast path is sent away.
        let cache = left();
        cache.with_stripe_locked(key, || {
            assert_eq!(fast_get(&cache, key, &mut Vec::with_capacity(9)), Err(Fast::Busy));
            assert_eq!(get(&cache, b"third").unwrap(), b"1");
        });
        assert_eq!(get(&cache, key).unwrap(), expected);
    }
    assert_eq!(get(&left(), b"none"), None);
}

#[test]
fn sets_find_them() {
    for key in [&b"old"[..], b"new"] {
        let cache = left();
        fast_set(&cache, key, b"by the fast path", None).unwrap();
        assert_eq!(get(&cache, key).unwrap(), b"by the fast path");
        let cache = left();
        // In the room of the letter's: it would be overwritten without the lock, if it weren't for
        // the letter.
        (0..40).for_each(|_| set(&cache, b"third", b"4"));
        leave(&cache, &[(b"another", b"1"), (key, b"5")]);
        set(&cache, key, b"6");
        assert_eq!((get(&cache, key).unwrap(), cache.len()), (b"6".to_vec(), 4));
        let cache = left();
        cache.set(key, b"7").unwrap();
        assert_eq!(get(&cache, key).unwrap(), b"7");
        let cache = left();
        cache
            .set_with(key, b"8", &SetOptions { tags: &[b"tag"], ..SetOptions::default() })
            .unwrap();
        assert_eq!(get(&cache, key).unwrap(), b"8");
        cache.check();
    }
    let cache = left();
    fast_set(&cache, b"fourth", b"1", None).unwrap();
    assert_eq!(
        (get(&cache, b"old").unwrap(), get(&cache, b"new").unwrap()),
        (b"2".to_vec(), b"3".to_vec())
    );
    assert_eq!((cache.len(), cache.stats().unwrap().sets), (4, 5));
}

#[test]
fn deletes_find_them() {
    for key in [&b"old"[..], b"new"] {
        let cache = left();
        assert!(fast_delete(&cache, key).unwrap());
        assert_eq!((get(&cache, key), cache.len()), (None, 2));
        let cache = left();
        assert!(cache.delete(key) && !cache.delete(key));
        assert_eq!((get(&cache, key), cache.len()), (None, 2));
        let stats = cache.stats().unwrap();
        assert_eq!((stats.sets, stats.deletes), (4, 1));
        cache.check();
    }
}

#[test]
fn whoever_looks_at_all_entries_finds_them() {
    assert_eq!(left().len(), 3);
    let stats = left().stats().unwrap();
    assert_eq!((stats.sets, stats.entries), (4, 3));
    let mut seen = Vec::new();
    left().for_each(|key, value| seen.push((key.to_vec(), value.to_vec())));
    seen.sort();
    let pair = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    assert_eq!(seen, [pair(b"new", b"3"), pair(b"old", b"2"), pair(b"third", b"1")]);
    let cache = left();
    cache.clear().unwrap();
    assert_eq!((cache.len(), get(&cache, b"old"), get(&cache, b"new")), (0, None, None));
    assert_eq!(cache.stats().unwrap().sets, 4);
    // The lanes are free again.
    leave(&cache, &[(b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"d", b"4")]);
    assert_eq!((cache.len(), cache.stats().unwrap().sets), (4, 8));
    cache.check();
    let cache = left();
    cache.resize(512 << 10).unwrap();
    assert_eq!(
        (get(&cache, b"old").unwrap(), get(&cache, b"new").unwrap()),
        (b"2".to_vec(), b"3".to_vec())
    );
    left().close();
}

#[test]
fn what_depends_on_an_entry_finds_them() {
    let options = SetOptions::default();
    assert!(!left().add(b"new", b"4", &options).unwrap());
    let cache = left();
    assert!(cache.touch(b"new", Duration::from_secs(9)).unwrap());
    assert_eq!(get(&cache, b"new").unwrap(), b"3");
    let cache = left();
    assert_eq!(cache.increment(b"old", 5, &options).unwrap(), 7);
    assert_eq!(cache.increment(b"new", 5, &options).unwrap(), 8);
    let cache = left();
    assert!(cache.mark_stale(b"new").unwrap());
    let mut out = Vec::new();
    let info = cache.get_with(b"new", &mut out, Ask::default()).unwrap().unwrap();
    assert!(info.state != State::Fresh && out == b"3");
    // A version that is older than a letter doesn't swap.
    let cache = Cache::new(self::options()).unwrap();
    cache.set(b"key", b"1").unwrap();
    let version = cache
        .get_with(b"key", &mut out, Ask { lease: false, version: true })
        .unwrap()
        .unwrap()
        .version;
    leave(&cache, &[(b"key", b"2")]);
    assert_eq!(cache.compare_and_swap(b"key", b"3", version, &options), Err(CasError::Conflict));
    assert_eq!(get(&cache, b"key").unwrap(), b"2");
}

#[test]
fn what_is_left_has_no_tags() {
    let cache = Cache::new(options()).unwrap();
    cache.set_with(b"key", b"1", &SetOptions { tags: &[b"tag"], ..SetOptions::default() }).unwrap();
    leave(&cache, &[(b"key", b"2")]);
    cache.invalidate_tag(b"tag", false).unwrap();
    cache.settle_tags().unwrap();
    assert_eq!(get(&cache, b"key").unwrap(), b"2");
    cache.check();
}

/// A load that begins after a set isn't superseded by it; while one is under way nothing is left.
#[test]
fn loads_know_of_them() {
    let options = SetOptions::default();
    for key in [&b"old"[..], b"new"] {
        let cache = left();
        let Ok(Load::Begun(token)) = cache.load_begin(key) else { panic!("nobody else loads") };
        cache.with_stripe_locked(key, || {
            for key in [&b"old"[..], b"new", b"another"] {
                assert_eq!(fast_set(&cache, key, b"4", None), Err(Fast::Busy));
            }
        });
        assert!(cache.load_end(key, token, b"5", &options).unwrap());
        assert_eq!(get(&cache, key).unwrap(), b"5");
        leave(&cache, &[(b"another", b"1"), (key, b"6")]);
        assert_eq!(get(&cache, key).unwrap(), b"6");
    }
}

/// The clock, and a cache without a deadline in which "key" was left with one.
fn left_to_expire() -> (MockClock, Cache) {
    let clock = MockClock::default();
    let cache = Cache::new(Options { clock: Clock::Mock(clock.clone()), ..options() }).unwrap();
    cache.set(b"third", b"1").unwrap();
    // A set with a deadline goes by the slow path while the maintenance thread sleeps.
    let awake = Cache::new(options()).unwrap();
    cache.with_stripe_locked(b"key", || {
        while fast_set(&cache, b"key", b"7", Some(50)).is_err() {
            awake.set_ttl(b"key", b"value", Duration::from_secs(3600)).unwrap();
        }
    });
    (clock, cache)
}

#[test]
fn they_expire() {
    type Asks = fn(&Cache);
    let options = SetOptions::default;
    let asks: &[(&str, Asks)] = &[
        ("get", |cache| assert_eq!(cache.get(b"key"), None)),
        ("fast get", |cache| assert_eq!(get(cache, b"key"), None)),
        ("view", |cache| assert!(cache.view(b"key").unwrap().is_none())),
        ("get_with", |cache| {
            let ask = Ask { lease: true, version: true };
            assert_eq!(cache.get_with(b"key", &mut Vec::new(), ask).unwrap(), None);
        }),
        ("delete", |cache| assert!(!cache.delete(b"key"))),
        ("fast delete", |cache| assert_ne!(fast_delete(cache, b"key"), Ok(true))),
        ("touch", |cache| {
            assert!(!cache.touch(b"key", Duration::from_secs(9)).unwrap());
            assert_eq!(cache.get(b"key"), None);
        }),
        ("mark_stale", |cache| assert!(!cache.mark_stale(b"key").unwrap())),
        ("for_each", |cache| cache.for_each(|key, _| assert_eq!(key, b"third"))),
    ];
    for (name, ask) in asks {
        println!("{name}");
        for late in [false, true] {
            let (clock, cache) = left_to_expire();
            clock.advance(if late { 50 } else { 49 });
            if late {
                ask(&cache);
                cache.check();
            } else {
                assert_eq!(cache.get(b"key").as_deref(), Some(&b"7"[..]));
            }
        }
    }
    let (clock, cache) = left_to_expire();
    clock.advance(50);
    assert!(cache.add(b"key", b"8", &options()).unwrap());
    let (clock, cache) = left_to_expire();
    clock.advance(50);
    assert_eq!(cache.increment(b"key", 1, &options()).unwrap(), 1);
}

#[test]
fn there_are_so_many_and_one_of_a_key() {
    let cache = Cache::new(options()).unwrap();
    let keys: [[u8; 2]; LANES + 1] = std::array::from_fn(|i| [b'k', i as u8]);
    for round in 0..3u8 {
        cache.with_stripe_locked(b"", || {
            assert_eq!(fast_set(&cache, b"large", &[1; 300], None), Err(Fast::Busy));
            for key in &keys[..LANES] {
                fast_set(&cache, key, &[round; 254], None).unwrap();
                assert_eq!(fast_set(&cache, key, b"again", None), Err(Fast::Busy));
            }
            assert_eq!(fast_set(&cache, &keys[LANES], b"one more", None), Err(Fast::Busy));
        });
        for key in &keys[..LANES] {
            assert_eq!(get(&cache, key).unwrap(), [round; 254]);
        }
        assert_eq!(get(&cache, &keys[LANES]), None);
        // So that it can't be overwritten without the lock.
        cache.clear().unwrap();
    }
    let cache = Cache::new(Options { stripes: 1, ..Options::new(4 << 20) }).unwrap();
    leave(&cache, &[(b"large", &[2; 1275])]);
    assert_eq!(cache.get(b"large").unwrap(), [2; 1275]);
    cache.with_stripe_locked(b"", || {
        assert_eq!(fast_set(&cache, b"large", &[1; 1276], None), Err(Fast::Busy))
    });
}

/// Whoever listens hears of a set when it has returned.
#[test]
fn none_is_left_where_there_are_events() {
    let cache =
        Cache::new(Options { event_bytes: 1 << 16, events: Reasons::ALL, ..options() }).unwrap();
    cache.set(b"key", b"1").unwrap();
    cache.with_stripe_locked(b"key", || {
        assert_eq!(fast_set(&cache, b"key", b"2", None), Err(Fast::Busy))
    });
    fast_set(&cache, b"key", b"3", None).unwrap();
    let mut heard = 0;
    cache.drain_events(|_| heard += 1).unwrap();
    assert_eq!(heard, 1);
}

/// A full cache evicts for letters too. One for which whoever asks finds no room goes as if it had
/// been evicted at once, and what it replaced with it. (How many do depends on how soon segments
/// are free: all threads of the process are waited for.)
#[test]
fn a_full_cache_takes_them_in() {
    for (budget, max_entries) in [(300 << 10, 0), (1 << 20, 0), (2 << 20, 0), (1 << 20, 100)] {
        let cache =
            Cache::new(Options { stripes: 1, max_entries, ..Options::new(budget) }).unwrap();
        let key = |i: u64| (i * 7919 % 40_000).to_le_bytes();
        let mut sets = 0;
        for round in 0..20_000u64 {
            let keys: [[u8; 8]; LANES] =
                std::array::from_fn(|i| key(round * LANES as u64 + i as u64));
            let mut value = round.to_le_bytes().to_vec();
            value.resize(8 + (round % 23 * 10) as usize, 0);
            let mut done = [false; LANES];
            cache.with_stripe_locked(b"", || {
                done = keys.map(|key| fast_set(&cache, &key, &value, None).is_ok());
            });
            for (key, done) in keys.iter().zip(done) {
                if done {
                    sets += 1;
                    let found =
                        if round.is_multiple_of(2) { get(&cache, key) } else { cache.get(key) };
                    assert!(found.as_ref().is_none_or(|found| *found == value), "an old value");
                }
            }
            assert!(max_entries == 0 || !round.is_multiple_of(16) || cache.len() <= max_entries);
        }
        let stats = cache.stats().unwrap();
        assert_eq!(stats.sets, sets);
        assert!(stats.evictions > 10_000 && stats.bytes <= stats.max_bytes, "{stats:?}");
        cache.check();
    }
}

/// Ends that are remembered of each writer and key.
const ENDS: usize = 1024;
const WRITERS: usize = 3;

/// When changes of a key began and ended, by a count of all beginnings and ends.
struct Known {
    /// The latest beginning of a change that has ended. Who begins to read later finds nothing that
    /// had ended before it.
    floor: AtomicU64,
    /// When sets ended, by writer and by the low bits of their numbers; 0: not yet.
    ends: [Vec<AtomicU64>; WRITERS],
}

struct Run {
    cache: Cache,
    time: AtomicU64,
    known: Vec<Known>,
    sets: AtomicU64,
    gets: AtomicU64,
    /// Gets that didn't find a key that had been set.
    missing: AtomicU64,
    /// All that is set fits, and nothing is deleted.
    fits: bool,
    over: AtomicBool,
}

impl Run {
    fn now(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    fn floor(&self, key: u64) -> u64 {
        self.known[key as usize].floor.load(Ordering::SeqCst)
    }

    fn raise(&self, key: u64, began: u64) {
        self.known[key as usize].floor.fetch_max(began, Ordering::SeqCst);
    }

    /// Checks what was found of a key whose floor was loaded before.
    fn check(&self, key: u64, floor: u64, value: Option<&[u8]>) {
        let Some(value) = value else {
            self.missing.fetch_add(u64::from(floor > 0), Ordering::Relaxed);
            return;
        };
        let version = version_of(key, value);
        let (writer, number) = ((version >> 56) as usize, version as usize % ENDS);
        let end = self.known[key as usize].ends[writer][number].load(Ordering::SeqCst);
        assert!(
            end == 0 || end > floor,
            "key {key}: an old value of writer {writer}: it ended at {end} before {floor}"
        );
    }

    fn set(&self, key: u64, writer: usize, number: u64, rng: &mut Rng, value: &mut Vec<u8>) {
        let end = &self.known[key as usize].ends[writer][number as usize % ENDS];
        end.store(0, Ordering::SeqCst);
        // What is overwritten in place, what is replaced, and what is too large to be left.
        let filling = [40, 40, 40, rng.below(200), rng.size(2000) as u64][rng.below(5) as usize];
        fill_value(value, key, (writer as u64) << 56 | number, filling as usize);
        let ttl = (!self.fits && rng.one_in(4)).then(|| 1 + rng.below(30));
        let bytes = key_bytes(key);
        let began = self.now();
        if rng.one_in(20) || fast_set(&self.cache, &bytes, value, ttl).is_err() {
            let options =
                SetOptions { ttl: ttl.map_or(Ttl::Default, Ttl::Millis), ..SetOptions::default() };
            match self.cache.set_with(&bytes, value, &options) {
                Ok(()) => {}
                Err(Error::Full) => return,
                Err(error) => panic!("{error}"),
            }
        }
        end.store(self.now(), Ordering::SeqCst);
        self.raise(key, began);
        self.sets.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self, key: u64, rng: &mut Rng, buffer: &mut Vec<u8>) {
        let bytes = key_bytes(key);
        self.gets.fetch_add(1, Ordering::Relaxed);
        let floor = self.floor(key);
        match rng.below(100) {
            0..50 => {
                let found = get(&self.cache, &bytes);
                self.check(key, floor, found.as_deref());
            }
            50..70 => self.check(key, floor, self.cache.get(&bytes).as_deref()),
            70..80 => self.check(key, floor, self.cache.view(&bytes).unwrap().as_deref()),
            80..90 => {
                let other = key_bytes((key + 1) % self.known.len() as u64);
                let found = fast_get_many(&self.cache, &[&bytes, &other]);
                if let Some(found) = found.first() {
                    self.check(key, floor, found.as_deref());
                }
            }
            90..99 => {
                buffer.clear();
                let ask = Ask { lease: false, version: rng.one_in(4) };
                if let Ok(found) = self.cache.get_with(&bytes, buffer, ask) {
                    self.check(key, floor, found.is_some().then_some(buffer));
                }
            }
            _ => {
                let floors: Vec<u64> =
                    (0..self.known.len() as u64).map(|key| self.floor(key)).collect();
                self.cache.for_each(|bytes, value| {
                    let key = key_of(bytes);
                    self.check(key, floors[key as usize], Some(value));
                });
            }
        }
    }

    /// Does something else that changes keys, or wants to know of them.
    fn unsettle(&self, rng: &mut Rng) {
        let key = rng.below(self.known.len() as u64);
        let began = self.now();
        match rng.below(if self.fits { 40 } else { 100 }) {
            0..20 => {
                // Others leave letters meanwhile.
                let until = Instant::now() + Duration::from_micros(rng.below(50));
                self.cache.with_stripe_locked(&key_bytes(key), || while Instant::now() < until {});
            }
            20..30 => drop(self.cache.stats().unwrap()),
            30..40 => {
                let most = if self.fits { self.known.len() as u64 } else { u64::MAX };
                assert!(self.cache.len() <= most);
            }
            40..95 => {
                let bytes = key_bytes(key);
                if fast_delete(&self.cache, &bytes).is_err() {
                    self.cache.delete(&bytes);
                }
                self.raise(key, began);
            }
            95..98 => drop(self.cache.touch(&key_bytes(key), Duration::from_millis(20))),
            _ => {
                self.cache.clear().unwrap();
                (0..self.known.len() as u64).for_each(|key| self.raise(key, began));
            }
        }
    }
}

/// Several writers of the same keys, and readers.
fn run(options: Options, keys: u64, fits: bool, time: Duration) {
    let bound = if options.stripes == 1 { options.max_entries } else { 0 };
    let known = |_| Known {
        floor: AtomicU64::new(0),
        ends: std::array::from_fn(|_| (0..ENDS).map(|_| AtomicU64::new(0)).collect()),
    };
    let run = &Run {
        cache: Cache::new(options).unwrap(),
        time: AtomicU64::new(1),
        known: (0..keys).map(known).collect(),
        sets: AtomicU64::new(0),
        gets: AtomicU64::new(0),
        missing: AtomicU64::new(0),
        fits,
        over: AtomicBool::new(false),
    };
    team(|team| {
        for writer in 0..WRITERS {
            team.spawn(move || {
                let _over = Over(&run.over);
                let (mut rng, mut value) = (Rng(writer as u64), Vec::new());
                let mut numbers = vec![0; keys as usize];
                while !run.over.load(Ordering::Acquire) {
                    // A few keys are set more often than the others.
                    let key = if rng.one_in(2) { rng.below(keys.min(3)) } else { rng.below(keys) };
                    numbers[key as usize] += 1;
                    run.set(key, writer, numbers[key as usize], &mut rng, &mut value);
                    if rng.one_in(4) {
                        run.read(key, &mut rng, &mut value);
                    }
                }
            });
        }
        for reader in 0..2 {
            team.spawn(move || {
                let _over = Over(&run.over);
                let (mut rng, mut buffer) = (Rng(100 + reader), Vec::new());
                while !run.over.load(Ordering::Acquire) {
                    let key = if rng.one_in(2) { rng.below(keys.min(3)) } else { rng.below(keys) };
                    run.read(key, &mut rng, &mut buffer);
                    if rng.one_in(30) {
                        run.unsettle(&mut rng);
                    }
                    assert!(bound == 0 || !rng.one_in(50) || run.cache.len() <= bound);
                }
            });
        }
        std::thread::sleep(time);
        run.over.store(true, Ordering::Release);
    });
    run.cache.check();
    let [gets, missing] = [&run.gets, &run.missing].map(|count| count.load(Ordering::Relaxed));
    // What an iteration finds no room for goes at once. That is rare even where memory is as short
    // as can be.
    assert!(!fits || missing <= gets / 50, "{missing} of {gets}");
    let stats = run.cache.stats().unwrap();
    assert_eq!(stats.sets, run.sets.load(Ordering::Relaxed), "{stats:?}");
    assert!(stats.bytes <= stats.max_bytes && stats.entries == run.cache.len(), "{stats:?}");
    let mut rng = Rng(7);
    (0..keys).for_each(|key| run.read(key, &mut rng, &mut Vec::new()));
    run.cache.check();
}

const BUDGETS: [u64; 3] = [300 << 10, 1 << 20, 2 << 20];

#[test]
fn nothing_is_old_and_little_lost_while_all_fits() {
    for (stripes, budget) in [(1, 300 << 10), (1, 1 << 20), (2, 1 << 20), (2, 2 << 20)] {
        run(Options { stripes, ..Options::new(budget) }, 20, true, stress() / 4);
    }
}

#[test]
fn nothing_is_old_in_a_full_cache() {
    for stripes in [1, 2] {
        for (budget, policy) in
            BUDGETS.into_iter().zip([Policy::Default, Policy::Lru, Policy::S3Fifo])
        {
            let options = Options { stripes, policy, ..Options::new(budget) };
            run(options, 20_000, false, stress() / 6);
        }
    }
}

#[test]
fn nothing_is_old_among_few_keys_that_come_and_go() {
    for stripes in [1, 2] {
        run(Options { stripes, ..Options::new(1 << 20) }, 8, false, stress() / 2);
    }
}

#[test]
fn a_bound_on_entries_holds() {
    for stripes in [1, 2] {
        let options = Options { stripes, max_entries: 100, ..Options::new(1 << 20) };
        run(options, 300, false, stress() / 2);
    }
}
