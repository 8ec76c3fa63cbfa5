//! SCAN: all keys, a page at a time.

use super::{NONE, SYNTAX, Why, line};
use crate::resp::command::flag::READ;
use crate::resp::command::{Call, Command};
use crate::resp::{glob, number};

/// The table.
pub static COMMANDS: [Command; 1] =
    [line("SCAN", -2, READ, NONE, "generic", "2.8.0", "Goes through the keys.", scan)];

/// Steps of the cursor for one page at most, for each key asked for.
const STEPS: usize = 10;

struct Wanted<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    strings: bool,
}

fn scan(call: &mut Call<'_>) {
    call.answer(|call| {
        let cursor = std::str::from_utf8(call.args.at(1)).ok().and_then(|text| text.parse().ok());
        let Some(cursor) = cursor else { return Err("ERR invalid cursor".into()) };
        let wanted = parse(call)?;
        let (next, keys) = page(call, cursor, &wanted);
        call.out.array(2);
        let mut text = Vec::new();
        number::write_unsigned(&mut text, next);
        call.out.bulk(&text);
        call.out.array(keys.len());
        keys.iter().for_each(|key| call.out.bulk(key));
        Ok(())
    });
}

fn parse<'c>(call: &Call<'c>) -> Result<Wanted<'c>, Why> {
    let args = call.args;
    let mut wanted = Wanted { pattern: None, count: 10, strings: true };
    let mut at = 2;
    while at < args.len() {
        let Some(value) = args.get(at + 1) else { return Err(SYNTAX.into()) };
        if args.is(at, "MATCH") {
            wanted.pattern = (value != b"*").then_some(value);
        } else if args.is(at, "COUNT") {
            let count = usize::try_from(call.integer(at + 1)?).ok().filter(|&count| count > 0);
            wanted.count = count.ok_or(SYNTAX)?;
        } else if args.is(at, "TYPE") {
            wanted.strings = value.eq_ignore_ascii_case(b"string");
        } else {
            return Err(SYNTAX.into());
        }
        at += 2;
    }
    Ok(wanted)
}

/// The next cursor, 0 at the end, and the keys up to it.
fn page(call: &Call<'_>, cursor: u64, wanted: &Wanted<'_>) -> (u64, Vec<Vec<u8>>) {
    let cache = call.server.store.cache();
    let (mut at, mut seen, mut keys) = (cursor, 0, Vec::new());
    for _ in 0..wanted.count.saturating_mul(STEPS) {
        let next = cache.scan(at, |key, _| {
            seen += 1;
            if wanted.strings && wanted.pattern.is_none_or(|pattern| glob::matches(pattern, key)) {
                keys.push(key.to_vec());
            }
        });
        match next {
            Ok(Some(next)) => at = next,
            _ => return (0, keys),
        }
        if seen >= wanted.count {
            break;
        }
    }
    (at, keys)
}
