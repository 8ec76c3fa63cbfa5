//! The policies by name, and one of them behind one type.

use super::cellar::{self, Cellar};
use super::contract::{Placement, Policy, Seen, Sizes, Tails, Ticks, Verdict};
use super::lru::Lru;
use super::s3fifo::{self, S3Fifo};

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

/// One of the policies. An enum, so that nothing is called through a pointer on the way from Go's
/// stack. (With a discriminant of its own: where it is hidden in a field's unused values, each set
/// takes it out of there four times.)
#[allow(clippy::large_enum_variant, reason = "one a stripe, and never moved")]
#[repr(u8)]
pub enum AnyPolicy {
    Lru(Lru),
    S3Fifo(S3Fifo),
    Cellar(Cellar),
}

/// Evaluates an expression with the policy that it is. Where much is asked of a policy, once around
/// all of it rather than at each question: the code is then made for each policy, and what is asked
/// is inlined.
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
    fn insert<T: Tails>(
        &mut self,
        hash: u64,
        size: u32,
        sizes: &Sizes,
        tails: &mut T,
    ) -> Placement {
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
    fn tail(&mut self, log: usize, entry: &Seen, sizes: &Sizes) -> Verdict {
        each!(self, policy => policy.tail(log, entry, sizes))
    }
    #[inline]
    fn prefetch(&self, hash: u64) {
        each!(self, policy => policy.prefetch(hash));
    }
    #[inline]
    fn clock(&self) -> Ticks {
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
