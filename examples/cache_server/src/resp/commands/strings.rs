//! Single values: GET, SET and what belongs to them.

use super::condition::Condition;
use super::options::{Said, Unit, expiry};
use super::{MAX_STRING, NOT_AN_INTEGER, ONE, OOM, SYNTAX, TOO_LONG, Why, line, refusal, value};
use crate::resp::command::flag::{DENYOOM, FAST, READ, WRITE};
use crate::resp::command::{Call, Command};
use crate::resp::number;
use crate::store::{Expiry, replacing};
use ::larder::{Change, NewValue, SetOptions, Until, Write};

const W: u16 = WRITE | DENYOOM;

/// The table.
pub static COMMANDS: [Command; 13] = [
    line("GET", 2, READ | FAST, ONE, "string", "1.0.0", "The value of a key.", get),
    line("SET", -3, W, ONE, "string", "1.0.0", "Stores a value, on conditions.", set),
    line("SETEX", 4, W, ONE, "string", "2.0.0", "Stores a value for some seconds.", setex),
    line("PSETEX", 4, W, ONE, "string", "2.6.0", "Stores a value for some milliseconds.", psetex),
    line("SETNX", 3, W | FAST, ONE, "string", "1.0.0", "Stores a value if there is none.", setnx),
    line("GETSET", 3, W | FAST, ONE, "string", "1.0.0", "Stores a value, tells the old.", getset),
    line(
        "GETDEL",
        2,
        WRITE | FAST,
        ONE,
        "string",
        "6.2.0",
        "Removes a key, tells its value.",
        getdel,
    ),
    line("GETEX", -2, WRITE | FAST, ONE, "string", "6.2.0", "A value; changes its expiry.", getex),
    line("APPEND", 3, W | FAST, ONE, "string", "2.0.0", "Puts bytes behind a value.", append),
    line("STRLEN", 2, READ | FAST, ONE, "string", "2.2.0", "The length of a value.", strlen),
    line("GETRANGE", 4, READ, ONE, "string", "2.4.0", "A part of a value.", getrange),
    line("SUBSTR", 4, READ, ONE, "string", "1.0.0", "The same as GETRANGE.", getrange),
    line("SETRANGE", 4, W, ONE, "string", "2.2.0", "Overwrites a part of a value.", setrange),
];

fn get(call: &mut Call<'_>) {
    call.value_of(call.args.at(1));
}

fn set(call: &mut Call<'_>) {
    let args = call.args;
    let plain = match args.len() {
        3 => Some(Expiry::Never),
        5 if args.is(3, "EX") || args.is(3, "PX") => {
            let unit = if args.is(3, "EX") { Unit::Ex } else { Unit::Px };
            number::integer(args.at(4)).and_then(|n| expiry(call, unit, n).ok())
        }
        _ => None,
    };
    match plain {
        Some(expiry) => {
            match call.server.store.set(call.session.id(), args.at(1), args.at(2), expiry, 0) {
                Ok(()) => call.out.ok(),
                Err(error) => call.refuse(refusal(error)),
            }
        }
        None => call.answer(set_with_options),
    }
}

/// What SET was told.
struct Setting<'a> {
    condition: Condition<'a>,
    said: Said<'a>,
    tells_old: bool,
}

fn set_with_options(call: &mut Call<'_>) -> Result<(), Why> {
    let args = call.args;
    let (mut condition, mut said, mut tells_old) = (Condition::Always, Said::Nothing, false);
    let mut at = 3;
    while at < args.len() {
        let used = said.take(args, at, &[Said::Keep])?;
        let used = if used > 0 { used } else { condition.take(args, at)? };
        if used == 0 && args.is(at, "GET") {
            tells_old = true;
            at += 1;
        } else if used == 0 {
            return Err(SYNTAX.into());
        }
        at += used;
    }
    let (stored, old) = store_if(call, &Setting { condition, said, tells_old })?;
    if tells_old {
        value(call.out, old.as_deref());
    } else if stored {
        call.out.ok();
    } else {
        call.out.null();
    }
    Ok(())
}

/// Stores as it was told. Whether it did, and the old value if that is to be told.
fn store_if(call: &mut Call<'_>, setting: &Setting<'_>) -> Result<(bool, Option<Vec<u8>>), Why> {
    let (key, new) = (call.args.at(1), call.args.at(2));
    let (until, plain) = (until(call, &setting.said)?, SetOptions::default());
    let mut old = None;
    let (stored, _) = call
        .server
        .store
        .update(call.session.id(), key, new.len(), call.scratch, |current, _| {
            let now = current.map(|current| current.value);
            if setting.tells_old {
                old = now.map(<[u8]>::to_vec);
            }
            let stores = setting.condition.holds(now);
            (if stores { replacing(new, until, &plain) } else { Change::Keep }, stores)
        })
        .map_err(refusal)?;
    Ok((stored, old))
}

/// Until when an entry is to be kept. `None`: it is gone at once.
pub fn until(call: &Call<'_>, said: &Said<'_>) -> Result<Option<Until>, Why> {
    Ok(match said {
        Said::Nothing | Said::Persist => Some(Until::Never),
        Said::Keep => Some(Until::Same),
        Said::At(..) => match said.expiry(call)? {
            Some(expiry) => call.server.store.until(expiry),
            None => Some(Until::Never),
        },
    })
}

fn setex(call: &mut Call<'_>) {
    set_for(call, Unit::Ex);
}

fn psetex(call: &mut Call<'_>) {
    set_for(call, Unit::Px);
}

fn set_for(call: &mut Call<'_>, unit: Unit) {
    call.answer(|call| {
        let expiry = expiry(call, unit, call.integer(2)?)?;
        let (key, value) = (call.args.at(1), call.args.at(3));
        call.server.store.set(call.session.id(), key, value, expiry, 0).map_err(refusal)?;
        call.out.ok();
        Ok(())
    });
}

fn setnx(call: &mut Call<'_>) {
    call.answer(|call| {
        let setting =
            Setting { condition: Condition::Absent, said: Said::Nothing, tells_old: false };
        let (stored, _) = store_if(call, &setting)?;
        call.out.integer(i64::from(stored));
        Ok(())
    });
}

fn getset(call: &mut Call<'_>) {
    call.answer(|call| {
        let setting =
            Setting { condition: Condition::Always, said: Said::Nothing, tells_old: true };
        let (_, old) = store_if(call, &setting)?;
        value(call.out, old.as_deref());
        Ok(())
    });
}

fn getdel(call: &mut Call<'_>) {
    call.answer(|call| {
        let mut old = None;
        call.server
            .store
            .update(call.session.id(), call.args.at(1), 0, call.scratch, |current, _| {
                old = current.map(|current| current.value.to_vec());
                (if old.is_some() { Change::Remove } else { Change::Keep }, ())
            })
            .map_err(refusal)?;
        value(call.out, old.as_deref());
        Ok(())
    });
}

fn getex(call: &mut Call<'_>) {
    call.answer(|call| {
        let args = call.args;
        let (mut said, mut at) = (Said::Nothing, 2);
        while at < args.len() {
            match said.take(args, at, &[Said::Persist])? {
                0 => return Err(SYNTAX.into()),
                used => at += used,
            }
        }
        if said == Said::Nothing {
            call.value_of(args.at(1));
            return Ok(());
        }
        let (until, longest, mut old) = (until(call, &said)?, call.length(args.at(1)), None);
        call.server
            .store
            .update(call.session.id(), args.at(1), longest, call.scratch, |current, _| {
                old = current.map(|current| current.value.to_vec());
                let change = match (&old, until) {
                    (None, _) => Change::Keep,
                    (Some(_), None) => Change::Remove,
                    (Some(_), Some(Until::Never))
                        if current.is_some_and(|c| c.deadline.is_none()) =>
                    {
                        Change::Keep
                    }
                    (Some(_), Some(until)) => Change::Store(Write { until, ..Write::default() }),
                };
                (change, ())
            })
            .map_err(refusal)?;
        value(call.out, old.as_deref());
        Ok(())
    });
}

/// What [`rebuilt`] came to.
enum Rebuilt {
    /// It is so long now.
    Length(usize),
    /// It would be too long.
    TooLong,
    /// The value that is there is longer than it was a moment ago.
    Longer(usize),
}

/// Changes the bytes of a value, and answers its new length.
fn rebuild(call: &mut Call<'_>, grows: usize, f: impl Fn(&mut Vec<u8>)) -> Result<(), Why> {
    let key = call.args.at(1);
    let mut longest = call.server.store.peek(key).map_or(0, |(len, _)| len).saturating_add(grows);
    loop {
        let (rebuilt, _) = call
            .server
            .store
            .update(call.session.id(), key, longest, call.scratch, |current, built| {
                let old = current.map_or(&[][..], |current| current.value);
                if old.len().saturating_add(grows) > MAX_STRING {
                    return (Change::Keep, Rebuilt::TooLong);
                }
                built.extend_from_slice(old);
                f(built);
                if built.len() > longest {
                    return (Change::Keep, Rebuilt::Longer(old.len()));
                }
                let write = Write { value: NewValue::Built, ..Write::default() };
                (Change::Store(write), Rebuilt::Length(built.len()))
            })
            .map_err(refusal)?;
        match rebuilt {
            Rebuilt::Length(len) => {
                call.out.integer(len as i64);
                return Ok(());
            }
            Rebuilt::TooLong => return Err(TOO_LONG.into()),
            Rebuilt::Longer(len) => longest = len.saturating_add(grows),
        }
    }
}

fn append(call: &mut Call<'_>) {
    call.answer(|call| {
        let more = call.args.at(2);
        rebuild(call, more.len(), |value| value.extend_from_slice(more))
    });
}

fn setrange(call: &mut Call<'_>) {
    call.answer(|call| {
        let (offset, part) = (call.integer(2)?, call.args.at(3));
        let Ok(offset) = usize::try_from(offset) else {
            return Err("ERR offset is out of range".into());
        };
        if part.is_empty() {
            let len = call.server.store.peek(call.args.at(1)).map_or(0, |(len, _)| len);
            call.out.integer(len as i64);
            return Ok(());
        }
        let end = offset.saturating_add(part.len());
        if end > MAX_STRING {
            return Err(TOO_LONG.into());
        }
        if end as u64 > call.server.store.stats().max_bytes / 4 {
            return Err(OOM.into());
        }
        rebuild(call, end, |value| {
            if value.len() < end {
                value.resize(end, 0);
            }
            value[offset..end].copy_from_slice(part);
        })
    });
}

fn strlen(call: &mut Call<'_>) {
    let len = call.server.store.peek(call.args.at(1)).map_or(0, |(len, _)| len);
    call.out.integer(len as i64);
}

fn getrange(call: &mut Call<'_>) {
    call.answer(|call| {
        let (first, last) = (call.integer(2)?, call.integer(3)?);
        call.scratch.clear();
        call.server.store.get(call.args.at(1), usize::MAX, call.scratch, |_, _, _| {});
        let len = call.scratch.len() as i64;
        let place = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
        let (from, to) = (place(first), place(last).min(len - 1));
        if (first < 0 && last < 0 && first > last) || len == 0 || from > to {
            call.out.bulk(b"");
        } else {
            call.out.bulk(&call.scratch[from as usize..=to as usize]);
        }
        Ok(())
    });
}

/// A number of an argument; for those that say it as an option.
pub fn whole(text: &[u8]) -> Result<i64, Why> {
    number::integer(text).ok_or_else(|| NOT_AN_INTEGER.into())
}
