//! The commands, by family. Each file has its table and its functions; [`FAMILIES`] is all of them.

mod client;
mod condition;
mod config;
mod connection;
mod counters;
mod digest;
mod docs;
mod expiry;
mod info;
mod keys;
mod larder;
mod many;
mod options;
mod scan;
mod server;
mod strings;
mod subscribe;
mod tracking;
mod transactions;

use super::command::{Call, Command};
use super::execute::OOM;
use super::output::{LEND_FROM, Output, header};
use ::larder::{Error, Lent};
use std::borrow::Cow;

/// All commands.
pub static FAMILIES: [&[Command]; 13] = [
    &strings::COMMANDS,
    &counters::COMMANDS,
    &digest::COMMANDS,
    &many::COMMANDS,
    &keys::COMMANDS,
    &expiry::COMMANDS,
    &scan::COMMANDS,
    &transactions::COMMANDS,
    &connection::COMMANDS,
    &client::COMMANDS,
    &server::COMMANDS,
    &subscribe::COMMANDS,
    &larder::COMMANDS,
];

/// A line of a family's table.
#[expect(clippy::too_many_arguments, reason = "a table's columns")]
const fn line(
    name: &'static str,
    arity: i32,
    flags: u16,
    keys: (i32, i32, i32),
    group: &'static str,
    since: &'static str,
    summary: &'static str,
    run: fn(&mut Call<'_>),
) -> Command {
    Command { name, arity, flags, keys, group, since, summary, run }
}

/// One key, behind the name.
const ONE: (i32, i32, i32) = (1, 1, 1);
/// All arguments are keys.
const ALL: (i32, i32, i32) = (1, -1, 1);
/// Every other argument is a key.
const PAIRS: (i32, i32, i32) = (1, -1, 2);
/// Two keys.
const TWO: (i32, i32, i32) = (1, 2, 1);
/// None.
const NONE: (i32, i32, i32) = (0, 0, 0);

/// A command can't be done, and why: the text of the error.
type Refused = &'static str;
/// The same, where the text may have to be made.
type Why = Cow<'static, str>;

const SYNTAX: Refused = "ERR syntax error";
const NOT_AN_INTEGER: Refused = "ERR value is not an integer or out of range";
const NOT_A_FLOAT: Refused = "ERR value is not a valid float";
const NO_KEY: Refused = "ERR no such key";
/// The longest string that Redis has.
const MAX_STRING: usize = 512 << 20;
const TOO_LONG: Refused = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

/// What is answered when the cache couldn't store something.
fn refusal(error: Error) -> Refused {
    match error {
        Error::KeyTooLarge => "ERR the key is longer than 64 KiB",
        Error::TooManyTags => "ERR more than 64 tags",
        Error::Closed => "ERR the server is stopping",
        _ => OOM,
    }
}

impl Call<'_> {
    /// Answers what `f` wrote, or the error that it returned.
    fn answer(&mut self, f: impl FnOnce(&mut Self) -> Result<(), Why>) {
        if let Err(why) = f(self) {
            self.refuse(&why);
        }
    }

    /// Answers an error.
    #[cold]
    fn refuse(&mut self, why: &str) {
        self.server.shared.resp.failed();
        self.out.error(why);
    }

    /// An argument as a whole number.
    fn integer(&self, i: usize) -> Result<i64, Refused> {
        super::number::integer(self.args.at(i)).ok_or(NOT_AN_INTEGER)
    }

    /// Answers the value of a key.
    #[inline]
    fn value_of(&mut self, key: &[u8]) {
        let out = &mut *self.out;
        let before = |bytes: &mut Vec<u8>, len, _| header(bytes, b'$', len);
        match self.server.store.get(key, LEND_FROM, &mut out.bytes, before) {
            Lent::Value(_) => out.bytes.extend_from_slice(b"\r\n"),
            Lent::Miss => out.null(),
            Lent::Longer(_) => match self.server.store.view(key) {
                Some(view) => out.lend(view),
                // It went meanwhile.
                None => out.null(),
            },
        }
    }

    /// Bytes of the value of a key; 0 if there is none.
    fn length(&self, key: &[u8]) -> usize {
        self.server.store.peek(key).map_or(0, |(len, _)| len)
    }

    /// Answers that a subcommand isn't known.
    fn unknown_subcommand(&mut self) {
        let sub = String::from_utf8_lossy(&self.args.at(1)[..self.args.at(1).len().min(128)]);
        let text = format!("ERR unknown subcommand '{sub}'. Try {} HELP.", self.command.name);
        self.refuse(&text);
    }

    /// Answers that a subcommand has another number of arguments.
    fn wrong_number(&mut self, sub: &str) {
        let name = self.command.name.to_ascii_lowercase();
        self.refuse(&format!("ERR wrong number of arguments for '{name}|{sub}' command"));
    }
}

/// Answers a value, or that there is none.
fn value(out: &mut Output, value: Option<&[u8]>) {
    match value {
        Some(value) => out.bulk(value),
        None => out.null(),
    }
}
