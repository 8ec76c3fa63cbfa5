//! The classic commands but for those that store.

use super::Command;
use super::exptime::until;
use super::item;
use super::number;
use super::session::{COPIED, Context, HIGH, Mode, Next, Payload, Session};
use super::words::{MAX_KEY, is_key};
use crate::store::{NOBODY, Store};
use larder::{Ask, Change, Lent, NewValue, State, Until, Write};
use std::time::Duration;

const BAD_LINE: &[u8] = b"CLIENT_ERROR bad command line format\r\n";
const BAD_EXPTIME: &[u8] = b"CLIENT_ERROR invalid exptime argument\r\n";
const NO_ROOM: &[u8] = b"SERVER_ERROR out of memory storing object\r\n";
/// Bytes of a number at most.
const DIGITS: usize = 20;

/// A get whose keys are still to come.
#[derive(Clone, Copy)]
pub(super) struct Fetch {
    cas: bool,
    /// The items get another time to live.
    exptime: Option<i64>,
    /// The line is whole, and its keys were looked at.
    checked: bool,
}

impl Fetch {
    /// One whose line has not ended yet.
    pub(super) fn endless(command: Command) -> Fetch {
        Fetch { cas: command == Command::Gets, exptime: None, checked: false }
    }
}

/// Whether a line that isn't whole begins a get, and bytes of that beginning.
pub(super) fn begins_fetch(input: &[u8]) -> Option<(usize, Command)> {
    let begins = |name: &[u8]| input.starts_with(name).then_some(name.len());
    let get = begins(b"get ").map(|bytes| (bytes, Command::Get));
    get.or_else(|| begins(b"gets ").map(|bytes| (bytes, Command::Gets)))
}

/// Looks at the line of a get, and returns its first key, to go on from there. None: it is done, and
/// answered.
pub(super) fn begin_fetch<'a>(
    session: &mut Session,
    command: Command,
    words: &[&'a [u8]],
    out: &mut Vec<u8>,
) -> Option<&'a [u8]> {
    let touches = matches!(command, Command::Gat | Command::Gats);
    let Some((first, rest)) = words.split_first() else {
        out.extend_from_slice(b"ERROR\r\n");
        return None;
    };
    let exptime = if touches { number::signed(first) } else { None };
    if touches && exptime.is_none() {
        out.extend_from_slice(BAD_EXPTIME);
        return None;
    }
    let keys = if touches { rest } else { words };
    let Some(key) = keys.first() else {
        out.extend_from_slice(b"END\r\n");
        return None;
    };
    if keys.iter().any(|key| !is_key(key)) {
        out.extend_from_slice(BAD_LINE);
        return None;
    }
    let cas = matches!(command, Command::Gets | Command::Gats);
    // Of a line with more words than are looked at, the others are looked at as they come.
    let checked = words.len() < super::words::MAX_WORDS - 1;
    session.mode = Mode::Keys(Fetch { cas, exptime, checked });
    Some(key)
}

/// Does the keys of a get that are whole in the input.
pub(super) fn fetch(
    cx: &Context<'_>,
    session: &mut Session,
    input: &[u8],
    out: &mut Vec<u8>,
) -> (usize, Option<Next>) {
    let Mode::Keys(fetch) = session.mode else { return (0, None) };
    let mut used = 0;
    loop {
        let rest = &input[used..];
        let blanks = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
        used += blanks;
        let rest = &rest[blanks..];
        // A key ends at a blank or the line's end; the "\r" of that isn't its own.
        let Some(end) = memchr::memchr2(b' ', b'\n', rest) else {
            if rest.len() <= MAX_KEY + 1 {
                return (used, Some(Next::More));
            }
            out.extend_from_slice(BAD_LINE);
            return (input.len(), Some(Next::Close));
        };
        let last = rest[end] == b'\n';
        let mut key = &rest[..end];
        if last {
            key = key.strip_suffix(b"\r").unwrap_or(key);
        }
        used += end + usize::from(last);
        if !key.is_empty() && !fetch.checked && !is_key(key) {
            // Values of other keys are on their way, so this can't be the answer to the line.
            out.extend_from_slice(BAD_LINE);
            return (input.len(), Some(Next::Close));
        }
        let payload = if key.is_empty() { None } else { tell(cx, session, key, fetch, out) };
        if last {
            session.mode = Mode::Commands;
        }
        if let Some(payload) = payload {
            session.owes = if last { b"\r\nEND\r\n" } else { b"\r\n" };
            return (used, Some(Next::Send(payload)));
        }
        if last {
            out.extend_from_slice(b"END\r\n");
            return (used, None);
        }
        if out.len() >= HIGH {
            return (used, Some(Next::Flush));
        }
    }
}

/// Tells an item. Its value is returned if it is to be sent by itself.
fn tell(
    cx: &Context<'_>,
    session: &mut Session,
    key: &[u8],
    fetch: Fetch,
    out: &mut Vec<u8>,
) -> Option<Payload> {
    if let Some(exptime) = fetch.exptime
        && !give_time(cx, session, key, exptime)
    {
        return None;
    }
    if fetch.cas {
        return tell_with_cas(cx, session, key, out);
    }
    let found =
        cx.store.get(key, COPIED, out, |out, len, number| head(out, key, number, len, None));
    match found {
        Lent::Value(_) => out.extend_from_slice(b"\r\n"),
        Lent::Miss => {}
        Lent::Longer(_) => {
            let (_, info) = cx.store.peek(key)?;
            let view = cx.store.view(key)?;
            head(out, key, info.user, view.len(), None);
            return Some(Payload::Lent(view));
        }
    }
    None
}

fn tell_with_cas(
    cx: &Context<'_>,
    session: &mut Session,
    key: &[u8],
    out: &mut Vec<u8>,
) -> Option<Payload> {
    let value = &mut session.value;
    let ask = Ask { version: true, lease: false };
    let info = cx.store.get_with(key, value, ask).ok().flatten()?;
    if info.state == State::Absent {
        value.clear();
        return None;
    }
    head(out, key, info.user, value.len(), Some(info.version));
    if value.len() > COPIED {
        return Some(Payload::Owned(std::mem::take(value)));
    }
    out.append(value);
    out.extend_from_slice(b"\r\n");
    None
}

fn head(out: &mut Vec<u8>, key: &[u8], number: u64, len: usize, cas: Option<u64>) {
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key);
    out.push(b' ');
    number::push(out, u64::from(item::flags(number)));
    out.push(b' ');
    number::push(out, len as u64);
    if let Some(cas) = cas {
        out.push(b' ');
        number::push(out, cas);
    }
    out.extend_from_slice(b"\r\n");
}

/// Gives an item another time to live. False if there is none.
fn give_time(cx: &Context<'_>, session: &mut Session, key: &[u8], exptime: i64) -> bool {
    let until = until(cx.store, exptime);
    // An item without a deadline is written again to get one.
    let longest = cx.store.peek(key).map_or(0, |(len, _)| len);
    let change = |found: bool| match (found, until) {
        (false, _) => Change::Keep,
        (true, None) => Change::Remove,
        (true, Some(until)) => Change::Store(Write { until, ..Write::default() }),
    };
    let done = cx.store.update(NOBODY, key, longest, &mut session.scratch, |current, _| {
        let found = current.is_some_and(|current| current.info.state != State::Absent);
        (change(found), found)
    });
    done.is_ok_and(|(found, _)| found)
}

/// Whether the last word says that no answer is wanted.
pub(super) fn no_reply(words: &[&[u8]]) -> bool {
    words.last().is_some_and(|word| *word == b"noreply")
}

fn answer(out: &mut Vec<u8>, quiet: bool, text: &[u8]) {
    if !quiet {
        out.extend_from_slice(text);
    }
}

pub(super) fn touch(cx: &Context<'_>, session: &mut Session, words: &[&[u8]], out: &mut Vec<u8>) {
    let quiet = no_reply(words);
    let (key, exptime) = match words {
        [key, exptime] | [key, exptime, _] => (key, exptime),
        _ => return out.extend_from_slice(b"ERROR\r\n"),
    };
    if !is_key(key) {
        return answer(out, quiet, BAD_LINE);
    }
    let Some(exptime) = number::signed(exptime) else { return answer(out, quiet, BAD_EXPTIME) };
    let found = give_time(cx, session, key, exptime);
    answer(out, quiet, if found { b"TOUCHED\r\n" } else { b"NOT_FOUND\r\n" });
}

pub(super) fn delete(cx: &Context<'_>, words: &[&[u8]], out: &mut Vec<u8>) {
    let quiet = no_reply(words);
    let key = match words {
        [key] => key,
        [key, b"0" | b"noreply"] | [key, b"0", b"noreply"] => key,
        [_, _] | [_, _, _] => {
            let text = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
            return answer(out, quiet, text);
        }
        _ => return out.extend_from_slice(b"ERROR\r\n"),
    };
    if !is_key(key) {
        return answer(out, quiet, BAD_LINE);
    }
    let deleted = cx.store.delete(NOBODY, key);
    answer(out, quiet, if deleted { b"DELETED\r\n" } else { b"NOT_FOUND\r\n" });
}

/// What came of counting.
pub(super) enum Counted {
    /// The number now.
    Now(u64),
    /// There is no such item.
    Missing,
    /// Its CAS is another.
    Other,
    /// It is no number.
    NotANumber,
}

/// A counter's value after a step: beyond 64 bits it begins at 0 again, below 0 it stays there.
pub(super) fn stepped(number: u64, up: bool, delta: u64) -> u64 {
    if up { number.wrapping_add(delta) } else { number.saturating_sub(delta) }
}

/// Writes a counter, as wide as the value it replaces: memcached overwrites it where it lies, and
/// fills up with blanks.
pub(super) fn write_counter(built: &mut Vec<u8>, number: u64, width: usize) {
    number::push(built, number);
    if built.len() < width {
        built.resize(width, b' ');
    }
}

/// Bytes that a counter may have after a step: as many as before, or those of the largest number.
pub(super) fn counter_room(store: &Store, key: &[u8]) -> usize {
    store.peek(key).map_or(DIGITS, |(len, _)| len.max(DIGITS))
}

pub(super) fn count(
    cx: &Context<'_>,
    session: &mut Session,
    words: &[&[u8]],
    up: bool,
    out: &mut Vec<u8>,
) {
    let quiet = no_reply(words);
    let (key, delta) = match words {
        [key, delta] | [key, delta, _] => (key, delta),
        _ => return out.extend_from_slice(b"ERROR\r\n"),
    };
    if !is_key(key) {
        return answer(out, quiet, BAD_LINE);
    }
    let Some(delta) = number::unsigned(delta) else {
        return answer(out, quiet, b"CLIENT_ERROR invalid numeric delta argument\r\n");
    };
    let (room, scratch) = (counter_room(cx.store, key), &mut session.scratch);
    let done = cx.store.update(NOBODY, key, room, scratch, |current, built| {
        let Some(current) = current.filter(|current| current.info.state != State::Absent) else {
            return (Change::Keep, Counted::Missing);
        };
        let Some(number) = number::counter(current.value) else {
            return (Change::Keep, Counted::NotANumber);
        };
        let number = stepped(number, up, delta);
        write_counter(built, number, current.value.len());
        let write = Write { value: NewValue::Built, ..Write::default() };
        (Change::Store(write), Counted::Now(number))
    });
    match done {
        Ok((Counted::Now(_), _)) if quiet => {}
        Ok((Counted::Now(number), _)) => {
            number::push(out, number);
            out.extend_from_slice(b"\r\n");
        }
        Ok((Counted::Missing | Counted::Other, _)) => answer(out, quiet, b"NOT_FOUND\r\n"),
        Ok((Counted::NotANumber, _)) => answer(out, quiet, NOT_A_NUMBER),
        Err(_) => answer(out, quiet, NO_ROOM),
    }
}

pub(super) const NOT_A_NUMBER: &[u8] =
    b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";

pub(super) fn flush_all(
    cx: &Context<'_>,
    session: &mut Session,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) {
    let quiet = no_reply(words);
    let delay = match words {
        [] | [b"noreply"] => Some(0),
        [delay] | [delay, _] => number::signed(delay),
        _ => return out.extend_from_slice(b"ERROR\r\n"),
    };
    let Some(delay) = delay else { return answer(out, quiet, BAD_EXPTIME) };
    match cx.store.until(super::exptime::expiry(delay)) {
        Some(Until::At(at)) => {
            let now = cx.store.cache().now().unwrap_or(at);
            session.flush_after = Some(Duration::from_millis(at.saturating_sub(now)));
        }
        _ => {
            session.flush_after = Some(Duration::ZERO);
            cx.store.clear(NOBODY);
        }
    }
    answer(out, quiet, b"OK\r\n");
}

pub(super) fn verbosity(words: &[&[u8]], out: &mut Vec<u8>) {
    let quiet = no_reply(words);
    match words {
        [] => out.extend_from_slice(b"ERROR\r\n"),
        [level, ..] if quiet || number::unsigned(level).is_some() => answer(out, quiet, b"OK\r\n"),
        _ => out.extend_from_slice(BAD_LINE),
    }
}
