//! `ma`: counters.

use super::flags::Flags;
use super::times::Times;
use super::{Told, begin, repeat, tell};
use crate::memcached::classic::{Counted, NOT_A_NUMBER, counter_room, stepped, write_counter};
use crate::memcached::item;
use crate::memcached::number;
use crate::memcached::session::{Context, Session};
use crate::memcached::storage::why;
use crate::store::{NOBODY, Store};
use larder::{Change, Current, Info, NewValue, State, Write};

pub(in crate::memcached) fn arithmetic(
    cx: &Context<'_>,
    session: &mut Session,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) {
    let Some(flags) = begin(words, out) else { return };
    let up = match flags.mode {
        None | Some(b'I' | b'+') => true,
        Some(b'D' | b'-') => false,
        Some(_) => {
            return out.extend_from_slice(b"CLIENT_ERROR invalid mode for ma M token\r\n");
        }
    };
    let store = cx.store;
    let (room, scratch) = (counter_room(store, flags.key()), &mut session.scratch);
    let done = cx.store.update(NOBODY, flags.key(), room, scratch, |current, built| match current
        .filter(|current| current.info.state != State::Absent)
    {
        None => make(store, &flags, built),
        Some(current) => step(store, &flags, up, current, built),
    });
    match done {
        // Of a counter that was made, memcached tells even so.
        Ok((Done { counted: Counted::Now(_), info: Some(_), .. }, _)) if flags.has(b'q') => {}
        Ok((Done { counted: Counted::Now(number), width, info, ttl }, cas)) => {
            let number_of = info.map_or(item::number(0, flags.key_is_binary()), |info| info.user);
            let told = Told { size: width, ttl, cas, number: number_of, was_read: false };
            answer(out, &flags, &told, number);
        }
        Ok((Done { counted, .. }, _)) => {
            out.extend_from_slice(match counted {
                Counted::Other => b"EX",
                Counted::NotANumber => return out.extend_from_slice(NOT_A_NUMBER),
                _ => b"NF",
            });
            repeat(out, &flags);
            out.extend_from_slice(b"\r\n");
        }
        Err(error) => out.extend_from_slice(why(error)),
    }
}

struct Done {
    counted: Counted,
    /// Bytes of the value.
    width: usize,
    /// Of the item that was there.
    info: Option<Info>,
    /// What is left of its time where `t` stands.
    ttl: Option<u64>,
}

impl Done {
    fn not(counted: Counted) -> Done {
        Done { counted, width: 0, info: None, ttl: None }
    }
}

/// `N`: there is none, so it begins with `J`.
fn make<'v>(store: &Store, flags: &Flags<'_>, built: &mut Vec<u8>) -> (Change<'v>, Done) {
    if flags.vivify.is_none() {
        return (Change::Keep, Done::not(Counted::Missing));
    }
    number::push(built, flags.initial);
    let times = Times::of(store, flags, None);
    let counted = Counted::Now(flags.initial);
    let done = Done { counted, width: built.len(), info: None, ttl: times.told };
    let Some(until) = times.until else { return (Change::Keep, done) };
    let user = Some(item::number(0, flags.key_is_binary()));
    let versioned = flags.has(b'c');
    let write = Write { value: NewValue::Built, until, user, versioned, ..Write::default() };
    (Change::Store(write), done)
}

fn step<'v>(
    store: &Store,
    flags: &Flags<'_>,
    up: bool,
    current: Current<'_>,
    built: &mut Vec<u8>,
) -> (Change<'v>, Done) {
    if flags.cas.is_some_and(|cas| cas != 0 && cas != current.info.version) {
        return (Change::Keep, Done::not(Counted::Other));
    }
    let Some(number) = number::counter(current.value) else {
        return (Change::Keep, Done::not(Counted::NotANumber));
    };
    let number = stepped(number, up, flags.delta);
    write_counter(built, number, current.value.len());
    let times = Times::of(store, flags, Some(current.info.ttl));
    let (counted, info) = (Counted::Now(number), Some(current.info));
    let done = Done { counted, width: built.len(), info, ttl: times.told };
    let Some(until) = times.until else { return (Change::Remove, done) };
    let versioned = flags.has(b'c');
    let write = Write { value: NewValue::Built, until, versioned, ..Write::default() };
    (Change::Store(write), done)
}

fn answer(out: &mut Vec<u8>, flags: &Flags<'_>, told: &Told, number: u64) {
    let mut digits = Vec::with_capacity(20);
    let value = flags.has(b'v');
    if value {
        number::push(&mut digits, number);
        out.extend_from_slice(b"VA ");
        number::push(out, digits.len() as u64);
    } else {
        out.extend_from_slice(b"HD");
    }
    tell(out, flags, told);
    out.extend_from_slice(b"\r\n");
    if value {
        out.extend_from_slice(&digits);
        out.extend_from_slice(b"\r\n");
    }
}
