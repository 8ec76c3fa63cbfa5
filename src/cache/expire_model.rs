//! The sweep against a model: no order of holds, drains and calls serves what has expired, or
//! forgets when something does.
//!
//! The sweep is driven a hold at a time, from one unit of work upwards, so that everything else
//! comes to pass between two holds wherever they can end. After each step the structure is checked
//! (`check`), which knows what each summary of deadlines must say.

use crate::stripe::{Stripe, StripeState};
use crate::sys::atomic::Ordering;
use crate::{Ask, Cache, Clock, MockClock, Options, Policy, SetOptions, State as Freshness, Ttl};
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;

/// Keys; each has a size of its own, from a word to a run of an eighth of the cache.
const SIZES: [usize; 12] =
    [8, 40, 300, 2_000, 9_000, 20_000, 40_000, 40_000, 60_000, 60_000, 100_000, 120_000];

#[derive(Clone, Debug)]
enum Step {
    Set { key: usize, ttl: Option<u64>, sliding: bool },
    Add { key: usize, ttl: Option<u64> },
    Increment { key: usize, ttl: Option<u64> },
    Swap { key: usize, ttl: Option<u64> },
    Get { key: usize },
    Touch { key: usize, ttl: Option<u64> },
    Delete { key: usize },
    Drain { entries: usize },
    Sweep { units: usize },
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..SIZES.len();
    let ttl = || prop_oneof![1 => Just(None), 3 => (1..2_000u64).prop_map(Some), 1 => (1..200_000u64).prop_map(Some)];
    prop_oneof![
        4 => (key(), ttl(), any::<bool>()).prop_map(|(key, ttl, sliding)| Step::Set { key, ttl, sliding }),
        2 => (key(), ttl()).prop_map(|(key, ttl)| Step::Add { key, ttl }),
        1 => (key(), ttl()).prop_map(|(key, ttl)| Step::Increment { key, ttl }),
        1 => (key(), ttl()).prop_map(|(key, ttl)| Step::Swap { key, ttl }),
        6 => key().prop_map(|key| Step::Get { key }),
        3 => (key(), ttl()).prop_map(|(key, ttl)| Step::Touch { key, ttl }),
        1 => key().prop_map(|key| Step::Delete { key }),
        4 => (1..4usize).prop_map(|entries| Step::Drain { entries }),
        8 => prop_oneof![4 => 1..6usize, 1 => 6..100usize, 1 => 1..800usize].prop_map(|units| Step::Sweep { units }),
        3 => (1..900u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// What the model knows of a key.
#[derive(Clone)]
struct Known {
    value: Vec<u8>,
    /// As late as it can be, for a read may put it off or not; `u64::MAX`: it has none.
    deadline: u64,
    sliding: Option<u64>,
    version: Option<u64>,
}

struct Model {
    cache: Cache,
    clock: MockClock,
    known: HashMap<usize, Known>,
    sets: u8,
    /// The time of the round that is under way.
    round: Option<u64>,
}

fn name(key: usize) -> Vec<u8> {
    vec![b'k', key as u8]
}

fn options(ttl: Option<u64>, sliding: bool) -> SetOptions<'static> {
    SetOptions { sliding, ..SetOptions::from(ttl.map_or(Ttl::Never, Ttl::Millis)) }
}

impl Model {
    fn new(policy: Policy) -> Model {
        let clock = MockClock::default();
        clock.advance(1_000_000);
        let options = Options {
            stripes: 1,
            policy,
            clock: Clock::Mock(clock.clone()),
            seed: Some(7),
            ..Options::new(1 << 20)
        };
        Model {
            cache: Cache::new(options).unwrap(),
            clock,
            known: HashMap::new(),
            sets: 0,
            round: None,
        }
    }

    /// Of a key that hasn't expired. (It may have been evicted.)
    fn alive(&self, key: usize) -> Option<&Known> {
        self.known.get(&key).filter(|known| known.deadline > self.clock.now())
    }

    fn deadline(&self, ttl: Option<u64>) -> u64 {
        ttl.map_or(u64::MAX, |ttl| self.clock.now() + ttl)
    }

    fn value(&mut self, key: usize) -> Vec<u8> {
        self.sets = self.sets.wrapping_add(1);
        // Not a digit: no counter.
        vec![self.sets | 0x80; SIZES[key]]
    }

    fn store(
        &mut self,
        key: usize,
        value: Vec<u8>,
        ttl: Option<u64>,
        sliding: bool,
        version: Option<u64>,
    ) {
        let deadline = self.deadline(ttl);
        let sliding = ttl.filter(|_| sliding);
        self.known.insert(key, Known { value, deadline, sliding, version });
    }

    fn read(&mut self, key: usize) -> Option<u64> {
        let mut out = Vec::new();
        let found = self
            .cache
            .get_with(&name(key), &mut out, Ask { lease: false, version: true })
            .unwrap()?;
        let known =
            self.alive(key).unwrap_or_else(|| panic!("key {key} has expired, and is served"));
        assert!(out == known.value, "the value of key {key}");
        assert_eq!(found.state, Freshness::Fresh);
        // A read puts a sliding deadline off, more or less.
        let deadline = self.deadline(found.ttl);
        let slid = known.sliding.map_or(0, |ttl| self.clock.now() + ttl).max(known.deadline);
        assert!(deadline <= slid, "key {key} expires at {deadline}, not by {slid}");
        let known = self.known.get_mut(&key).unwrap();
        (known.deadline, known.version) = (slid, Some(found.version));
        known.version
    }

    fn with_stripe<T>(
        &self,
        f: impl FnOnce(&crate::cache::Shared, &Stripe, &mut StripeState) -> T,
    ) -> T {
        self.cache
            .with(|shared| f(shared, &shared.stripes[0], &mut shared.stripes[0].state.lock()))
            .unwrap()
    }

    fn drain(&self, entries: usize) {
        self.with_stripe(|shared, stripe, state| {
            let (mut writer, policy) = state.writer(&shared.env, stripe);
            for _ in 0..entries {
                let _ = writer.drain_one(policy, false);
            }
        });
    }

    fn sweep(&mut self, units: usize) {
        let now = self.clock.now();
        self.round = self.with_stripe(|shared, stripe, state| {
            let due = stripe.next_deadline.load(Ordering::Relaxed)
                <= now.saturating_sub(crate::stripe::expire::DEFER);
            let round = self.round.or(due.then_some(now))?;
            let done = state.writer(&shared.env, stripe).0.sweep(round, units);
            (!done).then_some(round)
        });
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Set { key, ttl, sliding } => {
                let value = self.value(key);
                if self.cache.set_with(&name(key), &value, &options(ttl, sliding)).is_ok() {
                    self.store(key, value, ttl, sliding, None);
                }
            }
            Step::Add { key, ttl } => {
                let value = self.value(key);
                match self.cache.add(&name(key), &value, &options(ttl, false)) {
                    Ok(true) => self.store(key, value, ttl, false, None),
                    Ok(false) => assert!(
                        self.alive(key).is_some(),
                        "key {key} has expired, and add finds it"
                    ),
                    Err(_) => {}
                }
            }
            Step::Increment { key, ttl } => {
                let alive = self.alive(key).is_some();
                // The values aren't numbers, but for those that a counter has left.
                if let Ok(sum) = self.cache.increment(&name(key), 1, &options(ttl, false)) {
                    let value = sum.to_string().into_bytes();
                    if sum == 1 {
                        self.store(key, value, ttl, false, None);
                    } else {
                        assert!(alive, "the counter {key} has expired, and goes on");
                        self.known.get_mut(&key).unwrap().value = value;
                    }
                }
            }
            Step::Swap { key, ttl } => {
                let Some(version) = self.known.get(&key).and_then(|known| known.version) else {
                    return;
                };
                let value = self.value(key);
                if let Ok(version) =
                    self.cache.compare_and_swap(&name(key), &value, version, &options(ttl, false))
                {
                    assert!(self.alive(key).is_some(), "key {key} has expired, and is swapped");
                    self.store(key, value, ttl, false, Some(version));
                }
            }
            Step::Get { key } => {
                self.read(key);
            }
            Step::Touch { key, ttl } => {
                if self
                    .cache
                    .touch(&name(key), ttl.map_or(Ttl::Never, Ttl::Millis))
                    .unwrap_or(false)
                {
                    assert!(self.alive(key).is_some(), "key {key} has expired, and is touched");
                    let deadline = self.deadline(ttl);
                    self.known.get_mut(&key).unwrap().deadline = deadline;
                }
            }
            Step::Delete { key } => {
                if self.cache.delete(&name(key)) {
                    assert!(self.alive(key).is_some(), "key {key} has expired, and is deleted");
                }
                self.known.remove(&key);
            }
            Step::Drain { entries } => self.drain(entries),
            Step::Sweep { units } => self.sweep(units),
            Step::Wait { millis } => self.clock.advance(millis),
        }
        self.cache.check();
    }

    /// What has expired is gone after a round, whatever came before.
    fn finish(&mut self) {
        for _ in 0..2 {
            // The first may be one that began before.
            self.clock.advance(Duration::from_secs(300).as_millis() as u64);
            while {
                self.sweep(1);
                self.round.is_some()
            } {}
            self.cache.check();
        }
        let mut left = Vec::new();
        self.cache.for_each(|key, _| left.push(usize::from(key[1])));
        assert_eq!(self.cache.len(), left.len() as u64, "what has expired is left");
        for key in left {
            assert!(self.known[&key].deadline == u64::MAX, "key {key} has expired, and is left");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_has_expired_is_served_to_nobody_wherever_a_sweep_pauses(
        policy in prop_oneof![Just(Policy::Cellar), Just(Policy::Lru), Just(Policy::S3Fifo)],
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut model = Model::new(policy);
        steps.iter().for_each(|step| model.run(step));
        model.finish();
    }
}

/// A run is kept between two holds: once at each place where a hold can end, alone in its log and
/// with others behind it.
#[test]
fn a_run_that_is_kept_in_the_middle_of_a_sweep_keeps_its_deadline() {
    for policy in [Policy::Cellar, Policy::Lru, Policy::S3Fifo] {
        for (units, keys) in (1..40).flat_map(|units| [(units, &[6][..]), (units, &[6, 0, 8, 10])])
        {
            let mut model = Model::new(policy);
            for &key in keys {
                model.run(&Step::Set { key, ttl: Some(500), sliding: false });
                (0..3).for_each(|_| model.run(&Step::Get { key }));
                model.run(&Step::Touch { key, ttl: Some(10_000) });
            }
            model.run(&Step::Wait { millis: 1_000 });
            model.run(&Step::Sweep { units });
            model.run(&Step::Drain { entries: 1 });
            while model.round.is_some() {
                model.run(&Step::Sweep { units: 700 });
            }
            model.run(&Step::Wait { millis: 20_000 });
            for &key in keys {
                model.run(&Step::Get { key });
                model.run(&Step::Touch { key, ttl: None });
                model.run(&Step::Increment { key, ttl: None });
                model.run(&Step::Add { key, ttl: Some(5) });
            }
            model.finish();
        }
    }
}
