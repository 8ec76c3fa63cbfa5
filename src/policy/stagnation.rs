//! Whether a cache is stuck: hardly any hits, although the keys that are asked for come again and
//! again.
//!
//! A log whose entries all have high counters makes room for nobody until somebody has won against
//! them; and where a new loop is longer than the ghosts, nobody ever does. No rule about single
//! keys sees that. What is seen is that no hits come. But none come during a scan either, and after
//! a scan the old entries are wanted again: giving them up costs a cache of misses each time. Nor
//! do any come for most of a loop of many caches of which hot holds a part. What tells these apart
//! is whether the missing keys *return* while none of the entries is hit: then all of the loop was
//! seen, and hot has nothing of it. For that a sample will do: of a few hashes in a cacheful
//! (chosen by the hash, so that a key is always in the sample or never: SHARDS, Waldspurger et al.,
//! FAST 2015) fingerprints are kept in a table of one kilobyte, each in the place that its hash
//! names, until another takes it, each with the number of the watch in which it was made. Returns
//! from within a watch are the evidence; returns from an earlier one say that the loop is longer
//! than the watch.

/// Caches of misses that are watched before the verdict. A watch without hits, but with returns,
/// makes the next one half as long again, up to [`LONGEST`]: so that in the end it is longer than
/// the loop, and so that verdicts that don't help are rare.
const WATCH: f64 = 6.0;
const LONGEST: f64 = 32.0;
/// Useless: fewer hits than a misses' thirty-second.
const USELESS: u64 = 32;
/// Returns: at least one in so many sampled misses.
const RETURNS: u32 = 6;

/// Places in the table, and how many misses of a cacheful are sampled.
const PLACES: usize = 512;
const SAMPLES: u64 = 32;

/// Counts misses and returns of one stripe.
pub struct Watch {
    entries: u64,
    misses: u64,
    /// Hits of the stripe, if anybody tells, and what they were when the watch began.
    hits: Option<u64>,
    since: u64,
    /// In caches.
    length: f64,
    /// The same in misses.
    until: u64,
    sampled: u32,
    /// Returns of keys that were missing in this watch, and of all keys in the table.
    returns: [u32; 2],
    /// The number of the watch, of three bits: the low ones of a word.
    number: u16,
    /// Fingerprints of sampled hashes that were missing; zero is none.
    seen: [u16; PLACES],
}

impl Watch {
    /// For a stripe of about so many entries.
    pub fn new(entries: u64) -> Watch {
        let mut watch = Watch {
            entries,
            misses: 0,
            hits: None,
            since: 0,
            length: WATCH,
            until: 0,
            sampled: 0,
            returns: [0; 2],
            number: 0,
            seen: [0; PLACES],
        };
        watch.measure();
        watch
    }

    /// Counts a miss. True if a watch has ended by it, and the cache is stuck.
    #[inline]
    pub fn miss(&mut self, hash: u64) -> bool {
        self.misses += 1;
        // Stripes, index and ghosts take their bits from the same hash: mix it.
        let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = mixed ^ (mixed >> 32);
        // One hash in entries / SAMPLES: those whose upper half, as a fraction, is below SAMPLES /
        // entries.
        if ((mixed >> 32) * (self.entries / SAMPLES).max(1)) >> 32 == 0 {
            self.sample(mixed);
        }
        self.misses >= self.until && self.end()
    }

    /// Looks whether a key of the sample was missing before.
    #[cold]
    #[inline(never)]
    fn sample(&mut self, mixed: u64) {
        self.sampled += 1;
        let word = ((mixed >> 9) as u16 | 8) & !7 | self.number;
        let there = &mut self.seen[mixed as usize % PLACES];
        self.returns[0] += u32::from(*there == word);
        self.returns[1] += u32::from((*there ^ word) < 8);
        *there = word;
    }

    /// Ends a watch, and begins the next one. True if the cache is stuck.
    #[cold]
    #[inline(never)]
    fn end(&mut self) -> bool {
        let mut stuck = false;
        if let Some(hits) = self.hits {
            if hits.saturating_sub(self.since) * USELESS >= self.misses {
                self.length = WATCH;
            } else if self.returns[1] * RETURNS >= self.sampled {
                self.length = (self.length * 1.5).min(LONGEST);
                stuck = self.returns[0] * RETURNS >= self.sampled;
            }
        }
        self.begin(self.hits);
        stuck
    }

    /// How many hits the stripe has had.
    pub fn served(&mut self, hits: u64) {
        self.hits = Some(hits);
    }

    /// What was served, if anybody told.
    pub fn hits(&self) -> Option<u64> {
        self.hits
    }

    /// Begins a watch, with so many hits already served.
    pub fn begin(&mut self, hits: Option<u64>) {
        self.hits = hits;
        self.since = hits.unwrap_or(self.since);
        self.number = (self.number + 1) & 7;
        (self.misses, self.sampled, self.returns) = (0, 0, [0; 2]);
        self.measure();
    }

    fn measure(&mut self) {
        self.until = (self.length * self.entries as f64).ceil() as u64;
    }

    /// The stripe may now hold about so many entries.
    pub fn resize(&mut self, entries: u64) {
        self.entries = entries;
        self.measure();
        (self.misses, self.sampled, self.returns) = (0, 0, [0; 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        let x = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ (x >> 27)
    }

    /// Verdicts over misses of these keys, with one hit in `one_in` misses.
    fn verdicts(entries: u64, one_in: u64, keys: impl Iterator<Item = u64>) -> usize {
        let mut watch = Watch::new(entries);
        let mut stuck = 0;
        for (i, key) in keys.enumerate() {
            watch.served(i as u64 / one_in);
            stuck += usize::from(watch.miss(hash(key)));
        }
        stuck
    }

    #[test]
    fn a_loop_without_hits_is_noticed_and_a_scan_is_not() {
        for entries in [1, 10, 100, 1000, 30_000] {
            assert!(
                verdicts(entries, 1000, (0..24 * entries).map(|i| i % (3 * entries))) >= 1,
                "{entries}"
            );
            assert_eq!(verdicts(entries, 1000, 0..100 * entries), 0, "{entries}");
        }
    }

    #[test]
    fn a_loop_with_hits_is_left_alone() {
        assert_eq!(verdicts(1000, 20, (0..100_000).map(|i| i % 3000)), 0);
    }

    #[test]
    fn a_loop_of_which_hot_has_a_part_is_left_alone() {
        // Ten caches long, and a tenth of it hits, all at once.
        let mut watch = Watch::new(1000);
        let mut hits = 0;
        for i in 0..300_000u64 {
            if i % 10_000 < 1000 {
                hits += 1;
            } else {
                watch.served(hits);
                assert!(!watch.miss(hash(i % 10_000)), "{i}");
            }
        }
    }

    #[test]
    fn a_loop_longer_than_the_first_watch_is_noticed() {
        assert!(verdicts(1000, 1000, (0..200_000).map(|i| i % 8000)) >= 1);
    }

    #[test]
    fn verdicts_become_rarer() {
        let first = verdicts(1000, 1000, (0..40_000).map(|i| i % 3000));
        let later = verdicts(1000, 1000, (0..400_000).map(|i| i % 3000));
        assert!(first >= 3 && later < 20, "{first}, {later}");
    }

    #[test]
    fn nobody_tells_of_hits_and_nobody_is_stuck() {
        let mut watch = Watch::new(10);
        assert!((0..10_000).all(|i| !watch.miss(hash(i % 30))));
    }
}
