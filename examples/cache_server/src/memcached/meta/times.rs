//! What flags do to an item's time to live: `T` sets it, `N` that of an item that was made, and `t` tells
//! it, each in its place.

use super::flags::Flags;
use crate::memcached::exptime::until;
use crate::store::Store;
use larder::Until;

/// What came of the flags.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// When the item expires. None: it has.
    pub(super) until: Option<Until>,
    /// Milliseconds that are left where `t` stands; where it doesn't, in the end.
    pub(super) told: Option<u64>,
    /// Milliseconds that are left where `R` stands.
    pub(super) at_recache: Option<u64>,
    /// Whether anything sets it.
    pub(super) changed: bool,
}

impl Times {
    /// Goes through the flags. `there`: milliseconds that are left of an item that was there; None:
    /// it is made.
    pub(super) fn of(store: &Store, flags: &Flags<'_>, there: Option<Option<u64>>) -> Times {
        let made = there.is_none();
        let mut left = there.flatten();
        let mut times = Times {
            until: Some(if made { Until::Never } else { Until::Same }),
            told: left,
            at_recache: left,
            changed: made,
        };
        let mut told = false;
        for flag in flags.in_order() {
            let set = match flag[0] {
                b'T' => flags.exptime,
                b'N' if made => flags.vivify,
                b'R' => {
                    times.at_recache = left;
                    None
                }
                b't' => {
                    (times.told, told) = (left, true);
                    None
                }
                _ => None,
            };
            if let Some(exptime) = set {
                times.until = until(store, exptime);
                times.changed = true;
                left = remaining(store, times.until);
            }
        }
        if !told {
            times.told = left;
        }
        times
    }
}

fn remaining(store: &Store, until: Option<Until>) -> Option<u64> {
    match until {
        None => Some(0),
        Some(Until::At(at)) => Some(at.saturating_sub(store.cache().now().unwrap_or(at))),
        Some(_) => None,
    }
}
