//! What holds for every command: whether it exists and may be said now, turns, transactions,
//! tracking of what is read, and what comes behind its reply.

use super::command::{Args, Call, Command, find, flag, number_of};
use super::output::Output;
use super::parse::Batch;
use super::pushes;
use super::session::{MOST_QUEUED, Queued, Replies, Session};
use crate::server::Server;
use crate::store::{Shared, Store};
use std::sync::atomic::Ordering;

/// Keys of a batch that are asked for ahead.
const AHEAD: usize = 16;

/// What was said when there is no memory for a command.
pub const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Runs the commands of a batch, until one of them ends the connection or there are `most` bytes of
/// replies. Returns how many were run: at least one.
pub fn batch(
    server: &Server,
    session: &mut Session,
    input: &[u8],
    batch: &Batch,
    out: &mut Output,
    scratch: &mut Vec<u8>,
    most: usize,
) -> usize {
    out.resp3 = session.resp3;
    if batch.ends.len() > 1 {
        ask_ahead(&server.store, input, batch);
    }
    let mut turn = Some(server.store.turns().shared());
    let mut first = 0;
    for (i, end) in batch.ends.iter().enumerate() {
        let args = Args::new(input, &batch.args[first..end.args as usize]);
        let dropped = end.dropped;
        first = end.args as usize;
        command(server, session, args, dropped, out, scratch, &mut turn);
        if session.client.mailbox.has_mail() {
            pushes::deliver(session, out);
        }
        if session.ends || out.len() >= most {
            return i + 1;
        }
    }
    batch.ends.len()
}

/// Asks the memory for the keys of all commands at once, so that they are there when their turn
/// comes. Most commands have their key behind their name; what else stands there does no harm.
fn ask_ahead(store: &Store, input: &[u8], batch: &Batch) {
    let mut keys: [&[u8]; AHEAD] = [&[]; AHEAD];
    let (mut count, mut first) = (0, 0);
    for end in batch.ends.iter().take(AHEAD) {
        let args = Args::new(input, &batch.args[first..end.args as usize]);
        first = end.args as usize;
        if args.len() >= 2 && !end.dropped {
            keys[count] = args.at(1);
            count += 1;
        }
    }
    store.cache().prefetch(&keys[..count]);
}

#[inline]
fn command<'s>(
    server: &'s Server,
    session: &mut Session,
    args: Args<'_>,
    dropped: bool,
    out: &mut Output,
    scratch: &mut Vec<u8>,
    turn: &mut Option<Shared<'s>>,
) {
    let mark = out.mark();
    if let Some(command) = admitted(server, session, args, dropped, out) {
        if queues(session, command) {
            queue(session, command, args, out);
        } else {
            let mut call = Call { server, session, out, scratch, args, command };
            if command.is(flag::ALONE) {
                turn.take();
                let alone = server.store.turns().exclusive();
                run(&mut call);
                drop(alone);
                *turn = Some(server.store.turns().shared());
            } else {
                run(&mut call);
            }
        }
    }
    if session.replies != Replies::On {
        silence(session, out, mark);
    }
}

/// CLIENT REPLY.
#[cold]
fn silence(session: &mut Session, out: &mut Output, mark: super::output::Mark) {
    match session.replies {
        Replies::On => {}
        Replies::Off => out.back_to(mark),
        Replies::SkipNext => session.replies = Replies::Skip,
        Replies::Skip => {
            session.replies = Replies::On;
            out.back_to(mark);
        }
    }
}

/// The command, if it may be said now. Else an error was answered.
#[inline]
fn admitted(
    server: &Server,
    session: &mut Session,
    args: Args<'_>,
    dropped: bool,
    out: &mut Output,
) -> Option<&'static Command> {
    let found = find(args.at(0));
    let why = match found {
        None => unknown(args),
        Some(command) if !command.takes(args.len()) => {
            format!("ERR wrong number of arguments for '{}' command", lower(command.name)).into()
        }
        Some(command) if !session.known && !command.is(flag::NO_AUTH) => {
            b"NOAUTH Authentication required.".to_vec()
        }
        Some(_) if dropped => OOM.into(),
        Some(command)
            if !session.channels.is_empty() && !session.resp3 && !command.is(flag::PUBSUB) =>
        {
            format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
                 are allowed in this context",
                lower(command.name)
            )
            .into()
        }
        Some(command) if session.transaction.is_some() && command.is(flag::NO_MULTI) => {
            b"ERR Command not allowed inside a transaction".to_vec()
        }
        Some(command) => {
            session.client.command.store(number_of(command), Ordering::Relaxed);
            return Some(command);
        }
    };
    server.shared.resp.failed();
    if let Some(transaction) = &mut session.transaction {
        transaction.spoiled = true;
    }
    out.error_bytes(&why);
    None
}

/// A name as errors say it.
pub fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Bytes of what was said that an error repeats.
const ECHO: usize = 128;

fn unknown(args: Args<'_>) -> Vec<u8> {
    let name = args.at(0);
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(&name[..name.len().min(ECHO)]);
    text.extend_from_slice(b"', with args beginning with: ");
    let mut echoed = Vec::new();
    for arg in args.from(1) {
        if echoed.len() >= ECHO {
            break;
        }
        let room = ECHO - echoed.len();
        echoed.push(b'\'');
        echoed.extend_from_slice(&arg[..arg.len().min(room)]);
        echoed.extend_from_slice(b"' ");
    }
    text.extend_from_slice(&echoed);
    text
}

fn queues(session: &Session, command: &Command) -> bool {
    session.transaction.is_some() && !command.is(flag::CONTROL)
}

fn queue(session: &mut Session, command: &'static Command, args: Args<'_>, out: &mut Output) {
    let Some(transaction) = &mut session.transaction else { return };
    let len: usize = args.from(0).map(|arg| arg.len() + 16).sum();
    if transaction.bytes + len > MOST_QUEUED {
        transaction.spoiled = true;
        transaction.queue = Vec::new();
        return out.error("ERR too much is queued: a transaction may hold 64 MiB");
    }
    transaction.bytes += len;
    let (mut bytes, mut ranges) = (Vec::new(), Vec::with_capacity(args.len()));
    for arg in args.from(0) {
        ranges.push(super::parse::Range { start: bytes.len() as u32, len: arg.len() as u32 });
        bytes.extend_from_slice(arg);
    }
    transaction.queue.push(Queued { command, bytes, ranges });
    session.tell_facts();
    out.status("QUEUED");
}

/// Runs a command that was admitted, with a turn.
#[inline]
pub fn run(call: &mut Call<'_>) {
    if call.session.tracks.is_some() {
        return run_tracked(call);
    }
    (call.command.run)(call);
}

/// As [`run`], for a connection that tracks.
fn run_tracked(call: &mut Call<'_>) {
    let (id, args, command) = (call.session.id(), call.args, call.command);
    let tracks = command.is(flag::READ) && call.session.tracks_reads();
    let tracking = call.server.store.tracking();
    if tracks {
        command.key_places(args).for_each(|place| tracking.reads(id, args.at(place)));
    }
    let in_transaction = call.session.transaction.is_some();
    (command.run)(call);
    if tracks {
        let cache = call.server.store.cache();
        for key in command.key_places(args).map(|place| args.at(place)) {
            if cache.info(key).is_some() {
                tracking.found(key);
            }
        }
    }
    // What CLIENT CACHING said holds for one command, or one transaction.
    if command.name != "CLIENT"
        && command.name != "EXEC"
        && !in_transaction
        && call.session.transaction.is_none()
    {
        call.session.caching = None;
    }
}
