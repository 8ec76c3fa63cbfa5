//! Several keys in one step: MGET, MSET, MSETNX, MSETEX.

use super::condition::Condition;
use super::options::Said;
use super::strings::{until, whole};
use super::{ALL, OOM, PAIRS, SYNTAX, Why, line, refusal};
use crate::resp::command::flag::{ALONE, DENYOOM, FAST, READ, WRITE};
use crate::resp::command::{Call, Command};
use crate::store::replacing;
use ::larder::{SetOptions, Until};

const W: u16 = WRITE | DENYOOM | ALONE;

/// The table.
pub static COMMANDS: [Command; 4] = [
    line("MGET", -2, READ | FAST, ALL, "string", "1.0.0", "The values of some keys.", mget),
    line("MSET", -3, W, PAIRS, "string", "1.0.1", "Stores some values.", mset),
    line("MSETNX", -3, W, PAIRS, "string", "1.0.1", "Stores some values if none is there.", msetnx),
    // Its keys are found by Command::key_places.
    line(
        "MSETEX",
        -4,
        W,
        (2, -1, 2),
        "string",
        "8.4.0",
        "Stores some values, on conditions.",
        msetex,
    ),
];

fn mget(call: &mut Call<'_>) {
    call.out.array(call.args.len() - 1);
    for key in call.args.from(1) {
        call.value_of(key);
    }
}

fn mset(call: &mut Call<'_>) {
    call.answer(|call| {
        let pairs = pairs(call, 1, call.args.len())?;
        store(call, &pairs, Some(Until::Never))?;
        call.out.ok();
        Ok(())
    });
}

fn msetnx(call: &mut Call<'_>) {
    call.answer(|call| {
        let pairs = pairs(call, 1, call.args.len())?;
        let free = pairs.iter().all(|(key, _)| call.server.store.peek(key).is_none());
        if free {
            store(call, &pairs, Some(Until::Never))?;
        }
        call.out.integer(i64::from(free));
        Ok(())
    });
}

fn msetex(call: &mut Call<'_>) {
    call.answer(|call| {
        let args = call.args;
        let count = whole(args.at(1))?;
        let room = (args.len() - 2) / 2;
        let Some(count) = usize::try_from(count).ok().filter(|&count| count > 0) else {
            return Err("ERR invalid numkeys value".into());
        };
        if count > room {
            return Err("ERR wrong number of key-value pairs".into());
        }
        let end = 2 + 2 * count;
        let (mut said, mut condition, mut at) = (Said::Nothing, Condition::Always, end);
        while at < args.len() {
            let used = said.take(args, at, &[Said::Keep])?;
            let used = if used > 0 { used } else { condition.take(args, at)? };
            if used == 0 {
                return Err(SYNTAX.into());
            }
            at += used;
        }
        if !matches!(condition, Condition::Always | Condition::Absent | Condition::Present) {
            return Err(SYNTAX.into());
        }
        let pairs = pairs(call, 2, end)?;
        let until = until(call, &said)?;
        let holds = pairs.iter().all(|(key, _)| match condition {
            Condition::Absent => call.server.store.peek(key).is_none(),
            Condition::Present => call.server.store.peek(key).is_some(),
            _ => true,
        });
        if holds {
            store(call, &pairs, until)?;
        }
        call.out.integer(i64::from(holds));
        Ok(())
    });
}

type Pairs<'c> = Vec<(&'c [u8], &'c [u8])>;

/// Keys and values, all of which can be stored: so that it is all or none of them.
fn pairs<'c>(call: &Call<'c>, first: usize, end: usize) -> Result<Pairs<'c>, Why> {
    if (end - first) % 2 == 1 {
        let name = call.command.name.to_ascii_lowercase();
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    let args = call.args;
    let pairs: Pairs<'c> =
        (first..end).step_by(2).map(|at| (args.at(at), args.at(at + 1))).collect();
    let longest = call.server.live().longest_value();
    if pairs.iter().any(|(key, value)| key.len() >= 1 << 16 || value.len() > longest) {
        return Err(OOM.into());
    }
    Ok(pairs)
}

fn store(call: &mut Call<'_>, pairs: &Pairs<'_>, until: Option<Until>) -> Result<(), Why> {
    let plain = SetOptions::default();
    for &(key, value) in pairs {
        call.server
            .store
            .update(call.session.id(), key, value.len(), call.scratch, |_, _| {
                (replacing(value, until, &plain), ())
            })
            .map_err(refusal)?;
    }
    Ok(())
}
