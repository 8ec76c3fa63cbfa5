//! Time in milliseconds, and a clock that tests can set.

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::os;
use std::sync::Arc;

/// A clock that stands still until it is told to move. For tests.
#[derive(Clone, Debug, Default)]
pub struct MockClock(Arc<AtomicU64>);

impl MockClock {
    /// Moves the clock forward.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves the clock to so many milliseconds since it was made; never back.
    pub fn set(&self, millis: u64) {
        self.0.fetch_max(millis, Ordering::SeqCst);
    }

    /// Milliseconds since the clock was made.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where a cache takes the time from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The kernel's coarse monotonic clock.
    #[default]
    Coarse,
    /// The kernel's monotonic clock, to the millisecond: the coarse one moves in steps of up to 4
    /// ms. Costs some 20 ns more for each read of an entry that has a deadline.
    Precise,
    /// A clock set by a test.
    Mock(MockClock),
}

impl Clock {
    /// Milliseconds since some fixed moment. Read only when the entry at hand has a deadline.
    #[inline]
    pub fn now(&self) -> u64 {
        match self {
            Clock::Coarse => os::coarse_millis(),
            Clock::Precise => os::precise_millis(),
            Clock::Mock(mock) => mock.now(),
        }
    }
}
