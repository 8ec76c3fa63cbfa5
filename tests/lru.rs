//! `lru` with one stripe, where everything is known: entries read since they were written outlive
//! those that were not, in the order in which they were written. What is overwritten in place
//! counts as read.
#![allow(missing_docs)]

mod support;

use larder::{Cache, Options, Policy};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;

fn lru(max_bytes: u64, max_entries: u64) -> Cache {
    Cache::new(Options { policy: Policy::Lru, stripes: 1, max_entries, ..Options::new(max_bytes) })
        .unwrap()
}

/// The keys that are there. Iterating is not reading: it changes nothing.
fn keys(cache: &Cache) -> BTreeSet<u64> {
    let mut keys = BTreeSet::new();
    cache.for_each(|key, _| assert!(keys.insert(u64::from_le_bytes(key.try_into().unwrap()))));
    keys
}

/// Second chance, by the book.
struct Clock {
    /// Oldest first: the key, whether it was read, and the length of its value.
    queue: VecDeque<(u64, bool, usize)>,
    most: usize,
}

impl Clock {
    fn find(&self, key: u64) -> Option<usize> {
        self.queue.iter().position(|&(k, ..)| k == key)
    }

    fn set(&mut self, key: u64, len: usize) {
        if let Some(at) = self.find(key) {
            let (_, read, there) = &mut self.queue[at];
            // All values here are small; keys and headers take whole words. Where the value takes
            // the same room it is overwritten in place: the entry stays where it is, and has been
            // used.
            if there.next_multiple_of(8) == len.next_multiple_of(8) {
                (*read, *there) = (true, len);
                return;
            }
            self.queue.remove(at);
        }
        while self.queue.len() >= self.most {
            let (oldest, read, there) = self.queue.pop_front().unwrap();
            if read {
                self.queue.push_back((oldest, false, there));
            }
        }
        self.queue.push_back((key, false, len));
    }

    fn get(&mut self, key: u64) -> bool {
        let found = self.find(key);
        if let Some(at) = found {
            self.queue[at].1 = true;
        }
        found.is_some()
    }

    fn delete(&mut self, key: u64) -> bool {
        self.find(key).is_some_and(|at| self.queue.remove(at).is_some())
    }
}

/// Under a bound on entries each new entry takes exactly one place, so the cache agrees with the
/// model after every step.
#[test]
fn is_second_chance_under_a_bound_on_entries() {
    for (most, seed) in [(1, 1), (2, 2), (10, 3), (64, 4), (64, 5), (300, 6)] {
        let cache = lru(64 << 20, most as u64);
        let mut model = Clock { queue: VecDeque::new(), most };
        let mut rng = Rng(seed);
        let mut buffer = Vec::with_capacity(4096);
        for step in 0..6_000 {
            let key = rng.below(most as u64 * 2);
            let bytes = key.to_le_bytes();
            match rng.below(10) {
                0..4 => {
                    let value = vec![0; rng.below(200) as usize];
                    if rng.one_in(2) && fast_set(&cache, &bytes, &value, None).is_ok() {
                    } else {
                        cache.set(&bytes, &value).unwrap();
                    }
                    model.set(key, value.len());
                }
                4..9 => {
                    let found = match fast_get(&cache, &bytes, &mut buffer) {
                        Err(Fast::Busy) => cache.get(&bytes).is_some(),
                        found => found.unwrap(),
                    };
                    assert_eq!(found, model.get(key), "step {step}: key {key}");
                }
                _ => assert_eq!(cache.delete(&bytes), model.delete(key), "step {step}: key {key}"),
            }
            if step % 16 == 0 {
                let expected: BTreeSet<u64> = model.queue.iter().map(|&(key, ..)| key).collect();
                assert_eq!(keys(&cache), expected, "step {step}");
            }
        }
        cache.check();
    }
}

/// Values of many sizes that share segments: a small one doesn't take a place before what was
/// written earlier, as it may under other policies.
#[test]
fn evicts_in_order_whatever_the_sizes() {
    let cache = lru(1 << 20, 0);
    let mut rng = Rng(11);
    let value = [1; 1024];
    let mut written = 0u64;
    for _ in 0..300 {
        for _ in 0..20 {
            cache.set(&written.to_le_bytes(), &value[..16 << rng.below(7)]).unwrap();
            written += 1;
        }
        let gone = cache.stats().unwrap().evictions;
        assert!(
            keys(&cache).into_iter().eq(gone..written),
            "{gone} evicted, but not the {gone} oldest"
        );
    }
    assert!(cache.stats().unwrap().evictions > 1_000);
    cache.check();
}

/// Under a bound on bytes the cache chooses the moment, but not the order: of the entries that were
/// never read the first written goes first, and none of those that were read goes before them.
#[test]
fn evicts_in_order_under_a_budget() {
    for (budget, len) in [
        (256u64 << 10, 40),
        (1 << 20, 100),
        (1 << 20, 1_500),
        (4 << 20, 100),
        (4 << 20, 40_000),
        (64 << 20, 9_000),
    ] {
        let cache = lru(budget, 0);
        let value = vec![1; len];
        // Half full: nothing has gone yet.
        let first = budget / 2 / (len as u64 + 40);
        for key in 0..first {
            cache.set(&key.to_le_bytes(), &value).unwrap();
        }
        assert_eq!(cache.stats().unwrap().evictions, 0);
        let read = |key: u64| key.is_multiple_of(3);
        for key in (0..first).filter(|&key| read(key)) {
            assert!(cache.get(&key.to_le_bytes()).is_some());
        }
        // New entries push the unread ones out, one after the other.
        let unread: Vec<u64> = (0..first).filter(|&key| !read(key)).collect();
        let mut next = first;
        let mut checked = 0;
        loop {
            for _ in 0..1 + first / 50 {
                cache.set(&next.to_le_bytes(), &value).unwrap();
                next += 1;
            }
            let gone = cache.stats().unwrap().evictions as usize;
            if gone > unread.len() {
                break;
            }
            let mut expected: BTreeSet<u64> = (0..next).collect();
            unread[..gone].iter().for_each(|key| assert!(expected.remove(key)));
            assert!(
                keys(&cache) == expected,
                "{budget} bytes, values of {len}: {gone} evicted, but not the {gone} oldest unread"
            );
            checked += usize::from(gone > 0);
            assert!(next < 20 * first + 1_000, "nothing is evicted");
        }
        assert!(checked > 0, "{budget} bytes, values of {len}: all went at once");
        // Then those that were read go, and the new ones, each kind in its order.
        for _ in 0..40 {
            for _ in 0..1 + first / 50 {
                cache.set(&next.to_le_bytes(), &value).unwrap();
                next += 1;
            }
            let there = keys(&cache);
            let order = |keys: &mut dyn Iterator<Item = u64>| {
                let alive: Vec<bool> = keys.map(|key| there.contains(&key)).collect();
                assert!(
                    alive.is_sorted(),
                    "{budget} bytes, values of {len}: an older one outlived a younger one"
                );
            };
            order(&mut (0..first).filter(|&key| read(key)));
            order(&mut (first..next));
        }
        cache.check();
    }
}

/// What is read once in every lap stays for ever; what is overwritten is as young as what is new.
#[test]
fn what_is_used_stays() {
    let cache = lru(1 << 20, 0);
    let value = vec![1; 100];
    let (read, written) = (1u64 << 32, 1u64 << 33);
    for key in 0..200 {
        cache.set(&(read + key).to_le_bytes(), &value).unwrap();
        cache.set(&(written + key).to_le_bytes(), &value).unwrap();
    }
    for key in 0..100_000u64 {
        cache.set(&key.to_le_bytes(), &value).unwrap();
        // About 7,000 entries fit.
        if key % 1_000 == 0 {
            for hot in 0..200 {
                assert!(
                    cache.get(&(read + hot).to_le_bytes()).is_some(),
                    "{hot} was read, and lost after {key}"
                );
                cache.set(&(written + hot).to_le_bytes(), &value).unwrap();
            }
        }
    }
    let there = keys(&cache);
    assert!((0..200).all(|hot| there.contains(&(read + hot)) && there.contains(&(written + hot))));
    assert!(!there.contains(&0));
    cache.check();
}

/// Entries that are all read all the time don't keep new ones out for ever.
#[test]
fn sets_get_through_while_everything_is_hot() {
    for (budget, len) in
        [(256u64 << 10, 0), (256 << 10, 100), (256 << 10, 1_500), (1 << 20, 0), (16 << 20, 50)]
    {
        let cache = lru(budget, 0);
        let value = vec![1; len];
        let mut keys = 0u64;
        while cache.stats().unwrap().evictions == 0 {
            cache.set(&keys.to_le_bytes(), &value).unwrap();
            keys += 1;
        }
        let done = AtomicBool::new(false);
        team(|team| {
            for _ in 0..2 {
                let (cache, done) = (&cache, &done);
                team.spawn(move || {
                    let mut buffer = Vec::with_capacity(4096);
                    while !done.load(Ordering::Relaxed) {
                        for key in 0..keys {
                            let _ = fast_get(cache, &key.to_le_bytes(), &mut buffer);
                        }
                    }
                });
            }
            let _over = Over(&done);
            for key in 0..keys / 2 {
                cache.set(&(1 << 32 | key).to_le_bytes(), &value).unwrap();
            }
        });
        assert!(cache.stats().unwrap().evictions > 0);
        cache.check();
    }
}
