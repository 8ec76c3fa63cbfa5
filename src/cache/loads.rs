//! Loads that are under way: who fetches a value for a key that wasn't there.
//!
//! A load begins with a token and ends by storing what was fetched, unless the key was set, deleted or cleared meanwhile: what
//! was fetched may be older than that. So every such change takes the key's token away, under the stripe's lock. (Sets that
//! take no lock take it while a load is under way: rule 5 of `sequence`.) That also answers who may wait for whom: a caller
//! that comes after the change finds no token, and begins a load of its own.
//!
//! Loads are known by the hash of their key. Two keys with one hash (64 bits, seeded) would take each other's tokens away,
//! or be told of each other's load; a user of tokens compares keys.

use crate::cache::Cache;
use crate::cache::write::SetOptions;
use crate::error::{CasError, Error};
use crate::stripe::Condition;
use crate::sync::epoch;
use crate::sys::atomic::{AtomicBool, Ordering};
use ahash::RandomState;
use hashbrown::HashMap;

/// Loads that a stripe remembers at least. Those that nobody ever ends would fill the memory: when there are twice as many
/// (280 KiB), the oldest are forgotten, as if their keys had been changed.
const KEPT: u64 = 4096;

/// The loads of a stripe. What takes tokens away keeps `Stripe::loading` true of them.
pub struct Loads {
    tokens: HashMap<u64, u64, RandomState>,
}

impl Loads {
    /// None.
    pub fn new() -> Loads {
        Loads { tokens: HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4)) }
    }

    /// Whether the key with this hash is being loaded. While no key is, a look at one word.
    #[inline]
    pub fn has(&self, hash: u64) -> bool {
        !self.tokens.is_empty() && self.tokens.contains_key(&hash)
    }

    /// Whether this load is under way and was not superseded.
    pub fn is(&self, hash: u64, token: u64) -> bool {
        self.tokens.get(&hash) == Some(&token)
    }

    /// The token of the load that is under way, or else of the one that begins with `fresh`; and whether it begins. Tokens
    /// only grow.
    pub fn begin(&mut self, hash: u64, fresh: u64) -> (u64, bool) {
        if self.tokens.len() >= 2 * KEPT as usize {
            // At most so many are as young.
            self.tokens.retain(|_, token| *token + KEPT > fresh);
        }
        let token = *self.tokens.entry(hash).or_insert(fresh);
        (token, token == fresh)
    }

    /// The key with this hash was changed.
    #[inline]
    pub fn supersede(&mut self, hash: u64, loading: &AtomicBool) {
        if !self.tokens.is_empty() {
            self.tokens.remove(&hash);
            loading.store(!self.tokens.is_empty(), Ordering::Relaxed);
        }
    }

    /// Ends a load. False if it was superseded.
    pub fn end(&mut self, hash: u64, token: u64, loading: &AtomicBool) -> bool {
        let valid = self.is(hash, token);
        if valid {
            self.supersede(hash, loading);
        }
        valid
    }

    /// All keys were changed.
    pub fn clear(&mut self, loading: &AtomicBool) {
        self.tokens.clear();
        loading.store(false, Ordering::Relaxed);
    }
}

/// What [`Cache::load_begin`] says of the load of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a load that has begun must be ended"]
pub enum Load {
    /// It begins with this token: the caller should fetch the value and then call [`Cache::load_end`] or
    /// [`Cache::load_cancel`], once.
    Begun(u64),
    /// The load with this token is under way, and what it will fetch is not older than any set, delete or clear of the key
    /// that has returned. Loads are told apart by a 64-bit hash of the key: compare keys before you wait for another's.
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
    /// Begins the load of a key that isn't there, unless one is under way. [`Cache::get_or_insert_with`] does this and the rest;
    /// this is for those who wait in their own way.
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
        self.settled(key, |_, shared, hash, drops| {
            let stripe = shared.stripe(hash);
            let mut state = stripe.state.lock();
            let (mut writer, policy) = state.writer(shared, stripe);
            if !writer.finish_key(policy, hash, drops) {
                return None;
            }
            let core = &mut state.core;
            core.versions += 1;
            stripe.loading.store(true, Ordering::Relaxed);
            // An overwriter without the lock that hasn't seen that is done now, or will find that the number has changed.
            drop(shared.sequences.of(hash).close());
            Some(match core.loads.begin(hash, core.versions) {
                (token, true) => Load::Begun(token),
                (token, false) => Load::UnderWay(token),
            })
        })
    }

    /// Ends a load by storing the value, unless the key was set, deleted or cleared since it began: then false, and nothing is
    /// stored.
    ///
    /// # Errors
    /// As [`Cache::set_with`]; the load has ended all the same.
    pub fn load_end(&self, key: &[u8], token: u64, value: &[u8], options: &SetOptions<'_>) -> Result<bool, Error> {
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
        let hash = shared.hasher.hash(key);
        let stripe = shared.stripe(hash);
        let mut state = stripe.state.lock();
        Ok(state.core.loads.end(hash, token, &stripe.loading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_that_nobody_ends_are_forgotten() {
        let mut loads = Loads::new();
        for token in 1..20 * KEPT {
            assert_eq!(loads.begin(token * 7, token), (token, true));
            assert!(loads.tokens.len() <= 2 * KEPT as usize);
            // The young ones are all there.
            assert!(loads.is(token.saturating_sub(KEPT - 1).max(1) * 7, token.saturating_sub(KEPT - 1).max(1)));
        }
        assert!(!loads.end(7, 1, &AtomicBool::new(true)));
    }
}
