//! Many keys in one call, with their cache misses overlapped.
//!
//! A get of a set larger than the CPU's caches waits twice: for the index bucket and for the entry. For a group of keys all
//! buckets are asked for first, then all entries that look right, and only then is anything compared and copied: the
//! memory answers up to a dozen requests at once, so a group waits about as long as one key alone.

use crate::cache::{Cache, FAST_PATIENCE, Shared, TryError};
use crate::entry::{Entry, Value};
use crate::epoch;
use crate::error::Error;
use crate::index::Moving;
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

/// Where the answers of a call go.
pub(crate) trait Answers {
    /// Copies a value behind those that were answered. False if there is no room. May be called several times for one
    /// answer, when the value is overwritten meanwhile: the last one counts.
    fn take(&mut self, value: Value<'_>) -> bool;
    /// Says what became of a key: the length of the value that was taken, or None for a miss.
    fn answer(&mut self, i: usize, len: Option<usize>);
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
    /// Gets the keys of a range (at most [`GROUP`]), on the fast door, in turn, until a value isn't taken. Returns how many were
    /// done. Fails only before the first.
    #[inline]
    pub(crate) fn try_read_many(
        &self,
        keys: &Keys<'_>,
        range: Range<usize>,
        most: usize,
        answers: &mut impl Answers,
    ) -> Result<usize, TryError> {
        let guard = epoch::try_pin().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        let line = shared.try_line(&guard).ok_or(TryError::Busy)?;
        let range = range.start..range.end.min(range.start + GROUP);
        let hashes = shared.prepare(keys, range.clone(), true);
        let (mut copied, mut hits, mut done) = (0, 0, 0);
        for (&hash, i) in hashes.iter().zip(range.clone()) {
            let mut tries = 0;
            let found = loop {
                let take = |entry: Entry<'_>, header| {
                    let value = entry.value(header);
                    (value.len(), copied + value.len() <= most && answers.take(value))
                };
                match shared.try_find::<false, _>(&guard, hash, keys.get(i), take) {
                    Err(Moving) if tries < FAST_PATIENCE => tries += 1,
                    found => break found,
                }
            };
            match found {
                Ok(Some(((len, taken), entry, header))) => {
                    copied += len;
                    if !taken {
                        break;
                    }
                    shared.mark(entry, header);
                    hits += 1;
                    answers.answer(i, Some(len));
                }
                Ok(None) => answers.answer(i, None),
                Err(Moving) => break,
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
        answers: &mut impl Answers,
    ) -> Result<usize, Error> {
        let range = range.start..range.end.min(range.start + GROUP);
        {
            let guard = epoch::pin();
            let shared = self.shared(&guard)?;
            shared.prepare(keys, range.clone(), true);
        }
        for (done, i) in range.clone().enumerate() {
            let taken = self.read(keys.get(i), |value| answers.take(value).then_some(value.len()).ok_or(()))?;
            match taken {
                Some(Err(())) => return Ok(done),
                Some(Ok(len)) => answers.answer(i, Some(len)),
                None => answers.answer(i, None),
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
