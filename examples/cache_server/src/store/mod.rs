//! The keyspace: what all protocols do with entries.
//!
//! A value is bytes, with a number of the client's beside it (memcached's flags; 0 takes no
//! memory), a deadline and, on demand, a version (for compare-and-swap). Reads and writes go to
//! [`larder::Cache`]; writes also tell the [tracking](crate::tracking), which tells the clients that
//! have the key in a cache of their own.
//!
//! All methods may be called from any thread. Hold a shared turn ([`Store::turns`]) around the
//! operations of a command or of a batch of commands, and an exclusive one around what must be one
//! step on several keys.

mod clock;
pub mod number;
mod turns;

pub use turns::{Exclusive, Shared, Turns};

use crate::tracking::Tracking;
use clock::WallClock;
use larder::{
    Ask, Cache, Change, Current, Error, Info, Lent, NewValue, Options, Reason, Reasons, SetOptions,
    Stats, Ttl, Until, View, Write,
};

/// Bytes of what is kept of evictions and expiries until the tracking is told of them.
const EVENT_BYTES: u64 = 1 << 20;

/// When an entry that is stored expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// It doesn't.
    Never,
    /// In so many milliseconds. Not 0.
    In(u64),
    /// At this moment, in milliseconds since 1970. One that has passed removes the key.
    At(i64),
}

/// An entry with this value in the place of all that is there: what the options don't say of it, it
/// hasn't. `None`: its moment has passed, so there is none.
pub fn replacing<'v>(
    value: &'v [u8],
    until: Option<Until>,
    options: &'v SetOptions<'v>,
) -> Change<'v> {
    let value = NewValue::Given(value);
    until.map_or(Change::Remove, |until| {
        Change::Store(Write { value, until, options: Some(options), ..Write::default() })
    })
}

/// Who changes an entry: the id of the connection, so that a client that tracks with NOLOOP isn't
/// told of its own changes. [`NOBODY`] for others.
pub type Author = u64;

/// The author of changes that no tracked connection made.
pub const NOBODY: Author = 0;

/// The keyspace.
pub struct Store {
    cache: Cache,
    clock: WallClock,
    turns: Turns,
    tracking: Tracking,
}

impl Store {
    /// An empty keyspace.
    ///
    /// # Errors
    /// As [`Cache::new`].
    pub fn new(options: Options, tracking: Tracking) -> Result<Store, Error> {
        // Of a small cache, no more than the core allows.
        let event_bytes = EVENT_BYTES.min(options.max_bytes / 64);
        let events = Reasons::of(&[Reason::Evicted, Reason::Expired]);
        let cache = Cache::new(Options { event_bytes, events, ..options })?;
        let clock = WallClock::new(&cache);
        Ok(Store { cache, clock, turns: Turns::default(), tracking })
    }

    /// The cache, for what only reads or counts. Who changes entries by it must call
    /// [`Store::changed`].
    #[inline]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Who may go on.
    #[inline]
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Who is told of changes.
    #[inline]
    pub fn tracking(&self) -> &Tracking {
        &self.tracking
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.wall(self.cache.now().unwrap_or(0))
    }

    /// Milliseconds since 1970 of a moment of the cache's clock ([`Current::deadline`]).
    pub fn wall(&self, cache_time: u64) -> i64 {
        self.clock.wall(cache_time)
    }

    /// When that is by the cache's clock. `None` if it has passed.
    pub fn until(&self, expiry: Expiry) -> Option<Until> {
        let now = self.cache.now().unwrap_or(0);
        let at = match expiry {
            Expiry::Never => return Some(Until::Never),
            Expiry::In(millis) => now.saturating_add(millis),
            Expiry::At(wall) => self.clock.cache_time(wall),
        };
        (at > now).then_some(Until::At(at.min(u64::MAX - 1)))
    }

    /// Appends a value to `out`, behind what `before` appends when it is told its length and the
    /// client's number, unless the value is longer than `most`: see [`Cache::append`].
    #[inline]
    pub fn get(
        &self,
        key: &[u8],
        most: usize,
        out: &mut Vec<u8>,
        before: impl FnMut(&mut Vec<u8>, usize, u64),
    ) -> Lent {
        let found = self.cache.append(key, most, out, before);
        if found == Lent::Miss {
            self.missed(key);
        }
        found
    }

    /// A value without a copy: for large ones. `None` if there is none.
    pub fn view(&self, key: &[u8]) -> Option<View> {
        self.cache.view(key).ok().flatten()
    }

    /// A value's length and what there is to tell of it, without counting as a read.
    pub fn peek(&self, key: &[u8]) -> Option<(usize, Info)> {
        let found = self.cache.info(key);
        if found.is_none() {
            self.missed(key);
        }
        found
    }

    /// Appends a value, and tells its version and freshness: see [`Cache::get_with`].
    ///
    /// # Errors
    /// As [`Cache::get_with`].
    pub fn get_with(&self, key: &[u8], out: &mut Vec<u8>, ask: Ask) -> Result<Option<Info>, Error> {
        let found = self.cache.get_with(key, out, ask)?;
        if found.is_none() {
            self.missed(key);
        }
        Ok(found)
    }

    /// Stores a value.
    ///
    /// # Errors
    /// As [`Cache::set_with`].
    #[inline]
    pub fn set(
        &self,
        by: Author,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
        user: u64,
    ) -> Result<(), Error> {
        let ttl = match expiry {
            Expiry::Never => Ttl::Never,
            Expiry::In(millis) => Ttl::Millis(millis),
            Expiry::At(wall) => match wall.saturating_sub(self.now()) {
                ..=0 => {
                    self.delete(by, key);
                    return Ok(());
                }
                // To the millisecond, which a time from now would not be.
                _ => return self.set_until(by, key, value, expiry, user),
            },
        };
        if user != 0 {
            let options = SetOptions { ttl, user, ..SetOptions::default() };
            return self.set_with(by, key, value, &options);
        }
        self.cache.set_quick(key, value, ttl)?;
        self.changed(by, key);
        Ok(())
    }

    #[cold]
    fn set_until(
        &self,
        by: Author,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
        user: u64,
    ) -> Result<(), Error> {
        let options = SetOptions { user, ..SetOptions::default() };
        let until = self.until(expiry).unwrap_or(Until::Never);
        self.update(by, key, value.len(), &mut Vec::new(), |_, _| {
            (replacing(value, Some(until), &options), ())
        })
        .map(|_| ())
    }

    /// Stores a value with all that can be said of it (tags, stale time).
    ///
    /// # Errors
    /// As [`Cache::set_with`].
    #[inline]
    pub fn set_with(
        &self,
        by: Author,
        key: &[u8],
        value: &[u8],
        options: &SetOptions<'_>,
    ) -> Result<(), Error> {
        self.cache.set_with(key, value, options)?;
        self.changed(by, key);
        Ok(())
    }

    /// Changes what a key has as `f` says, in one step: see [`Cache::update`]. Everything that
    /// depends on what is there is done by this: conditional sets, appends, counters, touches,
    /// compare-and-swap (by [`Info::version`] of what `f` is told).
    ///
    /// # Errors
    /// As [`Cache::update`].
    pub fn update<'v, T>(
        &self,
        by: Author,
        key: &[u8],
        longest: usize,
        scratch: &mut Vec<u8>,
        mut f: impl FnMut(Option<Current<'_>>, &mut Vec<u8>) -> (Change<'v>, T),
    ) -> Result<(T, u64), Error> {
        let (mut keeps, mut missing) = (false, false);
        let done = self.cache.update(key, longest, scratch, |current, built| {
            missing = current.is_none();
            let (change, said) = f(current, built);
            keeps = match change {
                Change::Keep => true,
                Change::Remove => missing,
                Change::Store(_) => false,
            };
            (change, said)
        })?;
        if !keeps {
            self.changed(by, key);
        } else if missing {
            self.missed(key);
        }
        Ok(done)
    }

    /// Removes a key. False if it wasn't there.
    pub fn delete(&self, by: Author, key: &[u8]) -> bool {
        let deleted = self.cache.delete(key);
        if deleted {
            self.changed(by, key);
        } else {
            self.missed(key);
        }
        deleted
    }

    /// Removes everything.
    pub fn clear(&self, by: Author) {
        // It fails only when the cache is closed, and empty.
        let _ = self.cache.clear();
        self.tracking.flushed(by);
    }

    /// Invalidates what has a tag, at once, however much that is. `soft`: it is stale instead.
    ///
    /// # Errors
    /// As [`Cache::invalidate_tag`].
    pub fn invalidate(&self, by: Author, tag: &[u8], soft: bool) -> Result<(), Error> {
        self.cache.invalidate_tag(tag, soft)?;
        self.tracking.invalidated(by, |key| match self.cache.info(key) {
            None => true,
            Some((_, info)) => info.state != larder::State::Fresh,
        });
        Ok(())
    }

    /// Tells the tracking that a key was changed.
    #[inline]
    pub fn changed(&self, by: Author, key: &[u8]) {
        if self.tracking.is_on() {
            self.tracking.changed(by, key);
        }
    }

    /// Tells the tracking that a key isn't there: if it was when a client read it, it has expired
    /// or was evicted.
    #[inline]
    fn missed(&self, key: &[u8]) {
        if self.tracking.is_on() {
            self.tracking.gone(key);
        }
    }

    /// What the cache did and holds.
    pub fn stats(&self) -> Stats {
        self.cache.stats().unwrap_or_default()
    }

    /// What is to be done now and then, every 10 to 100 ms: tells the tracking of what has expired
    /// or was evicted, and follows the system's clock.
    pub fn tick(&self) {
        self.clock.follow(&self.cache);
        self.tell_of_the_gone();
    }

    /// Tells the tracking of what has expired or was evicted since it was last told.
    pub fn tell_of_the_gone(&self) {
        if !self.tracking.is_on() {
            return;
        }
        let dropped = self.cache.drain_events(|event| self.tracking.lost(event.key));
        if dropped.is_ok_and(|dropped| dropped > 0) {
            // Nobody knows which they were.
            self.tracking.flushed(NOBODY);
        }
    }

    /// Forgets what has expired or was evicted so far: nobody was listening.
    pub fn forget_the_gone(&self) {
        let _ = self.cache.drain_events(|_| {});
    }
}
