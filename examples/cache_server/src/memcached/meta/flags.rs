//! The flags of a meta command.

use crate::memcached::number;
use crate::memcached::words::{MAX_KEY, is_key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of an opaque token at most, with its letter.
const MAX_OPAQUE: usize = 32;
const BAD_TOKEN: &str = "CLIENT_ERROR bad token in command line format\r\n";

/// What the flags of a command say.
pub(super) struct Flags<'a> {
    /// The words, in order.
    order: &'a [&'a [u8]],
    decoded: [u8; MAX_KEY],
    key: Key<'a>,
    /// Flags that are there, a bit for each letter.
    seen: u128,
    /// `T`.
    pub(super) exptime: Option<i64>,
    /// `N`.
    pub(super) vivify: Option<i64>,
    /// `R`, in seconds.
    pub(super) recache: Option<i64>,
    /// `C`.
    pub(super) cas: Option<u64>,
    /// `F`.
    pub(super) flags: u32,
    /// `M`.
    pub(super) mode: Option<u8>,
    /// `J`.
    pub(super) initial: u64,
    /// `D`.
    pub(super) delta: u64,
}

enum Key<'a> {
    Plain(&'a [u8]),
    /// Bytes of `decoded`.
    Binary(usize),
}

impl<'a> Flags<'a> {
    /// Reads a key and the flags that follow it. The error is memcached's text.
    pub(super) fn read(key: &'a [u8], order: &'a [&'a [u8]]) -> Result<Flags<'a>, &'static str> {
        let mut flags = Flags {
            order,
            decoded: [0; MAX_KEY],
            key: Key::Plain(key),
            seen: 0,
            exptime: None,
            vivify: None,
            recache: None,
            cas: None,
            flags: 0,
            mode: None,
            initial: 0,
            delta: 1,
        };
        if !is_key(key) {
            return Err("CLIENT_ERROR bad command line format\r\n");
        }
        // As in memcached, what is wrong with one flag is told after all were seen.
        let mut wrong = None;
        for word in order {
            if let Err(error) = flags.take(word) {
                if error.ends_with("flag\r\n") {
                    return Err(error);
                }
                wrong = Some(error);
            }
        }
        wrong.map_or(Ok(flags), Err)
    }

    fn take(&mut self, word: &[u8]) -> Result<(), &'static str> {
        let (letter, token) = (word[0], &word[1..]);
        if letter >= 127 || self.has(letter) {
            return Err("CLIENT_ERROR duplicate flag\r\n");
        }
        self.seen |= 1 << letter;
        match letter {
            b'b' => self.decode()?,
            b'T' => self.exptime = Some(number::signed(token).ok_or(BAD_TOKEN)?),
            b'N' => self.vivify = Some(number::signed(token).ok_or(BAD_TOKEN)?),
            b'R' => self.recache = Some(number::signed(token).ok_or(BAD_TOKEN)?),
            b'C' => self.cas = Some(number::unsigned(token).ok_or(BAD_TOKEN)?),
            b'E' => drop(number::unsigned(token).ok_or(BAD_TOKEN)?),
            b'F' => {
                self.flags =
                    number::flags(token).ok_or("CLIENT_ERROR bad command line format\r\n")?;
            }
            b'M' => match token {
                [mode] => self.mode = Some(*mode),
                _ => return Err("CLIENT_ERROR incorrect length for M token\r\n"),
            },
            b'J' => {
                let wrong = "CLIENT_ERROR invalid numeric initial value\r\n";
                self.initial = number::unsigned(token).ok_or(wrong)?;
            }
            b'D' => {
                let wrong = "CLIENT_ERROR invalid numeric delta value\r\n";
                self.delta = number::unsigned(token).ok_or(wrong)?;
            }
            b'O' if word.len() > MAX_OPAQUE => {
                return Err("CLIENT_ERROR opaque token too long\r\n");
            }
            b'O' | b'P' | b'L' | b'k' | b's' | b't' | b'c' | b'f' | b'v' | b'h' | b'l' | b'u'
            | b'q' | b'I' => {}
            _ => return Err("CLIENT_ERROR invalid flag\r\n"),
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<(), &'static str> {
        let wrong = "CLIENT_ERROR error decoding key\r\n";
        let Key::Plain(text) = self.key else { return Ok(()) };
        // The decoder may want more room than the key has in the end.
        let mut room = [0; MAX_KEY + 3];
        let len = STANDARD.decode_slice(text, &mut room).map_err(|_| wrong)?;
        if len == 0 || len > MAX_KEY {
            return Err(wrong);
        }
        self.decoded[..len].copy_from_slice(&room[..len]);
        self.key = Key::Binary(len);
        Ok(())
    }

    /// The key, decoded.
    pub(super) fn key(&self) -> &[u8] {
        match self.key {
            Key::Plain(key) => key,
            Key::Binary(len) => &self.decoded[..len],
        }
    }

    /// Whether the key came in base64.
    pub(super) fn key_is_binary(&self) -> bool {
        matches!(self.key, Key::Binary(_))
    }

    /// Whether a flag is there.
    pub(super) fn has(&self, letter: u8) -> bool {
        letter < 127 && self.seen & 1 << letter != 0
    }

    /// The flags with their tokens, in order. None is empty.
    pub(super) fn in_order(&self) -> &'a [&'a [u8]] {
        self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(key: &[u8], order: &[&[u8]]) -> &'static str {
        Flags::read(key, order).err().unwrap_or("").trim_end()
    }

    #[test]
    fn keys_in_base64_are_decoded() {
        let flags = Flags::read(b"Zm9v", &[b"k", b"b"]).ok().unwrap();
        assert_eq!((flags.key(), flags.key_is_binary()), (&b"foo"[..], true));
        let longest = STANDARD.encode([7; 186]);
        assert_eq!(Flags::read(longest.as_bytes(), &[b"b"]).ok().unwrap().key().len(), 186);
        assert_eq!(error(b"!!!", &[b"b"]), "CLIENT_ERROR error decoding key");
        assert_eq!(error(&[b'A'; 252], &[b"b"]), "CLIENT_ERROR bad command line format");
    }

    #[test]
    fn what_is_wrong_is_told_as_memcached_tells_it() {
        assert_eq!(error(b"k", &[b"s", b"s"]), "CLIENT_ERROR duplicate flag");
        assert_eq!(error(b"k", &[b"T"]), "CLIENT_ERROR bad token in command line format");
        assert_eq!(error(b"k", &[b"Tx", b"S1"]), "CLIENT_ERROR invalid flag");
        assert_eq!(error(b"k", &[&[b'O'; 33]]), "CLIENT_ERROR opaque token too long");
        assert_eq!(error(b"k", &[&[b'O'; 32]]), "");
        assert_eq!(error(b"k", &[b"\xff"]), "CLIENT_ERROR duplicate flag");
    }
}
