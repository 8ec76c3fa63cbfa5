//! memcached's times: seconds from now up to 30 days, beyond that a moment since 1970; 0 is never,
//! and what is negative has passed.

use crate::store::{Expiry, Store};
use larder::Until;

const MONTH: i64 = 30 * 24 * 3600;

/// When an item expires that is stored with this time.
pub(super) fn expiry(exptime: i64) -> Expiry {
    match exptime {
        0 => Expiry::Never,
        1..=MONTH => Expiry::In(exptime as u64 * 1000),
        ..0 => Expiry::At(0),
        moment => Expiry::At(moment.saturating_mul(1000)),
    }
}

/// As [`expiry`], by the cache's clock. None: it has passed.
pub(super) fn until(store: &Store, exptime: i64) -> Option<Until> {
    store.until(expiry(exptime))
}

/// Seconds that are left, as they are told: rounded up, so that what was stored for 30 seconds says
/// 30 and what is left is never 0. Never: -1.
pub(super) fn seconds_left(ttl: Option<u64>) -> i64 {
    ttl.map_or(-1, |millis| i64::try_from(millis.div_ceil(1000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_at_30_days() {
        assert_eq!(expiry(0), Expiry::Never);
        assert_eq!(expiry(MONTH), Expiry::In(2_592_000_000));
        assert_eq!(expiry(MONTH + 1), Expiry::At(2_592_001_000));
        assert_eq!((expiry(-1), expiry(i64::MIN)), (Expiry::At(0), Expiry::At(0)));
        assert_eq!(expiry(i64::MAX), Expiry::At(i64::MAX));
        assert_eq!((seconds_left(None), seconds_left(Some(29_001))), (-1, 30));
    }
}
