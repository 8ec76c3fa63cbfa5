//! How long entries live: from what the caller says, the cache's default and its jitter to a
//! deadline.

use crate::sys::clock::Clock;
use std::time::Duration;

/// How long an entry may live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    /// As the cache's options say.
    Default,
    /// Until it is evicted.
    Never,
    /// So many milliseconds.
    Millis(u64),
}

impl From<Duration> for Ttl {
    fn from(ttl: Duration) -> Ttl {
        Ttl::Millis(millis(ttl))
    }
}

/// Whole milliseconds, rounded up.
pub(crate) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// What a cache says of how long its entries live.
pub(crate) struct Lifetimes {
    /// In milliseconds.
    pub(crate) default_ttl: Option<u64>,
    /// In 65,536ths.
    pub(crate) jitter: u64,
    /// Whether all deadlines slide.
    pub(crate) sliding: bool,
}

impl Lifetimes {
    /// When an entry stored now expires, and milliseconds by which that slides (if `sliding`, or
    /// the cache does so).
    #[inline]
    pub(crate) fn deadline(
        &self,
        clock: &Clock,
        ttl: Ttl,
        hash: u64,
        sliding: bool,
    ) -> (Option<u64>, Option<u64>) {
        let ttl = match ttl {
            Ttl::Default => match self.default_ttl {
                Some(ttl) => ttl,
                None => return (None, None),
            },
            Ttl::Never => return (None, None),
            Ttl::Millis(ttl) => ttl,
        };
        let now = clock.now();
        let ttl = self.jittered(ttl, hash, now);
        (Some(now.saturating_add(ttl)), (sliding || self.sliding).then_some(ttl))
    }

    /// A time to live, shortened at random.
    #[inline]
    pub(crate) fn jittered(&self, ttl: u64, hash: u64, now: u64) -> u64 {
        if self.jitter == 0 {
            return ttl;
        }
        // The hash differs among what is stored together, the time for what is stored again.
        let random = (hash ^ now.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            >> 48;
        let cut = ((u128::from(ttl) * u128::from(self.jitter) * u128::from(random)) >> 32) as u64;
        (ttl - cut.min(ttl)).max(1)
    }
}
