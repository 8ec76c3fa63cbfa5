//! What no other server has: tags, invalidation by tag, values that may be served stale while one
//! client fetches them anew.
//!
//! ```text
//! LARDER.SET key value [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] [STALE ms] [TAGS n tag ...]
//! LARDER.GET key                     value, "fresh" | "stale" | "refresh", milliseconds left or -1
//! LARDER.TAG key tag [tag ...]       1, or 0 if the key isn't there
//! LARDER.INVALIDATE [HARD | SOFT] tag [tag ...]
//! ```
//!
//! `refresh` is told to one client: it is to store a new value; all others get `stale` until then.

use super::options::Said;
use super::strings::until;
use super::{NONE, ONE, SYNTAX, line, refusal};
use crate::resp::command::flag::{DENYOOM, FAST, READ, WRITE};
use crate::resp::command::{Call, Command};
use crate::store::replacing;
use ::larder::{Ask, Change, SetOptions, State, Until, Write};
use std::time::Duration;

/// The table.
pub static COMMANDS: [Command; 4] = [
    line(
        "LARDER.SET",
        -3,
        WRITE | DENYOOM,
        ONE,
        "larder",
        "0.1.0",
        "SET with tags and staleness.",
        set,
    ),
    line(
        "LARDER.GET",
        2,
        READ | FAST,
        ONE,
        "larder",
        "0.1.0",
        "A value, and how fresh it is.",
        get,
    ),
    line("LARDER.TAG", -3, WRITE | DENYOOM, ONE, "larder", "0.1.0", "Gives a key tags.", tag),
    line(
        "LARDER.INVALIDATE",
        -2,
        WRITE | FAST,
        NONE,
        "larder",
        "0.1.0",
        "Invalidates by tag.",
        invalidate,
    ),
];

fn set(call: &mut Call<'_>) {
    call.answer(|call| {
        let args = call.args;
        let (mut said, mut stale_after, mut tags, mut at) = (Said::Nothing, None, Vec::new(), 3);
        while at < args.len() {
            let used = said.take(args, at, &[Said::Keep])?;
            if used > 0 {
                at += used;
            } else if args.is(at, "STALE") && at + 1 < args.len() {
                let millis = u64::try_from(call.integer(at + 1)?).map_err(|_| SYNTAX)?;
                stale_after = Some(Duration::from_millis(millis));
                at += 2;
            } else if args.is(at, "TAGS") && at + 1 < args.len() {
                let count = usize::try_from(call.integer(at + 1)?).map_err(|_| SYNTAX)?;
                if count > args.len() - at - 2 {
                    return Err(SYNTAX.into());
                }
                tags.extend((at + 2..at + 2 + count).map(|place| args.at(place)));
                at += 2 + count;
            } else {
                return Err(SYNTAX.into());
            }
        }
        let (key, value) = (args.at(1), args.at(2));
        let until = until(call, &said)?;
        let options = SetOptions { stale_after, tags: &tags, ..SetOptions::default() };
        let by = call.session.id();
        call.server
            .store
            .update(by, key, value.len(), call.scratch, |_, _| {
                (replacing(value, until, &options), ())
            })
            .map_err(refusal)?;
        call.out.ok();
        Ok(())
    });
}

fn get(call: &mut Call<'_>) {
    call.answer(|call| {
        call.scratch.clear();
        let ask = Ask { lease: true, ..Ask::default() };
        let found =
            call.server.store.get_with(call.args.at(1), call.scratch, ask).map_err(refusal)?;
        let Some(info) = found.filter(|info| info.state != State::Absent) else {
            call.out.null_array();
            return Ok(());
        };
        call.out.array(3);
        call.out.bulk(call.scratch);
        call.out.bulk(match info.state {
            State::Stale => b"stale",
            State::Refresh => b"refresh",
            _ => b"fresh",
        });
        call.out.integer(info.ttl.map_or(-1, |millis| i64::try_from(millis).unwrap_or(i64::MAX)));
        Ok(())
    });
}

fn tag(call: &mut Call<'_>) {
    call.answer(|call| {
        let tags: Vec<&[u8]> = call.args.from(2).collect();
        let key = call.args.at(1);
        let longest = call.length(key);
        let options = SetOptions { tags: &tags, ..SetOptions::default() };
        let (tagged, _) = call
            .server
            .store
            .update(call.session.id(), key, longest, call.scratch, |current, _| {
                let Some(current) = current else { return (Change::Keep, false) };
                let write = Write {
                    until: Until::Same,
                    options: Some(&options),
                    user: Some(current.info.user),
                    ..Write::default()
                };
                (Change::Store(write), true)
            })
            .map_err(refusal)?;
        call.out.integer(i64::from(tagged));
        Ok(())
    });
}

fn invalidate(call: &mut Call<'_>) {
    call.answer(|call| {
        let args = call.args;
        let soft = args.is(1, "SOFT");
        let first = if soft || args.is(1, "HARD") { 2 } else { 1 };
        if args.len() == first {
            return Err("ERR wrong number of arguments for 'larder.invalidate' command".into());
        }
        for tag in args.from(first) {
            call.server.store.invalidate(call.session.id(), tag, soft).map_err(refusal)?;
        }
        call.out.ok();
        Ok(())
    });
}
