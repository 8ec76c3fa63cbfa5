//! From bytes to commands: RESP arrays of bulk strings, and commands as one types them.
//!
//! Nothing is copied and nothing is allocated that was not sent: an argument is a range of the
//! input, and what has been understood of a command that isn't complete is remembered, so that its
//! bytes are looked at once however they come. A value that is longer than any that could be stored
//! is not even kept: its bytes are dropped as they come, and the command is refused.

use super::inline;
use memchr::memchr;

/// The most arguments of a command.
const MAX_ARGS: u64 = 1 << 20;
/// The longest line: of an inline command, and of a length.
const MAX_LINE: usize = 64 << 10;
/// The most arguments, and the longest one, before a client has said who it is.
const UNKNOWN_ARGS: u64 = 10;
/// See above.
const UNKNOWN_BULK: u64 = 16 << 10;
/// An argument in place of one that was too long to be kept.
pub const DROPPED: Range = Range { start: 0, len: 0 };

/// What a parser accepts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest argument that is kept.
    pub keep: u64,
    /// The longest argument that is accepted at all.
    pub accept: u64,
    /// Whether the client has said who it is.
    pub known: bool,
}

/// Where an argument lies in the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Its first byte.
    pub start: u32,
    /// Its length.
    pub len: u32,
}

/// Where a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// Its arguments, among those of all.
    pub args: u32,
    /// Its bytes in the input.
    pub bytes: usize,
    /// One of the arguments was dropped.
    pub dropped: bool,
}

/// Commands that were understood: all their arguments, one after the other.
#[derive(Default, Debug)]
pub struct Batch {
    /// Arguments.
    pub args: Vec<Range>,
    /// Where each command ends.
    pub ends: Vec<End>,
}

impl Batch {
    /// Makes it empty.
    pub fn clear(&mut self) {
        self.args.clear();
        self.ends.clear();
    }
}

/// Why the input is none. The text goes to the client behind `-ERR `, and the connection ends.
pub type Fault = &'static str;

/// What is known of a command that isn't complete.
#[derive(Default, Debug)]
pub struct Partial {
    /// Arguments still to come. `None`: the command has not begun.
    left: Option<u32>,
    /// Bytes of the input that were understood, from the command's first on.
    at: usize,
    /// Arguments so far, from the command's first byte on.
    args: Vec<Range>,
    /// Bytes of an argument that are to be dropped when they come.
    drop: u64,
    dropped: bool,
}

/// What came of the input.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Bytes of complete commands.
    pub used: usize,
    /// Bytes to be kept for the command that isn't complete, from `used` on: less than what is there
    /// if some are to be dropped.
    pub keep: usize,
    /// Why the input is none, behind the commands before.
    pub fault: Option<Fault>,
}

/// What one look at the input came to.
enum Look {
    Command,
    Nothing,
    Incomplete,
}

impl Partial {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.left.is_none() && self.at == 0 && self.drop == 0
    }

    /// Whether an argument is being dropped, so that the input lacks some of its bytes.
    pub fn drops(&self) -> bool {
        self.drop > 0 || self.dropped
    }

    /// Takes away what is to be dropped from the front of what has just come, and says how much
    /// that is.
    pub fn drop_from(&mut self, came: usize) -> usize {
        let drop = self.drop.min(came as u64);
        self.drop -= drop;
        drop as usize
    }

    /// Understands up to `most` commands of the input, whose first byte is the first of the command
    /// that this is about.
    pub fn parse(
        &mut self,
        input: &[u8],
        most: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Parsed {
        let mut used = 0;
        let mut fault = None;
        let mut keep = 0;
        while batch.ends.len() < most {
            let first = batch.args.len();
            batch.args.extend(self.args.drain(..).map(|range| Range {
                start: range.start.wrapping_add(used as u32),
                len: range.len,
            }));
            let rest = &input[used..];
            match self.command(rest, used as u32, limits, batch) {
                Ok(Look::Command) => {
                    used += std::mem::take(&mut self.at);
                    let dropped = std::mem::take(&mut self.dropped);
                    batch.ends.push(End { args: batch.args.len() as u32, bytes: used, dropped });
                }
                Ok(Look::Nothing) => used += std::mem::take(&mut self.at),
                Ok(Look::Incomplete) => {
                    let base = used as u32;
                    self.args.extend(
                        batch
                            .args
                            .drain(first..)
                            .map(|range| Range { start: range.start.wrapping_sub(base), ..range }),
                    );
                    keep = rest.len();
                    if self.drop > 0 {
                        keep = self.at;
                        self.drop -= ((rest.len() - self.at) as u64).min(self.drop);
                    }
                    break;
                }
                Err(why) => {
                    batch.args.truncate(first);
                    fault = Some(why);
                    break;
                }
            }
        }
        Parsed { used, keep, fault }
    }

    /// Goes on with a command whose first byte is the first of `rest`, which lies at `base`.
    fn command(
        &mut self,
        rest: &[u8],
        base: u32,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Look, Fault> {
        if self.drop > 0 {
            return Ok(Look::Incomplete);
        }
        if self.left.is_none() {
            match rest.first() {
                None => return Ok(Look::Incomplete),
                Some(b'*') => {}
                Some(_) => return self.inline(rest, base, batch),
            }
            let Some((count, end)) = length(rest, "Protocol error: too big mbulk count string")?
            else {
                return Ok(Look::Incomplete);
            };
            let count = count.filter(|&count| count <= MAX_ARGS as i64);
            let count = count.ok_or("Protocol error: invalid multibulk length")?;
            if !limits.known && count > UNKNOWN_ARGS as i64 {
                return Err("Protocol error: unauthenticated multibulk length");
            }
            self.at = end;
            if count <= 0 {
                return Ok(Look::Nothing);
            }
            self.left = Some(count as u32);
        }
        while let Some(left @ 1..) = self.left {
            let Some((range, end)) = self.bulk(rest, base, limits)? else {
                return Ok(Look::Incomplete);
            };
            batch.args.push(range);
            self.at = end;
            self.left = Some(left - 1);
            if self.drop > 0 {
                return Ok(Look::Incomplete);
            }
        }
        self.left = None;
        Ok(Look::Command)
    }

    /// The next argument, and where it ends. None if it hasn't come.
    #[inline]
    fn bulk(
        &mut self,
        rest: &[u8],
        base: u32,
        limits: &Limits,
    ) -> Result<Option<(Range, usize)>, Fault> {
        let head = &rest[self.at..];
        match head.first() {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => return Err(expected_dollar(other)),
        }
        let Some((len, end)) = length(head, "Protocol error: too big bulk count string")? else {
            return Ok(None);
        };
        let len = len
            .and_then(|len| u64::try_from(len).ok())
            .filter(|&len| len <= limits.accept)
            .ok_or("Protocol error: invalid bulk length")?;
        if !limits.known && len > UNKNOWN_BULK {
            return Err("Protocol error: unauthenticated bulk length");
        }
        let start = self.at + end;
        if len > limits.keep {
            self.dropped = true;
            let there = (rest.len() - start) as u64;
            if there >= len + 2 {
                return Ok(Some((DROPPED, start + len as usize + 2)));
            }
            self.drop = len + 2;
            return Ok(Some((DROPPED, start)));
        }
        let len = len as usize;
        if rest.len() < start + len + 2 {
            return Ok(None);
        }
        Ok(Some((Range { start: base + start as u32, len: len as u32 }, start + len + 2)))
    }

    fn inline(&mut self, rest: &[u8], base: u32, batch: &mut Batch) -> Result<Look, Fault> {
        let Some(end) = memchr(b'\n', rest) else {
            return if rest.len() > MAX_LINE {
                Err("Protocol error: too big inline request")
            } else {
                Ok(Look::Incomplete)
            };
        };
        self.at = end + 1;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let before = batch.args.len();
        inline::split(line, |start, len| {
            batch.args.push(Range { start: base + start as u32, len: len as u32 });
        })?;
        Ok(if batch.args.len() > before { Look::Command } else { Look::Nothing })
    }
}

/// The number behind the first byte of a line, and where the line ends. The outer None: it hasn't
/// come; the inner one: it isn't a number.
#[inline]
fn length(line: &[u8], too_long: Fault) -> Result<Option<(Option<i64>, usize)>, Fault> {
    // Most are one or two digits.
    let mut number = 0i64;
    let mut at = 1;
    while let Some(&byte) = line.get(at) {
        if byte.is_ascii_digit() && at < 10 {
            number = number * 10 + i64::from(byte - b'0');
            at += 1;
        } else if byte == b'\r' && at > 1 {
            return Ok((line.len() > at + 1).then_some((Some(number), at + 2)));
        } else {
            break;
        }
    }
    long_length(line, too_long)
}

#[cold]
fn long_length(line: &[u8], too_long: Fault) -> Result<Option<(Option<i64>, usize)>, Fault> {
    let Some(end) = memchr(b'\r', &line[..line.len().min(MAX_LINE)]) else {
        return if line.len() >= MAX_LINE { Err(too_long) } else { Ok(None) };
    };
    if line.len() < end + 2 {
        return Ok(None);
    }
    Ok(Some((super::number::integer(&line[1..end]), end + 2)))
}

/// The text for each byte, since a fault is a constant.
#[cold]
fn expected_dollar(got: u8) -> Fault {
    static TEXTS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let texts = TEXTS.get_or_init(|| {
        (0..=255u8)
            .map(|byte| {
                let shown = if (b' '..=b'~').contains(&byte) { byte as char } else { '?' };
                format!("Protocol error: expected '$', got '{shown}'")
            })
            .collect()
    });
    &texts[usize::from(got)]
}
