//! What can be chosen when a cache, or a namespace of one, is made.

use crate::error::Error;
use crate::policy::Kind;
use crate::stripe::events::Reasons;
use crate::sys::clock::Clock;
use std::time::Duration;

/// How a cache is to be. `Options::new(bytes)` fills in the rest.
#[derive(Clone, Debug)]
pub struct Options {
    /// The budget in bytes, for all: keys, values, headers, index, free space and bookkeeping. 256
    /// KiB to 256 GiB.
    pub max_bytes: u64,
    /// At most this many entries; 0 for no such bound.
    pub max_entries: u64,
    /// Time to live of entries that are stored without one of their own; `None`: they don't expire.
    pub default_ttl: Option<Duration>,
    /// Each time to live is shortened by a random part of up to this share, 0 to 1, so that what is
    /// stored together doesn't expire together.
    pub ttl_jitter: f64,
    /// Every deadline slides: a read puts it off to the time to live from then.
    pub sliding: bool,
    /// Who stays and who goes.
    pub policy: Kind,
    /// Parts with a lock of their own, a power of two up to 256; 0 to choose by cores, budget and
    /// bound on entries.
    pub stripes: usize,
    /// Where the time comes from.
    pub clock: Clock,
    /// Memory, in bytes, for events that nobody has drained yet
    /// ([`Cache::drain_events`](crate::Cache::drain_events)); 0 for none, up to an eighth of the
    /// budget, which pays for it. It is divided over the stripes in whole pages of 4 KiB; an event
    /// takes 12 bytes and its key. What finds its stripe's part full is dropped and counted
    /// ([`Stats::dropped_events`](crate::Stats::dropped_events)).
    pub event_bytes: u64,
    /// Which events are wanted, where `event_bytes` isn't 0.
    pub events: Reasons,
    /// The seed of the hash; `None` for a random one. For tests: with a known seed, keys that
    /// collide can be found.
    pub seed: Option<u64>,
}

impl Options {
    /// The defaults, with a budget.
    pub fn new(max_bytes: u64) -> Options {
        Options {
            max_bytes,
            max_entries: 0,
            default_ttl: None,
            ttl_jitter: 0.0,
            sliding: false,
            policy: Kind::Default,
            stripes: 0,
            clock: Clock::Coarse,
            event_bytes: 0,
            events: Reasons::default(),
            seed: None,
        }
    }

    /// How many stripes that makes, with segments of this size.
    pub(crate) fn stripe_count(&self, segment: u64) -> Result<usize, Error> {
        if self.stripes != 0 {
            if !self.stripes.is_power_of_two() || self.stripes > 256 {
                return Err(Error::InvalidOptions("stripes must be a power of two up to 256"));
            }
            return Ok(self.stripes);
        }
        let cores = std::thread::available_parallelism().map_or(4, |n| n.get());
        // 64 segments to a stripe keep what is open or half drained to a few per cent; a thousand
        // entries to a stripe keep the stripes' shares even. Two stripes from 64 segments (1 MiB)
        // on: that costs 6 per cent of the memory, but with one several threads that set are slower
        // than one.
        let segments = self.max_bytes / segment;
        let by_memory = (segments / 64).max(if segments >= 64 { 2 } else { 1 });
        let by_entries =
            if self.max_entries == 0 { u64::MAX } else { (self.max_entries / 1024).max(1) };
        let most = by_memory.min(by_entries).min(256) as usize;
        let wanted = (cores * 4).next_power_of_two();
        Ok(wanted.min(1 << most.ilog2()))
    }
}

/// How a namespace is to be. The default is a good choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceOptions {
    /// The most bytes that it may hold of the cache's budget: entries, index, bookkeeping and free
    /// space in its segments. 0: no bound but the cache's. At least `2 * stripes + 6` segments, of
    /// which the budget has about 2,048.
    pub max_bytes: u64,
    /// At most this many entries; 0 for no such bound.
    pub max_entries: u64,
    /// Time to live of entries that are stored without one of their own; `None`: they don't expire.
    pub default_ttl: Option<Duration>,
    /// Who stays and who goes. `Default`: as in the cache; so are jitter and sliding deadlines.
    pub policy: Kind,
    /// Parts with a lock of their own, a power of two up to 256; 0 to choose. Each takes two
    /// segments or three.
    pub stripes: usize,
}

impl NamespaceOptions {
    /// Whether these may be asked for of a namespace that has those: what is left at its default
    /// doesn't matter.
    pub(crate) fn agree(&self, with: &NamespaceOptions, bound: u64) -> bool {
        (self.max_bytes == 0 || self.max_bytes == bound)
            && (self.max_entries == 0 || self.max_entries == with.max_entries)
            && (self.default_ttl.is_none() || self.default_ttl == with.default_ttl)
            && (self.policy == Kind::Default || self.policy == with.policy)
            && (self.stripes == 0 || self.stripes == with.stripes)
    }
}
