//! `mg`: tells an item, and may make it (`N`), give it another time to live (`T`), or say that this
//! client is to fetch it anew (`W`): because it is stale, because little of its time is left (`R`), or
//! because it was not there.

use super::flags::Flags;
use super::times::Times;
use super::{Told, repeat, tell};
use crate::memcached::exptime::seconds_left;
use crate::memcached::item;
use crate::memcached::number;
use crate::memcached::session::{COPIED, Context, Next, Payload, Session};
use crate::store::{NOBODY, Store, number::TOKEN_SENT};
use larder::{Ask, Change, Current, Info, Lent, NewValue, State, Write};

/// What was done to the item before it is told.
#[derive(Clone, Copy, Default)]
struct Done {
    won: bool,
    /// Milliseconds that are left, where flags have set them.
    ttl: Option<Option<u64>>,
}

pub(in crate::memcached) fn get(
    cx: &Context<'_>,
    session: &mut Session,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) -> Option<Next> {
    let Some((key, order)) = words.split_first() else {
        out.extend_from_slice(b"ERROR\r\n");
        return None;
    };
    let flags = match Flags::read(key, order) {
        Ok(flags) => flags,
        Err(text) => {
            out.extend_from_slice(text.as_bytes());
            return None;
        }
    };
    let changes = flags.exptime.is_some() || flags.vivify.is_some() || flags.recache.is_some();
    let done = if changes { change(cx, session, &flags) } else { Done::default() };
    let asked = out.len();
    let answer = answer(cx, session, &flags, done, out);
    if answer.is_none() {
        out.truncate(asked);
        if !flags.has(b'q') {
            out.extend_from_slice(b"EN");
            repeat(out, &flags);
            out.extend_from_slice(b"\r\n");
        }
    }
    let payload = answer.flatten()?;
    session.owes = b"\r\n";
    Some(Next::Send(payload))
}

/// Changes the item as the flags say, in one step.
fn change(cx: &Context<'_>, session: &mut Session, flags: &Flags<'_>) -> Done {
    let longest = cx.store.peek(flags.key()).map_or(0, |(len, _)| len);
    let done = cx.store.update(NOBODY, flags.key(), longest, &mut session.scratch, |current, _| {
        match current.filter(|current| current.info.state != State::Absent) {
            None => make(cx.store, flags),
            Some(current) => alter(cx.store, flags, current),
        }
    });
    done.map(|(done, _)| done).unwrap_or_default()
}

/// `N` where there is no item: an empty one, which this client is to fill.
fn make<'v>(store: &Store, flags: &Flags<'_>) -> (Change<'v>, Done) {
    let times = Times::of(store, flags, None);
    let (Some(_), Some(until)) = (flags.vivify, times.until) else {
        return (Change::Keep, Done::default());
    };
    let number = item::number(0, flags.key_is_binary()) | TOKEN_SENT;
    let value = NewValue::Given(b"");
    let write = Write { value, until, user: Some(number), ..Write::default() };
    (Change::Store(write), Done { won: true, ttl: Some(times.told) })
}

/// `T`, and `R` where little of the item's time is left.
fn alter<'v>(store: &Store, flags: &Flags<'_>, current: Current<'_>) -> (Change<'v>, Done) {
    let times = Times::of(store, flags, Some(current.info.ttl));
    let left = seconds_left(times.at_recache);
    let few = left >= 0 && flags.recache.is_some_and(|recache| left < recache);
    // Of a stale item the lease decides who is to fetch it.
    let fresh = current.info.state == State::Fresh;
    let won = few && fresh && !item::token_sent(current.info.user);
    let done = Done { won, ttl: times.changed.then_some(times.told) };
    let Some(until) = times.until else { return (Change::Remove, Done::default()) };
    let user = won.then_some(current.info.user | TOKEN_SENT);
    if won || times.changed {
        (Change::Store(Write { until, user, ..Write::default() }), done)
    } else {
        (Change::Keep, done)
    }
}

/// Appends the answer. None: there is no item. The inner one: a value to be sent by itself.
fn answer(
    cx: &Context<'_>,
    session: &mut Session,
    flags: &Flags<'_>,
    done: Done,
    out: &mut Vec<u8>,
) -> Option<Option<Payload>> {
    let key = flags.key();
    let Some((len, info)) = cx.store.peek(key) else {
        // This counts the miss. What has come meanwhile has come too late.
        cx.store.view(key);
        return None;
    };
    if info.state == State::Absent {
        return None;
    }
    if flags.has(b'c') || info.state != State::Fresh {
        return answer_in_full(cx, session, flags, done, out);
    }
    if !flags.has(b'v') {
        head(out, flags, &told(&info, len), done, info.state);
        return Some(None);
    }
    let found = cx.store.get(key, COPIED, out, |out, len, number| {
        let told = Told { number, ..told(&info, len) };
        head(out, flags, &told, done, info.state);
    });
    match found {
        Lent::Miss => None,
        Lent::Value(_) => {
            out.extend_from_slice(b"\r\n");
            Some(None)
        }
        Lent::Longer(_) => {
            let view = cx.store.view(key)?;
            head(out, flags, &told(&info, view.len()), done, info.state);
            Some(Some(Payload::Lent(view)))
        }
    }
}

/// As [`answer`], of an item whose CAS is wanted, or that is stale: who is the first to read it is to
/// fetch it anew.
fn answer_in_full(
    cx: &Context<'_>,
    session: &mut Session,
    flags: &Flags<'_>,
    done: Done,
    out: &mut Vec<u8>,
) -> Option<Option<Payload>> {
    let value = &mut session.value;
    let ask = Ask { version: flags.has(b'c'), lease: true };
    let info = cx.store.get_with(flags.key(), value, ask).ok().flatten()?;
    if info.state == State::Absent {
        value.clear();
        return None;
    }
    head(out, flags, &told(&info, value.len()), done, info.state);
    if !flags.has(b'v') {
        value.clear();
        return Some(None);
    }
    if value.len() > COPIED {
        return Some(Some(Payload::Owned(std::mem::take(value))));
    }
    out.append(value);
    out.extend_from_slice(b"\r\n");
    Some(None)
}

fn told(info: &Info, size: usize) -> Told {
    Told { size, ttl: info.ttl, cas: info.version, number: info.user, was_read: info.hits > 0 }
}

/// The line before the value. `Z`: somebody was told to fetch it; `X`: it is stale; `W`: fetch it.
fn head(out: &mut Vec<u8>, flags: &Flags<'_>, told: &Told, done: Done, state: State) {
    if flags.has(b'v') {
        out.extend_from_slice(b"VA ");
        number::push(out, told.size as u64);
    } else {
        out.extend_from_slice(b"HD");
    }
    let ttl = done.ttl.unwrap_or(told.ttl);
    tell(out, flags, &Told { ttl, ..*told });
    let stale = state != State::Fresh;
    let token = item::token_sent(told.number) && !done.won;
    let taken = token || state == State::Stale && !done.won;
    if taken {
        out.extend_from_slice(b" Z");
    }
    if stale {
        out.extend_from_slice(b" X");
    }
    if done.won || state == State::Refresh && !token {
        out.extend_from_slice(b" W");
    }
    out.extend_from_slice(b"\r\n");
}
