//! Cellar: the policy of larder's own. docs/policy.md tells where it comes from and what each part
//! is worth.
//!
//! Two logs share the capacity: *cold*, where new keys wait to be asked for again, and *hot*. The
//! share of cold is the *target*. Two ghosts remember what fell out: of cold as many keys as one
//! and a half caches hold, of hot a tenth. A counter of two bits counts an entry's hits since it
//! last moved.
//!
//! * A new key goes to cold. A key found in the cold ghost goes to hot, if hot's oldest entry has
//!   had no hit since it last moved *and* moved before the ghost's key came: that is, if the key
//!   came back sooner than the tail does. If the tail has had hits, up to four such tails go around
//!   first.
//! * A key found in the hot ghost goes to hot three times in four. (Always, and a loop slightly
//!   larger than hot would push itself out.)
//! * The cold tail: two hits, it moves to hot; one, it goes around; none, it goes, and the cold
//!   ghost remembers it. The hot tail: any hit, it goes around with half of them; none, it goes,
//!   and the hot ghost remembers it.
//! * The target: both ghosts tell what a tenth of a cache more would have brought. A key from the
//!   youngest tenth of the cold ghost that got into hot moves it up a step, a key from the hot
//!   ghost down a step.
//! * How long the cold ghost remembers is learnt too: keys from its older half carry a flag, and
//!   whether they have had hits at their first hot tail says if old ghosts are worth listening to.
//! * Sizes: wherever an entry would go to hot or stay there, one larger than the mean gets its way
//!   with probability mean / size. So a byte of memory earns as many hits in large entries as in
//!   small ones. (Not where the capacity is in entries.)
//! * Nothing helps: if six caches of misses brought nearly no hit, although one in six of them was
//!   of a key that was missing before among the six, hot is full of what nobody wants; for the time
//!   of a cache of drains each cold tail takes the place of a hot one. (Misses of keys that don't
//!   come again are a scan, which hot had better survive.)
//!
//! Cost: at most [`MAX_RUN`] + 4 entries copied for one that is stored; 3.2 bytes an entry for the
//! ghosts, and two kilobytes.

use super::aged_ghost::AgedGhost;
use super::contract::{Placement, Policy, Seen, Sizes, Tails, Ticks, Verdict};
use super::stagnation::Watch;

const COLD: usize = 0;
const HOT: usize = 1;

const HITS: u8 = 3;
/// The entry came from the older half of the cold ghost, and hasn't been at the hot tail yet.
const OLD: u8 = 1 << 2;

/// Hits that carry an entry from cold to hot. The first is too often the echo of the request that
/// brought it.
const PROMOTE: u8 = 2;
/// Hot tails that may go around for one key from the cold ghost.
const ROTATIONS: u32 = 4;
/// Entries kept in a row, before cold gives a place even if it isn't its turn; twice that, and the
/// next one goes in any case.
const MAX_RUN: u32 = 8;

/// The share of cold: at the start, and its limits.
const TARGET: f64 = 0.01;
const TARGET_MIN: f64 = 0.005;
const TARGET_MAX: f64 = 0.9;

/// Lengths of the ghosts, in caches, by what they can hold.
const COLD_GHOST: f64 = 1.5;
const COLD_GHOST_MIN: f64 = 0.6;
const HOT_GHOST: f64 = 0.1;

/// The policy of one stripe.
pub struct Cellar {
    cold_ghost: AgedGhost,
    hot_ghost: AgedGhost,
    /// What the stripe may hold, about.
    entries: u64,
    /// Ticks at each insert, move and hot eviction.
    clock: u32,
    /// See [`Policy::clock`].
    step_bits: u32,
    /// Quota of cold in the capacity.
    target: f64,
    /// How far back the cold ghost is believed, in caches.
    reach: f64,
    /// The same in steps of that ghost, and a tenth of a cache.
    reach_steps: u64,
    young_steps: u64,
    /// Inserts since the last drain. Many: the stripe is filling up.
    calm: u64,
    /// Entries kept since the last insert.
    run: u32,
    /// Entries kept in a row, before cold gives a place even if it isn't its turn.
    patience: u32,
    /// The last entry drained was cold.
    cold_last: bool,
    /// Bytes that hot has given for cold tails to take.
    owed: u64,
    /// Hot entries still to be replaced by cold ones.
    flush: u64,
    watch: Watch,
    random: u64,
    /// Bytes of a new entry, on the mean of the last thousand or so.
    mean: f64,
}

impl Cellar {
    /// For a stripe of about so many entries; without ghosts where the system refuses memory.
    pub fn new(entries: u64) -> Cellar {
        let mut cellar = Cellar::with(entries.max(1), AgedGhost::none(), AgedGhost::none());
        cellar.resize(entries.max(1));
        cellar
    }

    fn with(entries: u64, cold_ghost: AgedGhost, hot_ghost: AgedGhost) -> Cellar {
        let mut cellar = Cellar {
            cold_ghost,
            hot_ghost,
            entries,
            clock: 0,
            step_bits: 0,
            target: TARGET,
            reach: COLD_GHOST,
            reach_steps: 0,
            young_steps: 0,
            calm: u64::MAX / 2,
            run: 0,
            patience: MAX_RUN,
            cold_last: false,
            owed: 0,
            flush: 0,
            watch: Watch::new(entries),
            random: 0,
            mean: 0.0,
        };
        cellar.measure();
        cellar
    }

    /// Tells reach and youth in steps of the cold ghost, and the clock's step.
    fn measure(&mut self) {
        // Steps of a 64th to a 128th of what the stripe holds: stamps needn't be finer than 1.5 per
        // cent.
        self.step_bits = (self.entries / 64).max(1).ilog2();
        self.reach_steps = self.cold_ghost.steps(part(self.entries, self.reach));
        self.young_steps = self.cold_ghost.steps(part(self.entries, HOT_GHOST));
    }

    /// No drain for a while: there is room, and hot takes everything, so that a cache starts with
    /// the first keys that fill it, and not with the last that passed through cold.
    fn filling(&self) -> bool {
        self.calm > self.entries / 16 + 16
    }

    /// Moves the target by a step: larger in larger caches, where a step is less and hits in ghosts
    /// are more.
    fn step(&mut self, direction: f64) {
        let entries = self.entries as f64;
        let step = (entries.sqrt() / 5.0).clamp(1.0, 8.0) / entries;
        self.target = (self.target + direction * step).clamp(TARGET_MIN, TARGET_MAX);
    }

    /// If an entry came from the older half of the cold ghost, and is at the hot tail for the first
    /// time: what that says.
    #[inline]
    fn judge(&mut self, bits: u8) {
        if bits & OLD != 0 {
            self.judge_old(bits);
        }
    }

    #[cold]
    #[inline(never)]
    fn judge_old(&mut self, bits: u8) {
        let change = if bits & HITS > 0 { 1.0 } else { -1.0 } / self.entries as f64;
        self.reach = (self.reach + change).clamp(COLD_GHOST_MIN, COLD_GHOST);
        self.measure();
    }

    /// Three times in four.
    fn mostly(&mut self) -> bool {
        self.draw() >> 30 != 0
    }

    /// 32 random bits.
    fn draw(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random >> 32
    }

    /// Whether an entry is worth the room it takes: always, if it is no larger than the mean; twice
    /// the mean, one time in two.
    fn fits(&mut self, size: u32, sizes: &Sizes) -> bool {
        // A capacity in entries: size doesn't matter. (In bytes it is at least 24 times as much.)
        if sizes.capacity < 8 * self.entries || f64::from(size) <= self.mean {
            return true;
        }
        ((self.draw() * u64::from(size)) >> 32) < self.mean as u64
    }

    fn learn_size(&mut self, size: u32) {
        let size = f64::from(size);
        self.mean = if self.mean == 0.0 { size } else { self.mean + (size - self.mean) / 1024.0 };
    }

    /// Whether a key from the cold ghost may go to hot: see the head of the file.
    fn beats_tail<T: Tails>(&mut self, stamp: u32, tails: &mut T) -> bool {
        for rotations in 0.. {
            let Some(tail) = tails.peek(HOT) else { return true };
            if tail.bits & HITS == 0 {
                return older(tail.stamp, stamp);
            }
            if rotations == ROTATIONS || !tails.rotate(HOT, (tail.bits & HITS) - 1) {
                return false;
            }
            self.clock = self.clock.wrapping_add(1);
            self.judge(tail.bits);
            self.cold_last = false;
        }
        false
    }

    fn keep(&mut self, log: usize, bits: u8) -> Verdict {
        self.run += 1;
        self.clock = self.clock.wrapping_add(1);
        Verdict::Keep { log, bits }
    }

    fn cold_tail(&mut self, entry: &Seen, sizes: &Sizes) -> Verdict {
        let hits = entry.bits & HITS;
        self.cold_last = true;
        if self.run < 2 * MAX_RUN {
            if hits >= PROMOTE && self.fits(entry.size, sizes) {
                return self.keep(HOT, 0);
            }
            if self.owed >= u64::from(entry.size) {
                self.owed -= u64::from(entry.size);
                return self.keep(HOT, 0);
            }
            if hits == 1 && self.run < MAX_RUN {
                return self.keep(COLD, 0);
            }
        }
        self.cold_ghost.put(entry.hash, entry.stamp);
        Verdict::Drop
    }

    fn hot_tail(&mut self, entry: &Seen, sizes: &Sizes) -> Verdict {
        let hits = entry.bits & HITS;
        if self.flush > 0 && self.cold_last {
            self.flush -= 1;
            self.owed += u64::from(entry.size);
        } else {
            self.judge(entry.bits);
            if hits > 0 && self.run < 2 * MAX_RUN && self.fits(entry.size, sizes) {
                self.cold_last = false;
                return self.keep(HOT, hits / 2);
            }
        }
        self.cold_last = false;
        self.patience = (self.patience * 2).min(MAX_RUN);
        self.clock = self.clock.wrapping_add(1);
        self.hot_ghost.put(entry.hash, 0);
        Verdict::Drop
    }
}

impl Policy for Cellar {
    #[inline]
    fn hit_max(&self) -> u8 {
        HITS
    }

    fn insert<T: Tails>(
        &mut self,
        hash: u64,
        size: u32,
        sizes: &Sizes,
        tails: &mut T,
    ) -> Placement {
        self.run = 0;
        self.learn_size(size);
        self.clock = self.clock.wrapping_add(1);
        self.calm = self.calm.saturating_add(1);
        if self.filling() {
            return Placement { log: HOT, bits: 0 };
        }
        if self.watch.miss(hash) {
            self.flush = self.entries;
            self.reach = COLD_GHOST;
            self.measure();
        }
        let reach = self.reach_steps;
        if let Some(found) = self.cold_ghost.take(hash, reach) {
            if self.fits(size, sizes) && self.beats_tail(found.stamp, tails) {
                if found.age <= self.young_steps {
                    self.step(1.0);
                }
                return Placement { log: HOT, bits: if 2 * found.age > reach { OLD } else { 0 } };
            }
        } else if self.hot_ghost.take(hash, u64::MAX).is_some() {
            self.step(-1.0);
            if self.mostly() && self.fits(size, sizes) {
                return Placement { log: HOT, bits: 0 };
            }
        }
        Placement { log: COLD, bits: 0 }
    }

    #[inline]
    fn update(&mut self, log: usize, bits: u8) -> Placement {
        self.run = 0;
        Placement { log, bits }
    }

    fn victim(&mut self, sizes: &Sizes) -> usize {
        self.calm = 0;
        if sizes.used[HOT] == 0 {
            return COLD;
        }
        if sizes.used[COLD] > 0 && self.run >= self.patience {
            if !self.cold_last {
                self.patience = (self.patience / 2).max(2);
            }
            return COLD;
        }
        if self.flush > 0 && self.cold_last {
            return HOT;
        }
        // By way of i64, which the processor converts in one instruction, not six.
        let float = |size: u64| size as i64 as f64;
        if float(sizes.used[COLD]) > self.target * float(sizes.capacity) { COLD } else { HOT }
    }

    #[inline]
    fn tail(&mut self, log: usize, entry: &Seen, sizes: &Sizes) -> Verdict {
        if log == COLD { self.cold_tail(entry, sizes) } else { self.hot_tail(entry, sizes) }
    }

    #[inline]
    fn prefetch(&self, hash: u64) {
        self.cold_ghost.prefetch(hash);
        self.hot_ghost.prefetch(hash);
    }

    #[inline]
    fn clock(&self) -> Ticks {
        Ticks { time: self.clock, step_bits: self.step_bits }
    }

    fn served(&mut self, hits: u64) {
        self.watch.served(hits);
    }

    fn resize(&mut self, entries: u64) -> bool {
        let ghost = |caches| {
            if entries == 0 { Ok(AgedGhost::none()) } else { AgedGhost::new(part(entries, caches)) }
        };
        let (Ok(cold), Ok(hot)) = (ghost(COLD_GHOST), ghost(HOT_GHOST)) else { return false };
        (self.cold_ghost, self.hot_ghost) = (cold, hot);
        self.entries = entries.max(1);
        self.measure();
        self.watch.resize(self.entries);
        true
    }

    fn clear(&mut self) {
        let hits = self.watch.hits();
        let mut cold_ghost = std::mem::replace(&mut self.cold_ghost, AgedGhost::none());
        let mut hot_ghost = std::mem::replace(&mut self.hot_ghost, AgedGhost::none());
        cold_ghost.clear();
        hot_ghost.clear();
        *self = Cellar::with(self.entries, cold_ghost, hot_ghost);
        self.watch.begin(hits);
    }

    fn bytes_for(&self, entries: u64) -> u64 {
        bytes_for(entries)
    }
}

/// Bytes for so many entries.
pub fn bytes_for(entries: u64) -> u64 {
    if entries == 0 {
        return 0;
    }
    AgedGhost::bytes_for(part(entries, COLD_GHOST)) + AgedGhost::bytes_for(part(entries, HOT_GHOST))
}

fn part(entries: u64, caches: f64) -> u64 {
    (entries as f64 * caches).ceil() as u64
}

/// Whether stamp a was given before stamp b, on a clock that wraps.
fn older(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, VecDeque};

    fn hash(key: u64) -> u64 {
        let x = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ (x >> 27)
    }

    /// A cache of unit sizes: two queues and a map.
    struct Model {
        policy: Cellar,
        now: u32,
        logs: [VecDeque<u64>; 2],
        entries: HashMap<u64, Seen>,
        capacity: u64,
        hits: u64,
        copies: u64,
        longest: u64,
    }

    impl Tails for Model {
        fn peek(&mut self, log: usize) -> Option<Seen> {
            self.logs[log].front().map(|key| self.entries[key])
        }
        fn rotate(&mut self, log: usize, bits: u8) -> bool {
            let Some(key) = self.logs[log].pop_front() else { return false };
            self.logs[log].push_back(key);
            let now = self.now;
            let entry = self.entries.get_mut(&key).unwrap();
            (entry.bits, entry.stamp) = (bits, now);
            self.copies += 1;
            true
        }
    }

    impl Model {
        fn new(capacity: u64) -> Model {
            let policy = Cellar::new(capacity);
            let (logs, entries) = (Default::default(), HashMap::new());
            Model { policy, now: 0, logs, entries, capacity, hits: 0, copies: 0, longest: 0 }
        }
        fn sizes(&self) -> Sizes {
            Sizes {
                used: [self.logs[0].len() as u64, self.logs[1].len() as u64],
                capacity: self.capacity,
            }
        }
        fn append(&mut self, log: usize, key: u64, bits: u8) {
            let stamp = self.policy.clock;
            self.entries.insert(key, Seen { hash: hash(key), bits, size: 1, stamp });
            self.logs[log].push_back(key);
        }
        fn get(&mut self, key: u64) -> bool {
            if let Some(entry) = self.entries.get_mut(&key) {
                if entry.bits & HITS < HITS {
                    entry.bits += 1;
                }
                self.hits += 1;
                return true;
            }
            self.policy.served(self.hits);
            let before = self.copies;
            while self.entries.len() as u64 >= self.capacity {
                let sizes = self.sizes();
                let first = self.policy.victim(&sizes);
                let log = if self.logs[first].is_empty() { 1 - first } else { first };
                let key = self.logs[log].pop_front().unwrap();
                let entry = self.entries.remove(&key).unwrap();
                if let Verdict::Keep { log, bits } = self.policy.tail(log, &entry, &sizes) {
                    self.append(log, key, bits);
                    self.copies += 1;
                }
            }
            // The policy looks at the tails of the model it belongs to.
            self.now = self.policy.clock;
            let mut policy = std::mem::replace(&mut self.policy, Cellar::new(1));
            let place = policy.insert(hash(key), 1, &self.sizes(), self);
            self.policy = policy;
            self.longest = self.longest.max(self.copies - before);
            self.append(place.log, key, place.bits);
            false
        }
        /// Hits of a hundred requests.
        fn rate(&mut self, keys: impl Iterator<Item = u64>) -> f64 {
            let (mut hits, mut requests) = (0, 0);
            for key in keys {
                hits += u64::from(self.get(key));
                requests += 1;
            }
            100.0 * hits as f64 / f64::from(requests)
        }
    }

    fn looped(length: u64, times: u64) -> impl Iterator<Item = u64> {
        (0..length * times).map(move |i| i % length)
    }

    #[test]
    fn a_loop_larger_than_the_cache_keeps_what_fits() {
        let mut model = Model::new(500);
        let rate = model.rate(looped(1000, 50));
        assert!(rate > 45.0, "{rate}");
    }

    #[test]
    fn one_that_has_grown_measures_as_one_that_was_made_so() {
        let made = Cellar::new(10_000);
        let mut grown = Cellar::new(16);
        grown.resize(10_000);
        let measures = |it: &Cellar| (it.clock().step_bits, it.reach_steps, it.young_steps);
        assert_eq!(measures(&grown), measures(&made));
    }

    #[test]
    fn a_loop_of_ten_caches_keeps_its_tenth() {
        let mut model = Model::new(200);
        let rate = model.rate(looped(2000, 25));
        assert!(rate > 8.5, "{rate}");
    }

    #[test]
    fn a_loop_after_a_scan_is_not_stuck() {
        let mut model = Model::new(500);
        model.rate(1_000_000..1_010_000);
        model.rate(looped(1000, 20));
        let rate = model.rate(looped(1000, 10));
        assert!(rate > 40.0, "{rate}");
    }

    #[test]
    fn a_scan_does_not_wash_out_what_is_used() {
        let mut model = Model::new(500);
        model.rate(looped(400, 20));
        model.rate((0..2_000).map(|i| if i % 2 == 0 { 1_000_000 + i } else { i / 2 % 400 }));
        let rate = model.rate(looped(400, 1));
        assert!(rate > 95.0, "{rate}");
    }

    #[test]
    fn a_long_scan_does_not_make_hot_look_useless() {
        let mut model = Model::new(500);
        model.rate(looped(400, 20));
        model.rate(1_000_000..1_010_000);
        let rate = model.rate(looped(400, 1));
        assert!(rate > 90.0, "{rate}");
    }

    #[test]
    fn a_new_working_set_takes_over() {
        let mut model = Model::new(500);
        model.rate(looped(400, 20));
        model.rate(looped(400, 5).map(|key| key + 10_000));
        let rate = model.rate(looped(400, 5).map(|key| key + 10_000));
        assert!(rate > 90.0, "{rate}");
    }

    #[test]
    fn one_insert_copies_a_bounded_number_of_entries() {
        let mut model = Model::new(100);
        let mut x = 1u64;
        for i in 0..100_000u64 {
            x = hash(x);
            model.get(if i % 3 == 0 { x % 5000 } else { x % 110 });
        }
        assert!(model.copies > 0);
        assert!(model.longest <= u64::from(2 * MAX_RUN + ROTATIONS), "{}", model.longest);
    }

    #[test]
    fn tiny_stripes_work() {
        for capacity in [1, 2, 3, 10] {
            let mut model = Model::new(capacity);
            model.rate(looped(17, 500));
            model.rate((0..2000).map(hash));
            assert_eq!(model.entries.len() as u64, capacity);
        }
    }

    #[test]
    fn large_entries_need_more_luck_in_bytes_and_none_in_entries() {
        let mut policy = Cellar::new(1000);
        policy.learn_size(100);
        let bytes = Sizes { used: [0, 0], capacity: 100_000 };
        let entries = Sizes { used: [0, 0], capacity: 1000 };
        assert!((0..1000).all(|_| policy.fits(100, &bytes)));
        let lucky = (0..10_000).filter(|_| policy.fits(400, &bytes)).count();
        assert!((2_200..2_800).contains(&lucky), "{lucky}");
        assert!((0..1000).all(|_| policy.fits(400, &entries)));
    }

    #[test]
    fn stamps_compare_across_the_wrap() {
        assert!(older(u32::MAX, 3));
        assert!(!older(3, u32::MAX));
        assert!(!older(7, 7));
    }
}
