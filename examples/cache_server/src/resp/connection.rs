//! A connection: bytes in, commands, bytes out.
//!
//! Buffers belong to the worker, not to the connection: input is read into one that all connections
//! of a worker use in turn, and replies are gathered in another, written with one call. A connection
//! keeps bytes of its own only while a command is half there or a reply wasn't taken: one that is
//! idle has none.
//!
//! A client that doesn't read its replies has nothing more of it read or done until it does, and is
//! cut when what waits for it is more than the limit.

use super::output::Output;
use super::parse::{Batch, Limits, Partial};
use super::session::Session;
use super::{execute, pushes};
use crate::server::{Client, Server};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Commands run for one look at the socket, so that others have their turn.
const COMMANDS: usize = 256;
/// Commands whose keys are asked for together.
const TOGETHER: usize = 16;
/// Bytes of replies after which they are written before more is done.
const WRITE_AT: usize = 256 << 10;
/// Bytes that a worker's output buffer keeps.
const KEEP: usize = 256 << 10;
/// The longest argument that is accepted, as Redis has it.
const ACCEPT: u64 = 512 << 20;
/// Bytes of values that are lent to a client that doesn't take them.
const MOST_LENT: usize = 256 << 10;
/// Slices written at once.
const SLICES: usize = 64;

/// What all connections of a worker use in turn.
struct Buffers {
    input: Box<[u8]>,
    batch: Batch,
    output: Output,
    scratch: Vec<u8>,
}

impl Buffers {
    /// A command that panicked ended its own connection; what it left here must not meet the next.
    #[inline]
    fn make_ready(&mut self) {
        if self.input.is_empty() {
            self.input = vec![0; READ].into_boxed_slice();
        }
        if !self.output.is_empty() {
            self.output.clear(KEEP);
        }
    }
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: vec![0; READ].into_boxed_slice(),
        batch: Batch::default(),
        output: Output::default(),
        scratch: Vec::new(),
    });
}

/// What a connection keeps.
struct Connection<S> {
    server: Arc<Server>,
    session: Session,
    stream: S,
    /// Of a command that isn't complete, or not run yet.
    pending: Vec<u8>,
    partial: Option<Box<Partial>>,
    /// What the client hasn't taken yet.
    unsent: Option<Box<Output>>,
    /// There are complete commands in `pending`.
    more: bool,
}

/// What is to come next.
enum Next {
    /// The socket has nothing, or takes nothing.
    Wait,
    /// There is more to do; others first.
    Again,
    /// The end.
    End,
}

/// Serves a connection of any kind until it ends.
pub async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    addr: String,
    laddr: String,
    server: Arc<Server>,
) {
    let client = server.clients.add(addr, laddr, server.store.now());
    let session = Session::new(&server, client);
    let mut connection = Connection {
        session,
        stream,
        pending: Vec::new(),
        partial: None,
        unsent: None,
        more: false,
        server,
    };
    connection.run().await;
    let Connection { mut session, server, .. } = connection;
    session.stop_tracking(&server);
    server.clients.remove(&session.client);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) {
        let (client, server) = (Arc::clone(&self.session.client), Arc::clone(&self.server));
        let (mut stopping, mut stopped) = (server.shared.stopping(), false);
        loop {
            let limit = silence_limit(&client, &server);
            let mut woken = pin!(client.mailbox.woken());
            let turn = poll_fn(|context| {
                // Mail that comes from here on wakes this task.
                let told = woken.as_mut().poll(context).is_ready();
                match self.turn(context) {
                    Next::Wait if told => Poll::Ready(Next::Again),
                    Next::Wait => Poll::Pending,
                    next => Poll::Ready(next),
                }
            });
            let next = tokio::select! {
                biased;
                next = turn => next,
                () = stopping.wait(), if !stopped => {
                    stopped = true;
                    Next::Again
                }
                () = silence(limit), if limit.is_some() => {
                    match limit {
                        Some(limit) if is_silent(&client, &server, limit) => {
                            server.shared.resp.cut();
                            Next::End
                        }
                        _ => Next::Wait,
                    }
                }
            };
            match next {
                Next::End => break,
                Next::Wait => {}
                Next::Again => tokio::task::yield_now().await,
            }
        }
    }

    /// Does what can be done now.
    fn turn(&mut self, context: &mut Context<'_>) -> Next {
        loop {
            if self.session.client.mailbox.is_killed() {
                return Next::End;
            }
            if self.unsent.is_some() {
                match self.send_rest(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Next::End,
                    Poll::Pending => {
                        return if self.is_cut() { Next::End } else { Next::Wait };
                    }
                }
            }
            if self.session.ends {
                return Next::End;
            }
            let done = BUFFERS.with(|buffers| {
                let buffers = &mut *buffers.borrow_mut();
                buffers.make_ready();
                self.deliver(context, buffers)?;
                if self.more { self.go_on(context, buffers) } else { self.read(context, buffers) }
            });
            match done {
                Ok(Did::Nothing) if !self.server.shared.is_ready() && self.unsent.is_none() => {
                    return Next::End;
                }
                Ok(Did::Nothing) => return Next::Wait,
                Ok(Did::Some) if self.more => return Next::Again,
                Ok(Did::Some) => {}
                Err(_) => return Next::End,
            }
        }
    }

    /// Writes what the mailbox has.
    fn deliver(&mut self, context: &mut Context<'_>, buffers: &mut Buffers) -> io::Result<()> {
        if !self.session.client.mailbox.has_mail() {
            return Ok(());
        }
        buffers.output.resp3 = self.session.resp3;
        {
            // What one command on several keys has to tell comes in one message.
            let _turn = self.server.store.turns().shared();
            pushes::deliver(&mut self.session, &mut buffers.output);
        }
        self.send(context, &mut buffers.output)
    }

    /// Reads once, and runs what came.
    fn read(&mut self, context: &mut Context<'_>, buffers: &mut Buffers) -> io::Result<Did> {
        let Buffers { input, .. } = buffers;
        let mut read = ReadBuf::new(input);
        match Pin::new(&mut self.stream).poll_read(context, &mut read) {
            Poll::Pending => return Ok(Did::Nothing),
            Poll::Ready(result) => result?,
        }
        let came = read.filled().len();
        if came == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let client = &self.session.client;
        client.received.fetch_add(came as u64, Ordering::Relaxed);
        self.server.shared.resp.moved(came, 0);
        let skipped = self.partial.as_mut().map_or(0, |partial| partial.drop_from(came));
        let input = std::mem::take(&mut buffers.input);
        let result = if self.pending.is_empty() && self.partial.is_none() {
            self.run_input(context, buffers, &input[..came]).map(|(used, keep)| {
                self.pending.extend_from_slice(&input[used..used + keep]);
            })
        } else {
            self.pending.extend_from_slice(&input[skipped..came]);
            self.run_pending(context, buffers)
        };
        buffers.input = input;
        result.map(|()| Did::Some)
    }

    /// Goes on with commands that were read before.
    fn go_on(&mut self, context: &mut Context<'_>, buffers: &mut Buffers) -> io::Result<Did> {
        self.run_pending(context, buffers).map(|()| Did::Some)
    }

    fn run_pending(&mut self, context: &mut Context<'_>, buffers: &mut Buffers) -> io::Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        let result = self.run_input(context, buffers, &pending);
        if let Ok((used, keep)) = result {
            pending.truncate(used + keep);
            pending.drain(..used);
            if pending.is_empty() {
                pending = Vec::new();
            } else if pending.capacity() > 2 * READ && pending.len() < pending.capacity() / 4 {
                pending.shrink_to(READ);
            }
            self.pending = pending;
        }
        result.map(|_| ())
    }

    /// Runs the commands of an input, and returns how much of it was used and how much behind that
    /// is to be kept.
    fn run_input(
        &mut self,
        context: &mut Context<'_>,
        buffers: &mut Buffers,
        input: &[u8],
    ) -> io::Result<(usize, usize)> {
        let Buffers { batch, output, scratch, .. } = buffers;
        let mut partial = self.partial.take().map_or_else(Partial::default, |partial| *partial);
        let (mut used, mut commands, began) = (0, 0, Instant::now());
        let mut keep;
        self.more = false;
        let fault = loop {
            batch.clear();
            let limits = self.limits();
            // What a client may say depends on what it has said before.
            let most = if limits.known { TOGETHER } else { 1 };
            let parsed = partial.parse(&input[used..], most, &limits, batch);
            let count = batch.ends.len();
            if count > 0 {
                let rest = &input[used..];
                // What lacks bytes can't be looked at again.
                let most = if partial.drops() { usize::MAX } else { WRITE_AT };
                let session = &mut self.session;
                let done =
                    execute::batch(&self.server, session, rest, batch, output, scratch, most);
                commands += done;
                if done < count && !self.session.ends {
                    used += batch.ends[done - 1].bytes;
                    keep = input.len() - used;
                    partial = Partial::default();
                    self.more = true;
                    break None;
                }
            }
            used += parsed.used;
            keep = parsed.keep;
            if parsed.fault.is_some() || self.session.ends {
                break parsed.fault;
            }
            if count < most {
                break None;
            }
            if commands >= COMMANDS || output.len() >= WRITE_AT {
                self.more = used < input.len();
                keep = input.len() - used;
                break None;
            }
        };
        scratch.shrink_to(READ);
        let client = &self.session.client;
        client.commands.fetch_add(commands as u64, Ordering::Relaxed);
        client.active.store(self.server.store.now(), Ordering::Relaxed);
        if let Some(why) = fault {
            output.error(&format!("ERR {why}"));
            self.session.ends = true;
        }
        let (sent, counts) = (output.len(), &self.server.shared.resp);
        counts.commands(0, commands as u64);
        counts.took(commands as u64, began.elapsed());
        counts.moved(0, sent);
        client.sent.fetch_add(sent as u64, Ordering::Relaxed);
        self.send(context, output)?;
        if !partial.is_empty() {
            self.partial = Some(Box::new(partial));
        }
        if keep > self.server.live().query_limit() {
            self.server.shared.resp.cut_too_long();
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok((used, keep))
    }

    fn limits(&self) -> Limits {
        let keep = (self.server.live().longest_value() as u64).min(ACCEPT);
        Limits { keep, accept: ACCEPT, known: self.session.known }
    }

    /// Writes what was answered; what isn't taken at once is kept. Whatever comes of it, nothing of
    /// it stays in the worker's buffer: that would go to another connection.
    fn send(&mut self, context: &mut Context<'_>, output: &mut Output) -> io::Result<()> {
        let result = self.try_send(context, output);
        output.clear(KEEP);
        result
    }

    fn try_send(&mut self, context: &mut Context<'_>, output: &mut Output) -> io::Result<()> {
        if self.unsent.is_none() {
            write(&mut self.stream, context, output)?;
        }
        if !output.is_empty() {
            output.move_to(self.unsent.get_or_insert_default());
            self.bound_lent();
            if self.is_cut() {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        Ok(())
    }

    /// What the client doesn't take holds the cache's memory as long as it is lent. There is a
    /// bound on that: beyond, it is copied, and counts against the connection's own limit only.
    fn bound_lent(&mut self) {
        let Some(unsent) = &mut self.unsent else { return };
        if unsent.view_bytes() > MOST_LENT {
            unsent.copy_views();
        }
    }

    fn send_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(unsent) = &mut self.unsent else { return Poll::Ready(Ok(())) };
        if let Err(error) = write(&mut self.stream, context, unsent) {
            return Poll::Ready(Err(error));
        }
        let waiting = unsent.len();
        self.session.client.waiting.store(waiting, Ordering::Relaxed);
        if waiting > 0 {
            return Poll::Pending;
        }
        self.unsent = None;
        Poll::Ready(Ok(()))
    }

    /// Whether more waits for the client than may.
    fn is_cut(&self) -> bool {
        let waiting = self.unsent.as_ref().map_or(0, |unsent| unsent.len());
        self.session.client.waiting.store(waiting, Ordering::Relaxed);
        let cut = waiting > self.server.live().output_limit();
        if cut {
            self.server.shared.resp.cut_unread();
            tracing::warn!(client = self.session.id(), waiting, "cut: it doesn't read");
        }
        cut
    }
}

/// Whether anything was done.
enum Did {
    Some,
    Nothing,
}

/// After how long a silence a connection ends.
fn silence_limit(client: &Client, server: &Server) -> Option<Duration> {
    server.live().timeout().filter(|_| client.facts.lock().sub == 0)
}

/// Waits so long.
async fn silence(limit: Option<Duration>) {
    tokio::time::sleep(limit.unwrap_or_default()).await;
}

/// Whether nothing has come for so long.
fn is_silent(client: &Client, server: &Server, limit: Duration) -> bool {
    let silence = server.store.now() - client.active.load(Ordering::Relaxed);
    silence >= limit.as_millis() as i64
}

/// Writes until all is written or nothing more is taken.
fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    output: &mut Output,
) -> io::Result<()> {
    while !output.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = output.slices(&mut slices);
        let stream = Pin::new(&mut *stream);
        let written = if count == 1 {
            stream.poll_write(context, &slices[0])
        } else {
            stream.poll_write_vectored(context, &slices[..count])
        };
        match written {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(written)) => output.wrote(written),
            Poll::Ready(Err(error)) => return Err(error),
        }
    }
    Ok(())
}
