//! Sets and deletes: what can be said of a value, and the calls by either path.

use crate::cache::handle::Cache;
use crate::cache::room::Attempt;
use crate::cache::shared::Shared;
use crate::cache::shared::TryError;
use crate::cache::ttl::{Ttl, millis};
use crate::entry::extension::{Extension, MAX_TAGS, MAX_USER, Tags};
use crate::entry::freshness;
use crate::error::{CasError, Error};
use crate::policy::Policy;
use crate::stripe::Reached;
use crate::stripe::request::{Condition, Store, Stored};
use crate::sync::epoch::{self};
use crate::sync::waker;
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
    /// It says that the key has no value: gets miss, [`Cache::get_with`] tells. The value should be
    /// empty.
    pub absent: bool,
    /// Names by which it can be invalidated: at most 64.
    pub tags: &'a [&'a [u8]],
    /// The stamp ([`Cache::stamp`]) of the moment before which the value wasn't obtained: if one of
    /// its tags has been invalidated since then, it is invalid from the start. `None`: now.
    pub as_of: Option<u64>,
    /// A number that is kept with the value, for the caller's own use, and told by
    /// [`Cache::get_with`]. Up to 48 bits; 0, the default, takes no memory.
    pub user: u64,
}

impl Default for SetOptions<'_> {
    fn default() -> Self {
        SetOptions {
            ttl: Ttl::Default,
            stale_after: None,
            sliding: false,
            absent: false,
            tags: &[],
            as_of: None,
            user: 0,
        }
    }
}

impl From<Ttl> for SetOptions<'_> {
    fn from(ttl: Ttl) -> Self {
        SetOptions { ttl, ..SetOptions::default() }
    }
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
        if self.user > MAX_USER {
            return Err(Error::InvalidOptions("a number kept with a value has at most 48 bits"));
        }
        // A stamp that was never given (by another cache, say) would be proof against what is still
        // to come.
        let now = shared.env.invalidations.stamp();
        let stamp = self.as_of.map_or(now, |as_of| as_of.min(now));
        let mut hashes = TagHashes { hashes: [0; MAX_TAGS], len: self.tags.len(), stamp };
        for (hash, tag) in hashes.hashes.iter_mut().zip(self.tags) {
            *hash = shared.env.hasher.hash(tag);
        }
        Ok(hashes)
    }

    /// The deadline and the extension of an entry that is stored now.
    pub(crate) fn times<'t>(
        &self,
        shared: &Shared,
        hash: u64,
        tags: &'t TagHashes,
    ) -> (Option<u64>, Extension<'t>) {
        let tags = tags.tags();
        let (deadline, sliding) = shared.deadline(self.ttl, hash, self.sliding);
        let stale = match self.stale_after {
            Some(after) => {
                let now = shared.env.clock.now();
                Some(freshness::word(now.saturating_add(shared.lifetimes.jittered(
                    millis(after),
                    hash,
                    now,
                ))))
            }
            // What has tags can be made stale by them.
            None => tags.map(|_| freshness::word(u64::MAX)),
        };
        (
            deadline,
            Extension { absent: self.absent, stale, sliding, version: None, user: self.user, tags },
        )
    }
}

impl Cache {
    /// Stores a value if a condition is met; `versioned`: with a version, which is returned. `Err`
    /// of the inner result: it isn't met, and there was an entry (true) or none.
    pub(crate) fn store(
        &self,
        key: &[u8],
        value: &[u8],
        options: &SetOptions<'_>,
        condition: Condition,
        versioned: bool,
    ) -> Result<u64, CasError> {
        // Where there are tags, their stamp is of the first attempt: an invalidation between two
        // attempts counts.
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

    /// Stores a value for the default time to live. Every get that begins after this has returned
    /// sees it, until it is overwritten, deleted, expired or evicted.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`], [`Error::ValueTooLarge`], [`Error::Closed`], [`Error::Full`]; an
    /// older value of the key then stays.
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

    /// As [`Cache::set_ttl`], by the short way that sets of the C ABI take first: mostly in half
    /// the time. Where many threads set, or the budget is large, the set may wait in its stripe's
    /// hands until somebody asks for the key or two more sets have come; nobody can tell but by
    /// what a set costs.
    ///
    /// # Errors
    /// As [`Cache::set`].
    #[inline]
    pub fn set_quick(&self, key: &[u8], value: &[u8], ttl: impl Into<Ttl>) -> Result<(), Error> {
        let ttl = ttl.into();
        match self.try_store(key, value, ttl) {
            Ok(()) => Ok(()),
            Err(_) => self.set_ttl(key, value, ttl),
        }
    }

    /// Stores a value of which more is to be said. What the options ask for costs 8 bytes for the
    /// first, 8 more for each of: going stale, sliding, tags, and each tag.
    ///
    /// # Errors
    /// As [`Cache::set`], and [`Error::TooManyTags`], [`Error::InvalidOptions`] for the number.
    pub fn set_with(
        &self,
        key: &[u8],
        value: &[u8],
        options: &SetOptions<'_>,
    ) -> Result<(), Error> {
        match self.store(key, value, options, Condition::Always, false) {
            Err(CasError::Set(error)) => Err(error),
            // Without a condition nothing is refused.
            _ => Ok(()),
        }
    }

    /// As [`Cache::set_ttl`], but gives up where that would have to wait, take a segment or call
    /// the system. This is what the fast path runs.
    pub(crate) fn try_store(&self, key: &[u8], value: &[u8], ttl: Ttl) -> Result<(), TryError> {
        let guard = epoch::try_enter().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        match shared.check_lengths(key.len(), value.len()) {
            Ok(()) => {}
            Err(Error::KeyTooLarge) => return Err(TryError::KeyTooLarge),
            Err(_) => return Err(TryError::ValueTooLarge),
        }
        let hash = shared.env.hasher.hash(key);
        let (deadline, sliding) = shared.deadline(ttl, hash, false);
        // An extension would cost the fast path's stack more than it has.
        if sliding.is_some() || deadline.is_some() && waker::asleep() {
            return Err(TryError::Busy);
        }
        let store = Store { hash, key, value, deadline, extra: None, condition: Condition::Always };
        if shared.try_overwrite(&guard, &store) {
            return Ok(());
        }
        let stripe = shared.stripe(hash);
        stripe.index.prefetch(hash);
        let mut state = match stripe.try_state_or_publish(&store) {
            Reached::Lock(state) => state,
            Reached::Published => return Ok(()),
            Reached::Nothing => return Err(TryError::Busy),
        };
        if shared.env.far && shared.env.evicts(shared.env.space.pressure()) {
            // If the key is new, the policy will be asked for its ghost: that arrives together with
            // the bucket.
            state.policy.prefetch(hash);
        }
        if !state.admits_fast(&shared.env, stripe) {
            return Err(TryError::Busy);
        }
        let (mut writer, policy) = state.fast_writer(&shared.env, stripe);
        if writer.try_set(policy, &store) { Ok(()) } else { Err(TryError::Busy) }
    }

    /// As [`Cache::delete`], for the fast path.
    pub(crate) fn try_delete(&self, key: &[u8]) -> Result<bool, TryError> {
        let guard = epoch::try_enter().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        let hash = shared.env.hasher.hash(key);
        let stripe = shared.stripe(hash);
        stripe.index.prefetch(hash);
        let mut state = stripe.try_state().ok_or(TryError::Busy)?;
        if !state.admits_fast(&shared.env, stripe) {
            return Err(TryError::Busy);
        }
        let (mut writer, policy) = state.fast_writer(&shared.env, stripe);
        writer.try_delete(policy, hash, key).ok_or(TryError::Busy)
    }

    /// Removes a key. True if it was there (and had not expired).
    pub fn delete(&self, key: &[u8]) -> bool {
        self.try_remove(key).unwrap_or(false)
    }

    /// As [`Cache::delete`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn try_remove(&self, key: &[u8]) -> Result<bool, Error> {
        self.with_applied(key, |_, shared, hash, drops| {
            let stripe = shared.stripe(hash);
            let mut state = stripe.state.lock();
            let (mut writer, policy) = state.writer(&shared.env, stripe);
            writer.apply_key(policy, hash, drops).then(|| writer.delete(policy, hash, key))
        })
    }
}
