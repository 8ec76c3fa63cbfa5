//! Workers: threads with a runtime of one thread each. The first also accepts connections and hands
//! them to all in turn; a connection stays with its worker.
//!
//! A runtime of many threads would move a connection's task to whichever thread is idle, and pay
//! for that with locks and with caches that are cold; what is done here for a command takes less
//! time than the move.

use super::{Listeners, Protocol, Server};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// Connections that wait for a worker to take them.
const BACKLOG: usize = 1024;
/// How often expiries are told to those who track.
const TICK: Duration = Duration::from_millis(10);

/// A connection on its way to its worker.
struct Accepted {
    stream: std::net::TcpStream,
    protocol: Protocol,
}

/// A server that runs.
pub struct Running {
    server: Arc<Server>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Has it stop, and waits until it has: at most as long as the settings say.
    pub fn stop(self) {
        self.server.stop();
        self.join();
    }

    /// Waits until it has stopped.
    pub fn join(self) {
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// Starts the workers.
///
/// # Errors
/// Those of the system.
pub fn start(server: &Arc<Server>, listeners: Listeners) -> io::Result<Running> {
    let count = match server.config.read().workers {
        0 => thread::available_parallelism().map_or(2, |n| n.get()).min(16),
        count => count,
    };
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(BACKLOG)).unzip();
    let mut first = Some((listeners.0, senders));
    let mut threads = Vec::new();
    for (i, receiver) in receivers.into_iter().enumerate() {
        let (server, accepts) = (Arc::clone(server), first.take());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let body = move || {
            LocalSet::new().block_on(&runtime, worker(server, receiver, accepts));
        };
        threads.push(thread::Builder::new().name(format!("worker-{i}")).spawn(body)?);
    }
    Ok(Running { server: Arc::clone(server), threads })
}

type Accepts = Option<(Vec<(TcpListener, Protocol)>, Vec<mpsc::Sender<Accepted>>)>;

async fn worker(server: Arc<Server>, mut accepted: mpsc::Receiver<Accepted>, accepts: Accepts) {
    if let Some((listeners, senders)) = accepts {
        for (listener, protocol) in listeners {
            tokio::task::spawn_local(accept(
                Arc::clone(&server),
                listener,
                protocol,
                senders.clone(),
            ));
        }
        tokio::task::spawn_local(tick(Arc::clone(&server)));
    }
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Some(next) = accepted.recv() => {
                connections.spawn_local(serve(Arc::clone(&server), next));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = server.stopped() => break,
        }
    }
    let drain = server.config.read().drain;
    let _ = tokio::time::timeout(drain, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn serve(server: Arc<Server>, Accepted { stream, protocol }: Accepted) {
    let counters = &server.counters;
    if let Ok(stream) = TcpStream::from_std(stream) {
        match protocol {
            Protocol::Resp => crate::resp::serve(stream, Arc::clone(&server)).await,
            Protocol::Memcached | Protocol::Http | Protocol::Admin => {}
        }
    }
    counters.connected.fetch_sub(1, Ordering::Relaxed);
}

/// Accepts connections and hands them to the workers in turn.
async fn accept(
    server: Arc<Server>,
    listener: TcpListener,
    protocol: Protocol,
    workers: Vec<mpsc::Sender<Accepted>>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.stopped() => return,
        };
        let stream = match accepted.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => stream,
            Err(error) => {
                // Out of descriptors, most likely: the connections there are may give some back.
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let counters = &server.counters;
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let connected = counters.connected.fetch_add(1, Ordering::Relaxed);
        if connected >= server.live.maxclients.load(Ordering::Relaxed) {
            counters.connected.fetch_sub(1, Ordering::Relaxed);
            counters.rejected.fetch_add(1, Ordering::Relaxed);
            refuse(stream, protocol);
            continue;
        }
        let _ = stream.set_nodelay(true);
        turn = (turn + 1) % workers.len();
        if workers[turn].send(Accepted { stream, protocol }).await.is_err() {
            return;
        }
    }
}

fn refuse(mut stream: std::net::TcpStream, protocol: Protocol) {
    use io::Write;
    let text: &[u8] = match protocol {
        Protocol::Resp => b"-ERR max number of clients reached\r\n",
        Protocol::Memcached => b"ERROR Too many open connections\r\n",
        Protocol::Http | Protocol::Admin => {
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        }
    };
    // It fits the socket's buffer, which is empty.
    let _ = stream.write(text);
}

async fn tick(server: Arc<Server>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut n = 0u32;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = server.stopped() => return,
        }
        server.store.tell_of_the_gone();
        n = n.wrapping_add(1);
        if n.is_multiple_of(100) {
            server.store.tick();
        }
    }
}
