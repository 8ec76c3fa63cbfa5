//! Going through all entries.
//!
//! In the order of stripes and, within one, of index tags, which doesn't change when the index
//! grows: an entry that stays in the cache from the first step to the last is visited exactly once.
//! One that is overwritten meanwhile is visited with its old or its new value; one that comes or
//! goes may be visited or not. An iteration holds a stripe's lock for one bucket at a time.

use crate::cache::handle::Cache;
use crate::cache::shared::Shared;
use crate::error::Error;
use crate::index::TAG_END;
use crate::sync::epoch;

/// How far an iteration has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// Stripe number times 2^28, plus the tag.
    pub(crate) position: u64,
}

impl Cache {
    /// Visits the live entries of the next bucket that has any. False at the end. `visit` runs
    /// inside the cache: it must be short and must not call it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(crate) fn visit(
        &self,
        cursor: &mut Cursor,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<bool, Error> {
        let guard = epoch::pin();
        let shared = self.shared(&guard)?;
        let mut any = false;
        while !any {
            let stripe = cursor.position >> TAG_END.trailing_zeros();
            if stripe >= shared.stripes.len() as u64 {
                return Ok(false);
            }
            let tag = cursor.position as u32 & (TAG_END - 1);
            let next = visit_bucket(shared, stripe as usize, tag, |key, value| {
                any = true;
                visit(key, value);
            });
            cursor.position = (stripe << TAG_END.trailing_zeros()) + u64::from(next);
        }
        Ok(true)
    }

    /// Fills a buffer with whole records of the next entries: key length and value length, four
    /// bytes each, little endian; key; value.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(crate) fn fill(&self, cursor: &mut Cursor, out: &mut [u8]) -> Result<Filled, Error> {
        let mut used = 0;
        loop {
            let mut next = *cursor;
            let mut end = used;
            let more = self.visit(&mut next, |key, value| {
                let start = end;
                end += 8 + key.len() + value.len();
                if let Some(record) = out.get_mut(start..end) {
                    record[..4].copy_from_slice(&(key.len() as u32).to_le_bytes());
                    record[4..8].copy_from_slice(&(value.len() as u32).to_le_bytes());
                    record[8..8 + key.len()].copy_from_slice(key);
                    record[8 + key.len()..].copy_from_slice(value);
                }
            })?;
            if end > out.len() {
                return Ok(if used > 0 { Filled::Some(used) } else { Filled::Needs(end) });
            }
            *cursor = next;
            used = end;
            if !more {
                return Ok(if used > 0 { Filled::Some(used) } else { Filled::End });
            }
        }
    }

    /// Calls `visit` with copies of all entries, outside of any lock.
    ///
    /// ```
    /// # use larder::{Cache, Options};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// cache.set(b"a", b"1")?;
    /// cache.set(b"b", b"2")?;
    /// let mut keys = Vec::new();
    /// cache.for_each(|key, _| keys.push(key.to_vec()));
    /// keys.sort();
    /// assert_eq!(keys, [b"a", b"b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        let mut cursor = Cursor::default();
        let mut batch = Vec::new();
        while let Ok(true) =
            self.visit(&mut cursor, |key, value| batch.push((key.to_vec(), value.to_vec())))
        {
            batch.drain(..).for_each(|(key, value)| visit(&key, &value));
        }
    }
}

/// What [`Cache::fill`] came to.
pub(crate) enum Filled {
    /// So many bytes of records.
    Some(usize),
    /// The buffer is too small for the next entries, which need so many bytes.
    Needs(usize),
    /// There are no more.
    End,
}

fn visit_bucket(shared: &Shared, stripe: usize, tag: u32, visit: impl FnMut(&[u8], &[u8])) -> u32 {
    let stripe = &shared.stripes[stripe];
    let mut state = stripe.state.lock();
    let (mut writer, policy) = state.writer(&shared.env, stripe);
    writer.finish(policy);
    writer.visit(tag, visit)
}
