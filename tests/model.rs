//! Random operations against a plain map: what the cache returns must agree, and the structure must check itself after
//! each step.

use larder::{Cache, Clock, MockClock, Options, Policy};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Op {
    Set { key: u16, len: usize },
    SetTtl { key: u16, len: usize, ttl: u64 },
    Get { key: u16 },
    Delete { key: u16 },
    Advance { millis: u64 },
    Clear,
    Resize { kib: u64 },
    Iterate,
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
        5 => (0..300u64).prop_map(|millis| Op::Advance { millis }),
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
    let mut value: Vec<u8> = (0..len).map(|i| (i as u64 * 31 + u64::from(key) + version * 7) as u8).collect();
    for (to, from) in value.iter_mut().zip(version.to_le_bytes()) {
        *to = from;
    }
    value
}

struct Model {
    cache: Cache,
    clock: MockClock,
    map: BTreeMap<u16, (Vec<u8>, Option<u64>)>,
    version: u64,
}

impl Model {
    fn new(policy: Policy, stripes: usize, max_entries: u64, kib: u64) -> Model {
        let clock = MockClock::default();
        let cache = Cache::new(Options {
            policy,
            stripes,
            max_entries,
            seed: Some(7),
            clock: Clock::Mock(clock.clone()),
            ..Options::new(kib << 10)
        })
        .unwrap();
        Model { cache, clock, map: BTreeMap::new(), version: 0 }
    }

    fn live(&self, key: u16) -> Option<&Vec<u8>> {
        let now = self.clock.now();
        self.map.get(&key).filter(|(_, deadline)| deadline.is_none_or(|d| now < d)).map(|(value, _)| value)
    }

    /// Applies one operation. `lossy`: the cache may have evicted anything.
    fn step(&mut self, op: &Op, lossy: bool) {
        match *op {
            Op::Set { key, len } => self.set(key, len, None),
            Op::SetTtl { key, len, ttl } => self.set(key, len, Some(ttl)),
            Op::Get { key } => {
                let got = self.cache.get(&key_bytes(key));
                match (got, self.live(key)) {
                    (Some(got), Some(expected)) => assert_eq!(&got, expected),
                    (None, None) => {}
                    (None, Some(_)) => {
                        assert!(lossy, "lost key {key}");
                        self.map.remove(&key);
                    }
                    (Some(_), None) => panic!("key {key} should not be there"),
                }
            }
            Op::Delete { key } => {
                let deleted = self.cache.delete(&key_bytes(key));
                let expected = self.live(key).is_some();
                assert!(deleted == expected || lossy && !deleted);
                self.map.remove(&key);
            }
            Op::Advance { millis } => self.clock.advance(millis),
            Op::Clear => {
                self.cache.clear().unwrap();
                self.map.clear();
                assert_eq!(self.cache.len(), 0);
            }
            Op::Resize { kib } => {
                if lossy {
                    self.cache.resize(kib << 10).unwrap();
                }
            }
            Op::Iterate => {
                let mut seen = BTreeMap::new();
                self.cache.for_each(|key, value| {
                    assert!(seen.insert(key.to_vec(), value.to_vec()).is_none(), "seen twice");
                });
                for &key in self.map.keys() {
                    match (seen.remove(&key_bytes(key)), self.live(key)) {
                        (Some(got), Some(expected)) => assert_eq!(&got, expected),
                        (None, None) => {}
                        (None, Some(_)) => assert!(lossy),
                        (Some(_), None) => panic!("an expired entry was visited"),
                    }
                }
                assert!(seen.is_empty(), "an unknown entry was visited");
            }
        }
        self.cache.check();
        let stats = self.cache.stats().unwrap();
        assert!(stats.bytes <= stats.max_bytes, "{stats:?}");
    }

    fn set(&mut self, key: u16, len: usize, ttl: Option<u64>) {
        self.version += 1;
        let value = value_bytes(key, self.version, len);
        let stored = match ttl {
            Some(ttl) => self.cache.set_ttl(&key_bytes(key), &value, Duration::from_millis(ttl)),
            None => self.cache.set(&key_bytes(key), &value),
        };
        stored.unwrap();
        assert_eq!(self.cache.get(&key_bytes(key)).as_ref(), Some(&value), "a set is visible to the next get");
        self.map.insert(key, (value, ttl.map(|ttl| self.clock.now() + ttl)));
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Lru), Just(Policy::S3Fifo), Just(Policy::Cellar)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Nothing is ever evicted, so every answer is known.
    #[test]
    fn agrees_with_a_map_when_all_fits(policy in policies(), stripes in 0..3u32, ops in prop::collection::vec(op(100), 1..400)) {
        let mut model = Model::new(policy, 1 << stripes, 0, 64 << 10);
        for op in &ops {
            model.step(op, false);
        }
    }

    /// Misses are allowed, wrong answers are not.
    #[test]
    fn never_answers_wrong_under_eviction(policy in policies(), stripes in 0..2u32, ops in prop::collection::vec(op(400), 1..800)) {
        let mut model = Model::new(policy, 1 << stripes, 0, 512);
        for op in &ops {
            model.step(op, true);
        }
    }

    /// The bound on entries holds after every step.
    #[test]
    fn holds_the_bound_on_entries(policy in policies(), max in 1..60u64, ops in prop::collection::vec(op(200), 1..400)) {
        let mut model = Model::new(policy, 1, max, 64 << 10);
        for op in &ops {
            model.step(op, true);
            prop_assert!(model.cache.len() <= max);
        }
    }
}
