//! Random operations against a plain map: what the cache returns must agree, and the structure must
//! check itself after each step.

mod support;

use larder::{
    Ask, Cache, CasError, Clock, Error, Load, MockClock, Options, Policy, SetOptions, State, Ttl,
    View,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Op {
    Set {
        key: u16,
        len: usize,
    },
    SetTtl {
        key: u16,
        len: usize,
        ttl: u64,
    },
    Get {
        key: u16,
    },
    Delete {
        key: u16,
    },
    Advance {
        millis: u64,
    },
    Clear,
    Resize {
        kib: u64,
    },
    Iterate,
    /// With another value that takes the same room.
    Overwrite {
        key: u16,
    },
    SetWith {
        key: u16,
        len: usize,
        said: Said,
    },
    /// With the stamp that was taken last.
    SetAsOf {
        key: u16,
        tags: u8,
    },
    TakeStamp,
    SetNumber {
        key: u16,
        number: i64,
    },
    Increment {
        key: u16,
        delta: i64,
    },
    Add {
        key: u16,
        len: usize,
        said: Said,
    },
    Swap {
        key: u16,
        len: usize,
        said: Said,
    },
    Touch {
        key: u16,
        ttl: Option<u64>,
    },
    MarkStale {
        key: u16,
    },
    GetWith {
        key: u16,
        lease: bool,
        version: bool,
    },
    InvalidateTag {
        tag: u8,
        soft: bool,
    },
    SettleTags,
    View {
        key: u16,
    },
    LoadBegin {
        key: u16,
    },
    LoadEnd {
        key: u16,
        len: usize,
    },
    LoadCancel {
        key: u16,
    },
}

/// What is said of a value.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    ttl: Option<u64>,
    stale: Option<u64>,
    sliding: bool,
    absent: bool,
    /// A bit for each.
    tags: u8,
    user: u64,
}

const TAGS: [&[u8]; 5] = [b"", b"a", b"tag", b"another tag", &[7; 300]];

fn said() -> impl Strategy<Value = Said> {
    let tags = prop_oneof![2 => Just(0u8), 3 => 0..1u8 << TAGS.len()];
    let ttl = proptest::option::of(prop_oneof![9 => 1..500u64, 1 => Just(u64::MAX)]);
    let stale = proptest::option::of(prop_oneof![9 => 1..300u64, 1 => Just(u64::MAX)]);
    let user = prop_oneof![2 => Just(0), 1 => 1..1u64 << 48, 1 => Just((1 << 48) - 1)];
    (ttl, stale, any::<bool>(), prop::bool::weighted(0.15), tags, user).prop_map(
        |(ttl, stale, sliding, absent, tags, user)| Said {
            ttl,
            stale,
            sliding,
            absent,
            tags,
            user,
        },
    )
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0..200usize,
        3 => 200..4_000usize,
        1 => 4_000..65_536usize,
    ]
}

fn op(keys: u16) -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => (0..keys, len()).prop_map(|(key, len)| Op::Set { key, len }),
        15 => (0..keys, len(), 1..500u64).prop_map(|(key, len, ttl)| Op::SetTtl { key, len, ttl }),
        40 => (0..keys).prop_map(|key| Op::Get { key }),
        10 => (0..keys).prop_map(|key| Op::Delete { key }),
        5 => prop_oneof![9 => 0..300u64, 1 => 5_000..15_000u64].prop_map(|millis| Op::Advance { millis }),
        20 => (0..keys).prop_map(|key| Op::Overwrite { key }),
        20 => (0..keys, len(), said()).prop_map(|(key, len, said)| Op::SetWith { key, len, said }),
        3 => (0..keys, 1..1u8 << TAGS.len()).prop_map(|(key, tags)| Op::SetAsOf { key, tags }),
        2 => Just(Op::TakeStamp),
        5 => (0..keys, any::<i64>()).prop_map(|(key, number)| Op::SetNumber { key, number }),
        10 => (0..keys, -50..50i64).prop_map(|(key, delta)| Op::Increment { key, delta }),
        5 => (0..keys, len(), said()).prop_map(|(key, len, said)| Op::Add { key, len, said }),
        8 => (0..keys, len(), said()).prop_map(|(key, len, said)| Op::Swap { key, len, said }),
        8 => (0..keys, proptest::option::of(0..500u64)).prop_map(|(key, ttl)| Op::Touch { key, ttl }),
        5 => (0..keys).prop_map(|key| Op::MarkStale { key }),
        25 => (0..keys, any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(key, lease, version)| Op::GetWith { key, lease, version }),
        3 => (0..TAGS.len() as u8, any::<bool>()).prop_map(|(tag, soft)| Op::InvalidateTag { tag, soft }),
        1 => Just(Op::SettleTags),
        3 => (0..keys).prop_map(|key| Op::View { key }),
        5 => (0..keys).prop_map(|key| Op::LoadBegin { key }),
        5 => (0..keys, len()).prop_map(|(key, len)| Op::LoadEnd { key, len }),
        2 => (0..keys).prop_map(|key| Op::LoadCancel { key }),
        1 => Just(Op::Clear),
        1 => (640..2048u64).prop_map(|kib| Op::Resize { kib }),
        1 => Just(Op::Iterate),
    ]
}

/// Keys of many lengths, from empty to long.
fn key_bytes(key: u16) -> Vec<u8> {
    match key % 7 {
        0 if key == 0 => Vec::new(),
        6 => format!("{key}-{}", "k".repeat(usize::from(key) % 300)).into_bytes(),
        _ => format!("key:{key}").into_bytes(),
    }
}

fn value_bytes(key: u16, version: u64, len: usize) -> Vec<u8> {
    let mut value: Vec<u8> =
        (0..len).map(|i| (i as u64 * 31 + u64::from(key) + version * 7) as u8).collect();
    for (to, from) in value.iter_mut().zip(version.to_le_bytes()) {
        *to = from;
    }
    value
}

/// What the map knows of an entry.
#[derive(Clone, Debug)]
struct Known {
    value: Vec<u8>,
    /// When it expires; `u64::MAX`: it could, but doesn't.
    deadline: Option<u64>,
    sliding: Option<u64>,
    /// From when it is stale, or until when somebody holds the lease.
    stale: Option<u64>,
    leased: bool,
    /// A tag of it was invalidated softly.
    soft: bool,
    absent: bool,
    tags: u8,
    user: u64,
}

/// What is written beside the map's entries.
#[derive(Default)]
struct Kept {
    /// The version that was told last of a key, and whether its entry still has it.
    versions: BTreeMap<u16, (u64, bool)>,
    /// The load that began last of a key, and whether it is under way.
    loads: BTreeMap<u16, (u64, bool)>,
    /// The stamp that was taken last, and the tags invalidated since then: a bit for each.
    stamp: u64,
    hard: u8,
    soft: u8,
    /// Whether tags were settled since then, so that what was invalidated since is forgotten.
    settled: bool,
    sets: u64,
    hits: u64,
    misses: u64,
}

struct Model {
    cache: Cache,
    clock: MockClock,
    map: BTreeMap<u16, Known>,
    kept: Kept,
    views: VecDeque<(View, Vec<u8>)>,
    /// The cache was told that all deadlines slide.
    sliding: bool,
    version: u64,
    steps: u64,
}

fn found_by_all(known: &Known) -> bool {
    !known.absent
}

impl Model {
    fn new(policy: Policy, stripes: usize, max_entries: u64, kib: u64, sliding: bool) -> Model {
        let clock = MockClock::default();
        let cache = Cache::new(Options {
            policy,
            stripes,
            max_entries,
            sliding,
            seed: Some(7),
            clock: Clock::Mock(clock.clone()),
            ..Options::new(kib << 10)
        })
        .unwrap();
        let kept = Kept { stamp: cache.stamp().unwrap(), ..Kept::default() };
        Model {
            cache,
            clock,
            map: BTreeMap::new(),
            kept,
            views: VecDeque::new(),
            sliding,
            version: 0,
            steps: 0,
        }
    }

    /// The entry of a key that has not expired; it may be absent.
    fn live(&self, key: u16) -> Option<&Known> {
        let now = self.clock.now();
        self.map.get(&key).filter(|known| known.deadline.is_none_or(|d| now < d))
    }

    /// Compares what the cache said of an entry's being there. `lossy`: it may have been evicted.
    fn agree(&mut self, key: u16, found: bool, lossy: bool) {
        match (found, self.live(key).is_some()) {
            (false, true) => {
                assert!(lossy, "lost key {key}");
                self.map.remove(&key);
            }
            (found, expected) => assert_eq!(found, expected, "key {key}"),
        }
    }

    /// As a reader does.
    fn slide(&mut self, key: u16) {
        let now = self.clock.now();
        let Some(known) = self.map.get_mut(&key) else { return };
        if let (Some(ttl), Some(deadline)) = (known.sliding, known.deadline) {
            let later = now.saturating_add(ttl);
            if later > deadline && later - deadline > ttl / 32 {
                known.deadline = Some(later);
            }
        }
    }

    fn get(&mut self, key: u16, lossy: bool) {
        let got = self.cache.get(&key_bytes(key));
        match (got, self.live(key).filter(|known| found_by_all(known))) {
            (Some(got), Some(expected)) => {
                assert_eq!(got, expected.value);
                self.kept.hits += 1;
                self.slide(key);
            }
            (None, None) => self.kept.misses += 1,
            (None, Some(_)) => {
                assert!(lossy, "lost key {key}");
                self.kept.misses += 1;
                self.map.remove(&key);
            }
            (Some(_), None) => panic!("key {key} should not be there"),
        }
    }

    fn get_with(&mut self, key: u16, lease: bool, version: bool, lossy: bool) {
        let now = self.clock.now();
        let mut value = b"before".to_vec();
        let info =
            self.cache.get_with(&key_bytes(key), &mut value, Ask { lease, version }).unwrap();
        self.agree(key, info.is_some(), lossy);
        let Some(info) = info else {
            self.kept.misses += 1;
            return;
        };
        self.kept.hits += 1;
        let known = self.map.get_mut(&key).expect("it was there");
        assert_eq!(value.strip_prefix(b"before"), Some(&known.value[..]));
        assert_eq!(info.user, known.user);
        assert_eq!(info.ttl, known.deadline.filter(|&at| at != u64::MAX).map(|at| at - now));
        let expected = match known.stale {
            _ if known.absent => State::Absent,
            None => State::Fresh,
            Some(at) if now < at && !known.leased && !known.soft => State::Fresh,
            Some(at) if now < at && known.leased || !lease => State::Stale,
            Some(_) => {
                (known.stale, known.leased) = (Some(now + 10_000), true);
                State::Refresh
            }
        };
        assert_eq!(info.state, expected);
        self.slide(key);
        if version {
            if let Some(&(told, valid)) = self.kept.versions.get(&key) {
                assert_eq!(
                    info.version == told,
                    valid,
                    "a version is told again while nothing was set, and only then"
                );
            }
            self.kept.versions.insert(key, (info.version, true));
        } else {
            assert_eq!(info.version, 0);
        }
    }

    /// Notes what was stored.
    fn stored(&mut self, key: u16, value: Vec<u8>, said: Said) {
        let now = self.clock.now();
        let deadline = said.ttl.map(|ttl| now.saturating_add(ttl));
        let sliding = said.ttl.filter(|_| said.sliding || self.sliding);
        // What has tags can become stale by them.
        let never = (said.tags != 0).then_some((1 << 63) - 1);
        let stale = said.stale.map(|after| now.saturating_add(after).min((1 << 63) - 1)).or(never);
        let Said { absent, tags, user, .. } = said;
        self.map.insert(
            key,
            Known {
                value,
                deadline,
                sliding,
                stale,
                leased: false,
                soft: false,
                absent,
                tags,
                user,
            },
        );
        self.changed(key);
        self.kept.sets += 1;
    }

    /// Whatever depended on the key's not being changed is void.
    fn changed(&mut self, key: u16) {
        if let Some(version) = self.kept.versions.get_mut(&key) {
            version.1 = false;
        }
        if let Some(load) = self.kept.loads.get_mut(&key) {
            load.1 = false;
        }
    }

    fn next_value(&mut self, key: u16, len: usize) -> Vec<u8> {
        self.version += 1;
        value_bytes(key, self.version, len)
    }

    /// Applies one operation. `lossy`: the cache may have evicted anything.
    fn step(&mut self, op: &Op, lossy: bool) {
        match *op {
            Op::Set { key, len } => self.set(key, len, None),
            Op::SetTtl { key, len, ttl } => self.set(key, len, Some(ttl)),
            Op::Overwrite { key } => {
                if let Some(known) = self.map.get(&key) {
                    let (len, ttl) = (known.value.len(), known.deadline.map(|_| 400));
                    self.set(key, len, ttl);
                }
            }
            Op::Get { key } => self.get(key, lossy),
            Op::GetWith { key, lease, version } => self.get_with(key, lease, version, lossy),
            Op::Delete { key } => {
                let deleted = self.cache.delete(&key_bytes(key));
                let expected = self.live(key).is_some_and(found_by_all);
                assert!(deleted == expected || lossy && !deleted);
                self.map.remove(&key);
                self.changed(key);
            }
            Op::Advance { millis } => self.clock.advance(millis),
            Op::Clear => {
                self.cache.clear().unwrap();
                self.map.clear();
                self.kept.loads.values_mut().for_each(|load| load.1 = false);
                assert_eq!(self.cache.len(), 0);
            }
            Op::Resize { kib } => {
                if lossy {
                    self.cache.resize(kib << 10).unwrap();
                }
            }
            Op::Iterate => self.iterate(lossy),
            Op::View { key } => self.view(key, lossy),
            Op::SetWith { key, len, said } => {
                let value = self.next_value(key, len);
                with(said, None, |options| self.cache.set_with(&key_bytes(key), &value, options))
                    .unwrap();
                self.stored(key, value, said);
                self.get_with(key, false, false, false);
            }
            Op::TakeStamp => {
                self.kept.stamp = self.cache.stamp().unwrap();
                (self.kept.hard, self.kept.soft, self.kept.settled) = (0, 0, false);
            }
            Op::SetAsOf { key, tags } => {
                if lossy {
                    return;
                }
                let value = self.next_value(key, 20);
                let said = Said { tags, ..Said::default() };
                let as_of = Some(self.kept.stamp);
                with(said, as_of, |options| self.cache.set_with(&key_bytes(key), &value, options))
                    .unwrap();
                self.stored(key, value, said);
                if tags & self.kept.hard != 0 || self.kept.settled {
                    self.map.remove(&key);
                } else if tags & self.kept.soft != 0 {
                    self.map.get_mut(&key).expect("just stored").soft = true;
                }
                self.get_with(key, false, false, false);
            }
            Op::SetNumber { key, number } => {
                let value = number.to_string().into_bytes();
                self.cache.set_ttl(&key_bytes(key), &value, Duration::from_millis(400)).unwrap();
                self.stored(key, value, Said { ttl: Some(400), ..Said::default() });
            }
            Op::Increment { key, delta } => self.increment(key, delta, lossy),
            Op::Add { key, len, said } => {
                let value = self.next_value(key, len);
                let added =
                    with(said, None, |options| self.cache.add(&key_bytes(key), &value, options))
                        .unwrap();
                let expected = !self.live(key).is_some_and(found_by_all);
                assert!(added == expected || lossy && added);
                if added {
                    self.stored(key, value, said);
                }
            }
            Op::Swap { key, len, said } => {
                let (told, valid) =
                    self.kept.versions.get(&key).copied().unwrap_or((u64::MAX, false));
                let value = self.next_value(key, len);
                let swapped = with(said, None, |options| {
                    self.cache.compare_and_swap(&key_bytes(key), &value, told, options)
                });
                self.agree(key, swapped != Err(CasError::NotFound), lossy);
                if let Ok(version) = swapped {
                    assert!(valid && version != told);
                    self.stored(key, value, said);
                    self.kept.versions.insert(key, (version, true));
                } else {
                    assert!(
                        swapped == Err(CasError::NotFound)
                            || swapped == Err(CasError::Conflict) && !valid
                    );
                }
            }
            Op::Touch { key, ttl } => {
                let touched =
                    self.cache.touch(&key_bytes(key), ttl.map_or(Ttl::Never, Ttl::Millis)).unwrap();
                self.agree(key, touched, lossy);
                let (now, sliding) = (self.clock.now(), self.sliding);
                if let Some(known) = self.map.get_mut(&key).filter(|_| touched) {
                    let deadline = ttl.map(|ttl| now + ttl);
                    if known.deadline.is_some() {
                        known.deadline = deadline.or(Some(u64::MAX));
                    } else if deadline.is_some() {
                        known.deadline = deadline;
                        known.sliding = ttl.filter(|_| sliding);
                    }
                }
            }
            Op::MarkStale { key } => {
                let marked = self.cache.mark_stale(&key_bytes(key)).unwrap();
                self.agree(key, marked, lossy);
                if let Some(known) = self.map.get_mut(&key).filter(|_| marked) {
                    (known.stale, known.leased) = (Some(0), false);
                }
            }
            Op::InvalidateTag { tag, soft } => {
                self.cache.invalidate_tag(TAGS[usize::from(tag)], soft).unwrap();
                let bit = 1 << tag;
                if soft {
                    self.map
                        .values_mut()
                        .filter(|known| known.tags & bit != 0)
                        .for_each(|known| known.soft = true);
                    self.kept.soft |= bit;
                } else {
                    self.map.retain(|_, known| known.tags & bit == 0);
                    self.kept.hard |= bit;
                }
            }
            Op::SettleTags => {
                self.cache.settle_tags().unwrap();
                self.kept.settled |= self.cache.stamp().unwrap() > self.kept.stamp;
            }
            Op::LoadBegin { key } => {
                let load = self.cache.load_begin(&key_bytes(key)).unwrap();
                let (token, fresh) = (load.token(), matches!(load, Load::Begun(_)));
                match self.kept.loads.get(&key) {
                    Some(&(old, true)) => assert_eq!((token, fresh), (old, false)),
                    Some(&(old, false)) => assert!(fresh && token != old),
                    None => assert!(fresh),
                }
                self.kept.loads.insert(key, (token, true));
            }
            Op::LoadEnd { key, len } => {
                let Some(&(token, valid)) = self.kept.loads.get(&key) else { return };
                let value = self.next_value(key, len);
                let said = Said {
                    ttl: Some(300),
                    stale: Some(100),
                    tags: 1,
                    user: 300,
                    ..Said::default()
                };
                let ended = with(said, None, |options| {
                    self.cache.load_end(&key_bytes(key), token, &value, options)
                });
                assert_eq!(ended, Ok(valid));
                if valid {
                    self.stored(key, value, said);
                }
            }
            Op::LoadCancel { key } => {
                let Some((token, valid)) = self.kept.loads.get_mut(&key) else { return };
                assert_eq!(self.cache.load_cancel(&key_bytes(key), *token), Ok(*valid));
                *valid = false;
            }
        }
        for (view, expected) in &self.views {
            assert_eq!(**view, **expected, "a view has changed");
        }
        self.cache.check();
        self.steps += 1;
        if !self.steps.is_multiple_of(5) {
            // Stats complete the sets that wait: not each time.
            return;
        }
        let stats = self.cache.stats().unwrap();
        assert!(stats.bytes <= stats.max_bytes, "{stats:?}");
        let Kept { sets, hits, misses, .. } = self.kept;
        assert_eq!((stats.sets, stats.hits, stats.misses), (sets, hits, misses));
    }

    fn iterate(&self, lossy: bool) {
        let mut seen = BTreeMap::new();
        self.cache.for_each(|key, value| {
            assert!(seen.insert(key.to_vec(), value.to_vec()).is_none(), "seen twice");
        });
        for &key in self.map.keys() {
            match (seen.remove(&key_bytes(key)), self.live(key).filter(|known| found_by_all(known)))
            {
                (Some(got), Some(expected)) => assert_eq!(got, expected.value),
                (None, None) => {}
                (None, Some(_)) => assert!(lossy),
                (Some(_), None) => panic!("an expired entry was visited"),
            }
        }
        assert!(seen.is_empty(), "an unknown entry was visited");
    }

    /// Takes a view and keeps it for some steps, where there is room for that.
    fn view(&mut self, key: u16, lossy: bool) {
        if lossy {
            return;
        }
        let view = self.cache.view(&key_bytes(key)).unwrap();
        match (view, self.live(key).filter(|known| found_by_all(known))) {
            (Some(view), Some(expected)) => {
                assert_eq!(*view, *expected.value);
                self.views.push_back((view, expected.value.clone()));
                self.kept.hits += 1;
                self.slide(key);
            }
            (None, None) => self.kept.misses += 1,
            (view, _) => panic!("key {key}: {}", view.is_some()),
        }
        if self.views.len() > 3 {
            self.views.pop_front();
        }
    }

    fn increment(&mut self, key: u16, delta: i64, lossy: bool) {
        let said = Said { ttl: Some(200), sliding: true, ..Said::default() };
        let sum = with(said, None, |options| self.cache.increment(&key_bytes(key), delta, options));
        let number = |known: &Known| {
            std::str::from_utf8(&known.value).ok()?.parse::<i64>().ok()?.checked_add(delta)
        };
        let expected = self.live(key).filter(|known| found_by_all(known)).map(number);
        match (sum, expected) {
            (Ok(sum), Some(Some(expected))) if sum == expected => {
                let known = self.map.get_mut(&key).expect("it was there");
                known.value = sum.to_string().into_bytes();
                self.changed(key);
                self.kept.sets += 1;
            }
            (Err(Error::NotANumber), Some(None)) => {}
            (Ok(sum), was) if sum == delta && (was.is_none() || lossy) => {
                self.stored(key, sum.to_string().into_bytes(), said);
            }
            wrong => panic!("{wrong:?}"),
        }
    }

    fn set(&mut self, key: u16, len: usize, ttl: Option<u64>) {
        let value = self.next_value(key, len);
        // By the fast path sets of large caches are left to be completed by whoever comes next
        // (`src/stripe/deferred/write_buffer.rs`).
        let fast = !self.version.is_multiple_of(3);
        if !fast || support::fast_set(&self.cache, &key_bytes(key), &value, ttl).is_err() {
            let stored = match ttl {
                Some(ttl) => {
                    self.cache.set_ttl(&key_bytes(key), &value, Duration::from_millis(ttl))
                }
                None => self.cache.set(&key_bytes(key), &value),
            };
            stored.unwrap();
        }
        self.stored(key, value, Said { ttl, ..Said::default() });
        // A set is visible to the next get.
        if self.version.is_multiple_of(2) {
            self.get(key, false);
        }
    }
}

/// Calls `f` with the options of a set.
fn with<T>(said: Said, as_of: Option<u64>, f: impl FnOnce(&SetOptions<'_>) -> T) -> T {
    let has = |&(i, _): &(usize, &&[u8])| said.tags & 1 << i != 0;
    let tags: Vec<&[u8]> = TAGS.iter().enumerate().filter(has).map(|(_, tag)| *tag).collect();
    f(&SetOptions {
        ttl: said.ttl.map_or(Ttl::Never, Ttl::Millis),
        stale_after: said.stale.map(Duration::from_millis),
        sliding: said.sliding,
        absent: said.absent,
        tags: &tags,
        as_of,
        user: said.user,
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Lru), Just(Policy::S3Fifo), Just(Policy::Cellar)]
}

/// Enough for every run of the tests; `make fuzz` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Nothing is ever evicted, so every answer is known.
    #[test]
    fn agrees_with_a_map_when_all_fits(policy in policies(), stripes in 0..3u32, sliding: bool, ops in prop::collection::vec(op(100), 1..400)) {
        let mut model = Model::new(policy, 1 << stripes, 0, 64 << 10, sliding);
        for op in &ops {
            model.step(op, false);
        }
    }

    /// Misses are allowed, wrong answers are not.
    #[test]
    fn never_answers_wrong_under_eviction(policy in policies(), stripes in 0..2u32, sliding: bool, ops in prop::collection::vec(op(400), 1..800)) {
        let mut model = Model::new(policy, 1 << stripes, 0, 512, sliding);
        for op in &ops {
            model.step(op, true);
        }
    }

    /// The bound on entries holds after every step.
    #[test]
    fn holds_the_bound_on_entries(policy in policies(), max in 1..60u64, ops in prop::collection::vec(op(200), 1..400)) {
        let mut model = Model::new(policy, 1, max, 64 << 10, false);
        for op in &ops {
            model.step(op, true);
            prop_assert!(model.cache.len() <= max);
        }
    }
}
