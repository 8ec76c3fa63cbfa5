//! Reads that say more, and changes that depend on what is there: versions, compare-and-swap, add,
//! touch, counters.
//!
//! A *version* is on demand: the first [`Cache::get_with`] that asks for one writes the entry again
//! with a number that its stripe never gave before; any set replaces the entry, and with it the
//! version. So only entries whose version was asked for pay for one, and a compare-and-swap that
//! was overtaken by a set always fails, also if the value is the same again.
//!
//! All of it takes the stripe's lock, except a [`Cache::get_with`] without a version.

use crate::cache::handle::Cache;
use crate::cache::info::Info;
use crate::cache::info::Told;
use crate::cache::info::inform;
use crate::cache::room::Attempt;
use crate::cache::ttl::Ttl;
use crate::cache::write::SetOptions;
use crate::entry::Value;
use crate::entry::freshness::{self};
use crate::error::{CasError, Error};
use crate::stripe::request::{Condition, Store, Stored};
use std::convert::Infallible;

/// What to ask of [`Cache::get_with`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Take the lease of a stale entry if it is free.
    pub lease: bool,
    /// Tell the version; the entry gets one if it has none.
    pub version: bool,
}

impl Cache {
    /// As [`Cache::get_into`], and tells how fresh the value is. A negative entry is found too,
    /// with [`State::Absent`](crate::State::Absent). Counts as a hit.
    ///
    /// ```
    /// # use larder::{Ask, Cache, Options, SetOptions, State};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// # use std::time::Duration;
    /// // Stale from the start: the first who asks for the lease is to refresh it, the others go on with it.
    /// let options = SetOptions { stale_after: Some(Duration::ZERO), ..SetOptions::default() };
    /// cache.set_with(b"key", b"value", &options)?;
    /// let mut value = Vec::new();
    /// let ask = Ask { lease: true, ..Ask::default() };
    /// assert_eq!(cache.get_with(b"key", &mut value, ask)?.unwrap().state, State::Refresh);
    /// assert_eq!(value, b"value");
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`]; with a version also those of [`Cache::set`].
    pub fn get_with(&self, key: &[u8], out: &mut Vec<u8>, ask: Ask) -> Result<Option<Info>, Error> {
        let before = out.len();
        self.read_with(key, ask, |value| {
            // What an earlier try has copied was overtaken.
            out.truncate(before);
            value.append_to(out);
            Ok::<_, Infallible>(())
        })
        .map(|found| found.map(|(_, info)| info))
    }

    /// As [`Cache::get_with`], with a function that takes the value, or doesn't: then it isn't a
    /// hit, and no lease is taken.
    pub(crate) fn read_with<T, E>(
        &self,
        key: &[u8],
        ask: Ask,
        f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Told<T, E>, Error> {
        if ask.version {
            return self.read_versioned(key, ask, f);
        }
        self.read_any(key, ask.lease, true, f)
    }

    fn read_versioned<T, E>(
        &self,
        key: &[u8],
        ask: Ask,
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Told<T, E>, Error> {
        self.write(key, 0, |shared, hash, writer, policy, placed| {
            let _closed = shared.env.seqlocks.of(hash).close();
            let Some((_, entry, header)) = writer.peek(hash, key) else {
                shared.count(false);
                return Ok(Attempt::Done(None, false));
            };
            let soft = shared.env.is_soft(entry, header);
            let now = shared.env.clock.now();
            let version = match entry.version(header) {
                Some(version) => version,
                None => {
                    let mut extra = entry.extra(header);
                    let version = writer.next_version();
                    extra.version = Some(version);
                    let deadline = entry.deadline(header);
                    // SAFETY: the sequence is closed.
                    let value = unsafe { writer.value(entry, header) };
                    let store = Store {
                        hash,
                        key,
                        value,
                        deadline,
                        extra: Some(&extra),
                        condition: Condition::Again,
                    };
                    match writer.set(policy, &store, placed) {
                        Stored::NoRoom(said) => return Ok(Attempt::NoRoom(said)),
                        Stored::Done | Stored::Refused(_) => version,
                    }
                }
            };
            // The entry may have moved; what it says has not changed, and a grace period has not
            // passed.
            let taken = f(entry.value(header));
            let Some((_, entry, header)) = writer.peek(hash, key) else {
                shared.count(false);
                return Ok(Attempt::Done(None, false));
            };
            // Who could not take the value comes again: the lease is for him then.
            let info =
                Info { version, ..inform(entry, header, now, ask.lease && taken.is_ok(), soft) };
            if taken.is_ok() {
                shared.mark(entry, header);
                shared.count(true);
            }
            Ok(Attempt::Done(Some((taken, info)), entry.deadline(header).is_some()))
        })
    }

    /// Stores a value if the key has none. False if it has.
    ///
    /// ```
    /// # use larder::{Cache, Options, SetOptions};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// assert!(cache.add(b"key", b"first", &SetOptions::default())?);
    /// assert!(!cache.add(b"key", b"second", &SetOptions::default())?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Cache::set_with`].
    pub fn add(&self, key: &[u8], value: &[u8], options: &SetOptions<'_>) -> Result<bool, Error> {
        match self.store(key, value, options, Condition::Absent, false) {
            Ok(_) => Ok(true),
            Err(CasError::Set(error)) => Err(error),
            Err(CasError::Conflict | CasError::NotFound) => Ok(false),
        }
    }

    /// Stores a value if the key's entry still has this version ([`Cache::get_with`] tells it), and
    /// returns the new one.
    ///
    /// ```
    /// # use larder::{Ask, CasError, Cache, Options, SetOptions};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// cache.set(b"key", b"one")?;
    /// let ask = Ask { version: true, ..Ask::default() };
    /// let version = cache.get_with(b"key", &mut Vec::new(), ask)?.unwrap().version;
    /// cache.set(b"key", b"somebody else's")?;
    /// let swapped = cache.compare_and_swap(b"key", b"two", version, &SetOptions::default());
    /// assert_eq!(swapped, Err(CasError::Conflict));
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`CasError::Conflict`], [`CasError::NotFound`]; [`CasError::Set`] with those of
    /// [`Cache::set_with`].
    pub fn compare_and_swap(
        &self,
        key: &[u8],
        value: &[u8],
        version: u64,
        options: &SetOptions<'_>,
    ) -> Result<u64, CasError> {
        self.store(key, value, options, Condition::Version(version), true)
    }

    /// Gives an entry another time to live from now. False if there is none. An entry that had no
    /// deadline is written again; one whose deadline slides goes on sliding by its old time to
    /// live.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn touch(&self, key: &[u8], ttl: impl Into<Ttl>) -> Result<bool, Error> {
        let ttl = ttl.into();
        self.write(key, 0, |shared, hash, writer, policy, placed| {
            let _closed = shared.env.seqlocks.of(hash).close();
            let Some((offset, entry, header)) = writer.peek(hash, key) else {
                return Ok(Attempt::Done(false, false));
            };
            let (deadline, sliding) = shared.deadline(ttl, hash, false);
            if deadline.is_none() && !header.has_deadline()
                || writer.redate(offset, entry, header, deadline.unwrap_or(u64::MAX))
            {
                shared.mark_hit_only(entry, header);
                return Ok(Attempt::Done(true, deadline.is_some()));
            }
            // SAFETY: the sequence is closed.
            let (mut extra, value) = (entry.extra(header), unsafe { writer.value(entry, header) });
            // In a cache all of whose deadlines slide, the new one does.
            extra.sliding = sliding;
            let store = Store {
                hash,
                key,
                value,
                deadline,
                extra: Some(&extra),
                condition: Condition::Again,
            };
            Ok(match writer.set(policy, &store, placed) {
                Stored::NoRoom(said) => Attempt::NoRoom(said),
                stored => Attempt::Done(stored == Stored::Done, true),
            })
        })
    }

    /// Adds to a counter and returns what it is then. A counter is an entry whose value is a whole
    /// number in decimal digits, as a 64-bit signed integer; it keeps its deadline, tags and the
    /// rest. Where there is none, one is stored that counts from 0, by the options.
    ///
    /// ```
    /// # use larder::{Cache, Options, SetOptions};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// assert_eq!(cache.increment(b"visits", 1, &SetOptions::default())?, 1);
    /// assert_eq!(cache.increment(b"visits", 41, &SetOptions::default())?, 42);
    /// assert_eq!(cache.get(b"visits").unwrap(), b"42");
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotANumber`] if the value isn't one, or the sum isn't; as [`Cache::set_with`].
    pub fn increment(
        &self,
        key: &[u8],
        delta: i64,
        options: &SetOptions<'_>,
    ) -> Result<i64, Error> {
        let mut tags = None;
        self.write(key, 20, |shared, hash, writer, policy, placed| {
            if tags.is_none() {
                tags = Some(options.hashes(shared)?);
            }
            let tags = tags.as_ref().expect("made above");
            let _closed = shared.env.seqlocks.of(hash).close();
            let found = writer
                .peek(hash, key)
                .filter(|(_, _, header)| header.extra() & crate::entry::extension::ABSENT == 0);
            let (now, deadline, mut extra) = match found {
                Some((_, entry, header)) => {
                    // SAFETY: the sequence is closed.
                    let value = unsafe { writer.value(entry, header) };
                    (number(value)?, entry.deadline(header), entry.extra(header))
                }
                None => {
                    let (deadline, extra) = options.times(shared, hash, tags);
                    (0, deadline, extra)
                }
            };
            if extra.version.is_some() {
                extra.version = Some(writer.next_version());
            }
            let sum = now.checked_add(delta).ok_or(Error::NotANumber)?;
            let mut digits = [0; 20];
            let value = decimal(sum, &mut digits);
            let store = Store {
                hash,
                key,
                value,
                deadline,
                extra: Some(&extra),
                condition: Condition::Always,
            };
            Ok(match writer.set(policy, &store, placed) {
                Stored::NoRoom(said) => Attempt::NoRoom(said),
                _ => Attempt::Done(sum, deadline.is_some()),
            })
        })
    }

    /// Gives the lease of a stale entry back, for who took it with [`Ask::lease`] and will not
    /// refresh it after all: the next one who asks gets it. False if there is no entry with a
    /// lease.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn release_lease(&self, key: &[u8]) -> Result<bool, Error> {
        self.with_applied(key, |guard, shared, hash, drops| {
            let found = shared.retry_until_stable(hash, drops, || {
                shared.try_find::<true, _>(guard, hash, key, |entry, header| {
                    entry
                        .stale_word(header)
                        .map(|word| freshness::give_back(word, shared.env.clock.now()))
                })
            })?;
            Some(matches!(found, Some((Some(()), ..))))
        })
    }

    /// Makes an entry stale at once: who reads it next by [`Cache::get_with`] is asked to refresh
    /// it. False if there is none. An entry that could not become stale is written again.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn mark_stale(&self, key: &[u8]) -> Result<bool, Error> {
        self.write(key, 0, |shared, hash, writer, policy, placed| {
            let _closed = shared.env.seqlocks.of(hash).close();
            let Some((_, entry, header)) = writer.peek(hash, key) else {
                return Ok(Attempt::Done(false, false));
            };
            if let Some(word) = entry.stale_word(header) {
                freshness::expire(word);
                return Ok(Attempt::Done(true, false));
            }
            let (mut extra, deadline) = (entry.extra(header), entry.deadline(header));
            // SAFETY: the sequence is closed.
            let value = unsafe { writer.value(entry, header) };
            extra.stale = Some(0);
            let store = Store {
                hash,
                key,
                value,
                deadline,
                extra: Some(&extra),
                condition: Condition::Again,
            };
            Ok(match writer.set(policy, &store, placed) {
                Stored::NoRoom(said) => Attempt::NoRoom(said),
                stored => Attempt::Done(stored == Stored::Done, deadline.is_some()),
            })
        })
    }
}

/// The number that decimal digits stand for.
fn number(text: &[u8]) -> Result<i64, Error> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Error::NotANumber)
}

/// The decimal digits of a number.
fn decimal(number: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_the_extremes() {
        for n in [0, 7, -7, 10, i64::MAX, i64::MIN, 1234567890] {
            let mut digits = [0; 20];
            assert_eq!(decimal(n, &mut digits), n.to_string().as_bytes());
            assert_eq!(number(n.to_string().as_bytes()), Ok(n));
        }
        assert_eq!(number(b"12a"), Err(Error::NotANumber));
        assert_eq!(number(b""), Err(Error::NotANumber));
    }
}
