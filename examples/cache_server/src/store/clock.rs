//! Wall-clock time. Entries expire by the cache's monotonic clock; protocols also name moments of
//! the calendar. Both are kept apart by one number, so that a moment that was set is told again to
//! the millisecond; when the system's clock is set anew, the number follows.

use larder::Cache;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds by which the two clocks may drift apart before the number follows: they are not read
/// at the same moment.
const TOLERANCE: i64 = 20;

/// Milliseconds since 1970, by the system.
fn system_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

/// What is added to the cache's time to get the calendar's.
pub(super) struct WallClock(AtomicI64);

impl WallClock {
    pub(super) fn new(cache: &Cache) -> WallClock {
        WallClock(AtomicI64::new(offset(cache)))
    }

    /// Follows the system's clock if that was set. Once a second is enough.
    pub(super) fn follow(&self, cache: &Cache) {
        let now = system_millis() - now(cache);
        if (now - self.0.load(Ordering::Relaxed)).abs() > TOLERANCE {
            self.0.store(offset(cache), Ordering::Relaxed);
        }
    }

    /// Milliseconds since 1970 of a moment of the cache's clock.
    pub(super) fn wall(&self, millis: u64) -> i64 {
        i64::try_from(millis).unwrap_or(i64::MAX).saturating_add(self.0.load(Ordering::Relaxed))
    }

    /// The moment of the cache's clock. Moments before it began are its first.
    pub(super) fn cache_time(&self, wall: i64) -> u64 {
        wall.saturating_sub(self.0.load(Ordering::Relaxed)).max(0) as u64
    }
}

/// What is to be added to the cache's time. Both clocks are read in whole milliseconds, so one look
/// may say one too few; the most of several looks says none too few, and nothing that is set for a
/// moment lives past it.
fn offset(cache: &Cache) -> i64 {
    let look = |_| {
        std::thread::sleep(Duration::from_micros(100));
        system_millis() - now(cache)
    };
    (0..16).map(look).max().unwrap_or_default()
}

/// The cache's time. A closed cache has none.
fn now(cache: &Cache) -> i64 {
    cache.now().unwrap_or(0) as i64
}
