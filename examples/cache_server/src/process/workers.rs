//! Workers: threads with a runtime of one thread each. A connection is handed to one of them, and
//! stays there.
//!
//! A runtime of many threads would move a connection to whichever thread is idle, and pay for that
//! with locks and with caches that are cold; what is done here for a command takes less time than the
//! move.

use crate::config::Config;
use crate::edges::{Socket, Stream, Surface};
use crate::shared::Shared;
use crate::{admin, http, memcached};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

/// Connections that wait for a worker to take them.
const BACKLOG: usize = 1024;
/// Workers at most, where nothing is said.
const MOST: usize = 16;

/// A connection of any kind.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// A connection to be served: as it is, or by TLS.
pub enum Connection {
    /// As it is.
    Plain(Stream),
    /// By TLS.
    Secret(Box<dyn Duplex>),
}

/// What serves RESP on a worker's thread.
pub type Resp = Arc<dyn Fn(Connection) -> Pin<Box<dyn Future<Output = ()>>> + Send + Sync>;

struct Accepted {
    socket: Socket,
    surface: Surface,
    tls: bool,
    _place: Place,
}

/// One of the connections that there may be.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "tls")]
type Acceptor = Option<Arc<crate::edges::tls::Acceptor>>;
/// There is none.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
struct Acceptor;

#[cfg(feature = "tls")]
fn acceptor(config: &Config) -> io::Result<Acceptor> {
    Ok(crate::edges::tls::Acceptor::new(config)?.map(Arc::new))
}
#[cfg(not(feature = "tls"))]
fn acceptor(_: &Config) -> io::Result<Acceptor> {
    Ok(Acceptor)
}

/// The workers.
pub struct Workers {
    shared: Arc<Shared>,
    senders: Vec<mpsc::Sender<Accepted>>,
    threads: Vec<JoinHandle<()>>,
    connected: Arc<AtomicUsize>,
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    acceptor: Acceptor,
}

/// Hands connections to the workers in turn.
pub struct HandOver {
    shared: Arc<Shared>,
    senders: Vec<mpsc::Sender<Accepted>>,
    connected: Arc<AtomicUsize>,
    turn: AtomicUsize,
    surface: Surface,
    tls: bool,
}

/// What a worker has.
#[derive(Clone)]
struct Worker {
    shared: Arc<Shared>,
    resp: Option<Resp>,
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    acceptor: Acceptor,
}

impl Workers {
    /// Starts as many as the settings say.
    ///
    /// # Errors
    /// Those of the system; a certificate that isn't one.
    pub fn start(shared: &Arc<Shared>, config: &Config, resp: Option<Resp>) -> io::Result<Workers> {
        let count = match config.workers {
            0 => std::thread::available_parallelism().map_or(2, |n| n.get()).min(MOST),
            count => count,
        };
        let acceptor = acceptor(config)?;
        let (mut senders, mut threads) = (Vec::new(), Vec::new());
        for i in 0..count {
            let (sender, receiver) = mpsc::channel(BACKLOG);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let worker =
                Worker { shared: shared.clone(), resp: resp.clone(), acceptor: acceptor.clone() };
            let body = move || LocalSet::new().block_on(&runtime, work(worker, receiver));
            threads.push(std::thread::Builder::new().name(format!("worker-{i}")).spawn(body)?);
            senders.push(sender);
        }
        let (shared, connected) = (shared.clone(), Arc::default());
        Ok(Workers { shared, senders, threads, connected, acceptor })
    }

    /// For one socket that listens.
    pub fn hand_over(&self, surface: Surface, tls: bool) -> HandOver {
        HandOver {
            shared: self.shared.clone(),
            senders: self.senders.clone(),
            connected: self.connected.clone(),
            turn: AtomicUsize::new(0),
            surface,
            tls,
        }
    }

    /// Reads the certificates again. False: there are none.
    pub(super) fn renew_certificates(&self, config: &Config) -> io::Result<bool> {
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &self.acceptor {
            acceptor.reload(config)?;
            return Ok(true);
        }
        let _ = config;
        Ok(false)
    }

    /// Waits until all connections have ended, or the time is over.
    pub fn join(self, time: Duration) {
        drop(self.senders);
        // A worker looks at the time itself; this is for one that is in the middle of something.
        let end = Instant::now() + time + Duration::from_secs(1);
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl HandOver {
    /// Gives a connection to a worker, or tells its client that there are too many. False: the
    /// workers are gone.
    pub async fn give(&self, socket: Socket) -> bool {
        let before = self.connected.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.connected.clone());
        if before >= self.shared.live.maxclients() && self.surface != Surface::Admin {
            self.shared.metrics.refused.fetch_add(1, Ordering::Relaxed);
            if !self.tls {
                socket.refuse(self.surface.too_many());
            }
            return true;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.senders.len();
        let accepted = Accepted { socket, surface: self.surface, tls: self.tls, _place: place };
        self.senders[turn].send(accepted).await.is_ok()
    }
}

async fn work(worker: Worker, mut accepted: mpsc::Receiver<Accepted>) {
    let mut connections = JoinSet::new();
    let mut stop = worker.shared.stopping();
    loop {
        tokio::select! {
            next = accepted.recv() => {
                let Some(next) = next else { break };
                let worker = worker.clone();
                connections.spawn_local(async move {
                    if let Err(error) = serve(worker, next).await {
                        tracing::debug!(%error, "connection");
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = stop.wait() => break,
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(worker.shared.live.drain(), ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "cut: the time for them is over");
    }
}

async fn serve(worker: Worker, accepted: Accepted) -> io::Result<()> {
    let Accepted { socket, surface, tls, _place } = accepted;
    let stream = socket.into_stream()?;
    if !tls {
        return match surface {
            Surface::Resp => {
                if let Some(resp) = &worker.resp {
                    resp(Connection::Plain(stream)).await;
                }
                Ok(())
            }
            _ => speak(worker, surface, stream).await,
        };
    }
    secretly(worker, surface, stream).await
}

#[cfg(feature = "tls")]
async fn secretly(worker: Worker, surface: Surface, stream: Stream) -> io::Result<()> {
    let Some(acceptor) = &worker.acceptor else { return Ok(()) };
    let stream = acceptor.accept(stream).await?;
    if surface == Surface::Resp {
        if let Some(resp) = &worker.resp {
            resp(Connection::Secret(Box::new(stream))).await;
        }
        return Ok(());
    }
    speak(worker, surface, stream).await
}

#[cfg(not(feature = "tls"))]
async fn secretly(_: Worker, _: Surface, _: Stream) -> io::Result<()> {
    Ok(())
}

async fn speak(worker: Worker, surface: Surface, stream: impl Duplex) -> io::Result<()> {
    let shared = worker.shared;
    match surface {
        Surface::Memcached => memcached::serve(stream, shared).await,
        Surface::Http => http::serve(stream, shared).await.map_err(io::Error::other),
        Surface::Admin => admin::serve(stream, shared).await.map_err(io::Error::other),
        Surface::Resp => Ok(()),
    }
}
