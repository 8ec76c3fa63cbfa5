//! Loads: the calls that begin and end one (`stripe::loads` says what they are).

use crate::cache::handle::Cache;
use crate::cache::write::SetOptions;
use crate::error::{CasError, Error};
use crate::stripe::loads::kept;
use crate::stripe::request::Condition;
use crate::sync::epoch;
use crate::sys::atomic::Ordering;

/// What [`Cache::load_begin`] says of the load of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a load that has begun must be ended"]
pub enum Load {
    /// It begins with this token: the caller should fetch the value and then call
    /// [`Cache::load_end`] or [`Cache::load_cancel`], once.
    Begun(u64),
    /// The load with this token is under way, and what it will fetch is not older than any set,
    /// delete or clear of the key that has returned. Loads are told apart by a 64-bit hash of the
    /// key: compare keys before you wait for another's.
    UnderWay(u64),
}

impl Load {
    /// The token.
    pub fn token(self) -> u64 {
        match self {
            Load::Begun(token) | Load::UnderWay(token) => token,
        }
    }
}

impl Cache {
    /// Begins the load of a key that isn't there, unless one is under way.
    /// [`Cache::get_or_insert_with`] does this and the rest; this is for those who wait in their
    /// own way.
    ///
    /// ```
    /// # use larder::{Cache, Load, Options, SetOptions};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// let Load::Begun(token) = cache.load_begin(b"key")? else { panic!("nobody else loads here") };
    /// assert_eq!(cache.load_begin(b"key")?, Load::UnderWay(token));
    /// // What was fetched before this set must not be stored over it.
    /// cache.set(b"key", b"newer")?;
    /// assert!(!cache.load_end(b"key", token, b"fetched", &SetOptions::default())?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::KeyTooLarge`].
    pub fn load_begin(&self, key: &[u8]) -> Result<Load, Error> {
        self.with(|shared| shared.check_lengths(key.len(), 0))??;
        self.with_applied(key, |_, shared, hash, drops| {
            let stripe = shared.stripe(hash);
            let mut state = stripe.state.lock();
            let (mut writer, policy) = state.writer(&shared.env, stripe);
            if !writer.apply_key(policy, hash, drops) {
                return None;
            }
            let core = &mut state.core;
            core.versions += 1;
            stripe.loading.store(true, Ordering::Relaxed);
            // An overwriter without the lock that hasn't seen that is done now, or will find that
            // the number has changed.
            drop(shared.env.seqlocks.of(hash).close());
            let pay = |bytes| shared.env.space.reserve_bookkeeping(bytes);
            let begun = core.loads.begin(hash, core.versions, kept(shared.stripes.len()), pay);
            stripe.loading.store(core.loads.any(), Ordering::Relaxed);
            Some(match begun {
                (token, true) => Load::Begun(token),
                (token, false) => Load::UnderWay(token),
            })
        })
    }

    /// Ends a load by storing the value, unless the key was set, deleted or cleared since it began:
    /// then false, and nothing is stored.
    ///
    /// # Errors
    /// As [`Cache::set_with`]; the load has ended all the same.
    pub fn load_end(
        &self,
        key: &[u8],
        token: u64,
        value: &[u8],
        options: &SetOptions<'_>,
    ) -> Result<bool, Error> {
        match self.store(key, value, options, Condition::Loaded(token), false) {
            Ok(_) => Ok(true),
            Err(CasError::Conflict | CasError::NotFound) => Ok(false),
            Err(CasError::Set(error)) => {
                let _ = self.load_cancel(key, token);
                Err(error)
            }
        }
    }

    /// Ends a load without a value. False if it was superseded.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn load_cancel(&self, key: &[u8], token: u64) -> Result<bool, Error> {
        let guard = epoch::pin();
        let shared = self.shared(&guard)?;
        let hash = shared.env.hasher.hash(key);
        let stripe = shared.stripe(hash);
        let mut state = stripe.state.lock();
        let ended = state.core.loads.end(hash, token, &stripe.loading);
        shared.env.space.unreserve_bookkeeping(state.core.loads.release());
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::loads::KEPT_AT_LEAST;

    #[test]
    fn loads_that_nobody_ends_are_bounded_in_a_cache_of_many_stripes() {
        let cache =
            Cache::new(crate::Options { stripes: 256, ..crate::Options::new(64 << 20) }).unwrap();
        let before = cache.stats().unwrap().bytes;
        for i in 0..300_000u64 {
            let _ = cache.load_begin(&i.to_le_bytes()).unwrap();
        }
        let taken = cache.stats().unwrap().bytes - before;
        assert!(taken > 256 * KEPT_AT_LEAST * 17 && taken < 2 << 20, "{taken}");
        cache.check();
        cache.clear().unwrap();
        assert!(cache.stats().unwrap().bytes <= before);
    }
}
