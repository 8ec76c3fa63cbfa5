//! The server: what all connections share, the workers that serve them, and how it stops.

mod client;
mod counters;
mod listen;
mod workers;

pub use client::{Client, Clients, Facts, Introduction};
pub use counters::Counters;
pub use listen::{Listeners, Protocol};
pub use workers::{Running, start};

use crate::config::Config;
use crate::store::Store;
use crate::tracking::Tracking;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::Notify;

/// What all connections share.
pub struct Server {
    /// The keyspace.
    pub store: Store,
    /// The settings, as they were last changed.
    pub config: RwLock<Config>,
    /// Those of the settings that are asked for all the time.
    pub live: Live,
    /// The connections.
    pub clients: Clients,
    /// What is counted.
    pub counters: Counters,
    /// When it began.
    pub started: Instant,
    /// A name for this run: 40 hexadecimal digits.
    pub run_id: String,
    /// The port of RESP, once it listens.
    pub port: AtomicUsize,
    stopping: AtomicBool,
    stop: Notify,
}

/// Settings that are asked for all the time.
#[derive(Default)]
pub struct Live {
    /// As in [`Config`].
    pub output_limit: AtomicUsize,
    /// As in [`Config`].
    pub query_limit: AtomicUsize,
    /// As in [`Config`].
    pub maxclients: AtomicUsize,
    /// As in [`Config`], in milliseconds.
    pub timeout: AtomicU64,
    /// The longest value that can be stored.
    pub longest: AtomicU64,
    /// Whether a password is asked for.
    pub asks_password: AtomicBool,
}

impl Server {
    /// A server that nobody is connected to.
    ///
    /// # Errors
    /// As [`larder::Cache::new`].
    pub fn new(config: Config) -> Result<Arc<Server>, larder::Error> {
        Self::with_clock(config, larder::Clock::Coarse)
    }

    /// As [`Server::new`], with a clock of the caller's: for tests.
    ///
    /// # Errors
    /// As [`larder::Cache::new`].
    pub fn with_clock(config: Config, clock: larder::Clock) -> Result<Arc<Server>, larder::Error> {
        let options =
            larder::Options { policy: config.policy, clock, ..larder::Options::new(config.maxmemory) };
        let store = Store::new(options, Tracking::new(config.tracking_table_max_keys))?;
        let server = Server {
            store,
            live: Live::default(),
            clients: Clients::default(),
            counters: Counters::default(),
            started: Instant::now(),
            run_id: run_id(),
            port: AtomicUsize::new(usize::from(config.port.unwrap_or(0))),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            config: RwLock::new(config),
        };
        server.settings_changed();
        Ok(Arc::new(server))
    }

    /// To be called when `config` was changed.
    pub fn settings_changed(&self) {
        let (config, live) = (self.config.read(), &self.live);
        live.output_limit.store(config.output_limit, Ordering::Relaxed);
        live.query_limit.store(config.query_limit, Ordering::Relaxed);
        live.maxclients.store(config.maxclients, Ordering::Relaxed);
        live.timeout.store(config.timeout.as_millis() as u64, Ordering::Relaxed);
        live.longest.store(config.maxmemory / 4, Ordering::Relaxed);
        live.asks_password.store(config.requirepass.is_some(), Ordering::Relaxed);
    }

    /// Asks everything to come to an end: no more connections, and those that are there end when
    /// they have answered what they have read.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stop.notify_waiters();
        for client in self.clients.all() {
            client.mailbox.wake();
        }
    }

    /// Whether it is to come to an end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Waits until it is to come to an end.
    pub async fn stopped(&self) {
        let stop = self.stop.notified();
        if !self.is_stopping() {
            stop.await;
        }
    }

    /// Whether this is the password, in a time that doesn't depend on where they differ. Without a
    /// password anything is.
    pub fn is_password(&self, given: &[u8]) -> bool {
        let config = self.config.read();
        let Some(password) = &config.requirepass else { return true };
        same(given, password.as_bytes())
    }
}

/// Whether two texts are the same, in a time that depends on the length of the first alone.
fn same(given: &[u8], wanted: &[u8]) -> bool {
    let mut differ = u8::from(given.len() != wanted.len());
    for (i, byte) in given.iter().enumerate() {
        // Something to compare with, also behind its end.
        let other = wanted.get(i).copied().unwrap_or(!byte);
        differ |= std::hint::black_box(byte ^ other);
    }
    std::hint::black_box(differ) == 0
}

/// 40 random hexadecimal digits.
fn run_id() -> String {
    let random = ahash::RandomState::new();
    (0..3).map(|i| format!("{:016x}", random.hash_one(i))).collect::<String>()[..40].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        for (given, wanted, expected) in
            [("", "", true), ("a", "a", true), ("a", "b", false), ("a", "ab", false), ("ab", "a", false)]
        {
            assert_eq!(same(given.as_bytes(), wanted.as_bytes()), expected);
        }
        assert_eq!(run_id().len(), 40);
    }
}
