//! Many keys in one call, with their cache misses overlapped.
//!
//! A get of a set larger than the CPU's caches waits twice: for the index bucket and for the entry. For a group of keys all
//! buckets are asked for first, then all entries that look right, and only then is anything compared and copied: the
//! memory answers up to a dozen requests at once, so a group waits about as long as one key alone.

use crate::cache::{Cache, Shared, TryError};
use crate::epoch;
use crate::error::Error;
use std::ops::Range;

/// Keys in a group. The memory system has 12 to 24 requests in flight per core; more than 16 keys gain nothing.
pub const GROUP: usize = 16;

/// The keys of a call: packed, and where each ends.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// All keys, one behind the other.
    pub bytes: &'a [u8],
    /// Where each key ends in `bytes`.
    pub ends: &'a [u32],
}

impl<'a> Keys<'a> {
    /// One key. Ends that make no sense give an empty key, never a wrong access.
    #[inline]
    pub fn get(&self, i: usize) -> &'a [u8] {
        let start = if i == 0 { 0 } else { self.ends.get(i - 1).map_or(0, |&end| end as usize) };
        let end = self.ends.get(i).map_or(0, |&end| end as usize);
        self.bytes.get(start..end).unwrap_or_default()
    }
}

impl Shared {
    /// Hashes a group of keys and starts loading what they need.
    #[inline]
    fn prepare(&self, keys: &Keys<'_>, range: Range<usize>, entries: bool) -> [u64; GROUP] {
        let mut hashes = [0; GROUP];
        for (hash, i) in hashes.iter_mut().zip(range.clone()) {
            *hash = self.hasher.hash(keys.get(i));
            self.stripe(*hash).index.prefetch(*hash);
        }
        if entries {
            for &hash in hashes.iter().take(range.len()) {
                self.stripe(hash).index.prefetch_entry(hash, self.space.base());
            }
        }
        hashes
    }
}

impl Cache {
    /// Gets the keys of a range (at most [`GROUP`]), on the fast door: `deliver` is told of each in turn, with its value if
    /// it has one, and returns whether to go on. Returns how many were done. Fails only before the first.
    #[inline]
    pub(crate) fn try_read_many(
        &self,
        keys: &Keys<'_>,
        range: Range<usize>,
        most: usize,
        mut deliver: impl FnMut(usize, Option<&[u8]>) -> bool,
    ) -> Result<usize, TryError> {
        let guard = epoch::try_pin().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        let line = shared.try_line(&guard).ok_or(TryError::Busy)?;
        let range = range.start..range.end.min(range.start + GROUP);
        let hashes = shared.prepare(keys, range.clone(), true);
        let (mut copied, mut hits, mut done) = (0, 0, 0);
        for (&hash, i) in hashes.iter().zip(range.clone()) {
            let Ok(found) = shared.lookup(&guard, hash, keys.get(i)) else { break };
            let value = match found {
                Some((entry, header)) => {
                    copied += header.value_len();
                    if copied > most {
                        break;
                    }
                    shared.mark(entry, header);
                    hits += 1;
                    Some(entry.value(header))
                }
                None => None,
            };
            if !deliver(i, value) {
                hits -= u64::from(value.is_some());
                break;
            }
            done += 1;
        }
        line.hit(hits);
        line.miss(done as u64 - hits);
        if done == 0 && !range.is_empty() && copied > most { Err(TryError::Busy) } else { Ok(done) }
    }

    /// As [`Cache::try_read_many`], by the slow door: no limit on what is copied, and it doesn't give up.
    pub(crate) fn read_many(
        &self,
        keys: &Keys<'_>,
        range: Range<usize>,
        mut deliver: impl FnMut(usize, Option<&[u8]>) -> bool,
    ) -> Result<usize, Error> {
        let range = range.start..range.end.min(range.start + GROUP);
        {
            let guard = epoch::pin();
            let shared = self.shared(&guard)?;
            shared.prepare(keys, range.clone(), true);
        }
        for (done, i) in range.clone().enumerate() {
            let taken = self.read(keys.get(i), |value| deliver(i, Some(value)).then_some(()).ok_or(()))?;
            if !taken.map_or_else(|| deliver(i, None), |taken| taken.is_ok()) {
                return Ok(done);
            }
        }
        Ok(range.len())
    }

    /// Starts loading the index buckets of a range of keys, for sets and deletes. Not inlined: what it needs of the stack is
    /// given back before they begin.
    #[inline(never)]
    pub(crate) fn prefetch_many(&self, keys: &Keys<'_>, range: Range<usize>) {
        if let Some(guard) = epoch::try_pin()
            && let Ok(shared) = self.shared(&guard)
        {
            shared.prepare(keys, range.start..range.end.min(range.start + GROUP), true);
        }
    }
}
