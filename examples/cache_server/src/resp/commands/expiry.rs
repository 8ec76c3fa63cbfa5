//! When keys expire: EXPIRE and its kin, TTL and its kin, PERSIST.

use super::options::Unit;
use super::{ONE, Why, line, refusal};
use crate::resp::command::flag::{FAST, READ, WRITE};
use crate::resp::command::{Call, Command};
use crate::store::Expiry;
use ::larder::{Change, Until, Write};

const W: u16 = WRITE | FAST;
const R: u16 = READ | FAST;

/// The table.
pub static COMMANDS: [Command; 9] = [
    line("EXPIRE", -3, W, ONE, "generic", "1.0.0", "A key lives for some seconds.", expire),
    line("PEXPIRE", -3, W, ONE, "generic", "2.6.0", "A key lives for some milliseconds.", pexpire),
    line("EXPIREAT", -3, W, ONE, "generic", "1.2.0", "A key lives until then.", expireat),
    line("PEXPIREAT", -3, W, ONE, "generic", "2.6.0", "The same in milliseconds.", pexpireat),
    line("TTL", 2, R, ONE, "generic", "1.0.0", "Seconds that are left.", ttl),
    line("PTTL", 2, R, ONE, "generic", "2.6.0", "Milliseconds that are left.", pttl),
    line("EXPIRETIME", 2, R, ONE, "generic", "7.0.0", "When a key expires.", expiretime),
    line("PEXPIRETIME", 2, R, ONE, "generic", "7.0.0", "The same in milliseconds.", pexpiretime),
    line("PERSIST", 2, W, ONE, "generic", "2.2.0", "A key doesn't expire any more.", persist),
];

fn expire(call: &mut Call<'_>) {
    call.answer(|call| set(call, Unit::Ex));
}

fn pexpire(call: &mut Call<'_>) {
    call.answer(|call| set(call, Unit::Px));
}

fn expireat(call: &mut Call<'_>) {
    call.answer(|call| set(call, Unit::ExAt));
}

fn pexpireat(call: &mut Call<'_>) {
    call.answer(|call| set(call, Unit::PxAt));
}

/// NX, XX, GT, LT.
#[derive(Clone, Copy, Default)]
struct Only {
    none: bool,
    some: bool,
    later: bool,
    sooner: bool,
}

impl Only {
    fn parse(call: &Call<'_>) -> Result<Only, Why> {
        let mut only = Only::default();
        for word in call.args.from(3) {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => only.none = true,
                b"XX" => only.some = true,
                b"GT" => only.later = true,
                b"LT" => only.sooner = true,
                _ => {
                    let word = String::from_utf8_lossy(&word[..word.len().min(128)]);
                    return Err(format!("ERR Unsupported option {word}").into());
                }
            }
        }
        if only.none && (only.some || only.later || only.sooner) {
            return Err(
                "ERR NX and XX, GT or LT options at the same time are not compatible".into()
            );
        }
        if only.later && only.sooner {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(only)
    }

    /// Whether a deadline may be put in the place of another; `None` is never.
    fn allows(self, old: Option<i64>, new: i64) -> bool {
        !(self.none && old.is_some()
            || self.some && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.sooner && old.is_some_and(|old| new >= old))
    }
}

fn set(call: &mut Call<'_>, unit: Unit) -> Result<(), Why> {
    let only = Only::parse(call)?;
    let number = call.integer(2)?;
    let moment = unit.moment(number, call.server.store.now());
    let Some(moment) = moment else {
        let name = call.command.name.to_ascii_lowercase();
        return Err(format!("ERR invalid expire time in '{name}' command").into());
    };
    let store = &call.server.store;
    let until = store.until(Expiry::At(moment));
    let (key, longest) = (call.args.at(1), call.length(call.args.at(1)));
    let (done, _) = store
        .update(call.session.id(), key, longest, call.scratch, |current, _| {
            let Some(current) = current else { return (Change::Keep, false) };
            if !only.allows(current.deadline.map(|deadline| store.wall(deadline)), moment) {
                return (Change::Keep, false);
            }
            match until {
                None => (Change::Remove, true),
                Some(until) => (Change::Store(Write { until, ..Write::default() }), true),
            }
        })
        .map_err(refusal)?;
    call.out.integer(i64::from(done));
    Ok(())
}

fn persist(call: &mut Call<'_>) {
    call.answer(|call| {
        let (key, longest) = (call.args.at(1), call.length(call.args.at(1)));
        let (done, _) = call
            .server
            .store
            .update(call.session.id(), key, longest, call.scratch, |current, _| {
                if current.is_none_or(|current| current.deadline.is_none()) {
                    return (Change::Keep, false);
                }
                (Change::Store(Write { until: Until::Never, ..Write::default() }), true)
            })
            .map_err(refusal)?;
        call.out.integer(i64::from(done));
        Ok(())
    });
}

/// Milliseconds that are left: -1 for ever, -2 no key.
fn left(call: &Call<'_>) -> i64 {
    match call.server.store.peek(call.args.at(1)) {
        None => -2,
        Some((_, info)) => info.ttl.map_or(-1, |millis| i64::try_from(millis).unwrap_or(i64::MAX)),
    }
}

fn pttl(call: &mut Call<'_>) {
    let left = left(call);
    call.out.integer(left);
}

fn ttl(call: &mut Call<'_>) {
    let left = left(call);
    call.out.integer(if left < 0 { left } else { left.saturating_add(500) / 1000 });
}

fn pexpiretime(call: &mut Call<'_>) {
    call.answer(|call| {
        let moment = moment(call)?;
        call.out.integer(moment);
        Ok(())
    });
}

fn expiretime(call: &mut Call<'_>) {
    call.answer(|call| {
        let moment = moment(call)?;
        call.out.integer(if moment < 0 { moment } else { moment.saturating_add(500) / 1000 });
        Ok(())
    });
}

/// When the key expires, in milliseconds since 1970: -1 never, -2 no key.
fn moment(call: &mut Call<'_>) -> Result<i64, Why> {
    let store = &call.server.store;
    let (moment, _) = store
        .update(call.session.id(), call.args.at(1), 0, call.scratch, |current, _| {
            let moment = current
                .map_or(-2, |current| current.deadline.map_or(-1, |deadline| store.wall(deadline)));
            (Change::Keep, moment)
        })
        .map_err(refusal)?;
    Ok(moment)
}
