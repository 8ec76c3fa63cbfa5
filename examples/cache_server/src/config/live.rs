//! The settings that can change while the server runs. Every connection looks here, so all are
//! atomics, but for the password, which is read only where a client shows one.

use super::Config;
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
    longest_value: AtomicUsize,
    tracked_keys: AtomicUsize,
    password: RwLock<Option<Box<[u8]>>>,
}

impl Live {
    /// As a configuration says.
    pub fn new(config: &Config) -> Live {
        let live = Live {
            maxclients: AtomicUsize::new(0),
            timeout: AtomicU64::new(0),
            output_limit: AtomicUsize::new(0),
            longest_value: AtomicUsize::new(0),
            tracked_keys: AtomicUsize::new(0),
            password: RwLock::new(None),
        };
        live.apply(config);
        live
    }

    /// Takes over what another configuration says.
    pub fn apply(&self, config: &Config) {
        self.set_maxclients(config.maxclients);
        self.set_timeout(config.timeout);
        self.output_limit.store(config.output_limit, Ordering::Relaxed);
        self.longest_value.store(config.longest_value(), Ordering::Relaxed);
        self.tracked_keys.store(config.tracking_table_max_keys, Ordering::Relaxed);
        self.set_password(config.requirepass.as_deref().unwrap_or_default().as_bytes());
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
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout.store(millis, Ordering::Relaxed);
    }

    /// Bytes of answers that a client may leave unread.
    pub fn output_limit(&self) -> usize {
        self.output_limit.load(Ordering::Relaxed)
    }

    /// The longest value in bytes.
    pub fn longest_value(&self) -> usize {
        self.longest_value.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub fn set_longest_value(&self, bytes: usize) {
        self.longest_value.store(bytes, Ordering::Relaxed);
    }

    /// Keys that are tracked for clients at most.
    pub fn tracked_keys(&self) -> usize {
        self.tracked_keys.load(Ordering::Relaxed)
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
