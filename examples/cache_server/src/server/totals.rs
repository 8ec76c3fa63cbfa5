//! What INFO tells of the past: since the start, or since CONFIG RESETSTAT. What is counted
//! ([`crate::metrics`] and the cache) only grows, as Prometheus wants it; a reset remembers where it
//! was.

use super::Server;
use crate::shared::Shared;
use std::sync::atomic::Ordering;

/// Sums since some moment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Totals {
    /// RESP connections that came.
    pub connections: u64,
    /// Connections of any protocol that were one too many.
    pub refused: u64,
    /// RESP commands.
    pub commands: u64,
    /// Bytes from RESP clients.
    pub received: u64,
    /// Bytes to RESP clients.
    pub sent: u64,
    /// Errors that RESP clients were answered.
    pub errors: u64,
    /// RESP connections cut because they left too much unread.
    pub unread: u64,
    /// RESP connections cut because a command was too long.
    pub too_long: u64,
    /// Reads that found something, by any protocol.
    pub hits: u64,
    /// Reads that found nothing.
    pub misses: u64,
    /// Entries that expired.
    pub expired: u64,
    /// Entries that were evicted.
    pub evicted: u64,
}

impl Totals {
    fn now(shared: &Shared) -> Totals {
        let (resp, stats) = (&shared.resp, shared.store.stats());
        let ((received, sent), (unread, too_long)) = (resp.bytes(), resp.cuts_by_limit());
        Totals {
            connections: resp.connections().1,
            refused: shared.metrics.refused.load(Ordering::Relaxed),
            commands: resp.total(),
            received,
            sent,
            errors: resp.failures(),
            unread,
            too_long,
            hits: stats.hits,
            misses: stats.misses,
            expired: stats.expirations,
            evicted: stats.evictions,
        }
    }

    fn since(self, before: Totals) -> Totals {
        Totals {
            connections: self.connections.saturating_sub(before.connections),
            refused: self.refused.saturating_sub(before.refused),
            commands: self.commands.saturating_sub(before.commands),
            received: self.received.saturating_sub(before.received),
            sent: self.sent.saturating_sub(before.sent),
            errors: self.errors.saturating_sub(before.errors),
            unread: self.unread.saturating_sub(before.unread),
            too_long: self.too_long.saturating_sub(before.too_long),
            hits: self.hits.saturating_sub(before.hits),
            misses: self.misses.saturating_sub(before.misses),
            expired: self.expired.saturating_sub(before.expired),
            evicted: self.evicted.saturating_sub(before.evicted),
        }
    }
}

impl Server {
    /// What came to pass since the start, or since the totals were last forgotten.
    pub fn totals(&self) -> Totals {
        Totals::now(&self.shared).since(*self.forgotten.lock())
    }

    /// Has the totals begin anew.
    pub fn forget_totals(&self) {
        *self.forgotten.lock() = Totals::now(&self.shared);
    }
}
