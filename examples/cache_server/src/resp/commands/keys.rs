//! Keys as such: DEL, EXISTS, RENAME, COPY, OBJECT, MEMORY, FLUSHALL and so on.

use super::{ALL, NO_KEY, NONE, ONE, SYNTAX, TWO, Why, line, refusal};
use crate::resp::command::flag::{ALONE, DENYOOM, FAST, READ, WRITE};
use crate::resp::command::{Call, Command};
use crate::resp::glob;
use crate::store::replacing;
use ::larder::{Change, SetOptions, Until};

/// The table.
pub static COMMANDS: [Command; 15] = [
    line("DEL", -2, WRITE, ALL, "generic", "1.0.0", "Deletes keys.", delete),
    line("UNLINK", -2, WRITE | FAST, ALL, "generic", "4.0.0", "The same as DEL.", delete),
    line(
        "EXISTS",
        -2,
        READ | FAST,
        ALL,
        "generic",
        "1.0.0",
        "How many of the keys are there.",
        exists,
    ),
    line("TOUCH", -2, READ | FAST, ALL, "generic", "3.2.1", "Reads keys, tells how many.", touch),
    line("TYPE", 2, READ | FAST, ONE, "generic", "1.0.0", "string or none.", tell_type),
    line("RENAME", 3, WRITE | ALONE, TWO, "generic", "1.0.0", "Gives a value another key.", rename),
    line(
        "RENAMENX",
        3,
        WRITE | FAST | ALONE,
        TWO,
        "generic",
        "1.0.0",
        "RENAME to a free key.",
        renamenx,
    ),
    line("COPY", -3, WRITE | DENYOOM | ALONE, TWO, "generic", "6.2.0", "Copies a value.", copy),
    line("RANDOMKEY", 1, READ, NONE, "generic", "1.0.0", "Some key.", randomkey),
    line("KEYS", 2, READ, NONE, "generic", "1.0.0", "All keys of a pattern.", keys),
    line("DBSIZE", 1, READ | FAST, NONE, "server", "1.0.0", "How many keys there are.", dbsize),
    line("FLUSHALL", -1, WRITE | ALONE, NONE, "server", "1.0.0", "Deletes all.", flush),
    line("FLUSHDB", -1, WRITE | ALONE, NONE, "server", "1.0.0", "Deletes all.", flush),
    line("OBJECT", -2, READ, (2, 2, 1), "generic", "2.2.3", "What is known of a key.", object),
    line("MEMORY", -2, READ, (2, 2, 1), "server", "4.0.0", "Bytes of an entry.", memory),
];

fn delete(call: &mut Call<'_>) {
    let (store, by) = (&call.server.store, call.session.id());
    let deleted = call.args.from(1).filter(|key| store.delete(by, key)).count();
    call.out.integer(deleted as i64);
}

fn exists(call: &mut Call<'_>) {
    let store = &call.server.store;
    let there = call.args.from(1).filter(|key| store.peek(key).is_some()).count();
    call.out.integer(there as i64);
}

fn touch(call: &mut Call<'_>) {
    let mut there = 0;
    for key in call.args.from(1) {
        call.scratch.clear();
        let found = call.server.store.get(key, 0, call.scratch, |_, _, _| {});
        there += i64::from(found != ::larder::Lent::Miss);
    }
    call.out.integer(there);
}

fn tell_type(call: &mut Call<'_>) {
    let there = call.server.store.peek(call.args.at(1)).is_some();
    call.out.status(if there { "string" } else { "none" });
}

/// An entry as it is copied.
struct Copied {
    value: Vec<u8>,
    user: u64,
    deadline: Option<u64>,
}

fn take(call: &mut Call<'_>, key: &[u8], removes: bool) -> Result<Option<Copied>, Why> {
    let mut copied = None;
    let by = call.session.id();
    let update = call.server.store.update(by, key, 0, call.scratch, |current, _| {
        copied = current.map(|current| Copied {
            value: current.value.to_vec(),
            user: current.info.user,
            deadline: current.deadline,
        });
        (if removes && copied.is_some() { Change::Remove } else { Change::Keep }, ())
    });
    update.map_err(refusal)?;
    Ok(copied)
}

fn put(call: &mut Call<'_>, key: &[u8], copied: &Copied) -> Result<(), Why> {
    let options = SetOptions { user: copied.user, ..SetOptions::default() };
    let until = Some(copied.deadline.map_or(Until::Never, Until::At));
    let by = call.session.id();
    let len = copied.value.len();
    call.server
        .store
        .update(by, key, len, call.scratch, |_, _| (replacing(&copied.value, until, &options), ()))
        .map_err(refusal)?;
    Ok(())
}

fn rename(call: &mut Call<'_>) {
    call.answer(|call| {
        move_to(call, false)?;
        call.out.ok();
        Ok(())
    });
}

fn renamenx(call: &mut Call<'_>) {
    call.answer(|call| {
        let moved = move_to(call, true)?;
        call.out.integer(i64::from(moved));
        Ok(())
    });
}

fn move_to(call: &mut Call<'_>, only_free: bool) -> Result<bool, Why> {
    let (from, to) = (call.args.at(1), call.args.at(2));
    if call.server.store.peek(from).is_none() {
        return Err(NO_KEY.into());
    }
    if from == to {
        return Ok(!only_free);
    }
    if only_free && call.server.store.peek(to).is_some() {
        return Ok(false);
    }
    let Some(copied) = take(call, from, false)? else { return Err(NO_KEY.into()) };
    put(call, to, &copied)?;
    call.server.store.delete(call.session.id(), from);
    Ok(true)
}

fn copy(call: &mut Call<'_>) {
    call.answer(|call| {
        let args = call.args;
        let (mut replaces, mut at) = (false, 3);
        while at < args.len() {
            if args.is(at, "REPLACE") {
                replaces = true;
            } else if args.is(at, "DB") && at + 1 < args.len() {
                at += 1;
                if call.integer(at)? != 0 {
                    return Err("ERR DB index is out of range".into());
                }
            } else {
                return Err(SYNTAX.into());
            }
            at += 1;
        }
        let (from, to) = (args.at(1), args.at(2));
        if from == to {
            return Err("ERR source and destination objects are the same".into());
        }
        let free = replaces || call.server.store.peek(to).is_none();
        let copied = if free { take(call, from, false)? } else { None };
        if let Some(copied) = &copied {
            put(call, to, copied)?;
        }
        call.out.integer(i64::from(copied.is_some()));
        Ok(())
    });
}

fn randomkey(call: &mut Call<'_>) {
    let cache = call.server.store.cache();
    let random = ahash::RandomState::new().hash_one(call.args.len());
    let mut found: Option<Vec<u8>> = None;
    // From there to the end, then from the beginning.
    for start in [cache.cursor_at(random).unwrap_or(0), 0] {
        let mut at = Some(start);
        while let (None, Some(cursor)) = (&found, at) {
            at = cache
                .scan(cursor, |key, _| {
                    found.get_or_insert_with(|| key.to_vec());
                })
                .unwrap_or(None);
        }
    }
    super::value(call.out, found.as_deref());
}

fn keys(call: &mut Call<'_>) {
    let (cache, pattern) = (call.server.store.cache(), call.args.at(1));
    let (mut found, mut at) = (Vec::new(), Some(0));
    while let Some(cursor) = at {
        at = cache
            .scan(cursor, |key, _| {
                if glob::matches(pattern, key) {
                    found.push(key.to_vec());
                }
            })
            .unwrap_or(None);
    }
    call.out.array(found.len());
    found.iter().for_each(|key| call.out.bulk(key));
}

fn dbsize(call: &mut Call<'_>) {
    let entries = call.server.store.stats().entries;
    call.out.integer(entries as i64);
}

fn flush(call: &mut Call<'_>) {
    call.answer(|call| {
        let known = call.args.is(1, "SYNC") || call.args.is(1, "ASYNC");
        if call.args.len() > 2 || (call.args.len() == 2 && !known) {
            return Err(SYNTAX.into());
        }
        call.server.store.clear(call.session.id());
        call.out.ok();
        Ok(())
    });
}

const NO_LFU: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
                      Please note that when switching between policies at runtime LRU and LFU data \
                      will take some time to adjust.";

fn object(call: &mut Call<'_>) {
    let args = call.args;
    if args.is(1, "HELP") {
        return help(call, &["OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT key"]);
    }
    let known = ["ENCODING", "FREQ", "IDLETIME", "REFCOUNT"].iter().any(|sub| args.is(1, sub));
    if !known {
        return call.unknown_subcommand();
    }
    if args.len() != 3 {
        let sub = String::from_utf8_lossy(args.at(1)).to_ascii_lowercase();
        return call.wrong_number(&sub);
    }
    let Some((len, _)) = call.server.store.peek(args.at(2)) else { return call.out.null() };
    if args.is(1, "FREQ") {
        return call.refuse(NO_LFU);
    }
    if args.is(1, "ENCODING") {
        call.scratch.clear();
        call.server.store.get(args.at(2), 32, call.scratch, |_, _, _| {});
        let integer = crate::resp::number::integer(call.scratch).is_some();
        let encoding = match len {
            1..=20 if integer => "int",
            0..=44 => "embstr",
            _ => "raw",
        };
        return call.out.bulk(encoding.as_bytes());
    }
    // The cache keeps no times of reads.
    call.out.integer(i64::from(args.is(1, "REFCOUNT")));
}

fn memory(call: &mut Call<'_>) {
    let args = call.args;
    if args.is(1, "HELP") {
        return help(call, &["MEMORY USAGE key [SAMPLES count]", "MEMORY DOCTOR"]);
    }
    if args.is(1, "DOCTOR") {
        return call.out.text("Sam, I have no memory problems: the budget holds.\n");
    }
    if args.is(1, "PURGE") {
        return call.out.ok();
    }
    if !args.is(1, "USAGE") {
        return call.unknown_subcommand();
    }
    if args.len() < 3 {
        return call.wrong_number("usage");
    }
    match call.server.store.peek(args.at(2)) {
        // Header and index slot, deadline, and what is stored.
        Some((len, info)) => {
            let deadline = if info.ttl.is_some() { 8 } else { 0 };
            let bytes = (8 + deadline + args.at(2).len() + len).next_multiple_of(8) + 8;
            call.out.integer(bytes as i64);
        }
        None => call.out.null(),
    }
}

/// Answers what the subcommands are.
pub fn help(call: &mut Call<'_>, lines: &[&str]) {
    let name = call.command.name;
    call.out.array(lines.len() + 1);
    call.out.status(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| call.out.status(line));
}
