//! Loads: the calls that begin and end one (`stripe::loads` says what they are).

use crate::cache::handle::Cache;
use crate::cache::write::SetOptions;
use crate::error::Error;
use crate::stripe::request::Condition;
use crate::sync::epoch;
use crate::sys::atomic::Ordering;

impl Cache {
    /// Begins the load of a key that isn't there. `(token, true)`: the caller should fetch the value and then call
    /// [`Cache::load_end`] or [`Cache::load_cancel`]. `(token, false)`: a load with this token is under way, and what it will fetch
    /// is not older than any set, delete or clear that has returned.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::KeyTooLarge`].
    pub fn load_begin(&self, key: &[u8]) -> Result<(u64, bool), Error> {
        self.with(|shared| shared.check_lengths(key.len(), 0))??;
        self.settled(key, |_, shared, hash, drops| {
            let stripe = shared.stripe(hash);
            let mut state = stripe.state.lock();
            let (mut writer, policy) = state.writer(&shared.env, stripe);
            if !writer.finish_key(policy, hash, drops) {
                return None;
            }
            let core = &mut state.core;
            core.versions += 1;
            stripe.loading.store(true, Ordering::Relaxed);
            // An overwriter without the lock that hasn't seen that is done now, or will find that the number has changed.
            drop(shared.env.sequences.of(hash).close());
            Some(core.loads.begin(hash, core.versions))
        })
    }

    /// Ends a load by storing the value, unless the key was set, deleted or cleared since it began: then false, and nothing is
    /// stored.
    ///
    /// # Errors
    /// As [`Cache::set_with`]; the load has ended all the same.
    pub fn load_end(&self, key: &[u8], token: u64, value: &[u8], options: &SetOptions<'_>) -> Result<bool, Error> {
        let stored = self.store(key, value, options, Condition::Loaded(token), false);
        if stored.is_err() {
            let _ = self.load_cancel(key, token);
        }
        Ok(stored?.is_ok())
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
        Ok(state.core.loads.end(hash, token, &stripe.loading))
    }
}
