//! `md`: removes an item, or makes it stale (`I`): the next client that reads it is to fetch it anew.

use super::flags::Flags;
use super::{begin, repeat};
use crate::memcached::exptime::until;
use crate::memcached::session::{Context, Session};
use crate::store::{NOBODY, number::TOKEN_SENT};
use larder::{Change, Current, State, Until, Write};

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    NotFound,
    Exists,
}

pub(in crate::memcached) fn delete(
    cx: &Context<'_>,
    session: &mut Session,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) {
    let Some(flags) = begin(words, out) else { return };
    let key = flags.key();
    let until = flags.exptime.map(|exptime| until(cx.store, exptime));
    let longest = if flags.has(b'I') { cx.store.peek(key).map_or(0, |(len, _)| len) } else { 0 };
    let done = cx.store.update(NOBODY, key, longest, &mut session.scratch, |current, _| {
        match current.filter(|current| current.info.state != State::Absent) {
            None => (Change::Keep, Outcome::NotFound),
            Some(current) => change(&flags, until, current),
        }
    });
    let outcome = match done {
        Ok((outcome, _)) => outcome,
        Err(error) => return out.extend_from_slice(crate::memcached::storage::why(error)),
    };
    if outcome == Outcome::Done && flags.has(b'q') {
        return;
    }
    out.extend_from_slice(match outcome {
        Outcome::Done => b"HD",
        Outcome::NotFound => b"NF",
        Outcome::Exists => b"EX",
    });
    repeat(out, &flags);
    out.extend_from_slice(b"\r\n");
}

fn change<'v>(
    flags: &Flags<'_>,
    until: Option<Option<Until>>,
    current: Current<'_>,
) -> (Change<'v>, Outcome) {
    if flags.cas.is_some_and(|cas| cas != 0 && cas != current.info.version) {
        return (Change::Keep, Outcome::Exists);
    }
    if !flags.has(b'I') {
        return (Change::Remove, Outcome::Done);
    }
    let until = match until {
        None => Until::Same,
        Some(Some(until)) => until,
        Some(None) => return (Change::Remove, Outcome::Done),
    };
    // Another CAS, so that who has the old one stores what is stale already.
    let user = Some(current.info.user & !TOKEN_SENT);
    let write = Write { until, user, stale: true, versioned: true, ..Write::default() };
    (Change::Store(write), Outcome::Done)
}
