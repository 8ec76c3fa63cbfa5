//! What all RESP connections share: the keyspace and the settings, which they have with the other
//! protocols, and the list of connections.

mod client;
mod counters;

pub use client::{Client, Clients, Facts, Introduction};
pub use counters::Counters;

use crate::config::{Config, Live};
use crate::shared::Shared;
use crate::store::Store;
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Instant;

/// What all RESP connections share.
pub struct Server {
    /// The keyspace.
    pub store: Arc<Store>,
    /// What the other protocols have, too.
    pub shared: Arc<Shared>,
    /// The settings, as they were at the start, and the budget as it is now.
    pub config: RwLock<Config>,
    /// The connections.
    pub clients: Clients,
    /// What is counted.
    pub counters: Counters,
    /// When it began.
    pub started: Instant,
    /// A name for this run: 40 hexadecimal digits.
    pub run_id: String,
}

impl Server {
    /// A server that nobody is connected to.
    pub fn new(config: &Config, shared: &Arc<Shared>) -> Arc<Server> {
        Arc::new(Server {
            store: shared.store.clone(),
            shared: shared.clone(),
            config: RwLock::new(config.clone()),
            clients: Clients::default(),
            counters: Counters::default(),
            started: Instant::now(),
            run_id: run_id(),
        })
    }

    /// The settings that change.
    #[inline]
    pub fn live(&self) -> &Live {
        &self.shared.live
    }

    /// Changes the budget.
    ///
    /// # Errors
    /// As [`larder::Cache::resize`].
    pub fn resize(&self, bytes: u64) -> Result<(), larder::Error> {
        self.store.cache().resize(bytes)?;
        let mut config = self.config.write();
        config.maxmemory = bytes;
        self.shared.live.set_longest_value(config.longest_value());
        Ok(())
    }
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
    fn a_run_has_a_name() {
        assert_eq!(run_id().len(), 40);
        assert_ne!(run_id(), run_id());
    }
}
