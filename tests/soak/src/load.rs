//! The loads: what is stored how often, how large, and how it goes away again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder::{Cache, Error, Ttl};

/// One kind of load.
pub struct Phase {
    pub name: &'static str,
    /// Value sizes: log-uniform between these two, the same for a fixed size.
    pub sizes: (u64, u64),
    /// Keys in use, as a multiple of how many entries of the mean size fill the budget.
    pub keys: f64,
    /// Out of 100 operations, how many are gets, and how many are deletes. The rest are sets.
    pub gets: u64,
    pub deletes: u64,
    /// Time to live in milliseconds: log-uniform between 1 and this; 0 for none.
    pub ttl: u64,
    /// Whether the budget is halved and doubled again all the while.
    pub resize: bool,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const fn sizes(name: &'static str, least: u64, most: u64) -> Phase {
    Phase { name, sizes: (least, most), keys: 4.0, gets: 30, deletes: 0, ttl: 0, resize: false }
}

/// In an order that makes each find the memory as another kind has left it.
pub const PHASES: &[Phase] = &[
    sizes("64 B", 64, 64),
    sizes("1 KiB", KIB, KIB),
    sizes("16 KiB", 16 * KIB, 16 * KIB),
    sizes("1 MiB", MIB, MIB),
    sizes("1 B to 1 MiB", 1, MIB),
    sizes("64 B after large", 64, 64),
    Phase { keys: 0.8, gets: 10, ..sizes("overwrites of 1 KiB", KIB, KIB) },
    Phase { keys: 0.8, gets: 10, ..sizes("overwrites, 16 B to 64 KiB", 16, 64 * KIB) },
    Phase { deletes: 25, ..sizes("deletes, 64 B to 16 KiB", 64, 16 * KIB) },
    Phase { deletes: 30, keys: 1.5, ..sizes("deletes of 64 B", 64, 64) },
    Phase { ttl: 2000, ..sizes("expiry, 64 B to 16 KiB", 64, 16 * KIB) },
    Phase { ttl: 200, ..sizes("expiry of 1 KiB", KIB, KIB) },
    Phase { ttl: 500, deletes: 5, keys: 2.0, ..sizes("everything, 1 B to 1 MiB", 1, MIB) },
    Phase { resize: true, ..sizes("resize, 64 B to 64 KiB", 64, 64 * KIB) },
    sizes("1 KiB at last", KIB, KIB),
];

impl Phase {
    /// The largest value of this phase in a cache of `budget` bytes, where no value may exceed a
    /// quarter.
    pub fn largest(&self, budget: u64) -> u64 {
        // A resize halves the budget.
        self.sizes.1.min(if self.resize { budget / 8 } else { budget / 4 })
    }

    /// Whether entries go away only to make room.
    pub fn keeps(&self) -> bool {
        self.deletes == 0 && self.ttl == 0
    }

    fn key_count(&self, budget: u64) -> u64 {
        let (least, most) = (self.sizes.0 as f64, self.largest(budget) as f64);
        let mean = if most > least { (most - least) / (most / least).ln() } else { most };
        ((budget as f64 * self.keys / (mean + 40.0)) as u64).max(8)
    }
}

/// A generator that is fast and good enough to choose keys and sizes.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    fn log_uniform(&mut self, least: u64, most: u64) -> u64 {
        if most <= least {
            return most;
        }
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((least as f64) * (most as f64 / least as f64).powf(unit)) as u64
    }
}

/// What all workers of a phase did.
#[derive(Default)]
pub struct Done {
    pub stored_bytes: AtomicU64,
    pub full: AtomicU64,
    /// Values that were not what their key says, and statuses that should not be.
    pub wrong: AtomicU64,
}

/// One thread of the load. Its buffers have room for the largest value, so that nothing is
/// allocated while memory is measured.
pub struct Worker {
    random: Random,
    value: Vec<u8>,
    read: Vec<u8>,
}

impl Worker {
    /// With buffers that are touched already: this memory is the load's, not the cache's.
    pub fn new(seed: u64, budget: u64) -> Worker {
        let largest =
            PHASES.iter().map(|phase| phase.largest(budget)).max().expect("phases") as usize;
        Worker { random: Random::new(seed), value: vec![1; largest], read: vec![1; largest] }
    }

    /// Works at a phase until `stop`.
    pub fn work(
        &mut self,
        cache: &Cache,
        phase: &Phase,
        budget: u64,
        stop: &AtomicBool,
        done: &Done,
    ) {
        let (keys, largest) = (phase.key_count(budget), phase.largest(budget));
        while !stop.load(Ordering::Relaxed) {
            // Reads and writes prefer some keys, as real ones do.
            let key = self.random.below(keys).min(self.random.below(keys));
            let name = format_key(key);
            let what = self.random.below(100);
            if what < phase.gets {
                self.read.clear();
                if cache.get_into(&name, &mut self.read) && !is_of(&self.read, key) {
                    done.wrong.fetch_add(1, Ordering::Relaxed);
                }
            } else if what < phase.gets + phase.deletes {
                cache.delete(&name);
            } else {
                let len = self.random.log_uniform(phase.sizes.0, largest) as usize;
                let value = &mut self.value[..len];
                mark(value, key);
                let ttl = if phase.ttl == 0 {
                    Ttl::Never
                } else {
                    Ttl::Millis(self.random.log_uniform(1, phase.ttl))
                };
                match cache.set_ttl(&name, value, ttl) {
                    Ok(()) => done.stored_bytes.fetch_add(len as u64 + 24, Ordering::Relaxed),
                    // Room may be held by readers for a moment, in the smallest caches.
                    Err(Error::Full) => done.full.fetch_add(1, Ordering::Relaxed),
                    // The budget was halved between the choice of a size and the set.
                    Err(Error::ValueTooLarge) if phase.resize => 0,
                    Err(_) => done.wrong.fetch_add(1, Ordering::Relaxed),
                };
            }
        }
    }
}

/// 16 bytes, as a short real key has.
fn format_key(key: u64) -> [u8; 16] {
    let mut out = *b"soak-key________";
    out[8..].copy_from_slice(&key.to_le_bytes());
    out
}

/// Writes the key into the value's ends.
fn mark(value: &mut [u8], key: u64) {
    let n = value.len().min(8);
    value[..n].copy_from_slice(&key.to_le_bytes()[..n]);
    if value.len() >= 16 {
        let end = value.len() - 8;
        value[end..].copy_from_slice(&(!key).to_le_bytes());
    }
}

fn is_of(value: &[u8], key: u64) -> bool {
    let n = value.len().min(8);
    value[..n] == key.to_le_bytes()[..n]
        && (value.len() < 16 || value[value.len() - 8..] == (!key).to_le_bytes())
}
