//! What a command is, and how one is found by its name.
//!
//! A name is folded to upper case into three words of 64 bits, and compared as such: in a table of
//! places by a hash of them, so that finding one is a multiplication and a comparison or two.

use super::output::Output;
use super::parse::Range;
use super::session::Session;
use crate::server::Server;
use std::ops::Index;
use std::sync::OnceLock;

/// What is true of a command.
pub mod flag {
    /// It may change entries.
    pub const WRITE: u16 = 1;
    /// It reads the keys that it names.
    pub const READ: u16 = 1 << 1;
    /// It takes a constant time.
    pub const FAST: u16 = 1 << 2;
    /// It is one step on several keys: nobody else runs meanwhile.
    pub const ALONE: u16 = 1 << 3;
    /// It may be said before AUTH.
    pub const NO_AUTH: u16 = 1 << 4;
    /// It is done at once in a transaction, not queued.
    pub const CONTROL: u16 = 1 << 5;
    /// It may need memory.
    pub const DENYOOM: u16 = 1 << 6;
    /// It is about the server.
    pub const ADMIN: u16 = 1 << 7;
    /// It is for a RESP2 connection that is subscribed, too.
    pub const PUBSUB: u16 = 1 << 8;
    /// It isn't allowed in a transaction.
    pub const NO_MULTI: u16 = 1 << 9;
}

/// A command.
pub struct Command {
    /// Its name, in capitals.
    pub name: &'static str,
    /// How many arguments it has, its name included; at least so many if negative.
    pub arity: i32,
    /// What is true of it: see [`flag`].
    pub flags: u16,
    /// First key, last key (from the end if negative), and how far they are apart; 0: none.
    pub keys: (i32, i32, i32),
    /// Where it belongs in the documentation.
    pub group: &'static str,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Does it.
    pub run: fn(&mut Call<'_>),
}

impl Command {
    /// Whether one of the flags is set.
    #[inline]
    pub fn is(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// Whether so many arguments may be given.
    #[inline]
    pub fn takes(&self, count: usize) -> bool {
        if self.arity < 0 {
            count >= self.arity.unsigned_abs() as usize
        } else {
            count == self.arity as usize
        }
    }

    /// The places of the keys among the arguments.
    pub fn key_places(&self, args: Args<'_>) -> impl Iterator<Item = usize> + use<> {
        let count = args.len() as i32;
        let (first, last, step) = if self.name == "MSETEX" {
            let pairs = args.get(1).and_then(super::number::integer).unwrap_or(0);
            (2, (pairs.clamp(0, i64::from(count)) as i32) * 2, 2)
        } else {
            self.keys
        };
        let last = if last < 0 { count + last } else { last.min(count - 1) };
        let range = if first > 0 { first..last + 1 } else { 0..0 };
        range.step_by(step.max(1) as usize).map(|place| place as usize)
    }
}

/// Arguments, the command's name first.
#[derive(Clone, Copy)]
pub struct Args<'b> {
    input: &'b [u8],
    ranges: &'b [Range],
}

impl<'b> Args<'b> {
    /// Those that lie at these ranges.
    pub fn new(input: &'b [u8], ranges: &'b [Range]) -> Args<'b> {
        Args { input, ranges }
    }

    /// How many.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "there is always the name")]
    pub fn len(self) -> usize {
        self.ranges.len()
    }

    /// One of them.
    #[inline]
    pub fn get(self, i: usize) -> Option<&'b [u8]> {
        self.ranges.get(i).map(|&range| slice(self.input, range))
    }

    /// One that must be there.
    #[inline]
    pub fn at(self, i: usize) -> &'b [u8] {
        self.get(i).expect("the arity says that it is there")
    }

    /// All from one on.
    pub fn from(self, i: usize) -> impl ExactSizeIterator<Item = &'b [u8]> {
        let input = self.input;
        self.ranges[i.min(self.ranges.len())..].iter().map(move |&range| slice(input, range))
    }

    /// Without the first few.
    pub fn skip(self, count: usize) -> Args<'b> {
        Args { input: self.input, ranges: &self.ranges[count.min(self.ranges.len())..] }
    }

    /// Whether one is this word, in any case.
    #[inline]
    pub fn is(self, i: usize, word: &str) -> bool {
        self.get(i).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// What lies at a range: nothing, for what was dropped.
#[inline]
fn slice(input: &[u8], range: Range) -> &[u8] {
    let start = range.start as usize;
    input.get(start..start + range.len as usize).unwrap_or_default()
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    fn index(&self, i: usize) -> &[u8] {
        self.at(i)
    }
}

/// A command under way.
pub struct Call<'c> {
    /// The server.
    pub server: &'c Server,
    /// The connection.
    pub session: &'c mut Session,
    /// Where the reply goes.
    pub out: &'c mut Output,
    /// A buffer for what is put together.
    pub scratch: &'c mut Vec<u8>,
    /// The arguments.
    pub args: Args<'c>,
    /// The command.
    pub command: &'static Command,
}

/// The longest name.
const LONGEST: usize = 24;

/// A name, as it is compared.
type Folded = [u64; LONGEST / 8];

#[inline]
fn fold(name: &[u8]) -> Option<Folded> {
    if name.len() > LONGEST {
        return None;
    }
    let mut bytes = [0; LONGEST];
    for (to, from) in bytes.iter_mut().zip(name) {
        *to = from.to_ascii_uppercase();
    }
    let word = |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().expect("eight"));
    Some([word(0), word(1), word(2)])
}

const PLACES: usize = 512;

#[inline]
fn place(folded: &Folded) -> usize {
    let mixed = (folded[0] ^ folded[1].rotate_left(20) ^ folded[2].rotate_left(40))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - PLACES.trailing_zeros())) as usize
}

type Table = [Option<(Folded, &'static Command)>; PLACES];

fn table() -> &'static Table {
    static TABLE: OnceLock<Box<Table>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table: Box<Table> = Box::new([None; PLACES]);
        for command in all() {
            let folded = fold(command.name.as_bytes()).expect("a name is short");
            let mut at = place(&folded);
            while table[at].is_some() {
                at = (at + 1) % PLACES;
            }
            table[at] = Some((folded, command));
        }
        table
    })
}

/// The command of a name, in any case.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let folded = fold(name)?;
    let table = table();
    let mut at = place(&folded);
    while let Some((known, command)) = &table[at] {
        if *known == folded {
            return Some(command);
        }
        at = (at + 1) % PLACES;
    }
    None
}

/// All commands.
pub fn all() -> impl Iterator<Item = &'static Command> {
    super::commands::FAMILIES.iter().copied().flatten()
}

/// How many there are.
pub fn count() -> usize {
    all().count()
}

/// The number of a command, for those who can't keep the command itself.
pub fn number_of(command: &'static Command) -> usize {
    std::ptr::from_ref(command).addr()
}

/// The name of the command with that number.
pub fn name_of(number: usize) -> Option<String> {
    all()
        .find(|&command| number_of(command) == number)
        .map(|command| command.name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_found_and_nothing_else() {
        let mut names: Vec<_> = all().map(|command| command.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count());
        assert!(count() < PLACES / 2);
        for command in all() {
            assert_eq!(find(command.name.as_bytes()).unwrap().name, command.name);
            let lower = command.name.to_ascii_lowercase();
            assert_eq!(find(lower.as_bytes()).unwrap().name, command.name);
            assert_eq!(command.name, command.name.to_ascii_uppercase());
        }
        for name in ["", "GETT", "GE", "XGET", "a name that is far too long to be one of a command"]
        {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
    }
}
