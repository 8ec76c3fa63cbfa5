//! From bytes to commands: what a connection remembers, and one step of it.

use super::classic;
use super::meta;
use super::storage::{self, Target};
use super::words::{Words, line};
use super::{Command, stats};
use crate::config::Live;
use crate::metrics::{Metrics, Protocol};
use crate::store::Store;
use larder::View;
use std::time::Duration;

/// Bytes of answers that a step may have made before it asks for them to be written.
pub(super) const HIGH: usize = 64 << 10;
/// Values up to this long are copied into the answers, longer ones are lent.
pub(super) const COPIED: usize = 16 << 10;
/// Bytes of a line at most, but for those of `get` and `gets`, as in memcached.
pub(super) const MAX_LINE: usize = 2048;
/// Clients compare it with the versions that have what they want: these commands are those of 1.6.18.
pub(super) const VERSION: &str =
    concat!("VERSION 1.6.18-larder-", env!("CARGO_PKG_VERSION"), "\r\n");
/// What a request of the binary protocol begins with. No command does.
const BINARY: u8 = 0x80;
/// Bytes of what shows the password.
const MAX_CREDENTIALS: u64 = 2048;

/// What a step works on.
pub struct Context<'a> {
    /// The items.
    pub store: &'a Store,
    /// Settings that change.
    pub live: &'a Live,
    /// Counts of this protocol, whose commands are [`COMMANDS`](super::COMMANDS).
    pub counts: &'a Protocol,
    /// Counts of all.
    pub metrics: &'a Metrics,
}

/// A value that follows what is in the output.
pub enum Payload {
    /// In the cache's memory, without a copy.
    Lent(View),
    /// A copy.
    Owned(Vec<u8>),
}

impl Payload {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Lent(view) => view,
            Payload::Owned(bytes) => bytes,
        }
    }
}

/// What has to be done before the next step.
pub enum Next {
    /// Bytes have to come.
    More,
    /// The output has to be written.
    Flush,
    /// The output has to be written, then this.
    Send(Payload),
    /// The output has to be written, and the connection closed.
    Close,
}

/// In the middle of what a connection is.
pub(super) enum Mode {
    /// Between commands.
    Commands,
    /// In the keys of a get.
    Keys(classic::Fetch),
    /// A data block comes: so many bytes with its end.
    Data { target: Target, bytes: usize },
    /// Bytes to be passed over.
    Skip(u64),
    /// The end of what shows the password: so many bytes with its end.
    Credentials(usize),
}

/// What a connection remembers between steps.
pub struct Session {
    pub(super) mode: Mode,
    authenticated: bool,
    /// What follows a value that is sent by itself.
    pub(super) owes: &'static [u8],
    /// Buffers for values, empty between commands.
    pub(super) scratch: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// A flush that is to come, after so long.
    pub(super) flush_after: Option<Duration>,
    /// Commands done since the connection began.
    pub(super) commands: u64,
}

impl Default for Session {
    fn default() -> Session {
        Session {
            mode: Mode::Commands,
            authenticated: false,
            owes: b"",
            scratch: Vec::new(),
            value: Vec::new(),
            flush_after: None,
            commands: 0,
        }
    }
}

impl Session {
    /// Takes the time after which everything is to be removed, if a client has asked for that. Zero:
    /// it has been, and what was asked for before counts no longer.
    pub fn take_flush(&mut self) -> Option<Duration> {
        self.flush_after.take()
    }

    /// Commands that were done.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Whether the connection is between commands, so that nothing is lost when it is closed.
    pub fn is_idle(&self) -> bool {
        matches!(self.mode, Mode::Commands) && self.owes.is_empty()
    }

    /// Gives back memory that only large values need.
    fn tidy(&mut self) {
        for buffer in [&mut self.scratch, &mut self.value] {
            buffer.clear();
            if buffer.capacity() > COPIED {
                *buffer = Vec::new();
            }
        }
    }
}

/// Does the commands that are whole in `input`, appends their answers to `out`, and returns how many
/// bytes are used. Unless the next thing is [`Next::More`], there may be more to do in the rest.
pub fn step(
    cx: &Context<'_>,
    session: &mut Session,
    input: &[u8],
    out: &mut Vec<u8>,
) -> (usize, Next) {
    let mut used = 0;
    out.extend_from_slice(std::mem::take(&mut session.owes));
    loop {
        if out.len() >= HIGH {
            return (used, Next::Flush);
        }
        let (bytes, next) = one(cx, session, &input[used..], out);
        used += bytes;
        session.tidy();
        if let Some(next) = next {
            return (used, next);
        }
    }
}

/// One command, or a piece of one. None: go on.
fn one(
    cx: &Context<'_>,
    session: &mut Session,
    input: &[u8],
    out: &mut Vec<u8>,
) -> (usize, Option<Next>) {
    match &mut session.mode {
        Mode::Commands => command(cx, session, input, out),
        Mode::Keys(_) => classic::fetch(cx, session, input, out),
        Mode::Skip(left) => {
            let bytes = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= bytes as u64;
            if *left > 0 {
                return (bytes, Some(Next::More));
            }
            session.mode = Mode::Commands;
            (bytes, None)
        }
        Mode::Data { bytes, .. } => {
            let bytes = *bytes;
            let Some(block) = input.get(..bytes) else { return (0, Some(Next::More)) };
            let Mode::Data { target, .. } = std::mem::replace(&mut session.mode, Mode::Commands)
            else {
                unreachable!("matched above")
            };
            target.store(cx, session, block, out);
            (bytes, None)
        }
        Mode::Credentials(bytes) => {
            let bytes = *bytes;
            let Some(block) = input.get(..bytes) else { return (0, Some(Next::More)) };
            session.mode = Mode::Commands;
            show_password(cx, session, block, out);
            (bytes, None)
        }
    }
}

fn command(
    cx: &Context<'_>,
    session: &mut Session,
    input: &[u8],
    out: &mut Vec<u8>,
) -> (usize, Option<Next>) {
    // The binary protocol: its clients are told at once, by the connection's end, that it isn't here.
    if input.first() == Some(&BINARY) && session.commands == 0 {
        return (input.len(), Some(Next::Close));
    }
    let whole = line(input);
    if whole.is_none_or(|(line, _)| line.len() > MAX_LINE) {
        // A get of many keys needs no line: it is done key by key.
        if input.len() <= MAX_LINE {
            return (0, Some(Next::More));
        }
        let blanks = input.iter().position(|&byte| byte != b' ').unwrap_or(input.len());
        let admitted = session.authenticated || !cx.live.wants_password();
        if admitted && let Some((bytes, command)) = classic::begins_fetch(&input[blanks..]) {
            count(cx, session, command);
            session.mode = Mode::Keys(classic::Fetch::endless(command));
            return (blanks + bytes, None);
        }
        out.extend_from_slice(b"CLIENT_ERROR line too long\r\n");
        return (input.len(), Some(Next::Close));
    }
    let Some((text, used)) = whole else { return (0, Some(Next::More)) };
    let words = Words::new(text);
    let Some((&name, arguments)) = words.all().split_first() else {
        out.extend_from_slice(b"ERROR\r\n");
        return (used, None);
    };
    if !session.authenticated && cx.live.wants_password() {
        return (used, unauthenticated(session, name, arguments, out));
    }
    let command = Command::named(name);
    count(cx, session, command);
    if let Command::Get | Command::Gets | Command::Gat | Command::Gats = command {
        // Key by key, since their values may be more than can be written at once.
        let first = classic::begin_fetch(session, command, arguments, out);
        return (first.map_or(used, |key| key.as_ptr().addr() - input.as_ptr().addr()), None);
    }
    (used, run(cx, session, command, arguments, out))
}

fn count(cx: &Context<'_>, session: &mut Session, command: Command) {
    session.commands += 1;
    cx.counts.command(command as usize);
}

fn run(
    cx: &Context<'_>,
    session: &mut Session,
    command: Command,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) -> Option<Next> {
    match command {
        Command::Set
        | Command::Add
        | Command::Replace
        | Command::Append
        | Command::Prepend
        | Command::Cas => storage::begin(cx, session, command, words, out),
        Command::Delete => classic::delete(cx, words, out),
        Command::Incr | Command::Decr => {
            classic::count(cx, session, words, command == Command::Incr, out);
        }
        Command::Touch => classic::touch(cx, session, words, out),
        Command::FlushAll => classic::flush_all(cx, session, words, out),
        Command::Version => {
            out.extend_from_slice(VERSION.as_bytes());
        }
        Command::Verbosity => classic::verbosity(words, out),
        Command::Stats => stats::stats(cx, words, out),
        Command::Quit => return Some(Next::Close),
        Command::MetaGet => return meta::get(cx, session, words, out),
        Command::MetaSet => meta::begin_set(cx, session, words, out),
        Command::MetaDelete => meta::delete(cx, session, words, out),
        Command::MetaArithmetic => meta::arithmetic(cx, session, words, out),
        Command::MetaNoop => out.extend_from_slice(b"MN\r\n"),
        Command::MetaDebug => meta::debug(cx, session, words, out),
        Command::Get | Command::Gets | Command::Gat | Command::Gats | Command::Other => {
            out.extend_from_slice(b"ERROR\r\n")
        }
    }
    None
}

/// A client that has not shown the password may only do that, by a `set` of any key whose data are
/// user and password: "default" or any other name, since there is one password for all.
fn unauthenticated(
    session: &mut Session,
    name: &[u8],
    words: &[&[u8]],
    out: &mut Vec<u8>,
) -> Option<Next> {
    let bytes = words.get(3).and_then(|word| super::number::unsigned(word));
    match (name, bytes) {
        (b"quit", _) => return Some(Next::Close),
        (b"set", Some(bytes)) if bytes <= MAX_CREDENTIALS => {
            session.mode = Mode::Credentials(bytes as usize + 2);
        }
        _ => out.extend_from_slice(b"CLIENT_ERROR unauthenticated\r\n"),
    }
    None
}

fn show_password(cx: &Context<'_>, session: &mut Session, block: &[u8], out: &mut Vec<u8>) {
    let answer: &[u8] = match block.strip_suffix(b"\r\n") {
        None => b"CLIENT_ERROR bad command line termination\r\n",
        Some(text) => match Words::new(text).all() {
            [_, password, ..] if cx.live.admits(password) => {
                session.authenticated = true;
                b"STORED\r\n"
            }
            [_, _, ..] => b"CLIENT_ERROR authentication failure\r\n",
            _ => b"CLIENT_ERROR bad authentication token format\r\n",
        },
    };
    out.extend_from_slice(answer);
}
