//! Commands that store: the line, then the data block.

use super::Command;
use super::classic::no_reply;
use super::exptime::until;
use super::item;
use super::meta::MetaSet;
use super::number;
use super::session::{Context, Mode, Session};
use super::words::{MAX_KEY, is_key};
use crate::store::NOBODY;
use larder::{Change, Error, NewValue, SetOptions, State, Until, Write};

const BAD_LINE: &[u8] = b"CLIENT_ERROR bad command line format\r\n";
pub(super) const TOO_LARGE: &[u8] = b"SERVER_ERROR object too large for cache\r\n";
const BAD_BLOCK: &[u8] = b"CLIENT_ERROR bad data chunk\r\n";
const NO_ROOM: &[u8] = b"SERVER_ERROR out of memory storing object\r\n";
/// Data blocks that are longer are refused with their line, as memcached does.
const LONGEST: i64 = i32::MAX as i64 - 2;

/// A key that is kept until its data have come.
#[derive(Clone)]
pub(super) struct Key {
    bytes: [u8; MAX_KEY],
    len: u8,
}

impl Key {
    pub(super) fn new(key: &[u8]) -> Key {
        debug_assert!(key.len() <= MAX_KEY);
        let mut bytes = [0; MAX_KEY];
        let len = key.len().min(MAX_KEY);
        bytes[..len].copy_from_slice(&key[..len]);
        Key { bytes, len: len as u8 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What a data block is for.
pub(super) enum Target {
    /// A classic command.
    Classic(Box<Classic>),
    /// The meta command.
    Meta(Box<MetaSet>),
}

/// A classic command that waits for its data.
pub(super) struct Classic {
    how: How,
    key: Key,
    flags: u32,
    exptime: i64,
    quiet: bool,
}

/// On what a store depends, and what it does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    Cas(u64),
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    NotStored,
    Exists,
    NotFound,
}

impl Target {
    /// The data have come, with the two bytes behind them.
    pub(super) fn store(
        self,
        cx: &Context<'_>,
        session: &mut Session,
        block: &[u8],
        out: &mut Vec<u8>,
    ) {
        let (data, end) = block.split_at(block.len() - 2);
        match self {
            Target::Meta(_) if end != b"\r\n" => out.extend_from_slice(BAD_BLOCK),
            Target::Meta(set) => set.store(cx, session, data, out),
            Target::Classic(command) => {
                let answer =
                    if end == b"\r\n" { command.store(cx, session, data) } else { BAD_BLOCK };
                if !command.quiet {
                    out.extend_from_slice(answer);
                }
            }
        }
    }
}

/// The line of a command that stores.
pub(super) fn begin(
    cx: &Context<'_>,
    session: &mut Session,
    command: Command,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) {
    let wanted = if command == Command::Cas { 5 } else { 4 };
    if words.len() < wanted || words.len() > wanted + 1 {
        return out.extend_from_slice(b"ERROR\r\n");
    }
    let quiet = no_reply(words);
    let Some((classic, bytes)) = read(command, words, quiet) else {
        if !quiet {
            out.extend_from_slice(BAD_LINE);
        }
        return;
    };
    if bytes as usize > cx.live.longest_value() {
        if !quiet {
            out.extend_from_slice(TOO_LARGE);
        }
        if command == Command::Set {
            // What was there is no longer what the client takes it for.
            cx.store.delete(NOBODY, classic.key.as_bytes());
        }
        session.mode = Mode::Skip(bytes + 2);
        return;
    }
    let target = Target::Classic(Box::new(classic));
    session.mode = Mode::Data { target, bytes: bytes as usize + 2 };
}

fn read(command: Command, words: &[&[u8]], quiet: bool) -> Option<(Classic, u64)> {
    let (key, flags, exptime, bytes) = (words[0], words[1], words[2], words[3]);
    if !is_key(key) {
        return None;
    }
    let (flags, exptime) = (number::flags(flags)?, number::signed(exptime)?);
    let bytes = number::signed(bytes).filter(|bytes| (0..LONGEST).contains(bytes))? as u64;
    let how = match command {
        Command::Add => How::Add,
        Command::Replace => How::Replace,
        Command::Append => How::Append,
        Command::Prepend => How::Prepend,
        Command::Cas => How::Cas(number::unsigned(words[4])?),
        _ => How::Set,
    };
    Some((Classic { how, key: Key::new(key), flags, exptime, quiet }, bytes))
}

impl Classic {
    fn store(&self, cx: &Context<'_>, session: &mut Session, data: &[u8]) -> &'static [u8] {
        let number = item::number(self.flags, false);
        let key = self.key.as_bytes();
        if self.how == How::Set {
            let expiry = super::exptime::expiry(self.exptime);
            return match cx.store.set(NOBODY, key, data, expiry, number) {
                Ok(()) => b"STORED\r\n",
                Err(error) => refused(cx, key, error),
            };
        }
        let new = New { key, data, number, exptime: self.exptime, versioned: false, stale: false };
        match store(cx, session, self.how, &new) {
            Ok((Outcome::Stored, _)) => b"STORED\r\n",
            Ok((Outcome::NotStored, _)) => b"NOT_STORED\r\n",
            Ok((Outcome::Exists, _)) => b"EXISTS\r\n",
            Ok((Outcome::NotFound, _)) => b"NOT_FOUND\r\n",
            Err(error) => refused(cx, key, error),
        }
    }
}

/// A set that failed takes the old value with it: the client has another by now.
fn refused(cx: &Context<'_>, key: &[u8], error: Error) -> &'static [u8] {
    cx.store.delete(NOBODY, key);
    why(error)
}

/// The answer to a store that failed.
pub(super) fn why(error: Error) -> &'static [u8] {
    match error {
        Error::ValueTooLarge => TOO_LARGE,
        _ => NO_ROOM,
    }
}

/// A value to be stored if the condition is met.
pub(super) struct New<'a> {
    pub(super) key: &'a [u8],
    pub(super) data: &'a [u8],
    pub(super) number: u64,
    pub(super) exptime: i64,
    /// The new CAS is wanted.
    pub(super) versioned: bool,
    /// A CAS that is older than the item's stores a stale value (`I`).
    pub(super) stale: bool,
}

/// Stores on a condition, in one step. Returns the new CAS if it is wanted.
pub(super) fn store(
    cx: &Context<'_>,
    session: &mut Session,
    how: How,
    new: &New<'_>,
) -> Result<(Outcome, u64), Error> {
    let until = until(cx.store, new.exptime);
    let options = SetOptions { user: new.number, ..SetOptions::default() };
    let given = Write {
        value: NewValue::Given(new.data),
        options: Some(&options),
        versioned: new.versioned,
        ..Write::default()
    };
    // What expires at once is stored and gone.
    let put = || match until {
        Some(until) => Change::Store(Write { until, ..given }),
        None => Change::Remove,
    };
    let joins = matches!(how, How::Append | How::Prepend);
    let longest = room_for(cx, new, joins);
    if longest > cx.live.longest_value() {
        return Err(Error::ValueTooLarge);
    }
    cx.store.update(NOBODY, new.key, longest, &mut session.scratch, |current, built| {
        let current = current.filter(|current| current.info.state != State::Absent);
        let Some(current) = current else {
            return match how {
                How::Set | How::Add => (put(), Outcome::Stored),
                How::Cas(_) => (Change::Keep, Outcome::NotFound),
                _ => (Change::Keep, Outcome::NotStored),
            };
        };
        match how {
            How::Set | How::Replace => (put(), Outcome::Stored),
            How::Add => (Change::Keep, Outcome::NotStored),
            How::Cas(cas) if cas == current.info.version && cas != 0 => (put(), Outcome::Stored),
            How::Cas(cas) if new.stale && is_older(cas, current.info.version) => {
                (Change::Store(stale(new, current.info)), Outcome::Stored)
            }
            How::Cas(_) => (Change::Keep, Outcome::Exists),
            How::Append | How::Prepend => {
                let parts = [current.value, new.data];
                let order = if how == How::Append { [0, 1] } else { [1, 0] };
                order.into_iter().for_each(|part| built.extend_from_slice(parts[part]));
                // Who was to fetch it has, or somebody else.
                let user = Some(current.info.user & !crate::store::number::TOKEN_SENT);
                let versioned = new.versioned;
                let write = Write { value: NewValue::Built, user, versioned, ..Write::default() };
                (Change::Store(write), Outcome::Stored)
            }
        }
    })
}

/// The length of the longest value that comes of a store.
fn room_for(cx: &Context<'_>, new: &New<'_>, joins: bool) -> usize {
    let there = if joins { cx.store.peek(new.key).map_or(0, |(len, _)| len) } else { 0 };
    there + new.data.len()
}

/// Whether a CAS that a client was told is older than the item's. An item that has none was stored
/// after all that have been told.
fn is_older(cas: u64, version: u64) -> bool {
    version == 0 || cas < version
}

/// A value that comes too late: it is stored as stale, and keeps the time to live and, if the item
/// is stale already, the token of whoever fetches a newer one.
fn stale<'a>(new: &New<'a>, info: larder::Info) -> Write<'a> {
    let is_stale = info.state != State::Fresh;
    let kept = info.user & crate::store::number::TOKEN_SENT;
    Write {
        value: NewValue::Given(new.data),
        until: Until::Same,
        options: None,
        user: Some(new.number | kept),
        stale: !is_stale,
        versioned: new.versioned,
    }
}
