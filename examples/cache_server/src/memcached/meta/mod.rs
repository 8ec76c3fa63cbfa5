//! The meta commands: `mg`, `ms`, `md`, `ma`, `mn`, `me`, each a key and flags of one letter, some with
//! a token. Answers repeat what flags ask for, in the order they were asked.

mod arithmetic;
mod debug;
mod delete;
mod flags;
mod get;
mod set;
mod times;

pub(super) use arithmetic::arithmetic;
pub(super) use debug::debug;
pub(super) use delete::delete;
pub(super) use get::get;
pub(super) use set::{MetaSet, begin_set};

use super::item;
use super::number;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flags::Flags;

const BAD_LINE: &[u8] = b"CLIENT_ERROR bad command line format\r\n";
const BAD_FLAGS: &[u8] = b"CLIENT_ERROR invalid or duplicate flag\r\n";

/// The flags of a command whose first word is a key and all whose flags must be right. `None`: what is
/// wrong was answered.
fn begin<'a>(words: &'a [&'a [u8]], out: &mut Vec<u8>) -> Option<Flags<'a>> {
    let why = match words.split_first() {
        None => b"ERROR\r\n",
        Some((key, _)) if !super::words::is_key(key) => BAD_LINE,
        Some((key, order)) => match Flags::read(key, order) {
            Ok(flags) => return Some(flags),
            Err(_) => BAD_FLAGS,
        },
    };
    out.extend_from_slice(why);
    None
}

/// What there is to tell of an item.
#[derive(Clone, Copy, Default)]
struct Told {
    size: usize,
    /// Milliseconds that are left.
    ttl: Option<u64>,
    cas: u64,
    number: u64,
    was_read: bool,
}

/// Appends the flags that were asked for. Of a key that came in base64 when its item was stored, that
/// form is told, and that it is one.
fn tell(out: &mut Vec<u8>, flags: &Flags<'_>, told: &Told) {
    for &flag in flags.in_order() {
        match flag[0] {
            b't' => {
                out.extend_from_slice(b" t");
                push_signed(out, super::exptime::seconds_left(told.ttl));
            }
            b's' => push(out, b" s", told.size as u64),
            b'c' => push(out, b" c", told.cas),
            b'f' => push(out, b" f", u64::from(item::flags(told.number))),
            b'h' => push(out, b" h", u64::from(told.was_read)),
            b'l' => out.extend_from_slice(b" l0"),
            b'O' => opaque(out, flag),
            b'k' => tell_key(out, flags.key(), item::key_is_binary(told.number)),
            _ => {}
        }
    }
}

/// Appends what is repeated where there is no item to tell of: key and opaque token.
fn repeat(out: &mut Vec<u8>, flags: &Flags<'_>) {
    for &flag in flags.in_order() {
        match flag[0] {
            b'O' => opaque(out, flag),
            b'k' => tell_key(out, flags.key(), flags.key_is_binary()),
            _ => {}
        }
    }
}

fn opaque(out: &mut Vec<u8>, flag: &[u8]) {
    out.push(b' ');
    out.extend_from_slice(flag);
}

fn tell_key(out: &mut Vec<u8>, key: &[u8], binary: bool) {
    out.extend_from_slice(b" k");
    if binary {
        push_base64(out, key);
        out.extend_from_slice(b" b");
    } else {
        out.extend_from_slice(key);
    }
}

fn push_base64(out: &mut Vec<u8>, key: &[u8]) {
    // A key has at most 250 bytes, so 336 are enough.
    let mut text = [0; 340];
    if let Ok(len) = STANDARD.encode_slice(key, &mut text) {
        out.extend_from_slice(&text[..len]);
    }
}

fn push(out: &mut Vec<u8>, name: &[u8], number: u64) {
    out.extend_from_slice(name);
    number::push(out, number);
}

fn push_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    number::push(out, number.unsigned_abs());
}
