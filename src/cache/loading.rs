//! Loading for Rust programs: of the threads that miss a key one fetches its value, the others wait
//! for it.
//!
//! Who leads holds a [`LoadGuard`]. However that goes, by an insert, by being dropped or by a
//! panic, its flight (`flights`) ends and the threads that wait go on: with the value, or by
//! looking again, when the first of them becomes the leader.

use crate::cache::flights::{Flight, Role, State};
use crate::cache::handle::Cache;
use crate::cache::loads::Load;
use crate::cache::write::SetOptions;
use crate::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What [`Cache::get_or_guard`] found.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// The value, from the cache or from the load of another thread.
    Value(Vec<u8>),
    /// There is none: the caller should fetch it and give it to the guard. Others wait for that.
    Guard(LoadGuard<'a>),
    /// Another thread's load took longer than the caller would wait. It goes on.
    TimedOut,
}

/// The duty to load a key. Dropped without [`LoadGuard::insert`], for example by an error or a
/// panic, it cancels the load, and a thread that waits gets the duty. Not to be forgotten
/// ([`std::mem::forget`]): others would wait for ever.
#[must_use = "others wait for the value"]
pub struct LoadGuard<'a> {
    cache: &'a Cache,
    key: Box<[u8]>,
    /// None: another load of the key is under way, so what is fetched can't be stored.
    flight: Option<Arc<Flight>>,
}

impl LoadGuard<'_> {
    /// The key to load.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Ends the load with a value: gives it to the threads that wait, and stores it. False if it
    /// wasn't stored because the key was set, deleted or cleared since the load began.
    ///
    /// # Errors
    /// As [`Cache::set_with`]. The threads that wait have the value all the same.
    pub fn insert(mut self, value: &[u8], options: &SetOptions<'_>) -> Result<bool, Error> {
        let Some(flight) = self.flight.take() else { return Ok(false) };
        // Stored first: who misses the flight finds the value.
        let stored = self.cache.load_end(&self.key, flight.token(), value, options);
        self.cache.flights.land(&self.key, &flight, Some(value));
        stored
    }
}

impl Drop for LoadGuard<'_> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            // A cache that was closed has no loads any more.
            let _ = self.cache.load_cancel(&self.key, flight.token());
            self.cache.flights.land(&self.key, &flight, None);
        }
    }
}

impl fmt::Debug for LoadGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadGuard").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Cache {
    /// The value of a key, or what `load` fetches: it is stored by these options, and returned.
    /// However many threads miss the key at once, one runs its `load` and the others wait for the
    /// value; if it fails, another runs its own.
    ///
    /// A value that is loaded is never stored over a later set: if the key was set, deleted or
    /// cleared since the load began, it is returned only. So is one that can't be stored
    /// ([`Error::ValueTooLarge`], [`Error::Full`]). A negative entry counts as none.
    ///
    /// `load` may call the cache, but for other keys: two loads that wait for each other wait for
    /// ever. (For its own key it runs again.) A miss takes a lock of the cache and one of the
    /// stripe, and copies the key.
    ///
    /// ```
    /// # use larder::{Cache, Error, Options, SetOptions, Ttl};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// let fetch = || Ok::<_, Error>(b"from the database".to_vec());
    /// let minute = SetOptions::from(Ttl::Millis(60_000));
    /// assert_eq!(cache.get_or_insert_with(b"user:1", &minute, fetch)?, b"from the database");
    /// assert_eq!(cache.get(b"user:1").unwrap(), b"from the database");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `load`; [`Error::Closed`] and [`Error::KeyTooLarge`], before it runs.
    pub fn get_or_insert_with<E: From<Error>>(
        &self,
        key: &[u8],
        options: &SetOptions<'_>,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        match self.get_or_guard(key, None)? {
            Lookup::Value(value) => Ok(value),
            Lookup::Guard(guard) => {
                let value = load()?;
                // What can't be stored is a value all the same.
                let _ = guard.insert(&value, options);
                Ok(value)
            }
            Lookup::TimedOut => unreachable!("without a limit"),
        }
    }

    /// The value of a key, from the cache or from the load of another thread, for which it waits at
    /// most so long (`None`: without limit); or the duty to load it. As
    /// [`Cache::get_or_insert_with`], for who can't put the load into a function.
    ///
    /// ```
    /// # use larder::{Cache, Lookup, Options, SetOptions};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// let value = match cache.get_or_guard(b"user:1", None)? {
    ///     Lookup::Value(value) => value,
    ///     Lookup::Guard(guard) => {
    ///         let value = b"from the database".to_vec(); // an early return here would drop the guard
    ///         guard.insert(&value, &SetOptions::default())?;
    ///         value
    ///     }
    ///     Lookup::TimedOut => unreachable!("no limit was given"),
    /// };
    /// assert_eq!(cache.get(b"user:1"), Some(value));
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::KeyTooLarge`].
    pub fn get_or_guard(&self, key: &[u8], timeout: Option<Duration>) -> Result<Lookup<'_>, Error> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(value) = self.get(key) {
                return Ok(Lookup::Value(value));
            }
            let role = self.flights.role(key, || {
                let load = self.load_begin(key)?;
                Ok((load.token(), matches!(load, Load::Begun(_))))
            })?;
            let flight = match role {
                Role::Wait(flight) => flight,
                Role::Alone => {
                    return Ok(Lookup::Guard(LoadGuard {
                        cache: self,
                        key: key.into(),
                        flight: None,
                    }));
                }
                Role::Lead(flight) => {
                    let guard = LoadGuard { cache: self, key: key.into(), flight: Some(flight) };
                    // The load of another may have ended between the look and this.
                    if !self.has(key)? {
                        return Ok(Lookup::Guard(guard));
                    }
                    continue;
                }
            };
            match flight.wait(until) {
                State::Value(value) => return Ok(Lookup::Value(value.to_vec())),
                State::Nothing => {}
                State::UnderWay => return Ok(Lookup::TimedOut),
            }
        }
    }

    /// Whether a key has a value. Counts neither as a hit nor as a miss.
    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        self.with_applied(key, |guard, shared, hash, drops| {
            shared
                .retry_until_stable(hash, drops, || Ok(shared.lookup(guard, hash, key)?.is_some()))
        })
    }
}
