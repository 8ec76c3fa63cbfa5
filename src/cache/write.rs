//! Storing: what can be said of a value, and the loop that ends with it stored.
//!
//! A store is tried under the stripe's lock. If memory is short, nothing has changed; the lock is let go, room is made
//! (perhaps in another stripe), and it is tried again: `Cache::write` is that loop, and everything that stores by the slow
//! door goes through it.

use crate::cache::ttl::{Ttl, millis};
use crate::cache::{Cache, Effort, Shared};
use crate::entry::extension::{Extra, MAX_TAGS, Tags};
use crate::entry::freshness;
use crate::error::{CasError, Error};
use crate::policy::{AnyPolicy, Placement};
use crate::stripe::events::Reason;
use crate::stripe::{Condition, Store, Stored, Writer};
use crate::sync::epoch::{self, Guard};
use crate::sync::waker;
use crate::sys::atomic::Ordering;
use std::time::Duration;

/// What can be said of a value when it is stored.
#[derive(Clone, Copy, Debug)]
pub struct SetOptions<'a> {
    /// When it expires.
    pub ttl: Ttl,
    /// It is stale after this time, if that comes before it expires: see [`Cache::get_with`].
    pub stale_after: Option<Duration>,
    /// Each read puts its expiry off to the time to live from then.
    pub sliding: bool,
    /// It says that the key has no value: gets miss, [`Cache::get_with`] tells. The value should be empty.
    pub absent: bool,
    /// Names by which it can be invalidated: at most 64.
    pub tags: &'a [&'a [u8]],
    /// The stamp ([`Cache::stamp`]) of the moment before which the value wasn't obtained: if one of its tags has been invalidated since
    /// then, it is invalid from the start. `None`: now.
    pub as_of: Option<u64>,
}

impl Default for SetOptions<'_> {
    fn default() -> Self {
        SetOptions { ttl: Ttl::Default, stale_after: None, sliding: false, absent: false, tags: &[], as_of: None }
    }
}

impl From<Ttl> for SetOptions<'_> {
    fn from(ttl: Ttl) -> Self {
        SetOptions { ttl, ..SetOptions::default() }
    }
}

/// How often room is made for what waits under a key before it is dropped.
const MAX_SETTLES: u32 = 16;

/// What an attempt under the lock came to.
pub(crate) enum Attempt<T> {
    /// Done, and whether an entry with a deadline was stored.
    Done(T, bool),
    /// There is no room. The policy's word, if it was asked.
    NoRoom(Option<Placement>),
}

/// The hashes of a value's tags.
pub(crate) struct TagHashes {
    hashes: [u64; MAX_TAGS],
    len: usize,
    stamp: u64,
}

impl TagHashes {
    fn tags(&self) -> Option<Tags<'_>> {
        (self.len > 0).then(|| Tags { stamp: self.stamp, hashes: &self.hashes[..self.len] })
    }
}

impl SetOptions<'_> {
    pub(crate) fn hashes(&self, shared: &Shared) -> Result<TagHashes, Error> {
        if self.tags.len() > MAX_TAGS {
            return Err(Error::TooManyTags);
        }
        // A stamp that was never given (by another cache, say) would be proof against what is still to come.
        let now = shared.invalidations.stamp();
        let stamp = self.as_of.map_or(now, |as_of| as_of.min(now));
        let mut hashes = TagHashes { hashes: [0; MAX_TAGS], len: self.tags.len(), stamp };
        for (hash, tag) in hashes.hashes.iter_mut().zip(self.tags) {
            *hash = shared.hasher.hash(tag);
        }
        Ok(hashes)
    }

    /// The deadline and the extension of an entry that is stored now.
    pub(crate) fn times<'t>(&self, shared: &Shared, hash: u64, tags: &'t TagHashes) -> (Option<u64>, Extra<'t>) {
        let tags = tags.tags();
        let (deadline, sliding) = shared.deadline(self.ttl, hash, self.sliding);
        let stale = match self.stale_after {
            Some(after) => {
                let now = shared.clock.now();
                Some(freshness::word(now.saturating_add(shared.jittered(millis(after), hash, now))))
            }
            // What has tags can be made stale by them.
            None => tags.map(|_| freshness::word(u64::MAX)),
        };
        (deadline, Extra { absent: self.absent, stale, sliding, version: None, tags })
    }
}

impl Cache {
    /// Runs `attempt` under the lock of a key's stripe, again and again while there is no room, making some in between.
    pub(crate) fn write<T>(
        &self,
        key: &[u8],
        value_len: usize,
        attempt: impl FnMut(
            &Shared,
            u64,
            &mut Writer<'_, false>,
            &mut AnyPolicy,
            Option<Placement>,
        ) -> Result<Attempt<T>, Error>,
    ) -> Result<T, Error> {
        self.with_room(key, value_len, attempt).inspect_err(|&error| {
            if error == Error::Full {
                self.reject(key, value_len);
            }
        })
    }

    /// Has `look` look for a key, pinned, and complete what waits under it. There may have to be room for that, and who is pinned
    /// would hold back what is given up: then `look` returns None, room is made, and it looks again. If its last argument is true it must
    /// go on, and drop what waits if there is no room.
    pub(crate) fn settled<T>(
        &self,
        key: &[u8],
        mut look: impl FnMut(&Guard, &Shared, u64, bool) -> Option<T>,
    ) -> Result<T, Error> {
        let (mut tries, mut drops) = (0, false);
        loop {
            {
                let guard = epoch::pin();
                let shared = self.shared(&guard)?;
                if let Some(found) = look(&guard, shared, shared.hasher.hash(key), drops) {
                    return Ok(found);
                }
            }
            tries += 1;
            let room = self.with_room(key, 0, |_, _, _, _, _| Ok(Attempt::Done((), false)));
            drops = room.is_err() || tries == MAX_SETTLES;
        }
    }

    /// As [`Cache::write`]; a failure for want of room isn't told of.
    fn with_room<T>(
        &self,
        key: &[u8],
        value_len: usize,
        mut attempt: impl FnMut(
            &Shared,
            u64,
            &mut Writer<'_, false>,
            &mut AnyPolicy,
            Option<Placement>,
        ) -> Result<Attempt<T>, Error>,
    ) -> Result<T, Error> {
        let (mut placed, mut effort, mut informed) = (None, Effort::default(), false);
        loop {
            let hash;
            'attempt: {
                let guard = epoch::pin();
                let shared = self.shared(&guard)?;
                shared.check_lengths(key.len(), value_len)?;
                hash = shared.hasher.hash(key);
                let stripe = shared.stripe(hash);
                stripe.index.prefetch(hash);
                if shared.space.wants_reclaim() {
                    shared.space.reclaim();
                }
                let mut state = stripe.lock();
                let (mut writer, policy) = state.writer(shared, stripe);
                if !informed {
                    // If there is no room for the policy's ghosts it is made once, and before the entry comes, which might
                    // be what has to go.
                    informed = true;
                    if !writer.inform(policy) {
                        break 'attempt;
                    }
                }
                if !writer.complete_all(policy) {
                    break 'attempt;
                }
                let done = attempt(shared, hash, &mut writer, policy, placed);
                drop(state);
                // After it: this set may be the one to say so, and the next that comes by here may be thousands away.
                if shared.wants_ahead() {
                    waker::wake_now();
                }
                match done? {
                    Attempt::Done(done, deadline) => {
                        if deadline {
                            waker::wake();
                        }
                        return Ok(done);
                    }
                    Attempt::NoRoom(said) => placed = said,
                }
            }
            self.make_room(Some(hash), (key.len() + value_len + 64) as u64, &mut effort)?;
        }
    }

    /// Counts a store that found no room, and tells of it.
    #[cold]
    fn reject(&self, key: &[u8], value_len: usize) {
        // A cache that was closed meanwhile counts no more.
        let _ = self.with(|shared| {
            let hash = shared.hasher.hash(key);
            shared.rejections.fetch_add(1, Ordering::Relaxed);
            let mut state = shared.stripe(hash).state.lock();
            if state.core.events.wants(Reason::Rejected as u8) {
                state.core.events.push(Reason::Rejected as u8, key, value_len);
            }
        });
    }

    /// Stores a value if a condition is met; `versioned`: with a version, which is returned. If it isn't met,
    /// [`CasError::Conflict`] where there is an entry and [`CasError::NotFound`] where there is none.
    pub(crate) fn store(
        &self,
        key: &[u8],
        value: &[u8],
        options: &SetOptions<'_>,
        condition: Condition,
        versioned: bool,
    ) -> Result<u64, CasError> {
        // Where there are tags, their stamp is of the first attempt: an invalidation between two attempts counts.
        let mut tags = None;
        self.write(key, value.len(), |shared, hash, writer, policy, placed| {
            if tags.is_none() {
                tags = Some(options.hashes(shared)?);
            }
            let tags = tags.as_ref().expect("made above");
            let (deadline, mut extra) = options.times(shared, hash, tags);
            let mut version = 0;
            if versioned {
                version = writer.next_version();
                extra.version = Some(version);
            }
            let store = Store { hash, key, value, deadline, extra: Some(&extra), condition };
            Ok(match writer.set(policy, &store, placed) {
                Stored::Done => Attempt::Done(Ok(version), deadline.is_some()),
                Stored::Refused(true) => Attempt::Done(Err(CasError::Conflict), false),
                Stored::Refused(false) => Attempt::Done(Err(CasError::NotFound), false),
                Stored::NoRoom(said) => Attempt::NoRoom(said),
            })
        })?
    }

    /// Stores a value for the default time to live. Every get that begins after this has returned sees it, until it is
    /// overwritten, deleted, expired or evicted.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`], [`Error::ValueTooLarge`], [`Error::Closed`], [`Error::Full`]; an older value of the key then
    /// stays.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.set_with(key, value, &SetOptions::default())
    }

    /// Stores a value with a time to live of its own.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn set_ttl(&self, key: &[u8], value: &[u8], ttl: impl Into<Ttl>) -> Result<(), Error> {
        self.set_with(key, value, &SetOptions::from(ttl.into()))
    }

    /// Stores a value of which more is to be said. What the options ask for costs 8 bytes for the first, 8 more for each of:
    /// going stale, sliding, tags, and each tag.
    ///
    /// # Errors
    /// As [`Cache::set`], and [`Error::TooManyTags`].
    pub fn set_with(&self, key: &[u8], value: &[u8], options: &SetOptions<'_>) -> Result<(), Error> {
        match self.store(key, value, options, Condition::Always, false) {
            Err(CasError::Set(error)) => Err(error),
            // Without a condition nothing is refused.
            _ => Ok(()),
        }
    }
}
