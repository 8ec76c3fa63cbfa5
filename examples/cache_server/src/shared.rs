//! What the connections of memcached, HTTP and the admin pages share: the store, the settings that
//! change, the counts, and the word to stop.

use crate::config::{Config, Live};
use crate::metrics::{Metrics, Protocol};
use crate::store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::watch;

/// See above. Made once for a server.
pub struct Shared {
    /// The items.
    pub store: Arc<Store>,
    /// Settings that change.
    pub live: Live,
    /// Counts of RESP: its commands in sum, as "all" (by name: INFO).
    pub resp: Arc<Protocol>,
    /// Counts of memcached's protocol.
    pub memcached: Arc<Protocol>,
    /// Counts of HTTP.
    pub http: Arc<Protocol>,
    /// All counts.
    pub metrics: Metrics,
    /// Which Content-Types values have.
    pub types: crate::http::Types,
    /// Of the delayed flushes that were asked for only the last counts.
    pub(crate) flushes: AtomicU64,
    ready: AtomicBool,
    stop: watch::Sender<bool>,
}

impl Shared {
    /// On a store.
    pub fn new(store: Arc<Store>, config: &Config) -> Shared {
        let resp = Arc::new(Protocol::new("resp", &["all"]));
        let memcached = Arc::new(Protocol::new("memcached", crate::memcached::COMMANDS));
        let http = Arc::new(Protocol::new("http", crate::http::COMMANDS));
        let protocols = vec![resp.clone(), memcached.clone(), http.clone()];
        Shared {
            store,
            live: Live::new(config),
            resp,
            memcached,
            http,
            metrics: Metrics::new(protocols),
            types: crate::http::Types::default(),
            flushes: AtomicU64::new(0),
            ready: AtomicBool::new(true),
            stop: watch::Sender::new(false),
        }
    }

    /// Changes the budget.
    ///
    /// # Errors
    /// As [`larder::Cache::resize`].
    pub fn resize(&self, bytes: u64) -> Result<(), larder::Error> {
        self.store.cache().resize(bytes)?;
        self.live.set_maxmemory(bytes);
        Ok(())
    }

    /// Whether new requests are welcome: not when the server is about to stop.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Asks all connections to end when they have answered what they were asked.
    pub fn stop(&self) {
        self.ready.store(false, Ordering::Relaxed);
        self.stop.send_replace(true);
    }

    /// To wait for the end of the server with.
    pub fn stopping(&self) -> Stopping {
        Stopping(self.stop.subscribe())
    }
}

/// Waits for the end of the server.
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Returns when the server stops.
    pub async fn wait(&mut self) {
        // It fails only when the server is gone. What it returns holds a lock.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
