//! The connection around [`step`]: reads what has come, has it done, and writes the answers before
//! it reads on.
//!
//! So a client that doesn't read is not read from either: what is held for it is one round of answers
//! ([`HIGH`](super::session::HIGH) bytes and a value), however much it asks for. One that leaves that
//! unread for too long is cut, and so is one that is silent for longer than the settings allow.

use super::session::{Context, Next, Session, step};
use crate::shared::Shared;
use crate::store::NOBODY;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Bytes that are read at once.
const READ: usize = 64 << 10;
/// Buffers of an idle connection that are larger are given back.
const KEPT: usize = 1 << 10;
/// How long a client may leave answers unread.
const UNREAD: Duration = Duration::from_secs(60);

/// Serves a client until it goes, is cut, or the server ends: then what it has sent
/// is still answered.
///
/// # Errors
/// Those of the connection.
pub async fn serve<S>(mut stream: S, shared: Arc<Shared>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _open = shared.memcached.opened();
    let (mut connection, mut stop) = (Connection::default(), shared.stopping());
    loop {
        let read = connection.read(&mut stream);
        let read = tokio::select! {
            biased;
            read = within(shared.live.timeout(), read) => read,
            () = stop.wait() => {
                // What lies in the socket's buffer was sent before the end.
                within(Some(Duration::ZERO), connection.read(&mut stream)).await.or(Ok(0))
            }
        };
        match read {
            Ok(0) => return stream.shutdown().await,
            Ok(bytes) => shared.memcached.moved(bytes, 0),
            Err(error) => {
                if error.kind() == io::ErrorKind::TimedOut {
                    shared.memcached.cut();
                }
                return Err(error);
            }
        }
        if !connection.answer(&mut stream, &shared).await? {
            return stream.shutdown().await;
        }
        plan_flush(&shared, connection.session.take_flush());
        connection.tidy();
    }
}

async fn within<T>(
    time: Option<Duration>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match time {
        None => work.await,
        Some(time) => {
            tokio::time::timeout(time, work).await.map_err(|_| io::ErrorKind::TimedOut)?
        }
    }
}

#[derive(Default)]
struct Connection {
    session: Session,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Connection {
    /// Reads what has come. Until something does, no buffer is held for it: the thread has one.
    async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        thread_local!(static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]));
        let input = &mut self.input;
        poll_fn(move |cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                match Pin::new(&mut *stream).poll_read(cx, &mut read) {
                    Poll::Ready(Ok(())) => {
                        input.extend_from_slice(read.filled());
                        Poll::Ready(Ok(read.filled().len()))
                    }
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending => Poll::Pending,
                }
            })
        })
        .await
    }

    /// Does what is whole in the input, and writes the answers. False: the connection ends.
    async fn answer<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        shared: &Shared,
    ) -> io::Result<bool> {
        let mut used = 0;
        loop {
            let (bytes, next) = self.step(shared, used);
            used += bytes;
            let more = matches!(next, Next::More);
            // Answers go out together, but not those to commands that wait for more.
            self.write(stream, shared, &next).await?;
            match next {
                Next::Close => return Ok(false),
                _ if more => break,
                _ => {}
            }
        }
        self.input.drain(..used);
        Ok(true)
    }

    fn step(&mut self, shared: &Shared, used: usize) -> (usize, Next) {
        let (began, before) = (Instant::now(), self.session.commands());
        let cx = Context {
            store: &shared.store,
            live: &shared.live,
            counts: &shared.memcached,
            metrics: &shared.metrics,
        };
        let _turn = shared.store.turns().shared();
        let done = step(&cx, &mut self.session, &self.input[used..], &mut self.output);
        let commands = self.session.commands() - before;
        if commands > 0 {
            shared.memcached.took(commands, began.elapsed());
        }
        done
    }

    async fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        shared: &Shared,
        next: &Next,
    ) -> io::Result<()> {
        let value = if let Next::Send(payload) = next { payload.bytes() } else { &[] };
        for bytes in [&self.output[..], value] {
            if let Err(error) = write_all(stream, bytes).await {
                if error.kind() == io::ErrorKind::TimedOut {
                    shared.memcached.cut();
                }
                return Err(error);
            }
        }
        if !(self.output.is_empty() && value.is_empty()) {
            within(Some(UNREAD), stream.flush()).await?;
        }
        shared.memcached.moved(0, self.output.len() + value.len());
        self.output.clear();
        Ok(())
    }

    /// Gives back what only a large request needed.
    fn tidy(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
        }
    }
}

/// Writes all, as long as the client goes on reading some of it.
async fn write_all<S: AsyncWrite + Unpin>(stream: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = within(Some(UNREAD), stream.write(bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// A flush that was asked for with a delay: when its time has come and none was asked for since, it
/// takes everything.
fn plan_flush(shared: &Arc<Shared>, after: Option<Duration>) {
    let Some(after) = after else { return };
    let number = shared.flushes.fetch_add(1, Ordering::Relaxed) + 1;
    if after.is_zero() {
        return;
    }
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.flushes.load(Ordering::Relaxed) == number {
            let _turn = shared.store.turns().shared();
            shared.store.clear(NOBODY);
        }
    });
}
