//! The settings that can change while the server runs. Every connection looks here, so all are
//! atomics, but for the password, which is read only where a client shows one.

use super::Config;
use super::options::OPTIONS;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// What can change.
#[derive(Debug)]
pub struct Live {
    maxclients: AtomicUsize,
    timeout: AtomicU64,
    output_limit: AtomicUsize,
    query_limit: AtomicUsize,
    maxmemory: AtomicU64,
    drain: AtomicU64,
    password: RwLock<Option<Box<[u8]>>>,
}

impl Live {
    /// As a configuration says.
    pub fn new(config: &Config) -> Live {
        let live = Live {
            maxclients: AtomicUsize::new(0),
            timeout: AtomicU64::new(0),
            output_limit: AtomicUsize::new(0),
            query_limit: AtomicUsize::new(0),
            maxmemory: AtomicU64::new(config.maxmemory),
            drain: AtomicU64::new(0),
            password: RwLock::new(None),
        };
        OPTIONS.iter().for_each(|option| live.take(option.name, config));
        live
    }

    /// Takes over what a configuration says of one option, if that is kept here. The budget is
    /// taken over when the cache has it ([`Live::set_maxmemory`]).
    pub(super) fn take(&self, name: &str, config: &Config) {
        match name {
            "maxclients" => self.set_maxclients(config.maxclients),
            "timeout" => self.set_timeout(config.timeout),
            "output-limit" => self.output_limit.store(config.output_limit, Ordering::Relaxed),
            "query-limit" => self.query_limit.store(config.query_limit, Ordering::Relaxed),
            "shutdown-timeout" => self.drain.store(millis(config.drain), Ordering::Relaxed),
            "requirepass" => {
                self.set_password(config.requirepass.as_deref().unwrap_or_default().as_bytes());
            }
            _ => {}
        }
    }

    /// Clients at once.
    pub fn maxclients(&self) -> usize {
        self.maxclients.load(Ordering::Relaxed)
    }

    /// Changes it; clients that are there stay.
    pub fn set_maxclients(&self, clients: usize) {
        self.maxclients.store(clients, Ordering::Relaxed);
    }

    /// How long a client may say nothing; None: for ever.
    pub fn timeout(&self) -> Option<Duration> {
        match self.timeout.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    /// Changes it; zero: for ever.
    pub fn set_timeout(&self, timeout: Duration) {
        self.timeout.store(millis(timeout), Ordering::Relaxed);
    }

    /// Bytes of answers that a client may leave unread.
    pub fn output_limit(&self) -> usize {
        self.output_limit.load(Ordering::Relaxed)
    }

    /// Bytes of one command that are held before it is complete.
    pub fn query_limit(&self) -> usize {
        self.query_limit.load(Ordering::Relaxed)
    }

    /// The cache's budget in bytes.
    pub fn maxmemory(&self) -> u64 {
        self.maxmemory.load(Ordering::Relaxed)
    }

    /// Takes notice that the cache has another one.
    pub fn set_maxmemory(&self, bytes: u64) {
        self.maxmemory.store(bytes, Ordering::Relaxed);
    }

    /// The longest value in bytes.
    pub fn longest_value(&self) -> usize {
        usize::try_from(self.maxmemory() / 4).unwrap_or(usize::MAX).min(self.query_limit())
    }

    /// How long a stop waits for requests under way.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain.load(Ordering::Relaxed))
    }

    /// Changes the password; empty: none is needed. Who has shown the old one stays.
    pub fn set_password(&self, password: &[u8]) {
        *self.password.write() = (!password.is_empty()).then(|| password.into());
    }

    /// Whether clients must show a password.
    pub fn wants_password(&self) -> bool {
        self.password.read().is_some()
    }

    /// Whether this is the password (or none is needed). Takes the same time wherever they differ;
    /// only that the length does could be measured.
    pub fn admits(&self, shown: &[u8]) -> bool {
        self.password.read().as_ref().is_none_or(|password| password.ct_eq(shown).into())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
