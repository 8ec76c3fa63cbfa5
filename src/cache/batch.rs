//! Many keys in one call, with their cache misses overlapped.
//!
//! A get of a set larger than the CPU's caches waits twice: for the index bucket and for the entry.
//! For a group of keys all buckets are asked for first, then all entries that look right, and only
//! then is anything compared and copied: the memory answers up to a dozen requests at once, so a
//! group waits about as long as one key alone.

use crate::cache::handle::Cache;
use crate::cache::read::retry_bounded;
use crate::cache::shared::Shared;
use crate::cache::shared::TryError;
use crate::entry::{Entry, Value};
use crate::error::Error;
use crate::index::{Moving, candidate};
use crate::stripe::Stripe;
use crate::sync::epoch::{self, Guard};
use crate::sys::prefetch::prefetch;
use std::ops::Range;

/// Keys in a group. The memory system has 12 to 24 requests in flight per core; more than 16 keys
/// gain nothing.
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
    /// Copies a value behind those that were answered. False if there is no room. May be called
    /// several times for one answer, when the value is overwritten meanwhile: the last one counts.
    fn take(&mut self, value: Value<'_>) -> bool;
    /// Says what became of a key: the length of the value that was taken, or None for a miss.
    fn answer(&mut self, i: usize, len: Option<usize>);
}

/// What is known of a group of keys before any is compared.
#[derive(Default)]
pub(crate) struct Group<'g> {
    hashes: [u64; GROUP],
    /// The entry that each probably has.
    entries: [Option<Entry<'g>>; GROUP],
}

impl Shared {
    /// Hashes a group of keys (at most [`GROUP`]), and finds the entries that they probably have.
    /// First all buckets are asked for, then all entries; nothing is waited for but the first
    /// bucket.
    #[inline(always)]
    pub(crate) fn prepare<'g, 'k>(
        &'g self,
        guard: &'g Guard,
        keys: impl Iterator<Item = &'k [u8]>,
        group: &mut Group<'g>,
    ) {
        let mut buckets = [None; GROUP];
        for ((hash, bucket), key) in group.hashes.iter_mut().zip(&mut buckets).zip(keys) {
            *hash = self.env.hasher.hash(key);
            let Stripe { index, filter, .. } = self.stripe(*hash);
            // Asked before the bucket is read: else a set that had returned before might be
            // completed in between.
            *bucket = (!filter.has(*hash)).then(|| index.prefetch(*hash));
        }
        for ((&hash, bucket), entry) in group.hashes.iter().zip(&buckets).zip(&mut group.entries) {
            let Some(bucket) = bucket else { continue };
            if let Some(slot) = candidate(bucket, hash) {
                // SAFETY: the bucket is of this cache's index, and was read just now.
                let likely = unsafe { self.entry_at(guard, slot) };
                prefetch(likely.address());
                prefetch(likely.address().wrapping_add(64));
                *entry = Some(likely);
            }
        }
    }
}

impl Cache {
    /// Gets the keys of a range (at most [`GROUP`]), on the fast path, until a value isn't taken.
    /// Returns how many were done. Fails only before the first. Each key is looked up at a moment
    /// of its own: of two that are the same, the second may get the older value.
    #[inline]
    pub(crate) fn try_read_many(
        &self,
        keys: &Keys<'_>,
        range: Range<usize>,
        most: usize,
        answers: &mut impl Answers,
    ) -> Result<usize, TryError> {
        let guard = epoch::try_enter().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        let line = shared.try_line(&guard).ok_or(TryError::Busy)?;
        let range = range.start..range.end.min(range.start + GROUP);
        let mut group = Group::default();
        shared.prepare(&guard, range.clone().map(|i| keys.get(i)), &mut group);
        let (mut copied, mut hits, mut done) = (0, 0, 0);
        for ((&hash, &likely), i) in group.hashes.iter().zip(&group.entries).zip(range.clone()) {
            let key = keys.get(i);
            let mut take = |value: Value<'_>| {
                // Tries that were overtaken count.
                copied += value.len();
                (value.len(), copied <= most && answers.take(value))
            };
            let found = likely.and_then(|entry| {
                let found = shared.verify(hash, key, entry)?;
                let taken = take(found.value());
                found.is_whole().then_some((taken, entry, found.header))
            });
            let found = match found {
                Some(found) => Ok(Some(found)),
                // A miss, or the key is beyond its home bucket, or something was overtaken.
                None => retry_bounded(|| {
                    let take = |entry: Entry<'_>, header| take(entry.value(header));
                    shared.try_find::<false, _>(&guard, hash, key, take)
                }),
            };
            match found {
                Ok(Some(((len, taken), entry, header))) => {
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

    /// As [`Cache::try_read_many`], by the slow path: no limit on what is copied, and it doesn't
    /// give up.
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
            shared.prepare(&guard, range.clone().map(|i| keys.get(i)), &mut Group::default());
        }
        for (done, i) in range.clone().enumerate() {
            let taken = self
                .read(keys.get(i), |value| answers.take(value).then_some(value.len()).ok_or(()))?;
            match taken {
                Some(Err(())) => return Ok(done),
                Some(Ok(len)) => answers.answer(i, Some(len)),
                None => answers.answer(i, None),
            }
        }
        Ok(range.len())
    }

    /// Starts loading the index buckets of a range of keys, for sets and deletes. Not inlined: what
    /// it needs of the stack is given back before they begin.
    #[inline(never)]
    pub(crate) fn prefetch_many(&self, keys: &Keys<'_>, range: Range<usize>) {
        if let Some(guard) = epoch::try_enter()
            && let Ok(shared) = self.shared(&guard)
        {
            let range = range.start..range.end.min(range.start + GROUP);
            shared.prepare(&guard, range.map(|i| keys.get(i)), &mut Group::default());
        }
    }
}
