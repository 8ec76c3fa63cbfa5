//! What all RESP connections share: the keyspace and the settings, which they have with the other
//! protocols, and the list of connections.

mod client;
mod totals;

pub use client::{Client, Clients, Facts, Introduction};
pub use totals::Totals;

use crate::config::{Config, Live};
use crate::shared::Shared;
use crate::store::Store;
use parking_lot::Mutex;
use std::sync::Arc;

/// What all RESP connections share.
pub struct Server {
    /// The keyspace.
    pub store: Arc<Store>,
    /// What the other protocols have, too.
    pub shared: Arc<Shared>,
    /// The settings as they were at the start; those that can change are in [`Server::live`].
    pub config: Config,
    /// The connections.
    pub clients: Clients,
    /// A name for this run: 40 hexadecimal digits.
    pub run_id: String,
    /// What had been counted when CONFIG RESETSTAT was last said.
    forgotten: Mutex<Totals>,
}

impl Server {
    /// A server that nobody is connected to.
    pub fn new(config: &Config, shared: &Arc<Shared>) -> Arc<Server> {
        Arc::new(Server {
            store: shared.store.clone(),
            shared: shared.clone(),
            config: config.clone(),
            clients: Clients::default(),
            run_id: run_id(),
            forgotten: Mutex::default(),
        })
    }

    /// The settings that change.
    #[inline]
    pub fn live(&self) -> &Live {
        &self.shared.live
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
