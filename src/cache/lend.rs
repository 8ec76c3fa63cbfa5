//! Reads that put a value where it goes: behind a header that says its length, in a buffer that is
//! sent as it is; and many keys at once asked for ahead.

use crate::cache::batch::{GROUP, Group};
use crate::cache::handle::Cache;
use crate::cache::info::Info;
use crate::cache::read::Probe;
use crate::entry::freshness::State;
use crate::sync::epoch;
use std::convert::Infallible;

/// What came of [`Cache::append`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lent {
    /// There is none.
    Miss,
    /// The value was appended. The number that the caller keeps with it
    /// ([`SetOptions::user`](crate::SetOptions::user)).
    Value(u64),
    /// The value is longer than what was asked for: so many bytes. Nothing was appended, and it
    /// isn't a hit: [`Cache::view`] has it without a copy.
    Longer(usize),
}

impl Cache {
    /// Appends the value of a key to `out` if it isn't longer than `most`, behind what `before`
    /// appends, which is told the value's length and the caller's number. `before` may be called
    /// more than once, when the value is overwritten meanwhile; what it appended then is taken
    /// back.
    #[inline]
    pub fn append(
        &self,
        key: &[u8],
        most: usize,
        out: &mut Vec<u8>,
        mut before: impl FnMut(&mut Vec<u8>, usize, u64),
    ) -> Lent {
        let start = out.len();
        {
            let guard = epoch::pin();
            let Ok(shared) = self.shared(&guard) else { return Lent::Miss };
            let hash = shared.env.hasher.hash(key);
            let line = shared.line(&guard);
            match shared.probe(&guard, hash, key) {
                Probe::Hit(found) => {
                    let value = found.value();
                    if value.len() > most {
                        return Lent::Longer(value.len());
                    }
                    before(out, value.len(), 0);
                    value.append_to(out);
                    if found.is_whole() {
                        shared.mark_hit_only(found.entry, found.header);
                        line.hit(1);
                        return Lent::Value(0);
                    }
                }
                Probe::Miss => {
                    line.miss(1);
                    return Lent::Miss;
                }
                Probe::Unclear => {}
            }
        }
        out.truncate(start);
        self.append_patiently(key, most, out, before)
    }

    #[cold]
    #[inline(never)]
    fn append_patiently(
        &self,
        key: &[u8],
        most: usize,
        out: &mut Vec<u8>,
        mut before: impl FnMut(&mut Vec<u8>, usize, u64),
    ) -> Lent {
        let start = out.len();
        let mut longer = 0;
        // First what has to be said before the value, then the value.
        let mut value = Vec::new();
        let found = self.read_any(key, false, true, |taken| {
            if taken.len() > most {
                longer = taken.len();
                return Err(());
            }
            value.clear();
            taken.append_to(&mut value);
            Ok(())
        });
        out.truncate(start);
        match found {
            Ok(Some((Ok(()), Info { state, user, .. }))) if state != State::Absent => {
                before(out, value.len(), user);
                out.extend_from_slice(&value);
                Lent::Value(user)
            }
            Ok(Some((Err(()), _))) => Lent::Longer(longer),
            _ => Lent::Miss,
        }
    }

    /// What there is to tell of an entry, without its value: that is no hit, and no deadline
    /// slides. `None` if there is none.
    #[must_use]
    pub fn info(&self, key: &[u8]) -> Option<(usize, Info)> {
        let found = self
            .read_any(key, false, false, |value| Ok::<_, Infallible>(value.len()))
            .ok()
            .flatten()?;
        let (Ok(len), info) = found;
        Some((len, info))
    }

    /// Asks the memory for what is known of some keys, so that gets and sets of them soon after
    /// wait less. 16 keys at a time are worth while; the rest is done in turn.
    pub fn prefetch(&self, keys: &[&[u8]]) {
        let guard = epoch::pin();
        let Ok(shared) = self.shared(&guard) else { return };
        for keys in keys.chunks(GROUP) {
            shared.prepare(&guard, keys.iter().copied(), &mut Group::default());
        }
    }
}
