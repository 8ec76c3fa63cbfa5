//! Changing an entry by a function of what is there: what conditional sets, appends and counters of
//! a cache server are made of.
//!
//! The function runs under the lock of the key's stripe, so nothing comes between what it saw and
//! what it says. It says what to do and doesn't do it, since there may be no room: then some is
//! made, with the lock let go, and the function is asked anew.

use crate::cache::handle::Cache;
use crate::cache::info::{Info, inform};
use crate::cache::room::Attempt;
use crate::cache::shared::Shared;
use crate::cache::write::{SetOptions, TagHashes};
use crate::entry::{Entry, Header, extension};
use crate::error::Error;
use crate::policy::{AnyPolicy, Placement};
use crate::stripe::request::{Condition, Store, Stored};
use crate::stripe::writer::Writer;

/// What is there when [`Cache::update`] asks.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The value.
    pub value: &'a [u8],
    /// How fresh it is, its version (0 if nobody has asked for one since it was stored), what is
    /// left of its time. A negative entry is there as well, with
    /// [`State::Absent`](crate::State::Absent).
    pub info: Info,
    /// When it expires, by [`Cache::now`].
    pub deadline: Option<u64>,
}

/// What is to be done, as the function of [`Cache::update`] says.
#[derive(Clone, Copy, Debug)]
pub enum Change<'v> {
    /// Nothing.
    Keep,
    /// The entry is deleted.
    Remove,
    /// An entry is stored.
    Store(Write<'v>),
}

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Write<'v> {
    /// The value.
    pub value: NewValue<'v>,
    /// When it expires.
    pub until: Until,
    /// What else is to be said of it, with or without [`SetOptions::ttl`], which `until` overrides.
    /// `None`: what the entry says that is there (tags, stale time, the caller's number). A
    /// deadline that slides goes on sliding.
    pub options: Option<&'v SetOptions<'v>>,
    /// The caller's number ([`SetOptions::user`]), whatever `options` say. `None`: what they or the
    /// entry say.
    pub user: Option<u64>,
    /// It is stale from the start, and who reads it next is to refresh it.
    pub stale: bool,
    /// It gets a version, which is returned. Else it has one only if nothing but `until` changes
    /// and there was one: then a new one.
    pub versioned: bool,
}

impl Write<'_> {
    /// Whether nothing but the deadline may change, where the value doesn't.
    fn is_plain(&self) -> bool {
        self.options.is_none() && self.user.is_none() && !self.stale
    }
}

impl Default for Write<'_> {
    /// The same again.
    fn default() -> Self {
        Write {
            value: NewValue::Same,
            until: Until::Same,
            options: None,
            user: None,
            stale: false,
            versioned: false,
        }
    }
}

/// A value to be stored.
#[derive(Clone, Copy, Debug)]
pub enum NewValue<'v> {
    /// This one.
    Given(&'v [u8]),
    /// What the function has written to its buffer.
    Built,
    /// The one that is there. If there is none, an empty one.
    Same,
}

/// When an entry expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// When the one that is there does. Never, if there is none.
    Same,
    /// Never.
    Never,
    /// At this time, in milliseconds by [`Cache::now`].
    At(u64),
}

impl Cache {
    /// The time by the cache's clock, in milliseconds: that of [`Until::At`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn now(&self) -> Result<u64, Error> {
        self.with(|shared| shared.env.clock.now())
    }

    /// Changes what a key has as `f` says, which is told what that is. Nothing comes in between.
    /// Returns what `f` returned beside, and the version if one was given, else 0.
    ///
    /// `f` runs under a lock: it must be short and must not call the cache. It may be asked more
    /// than once; what it said last counts. The buffer is `scratch`, emptied before each time.
    /// Reads by it are not hits. `longest` is the length of the longest value that it may say.
    ///
    /// ```
    /// # use larder::{Cache, Change, NewValue, Options, Until, Write};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// cache.set(b"key", b"soup")?;
    /// let (before, _) = cache.update(b"key", 64, &mut Vec::new(), |current, built| {
    ///     let Some(current) = current else { return (Change::Keep, 0) };
    ///     built.extend_from_slice(current.value);
    ///     built.extend_from_slice(b" of the day");
    ///     let write =
    ///         Write { value: NewValue::Built, ..Write::default() };
    ///     (Change::Store(write), current.value.len())
    /// })?;
    /// assert_eq!((before, cache.get(b"key").unwrap()), (4, b"soup of the day".to_vec()));
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Cache::set_with`]; nothing is changed then.
    pub fn update<'v, T>(
        &self,
        key: &[u8],
        longest: usize,
        scratch: &mut Vec<u8>,
        mut f: impl FnMut(Option<Current<'_>>, &mut Vec<u8>) -> (Change<'v>, T),
    ) -> Result<(T, u64), Error> {
        let mut tags = None;
        self.write(key, longest, |shared, hash, writer, policy, placed| {
            let _closed = shared.env.seqlocks.of(hash).close();
            let found = writer.peek(hash, key);
            scratch.clear();
            // SAFETY: the sequence is closed.
            let current =
                found.map(|(_, entry, header)| unsafe { look(shared, writer, entry, header) });
            let (change, said) = f(current, scratch);
            let write = match change {
                Change::Keep => return Ok(Attempt::Done((said, 0), false)),
                Change::Remove => {
                    drop(_closed);
                    writer.delete(policy, hash, key);
                    return Ok(Attempt::Done((said, 0), false));
                }
                Change::Store(write) => write,
            };
            if tags.is_none() {
                tags = write.options.map(|options| options.hashes(shared)).transpose()?;
            }
            let change = Changing { shared, hash, key, found, write, built: scratch };
            Ok(match change.store(writer, policy, placed, tags.as_ref())? {
                Attempt::Done(version, deadline) => Attempt::Done((said, version), deadline),
                Attempt::NoRoom(said) => Attempt::NoRoom(said),
            })
        })
    }
}

/// What there is to tell of an entry.
///
/// # Safety
/// As [`Writer::value`].
unsafe fn look<'a>(
    shared: &Shared,
    writer: &Writer<'a, false>,
    entry: Entry<'a>,
    header: Header,
) -> Current<'a> {
    let soft = shared.env.is_soft(entry, header);
    let info = inform(entry, header, shared.env.clock.now(), false, soft);
    let version = entry.version(header).unwrap_or(0);
    // SAFETY: as the caller promises.
    let value = unsafe { writer.value(entry, header) };
    let deadline = entry.deadline(header).filter(|&deadline| deadline != u64::MAX);
    Current { value, info: Info { version, ..info }, deadline }
}

/// A change that stores.
struct Changing<'c, 'a> {
    shared: &'c Shared,
    hash: u64,
    key: &'c [u8],
    found: Option<(u64, Entry<'a>, Header)>,
    write: Write<'c>,
    built: &'c [u8],
}

impl<'a> Changing<'_, 'a> {
    fn store(
        &self,
        writer: &mut Writer<'a, false>,
        policy: &mut AnyPolicy,
        placed: Option<Placement>,
        tags: Option<&TagHashes>,
    ) -> Result<Attempt<u64>, Error> {
        let same = matches!(self.write.value, NewValue::Same);
        let value = match (self.write.value, self.found) {
            (NewValue::Given(value), _) => value,
            (NewValue::Built, _) => self.built,
            // SAFETY: the sequence is closed by the caller.
            (NewValue::Same, Some((_, entry, header))) => unsafe { writer.value(entry, header) },
            (NewValue::Same, None) => &[],
        };
        self.shared.check_lengths(self.key.len(), value.len())?;
        if self.write.user.is_some_and(|user| user > extension::MAX_USER) {
            return Err(Error::InvalidOptions("a number kept with a value has at most 48 bits"));
        }
        let deadline = match self.write.until {
            Until::Same => self.found.and_then(|(_, entry, header)| entry.deadline(header)),
            Until::Never => None,
            Until::At(at) => Some(at),
        };
        if same && self.write.is_plain() && self.redate(writer, deadline) {
            return Ok(Attempt::Done(0, deadline.is_some()));
        }
        let mut extra = match (self.write.options, tags, self.found) {
            (Some(options), Some(tags), _) => options.times(self.shared, self.hash, tags).1,
            (_, _, Some((_, entry, header))) => entry.extra(header),
            _ => extension::Extension::default(),
        };
        let again = same && self.found.is_some();
        extra.absent = false;
        extra.user = self.write.user.unwrap_or(extra.user);
        if self.write.stale {
            extra.stale = Some(0);
        }
        let version = extra.version.take().filter(|_| again);
        if self.write.versioned || version.is_some() {
            extra.version = Some(writer.next_version());
        }
        extra.sliding = extra.sliding.filter(|_| deadline.is_some());
        let condition = if again { Condition::Again } else { Condition::Always };
        let store = Store {
            hash: self.hash,
            key: self.key,
            value,
            deadline,
            extra: Some(&extra),
            condition,
        };
        let version = extra.version.filter(|_| self.write.versioned).unwrap_or(0);
        Ok(match writer.set(policy, &store, placed) {
            Stored::NoRoom(said) => Attempt::NoRoom(said),
            _ => Attempt::Done(version, deadline.is_some()),
        })
    }

    /// Changes nothing but the deadline, where it lies. False if that can't be done.
    fn redate(&self, writer: &mut Writer<'a, false>, deadline: Option<u64>) -> bool {
        let Some((offset, entry, header)) = self.found else { return false };
        if self.write.versioned || entry.version(header).is_some() {
            return false;
        }
        match deadline {
            None if !header.has_deadline() => true,
            None => writer.redate(offset, entry, header, u64::MAX),
            Some(at) => writer.redate(offset, entry, header, at),
        }
    }
}
