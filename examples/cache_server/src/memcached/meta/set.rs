//! `ms`: stores a value.

use super::BAD_LINE;
use super::flags::Flags;
use crate::memcached::item;
use crate::memcached::number;
use crate::memcached::session::{Context, Mode, Session};
use crate::memcached::storage::{How, Key, New, Outcome, TOO_LARGE, Target, store, why};
use crate::store::NOBODY;
use larder::Error;

/// Bytes of what is repeated in the answer at most: key in base64, opaque token, CAS flag.
const MAX_REPEATED: usize = 512;

/// A command that waits for its data.
pub(in crate::memcached) struct MetaSet {
    key: Key,
    how: How,
    number: u64,
    exptime: i64,
    stale: bool,
    quiet: bool,
    /// What the answer repeats, and where in it the CAS goes, if it is wanted.
    repeated: Vec<u8>,
    cas_at: Option<usize>,
}

pub(in crate::memcached) fn begin_set(
    cx: &Context<'_>,
    session: &mut Session,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) {
    let (key, length, order) = match words {
        [] => return out.extend_from_slice(b"ERROR\r\n"),
        [_] => return out.extend_from_slice(BAD_LINE),
        [key, length, order @ ..] => (key, length, order),
    };
    // Without a length nobody knows where the next command begins.
    let bytes = number::signed(length).filter(|bytes| (0..i64::from(i32::MAX) - 2).contains(bytes));
    let Some(bytes) = bytes.filter(|_| crate::memcached::words::is_key(key)) else {
        return out.extend_from_slice(BAD_LINE);
    };
    let skip = Mode::Skip(bytes as u64 + 2);
    let set = Flags::read(key, order).and_then(|flags| Ok((MetaSet::new(&flags)?, flags)));
    let (set, flags) = match set {
        Ok(set) => set,
        Err(text) => {
            out.extend_from_slice(text.as_bytes());
            session.mode = skip;
            return;
        }
    };
    if bytes as usize > cx.live.longest_value() {
        out.extend_from_slice(TOO_LARGE);
        if set.how == How::Set {
            cx.store.delete(NOBODY, flags.key());
        }
        session.mode = skip;
        return;
    }
    session.mode = Mode::Data { target: Target::Meta(Box::new(set)), bytes: bytes as usize + 2 };
}

impl MetaSet {
    fn new(flags: &Flags<'_>) -> Result<MetaSet, &'static str> {
        let mode = match flags.mode {
            None | Some(b'S') => How::Set,
            Some(b'E') => How::Add,
            Some(b'A') => How::Append,
            Some(b'P') => How::Prepend,
            Some(b'R') => How::Replace,
            Some(_) => return Err("CLIENT_ERROR invalid mode for ms M token\r\n"),
        };
        // As in memcached, a CAS of 0 is none, and one goes before the mode.
        let how = match flags.cas {
            Some(cas) if cas != 0 && mode == How::Set => How::Cas(cas),
            _ => mode,
        };
        let mut repeated = Vec::with_capacity(64);
        let mut cas_at = None;
        for word in flags.in_order() {
            match word[0] {
                b'c' => cas_at = Some(repeated.len()),
                b'O' => super::opaque(&mut repeated, word),
                b'k' => super::tell_key(&mut repeated, flags.key(), flags.key_is_binary()),
                _ => {}
            }
        }
        debug_assert!(repeated.len() <= MAX_REPEATED);
        Ok(MetaSet {
            key: Key::new(flags.key()),
            how,
            number: item::number(flags.flags, flags.key_is_binary()),
            exptime: flags.exptime.unwrap_or(0),
            stale: flags.has(b'I'),
            quiet: flags.has(b'q'),
            repeated,
            cas_at,
        })
    }

    /// The data have come.
    pub(in crate::memcached) fn store(
        &self,
        cx: &Context<'_>,
        session: &mut Session,
        data: &[u8],
        out: &mut Vec<u8>,
    ) {
        let new = New {
            key: self.key.as_bytes(),
            data,
            number: self.number,
            exptime: self.exptime,
            versioned: self.cas_at.is_some(),
            stale: self.stale,
        };
        match store(cx, session, self.how, &new) {
            Ok((Outcome::Stored, _)) if self.quiet => {}
            Ok((outcome, cas)) => self.answer(outcome, cas, out),
            Err(error) => {
                if error == Error::ValueTooLarge || self.how == How::Set {
                    cx.store.delete(NOBODY, new.key);
                }
                out.extend_from_slice(why(error));
            }
        }
    }

    fn answer(&self, outcome: Outcome, cas: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(match outcome {
            Outcome::Stored => b"HD",
            Outcome::NotStored => b"NS",
            Outcome::Exists => b"EX",
            Outcome::NotFound => b"NF",
        });
        let (before, after) = self.repeated.split_at(self.cas_at.unwrap_or(0));
        out.extend_from_slice(before);
        if self.cas_at.is_some() {
            super::push(out, b" c", cas);
        }
        out.extend_from_slice(after);
        out.extend_from_slice(b"\r\n");
    }
}
