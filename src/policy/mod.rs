//! Who stays and who goes.
//!
//! A policy decides at two moments only: when a new entry comes (into which log?) and when the drain reaches the oldest
//! entry of a log (keep it, in which log, or drop it?). Between them a hit does no more than raise a counter of two bits in
//! the entry. Everything here runs under the stripe's lock; each stripe has a policy of its own, for its part of the hashes.
//!
//! To add one: implement [`Policy`] in a file of its own, and name it in [`Kind`] and in [`AnyPolicy`]. Nothing else knows
//! policies by name.

mod cellar;
mod dated_ghost;
mod ghost;
mod lru;
mod s3fifo;
mod watch;

use cellar::Cellar;
use lru::Lru;
use s3fifo::S3Fifo;

/// What a policy is told of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The hash of its key.
    pub hash: u64,
    /// Bits 0 and 1: hits since it was written or kept, saturating at [`Policy::hit_max`]. Bits 2 and 3 are the policy's.
    pub bits: u8,
    /// Its size, in the unit of [`Sizes`].
    pub size: u32,
    /// The time of the policy's [clock](Policy::clock) at which it was appended, to a step before.
    pub stamp: u32,
}

/// What is to become of the oldest entry of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes to the young end of a log, with these bits.
    Keep {
        /// Which log.
        log: usize,
        /// Its counter and flags from now on.
        bits: u8,
    },
    /// It is evicted.
    Drop,
}

/// Where a new entry goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// Which log.
    pub log: usize,
    /// Its counter and flags.
    pub bits: u8,
}

/// How full the stripe is: in bytes of live entries, or in entries where the cache has a bound on entries.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// In each log.
    pub used: [u64; 2],
    /// What the stripe may hold: its share of the cache.
    pub capacity: u64,
}

/// The old ends of the logs, for a policy that wants to look at them before it places an entry.
pub trait Tails {
    /// The oldest live entry of a log.
    fn peek(&mut self, log: usize) -> Option<Entry>;
    /// Moves that entry to the young end of its log, with these bits. False if there is no room to, or none to move.
    fn rotate(&mut self, log: usize, bits: u8) -> bool;
}

/// A policy's clock: it ticks when the policy likes, and wraps. The time at which an entry is appended is kept with it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Clock {
    /// The time.
    pub time: u32,
    /// Entries keep the time in steps of two to this power. 255 steps after a segment was opened it is closed.
    pub step_bits: u32,
}

/// An eviction policy.
pub trait Policy {
    /// Where the counter of hits stops. At most 3.
    fn hit_max(&self) -> u8;
    /// A key comes that is not in the cache.
    fn insert<T: Tails>(&mut self, hash: u64, size: u32, sizes: &Sizes, tails: &mut T) -> Placement;
    /// A key that is in the cache (in this log, with these bits) is written again.
    fn update(&mut self, log: usize, bits: u8) -> Placement;
    /// From which log to take next. Asked before each entry; an empty answer falls to the other log.
    fn victim(&mut self, sizes: &Sizes) -> usize;
    /// The drain has reached this entry, the oldest of the log.
    fn tail(&mut self, log: usize, entry: &Entry, sizes: &Sizes) -> Verdict;
    /// An entry with this hash will be asked about soon: start loading what is known of it.
    fn prefetch(&self, _hash: u64) {}
    /// The policy's clock now.
    fn clock(&self) -> Clock {
        Clock::default()
    }
    /// Whether entries must come to the drain in the very order in which they were appended; else small ones may come a segment or
    /// two before, to fill what large ones left over. Asked once.
    fn in_order(&self) -> bool {
        false
    }
    /// How many hits there have been so far, about; told now and then.
    fn served(&mut self, _hits: u64) {}
    /// The stripe may now hold about so many entries: ghosts follow. Called when that has changed by a quarter or so. False
    /// if the system refuses memory; then all is as it was. With 0, which is never refused, the ghosts are given up.
    fn resize(&mut self, entries: u64) -> bool;
    /// Everything was cleared.
    fn clear(&mut self);
    /// Bytes of memory in use after [`Policy::resize`] to so many entries.
    fn bytes_for(&self, entries: u64) -> u64;
}

/// Entries that a policy is told of at least.
pub const LEAST: u64 = 16;

/// The policies, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// The one that larder recommends; may change between versions.
    #[default]
    Default,
    /// Least recently used, by second chance.
    Lru,
    /// S3-FIFO.
    S3Fifo,
    /// larder's own: docs/policy.md.
    Cellar,
}

/// One of the policies. An enum, so that nothing is called through a pointer on the way from Go's stack.
/// (With a discriminant of its own: where it is hidden in a field's unused values, each set takes it out of there four times.)
#[allow(clippy::large_enum_variant, reason = "one a stripe, and never moved")]
#[repr(u8)]
pub enum AnyPolicy {
    Lru(Lru),
    S3Fifo(S3Fifo),
    Cellar(Cellar),
}

/// Evaluates an expression with the policy that it is. Where much is asked of a policy, once around all of it rather than at each
/// question: the code is then made for each policy, and what is asked is inlined.
macro_rules! each {
    ($self:ident, $policy:ident => $call:expr) => {
        match $self {
            $crate::policy::AnyPolicy::Lru($policy) => $call,
            $crate::policy::AnyPolicy::S3Fifo($policy) => $call,
            $crate::policy::AnyPolicy::Cellar($policy) => $call,
        }
    };
}
#[allow(unused_imports, reason = "bench/policysim has the policies without the cache")]
pub(crate) use each;

impl AnyPolicy {
    /// A policy for a stripe that may hold about so many entries.
    pub fn new(kind: Kind, entries: u64) -> AnyPolicy {
        match kind {
            Kind::Lru => AnyPolicy::Lru(Lru),
            Kind::S3Fifo => AnyPolicy::S3Fifo(S3Fifo::new(entries)),
            Kind::Default | Kind::Cellar => AnyPolicy::Cellar(Cellar::new(entries)),
        }
    }
}

impl AnyPolicy {
    /// The least bytes that a policy of this kind takes.
    pub fn least_bytes(kind: Kind) -> u64 {
        match kind {
            Kind::Lru => 0,
            Kind::S3Fifo => s3fifo::bytes_for(LEAST),
            Kind::Default | Kind::Cellar => cellar::bytes_for(LEAST),
        }
    }
}

impl Policy for AnyPolicy {
    #[inline]
    fn hit_max(&self) -> u8 {
        each!(self, policy => policy.hit_max())
    }
    #[inline]
    fn insert<T: Tails>(&mut self, hash: u64, size: u32, sizes: &Sizes, tails: &mut T) -> Placement {
        each!(self, policy => policy.insert(hash, size, sizes, tails))
    }
    #[inline]
    fn update(&mut self, log: usize, bits: u8) -> Placement {
        each!(self, policy => policy.update(log, bits))
    }
    #[inline]
    fn victim(&mut self, sizes: &Sizes) -> usize {
        each!(self, policy => policy.victim(sizes))
    }
    #[inline]
    fn tail(&mut self, log: usize, entry: &Entry, sizes: &Sizes) -> Verdict {
        each!(self, policy => policy.tail(log, entry, sizes))
    }
    #[inline]
    fn prefetch(&self, hash: u64) {
        each!(self, policy => policy.prefetch(hash));
    }
    #[inline]
    fn clock(&self) -> Clock {
        each!(self, policy => policy.clock())
    }
    fn in_order(&self) -> bool {
        each!(self, policy => policy.in_order())
    }
    fn served(&mut self, hits: u64) {
        each!(self, policy => policy.served(hits));
    }
    fn resize(&mut self, entries: u64) -> bool {
        each!(self, policy => policy.resize(entries))
    }
    fn clear(&mut self) {
        each!(self, policy => policy.clear())
    }
    fn bytes_for(&self, entries: u64) -> u64 {
        each!(self, policy => policy.bytes_for(entries))
    }
}
