//! Conditions of a write: NX, XX, IFEQ, IFNE, IFDEQ, IFDNE.

use super::{SYNTAX, Why};
use crate::resp::command::Args;
use xxhash_rust::xxh3::xxh3_64;

/// Whether a write is to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Condition<'a> {
    /// In any case.
    #[default]
    Always,
    /// Only if the key isn't there.
    Absent,
    /// Only if it is.
    Present,
    /// Only if the value is this one.
    Equals(&'a [u8]),
    /// Only if it isn't, or there is none.
    Differs(&'a [u8]),
    /// Only if the value has this digest.
    DigestEquals(u64),
    /// Only if it hasn't, or there is none.
    DigestDiffers(u64),
}

impl<'a> Condition<'a> {
    /// Takes the argument at `at` if it is a condition, and says how many arguments that were: 0 if
    /// it isn't.
    ///
    /// # Errors
    /// Another condition was said before, or its value is missing or none.
    pub fn take(&mut self, args: Args<'a>, at: usize) -> Result<usize, Why> {
        let (new, used) = match args.at(at).to_ascii_uppercase().as_slice() {
            b"NX" => (Condition::Absent, 1),
            b"XX" => (Condition::Present, 1),
            b"IFEQ" => (Condition::Equals(args.get(at + 1).ok_or(SYNTAX)?), 2),
            b"IFNE" => (Condition::Differs(args.get(at + 1).ok_or(SYNTAX)?), 2),
            b"IFDEQ" => (Condition::DigestEquals(parse(args.get(at + 1))?), 2),
            b"IFDNE" => (Condition::DigestDiffers(parse(args.get(at + 1))?), 2),
            _ => return Ok(0),
        };
        if *self != Condition::Always && (used == 2 || *self != new) {
            return Err(SYNTAX.into());
        }
        *self = new;
        Ok(used)
    }

    /// Whether it holds for a value.
    #[inline]
    pub fn holds(&self, value: Option<&[u8]>) -> bool {
        match (*self, value) {
            (Condition::Always, _) => true,
            (Condition::Absent, value) => value.is_none(),
            (Condition::Present, value) => value.is_some(),
            (Condition::Equals(wanted), Some(value)) => value == wanted,
            (Condition::Differs(other), Some(value)) => value != other,
            (Condition::DigestEquals(wanted), Some(value)) => xxh3_64(value) == wanted,
            (Condition::DigestDiffers(other), Some(value)) => xxh3_64(value) != other,
            (Condition::Equals(_) | Condition::DigestEquals(_), None) => false,
            (Condition::Differs(_) | Condition::DigestDiffers(_), None) => true,
        }
    }
}

/// The digest of a value, as DIGEST tells it: XXH3 of 64 bits, in 16 hexadecimal digits.
pub fn digest(value: &[u8]) -> String {
    format!("{:016x}", xxh3_64(value))
}

fn parse(text: Option<&[u8]>) -> Result<u64, Why> {
    let text = text.ok_or(SYNTAX)?;
    let digest = (text.len() == 16 && text.iter().all(u8::is_ascii_hexdigit))
        .then(|| std::str::from_utf8(text).ok())
        .flatten()
        .and_then(|text| u64::from_str_radix(text, 16).ok());
    digest.ok_or_else(|| "ERR a digest is 16 hexadecimal digits".into())
}
