//! Traces through larder's eviction policies, without the cache around them: two queues, a table of
//! keys, and the policy's own source file, its ghosts and fingerprints included. A hundred times as
//! fast as a replay through Go, and with the seed of the hash to choose, so that it shows what is
//! luck. Entries are of one size, there is one stripe.
//!
//! `policysim [-policy cellar] [-seeds 10] TRACES SIZES [TRACES SIZES ...]`, where TRACES are files
//! (or `loop:KEYS:REQUESTS`, `scan:REQUESTS`) joined by commas, replayed one after the other, and
//! SIZES capacities joined by commas. A line for each size: hit ratio at worst, in the middle and
//! at best over the seeds, and copies an insert.
//!
//! What the cache does besides, and this imitates: stamps in the steps of the policy's clock,
//! counted from the opening of a segment; hits told only now and then. What it doesn't: several
//! stripes, and the limits of the fast door.

#![allow(
    dead_code,
    unused_imports,
    reason = "the policy's sources are the product's, and not all of them is used here"
)]

#[path = "../../../src/sys"]
mod sys {
    pub mod os;
    pub mod prefetch;
}
#[path = "../../../src/policy/mod.rs"]
mod policy;
mod traces;

use policy::{AnyPolicy, Kind, Placement, Policy, Seen, Sizes, Tails, Verdict};
use std::collections::VecDeque;

/// Entries of 24 bytes in a segment of 16 KiB.
const SEGMENT: u32 = 682;
const ABSENT: u8 = 2;

#[derive(Clone, Copy)]
struct Slot {
    log: u8,
    bits: u8,
    stamp: u32,
}

/// Where a log's open segment was opened, and what it holds.
#[derive(Clone, Copy, Default)]
struct Segment {
    stamp: u32,
    used: u32,
}

struct Store {
    logs: [VecDeque<u32>; 2],
    open: [Segment; 2],
    slots: Vec<Slot>,
    seed: u64,
    copies: u64,
}

impl Store {
    fn hash(&self, key: u32) -> u64 {
        let x = (u64::from(key) ^ self.seed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn seen(&self, key: u32) -> Seen {
        let slot = self.slots[key as usize];
        Seen { hash: self.hash(key), bits: slot.bits, size: 1, stamp: slot.stamp }
    }

    fn append(&mut self, key: u32, to: Placement, clock: policy::Ticks) {
        let open = &mut self.open[to.log];
        if open.used == 0
            || open.used == SEGMENT
            || clock.time.wrapping_sub(open.stamp) >> clock.step_bits > 255
        {
            *open = Segment { stamp: clock.time, used: 0 };
        }
        open.used += 1;
        let steps = clock.time.wrapping_sub(open.stamp) >> clock.step_bits;
        let stamp = open.stamp.wrapping_add(steps << clock.step_bits);
        self.slots[key as usize] = Slot { log: to.log as u8, bits: to.bits, stamp };
        self.logs[to.log].push_back(key);
    }
}

/// The store while the policy looks at it. The policy's clock stands still for the cache during a
/// call.
struct View<'a>(&'a mut Store, policy::Ticks);

impl Tails for View<'_> {
    fn peek(&mut self, log: usize) -> Option<Seen> {
        self.0.logs[log].front().map(|&key| self.0.seen(key))
    }
    fn rotate(&mut self, log: usize, bits: u8) -> bool {
        let Some(key) = self.0.logs[log].pop_front() else { return false };
        self.0.copies += 1;
        self.0.append(key, Placement { log, bits }, self.1);
        true
    }
}

/// What came of a replay.
struct Outcome {
    hit_ratio: f64,
    copies: f64,
    parts: Vec<f64>,
}

fn replay(kind: Kind, parts: &[Vec<u32>], distinct: usize, capacity: u64, seed: u64) -> Outcome {
    let mut policy = AnyPolicy::new(kind, capacity);
    let mut store = Store {
        logs: Default::default(),
        open: Default::default(),
        slots: vec![Slot { log: ABSENT, bits: 0, stamp: 0 }; distinct],
        seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        copies: 0,
    };
    let (mut hits, mut sets, mut served_at) = (0u64, 0u64, 0);
    let mut of_parts = Vec::new();
    let sizes = |store: &Store| Sizes {
        used: [store.logs[0].len() as u64, store.logs[1].len() as u64],
        capacity,
    };
    for part in parts {
        let before = hits;
        for &key in part {
            let slot = &mut store.slots[key as usize];
            if slot.log != ABSENT {
                if slot.bits & 3 < policy.hit_max() {
                    slot.bits += 1;
                }
                hits += 1;
                continue;
            }
            while (store.logs[0].len() + store.logs[1].len()) as u64 >= capacity {
                let now = sizes(&store);
                let first = policy.victim(&now);
                let log = if store.logs[first].is_empty() { 1 - first } else { first };
                let Some(victim) = store.logs[log].pop_front() else { break };
                match policy.tail(log, &store.seen(victim), &now) {
                    Verdict::Keep { log, bits } => {
                        store.copies += 1;
                        store.append(victim, Placement { log, bits }, policy.clock());
                    }
                    Verdict::Drop => store.slots[victim as usize].log = ABSENT,
                }
            }
            let (now, clock, hash) = (sizes(&store), policy.clock(), store.hash(key));
            let to = policy.insert(hash, 1, &now, &mut View(&mut store, clock));
            store.append(key, to, policy.clock());
            sets += 1;
            if sets >= served_at {
                served_at = sets + 64 + capacity / 64;
                policy.served(hits);
            }
        }
        of_parts.push((hits - before) as f64 / part.len().max(1) as f64);
    }
    let requests: usize = parts.iter().map(Vec::len).sum();
    Outcome {
        hit_ratio: hits as f64 / requests.max(1) as f64,
        copies: store.copies as f64 / sets.max(1) as f64,
        parts: of_parts,
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "lru" => Kind::Lru,
        "s3fifo" => Kind::S3Fifo,
        "cellar" | "default" => Kind::Cellar,
        _ => usage(&format!("no policy {name:?}")),
    }
}

fn usage(error: &str) -> ! {
    eprintln!(
        "policysim: {error}\nusage: policysim [-policy NAME] [-seeds N] TRACES SIZES [TRACES SIZES ...]"
    );
    std::process::exit(2)
}

fn main() {
    let mut args: VecDeque<String> = std::env::args().skip(1).collect();
    let (mut kind_, mut seeds) = (Kind::Cellar, 10);
    while args.front().is_some_and(|arg| arg.starts_with('-')) {
        let flag = args.pop_front().unwrap_or_default();
        let Some(value) = args.pop_front() else { usage("a flag without a value") };
        match flag.as_str() {
            "-policy" => kind_ = kind(&value),
            "-seeds" => {
                seeds = value
                    .parse()
                    .ok()
                    .filter(|&n| n > 0)
                    .unwrap_or_else(|| usage("-seeds: a number, 1 or more"))
            }
            _ => usage(&format!("no flag {flag}")),
        }
    }
    if args.is_empty() || args.len() % 2 == 1 {
        usage("pairs of traces and sizes are wanted");
    }
    while let (Some(names), Some(sizes)) = (args.pop_front(), args.pop_front()) {
        let (parts, distinct) = traces::load(&names).unwrap_or_else(|error| usage(&error));
        let label = names
            .split(',')
            .map(|name| name.rsplit('/').next().unwrap_or(name).split('.').next().unwrap_or(name));
        let label = label.collect::<Vec<_>>().join(",");
        for size in sizes.split(',') {
            let capacity = size
                .parse()
                .ok()
                .filter(|&n| n > 0)
                .unwrap_or_else(|| usage(&format!("{size:?} is no size")));
            let mut outcomes: Vec<Outcome> =
                (1..=seeds).map(|seed| replay(kind_, &parts, distinct, capacity, seed)).collect();
            outcomes.sort_by(|a, b| a.hit_ratio.total_cmp(&b.hit_ratio));
            let (worst, middle, best) =
                (&outcomes[0], &outcomes[outcomes.len() / 2], &outcomes[outcomes.len() - 1]);
            print!(
                "{label} {capacity}: worst {:.2} median {:.2} best {:.2} copies {:.2}",
                100.0 * worst.hit_ratio,
                100.0 * middle.hit_ratio,
                100.0 * best.hit_ratio,
                middle.copies
            );
            if parts.len() > 1 {
                print!("; parts at worst");
                worst.parts.iter().for_each(|part| print!(" {:.1}", 100.0 * part));
            }
            println!();
        }
    }
}
