//! What the server tells of itself as JSON.

use crate::shared::Shared;
use serde_json::{Map, Value, json};

/// Everything that is counted.
pub fn stats(shared: &Shared) -> Value {
    let cache = shared.store.stats();
    let protocols: Map<String, Value> = shared
        .metrics
        .protocols
        .iter()
        .map(|protocol| {
            let (open, ever) = protocol.connections();
            let (read, written) = protocol.bytes();
            let commands: Map<String, Value> = (0..protocol.names.len())
                .filter(|&i| protocol.count(i) > 0)
                .map(|i| (protocol.names[i].to_owned(), protocol.count(i).into()))
                .collect();
            let (_, time) = protocol.histogram();
            let told = json!({
                "connections": open, "connections_total": ever, "cut": protocol.cuts(),
                "bytes_read": read, "bytes_written": written,
                "commands": commands, "seconds": time.as_secs_f64(),
            });
            (protocol.name.to_owned(), told)
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": shared.metrics.started.elapsed().as_secs(),
        "cache": {
            "hits": cache.hits, "misses": cache.misses, "sets": cache.sets,
            "deletes": cache.deletes, "evictions": cache.evictions,
            "expirations": cache.expirations, "invalidations": cache.invalidations,
            "rejections": cache.rejections, "entries": cache.entries,
            "bytes": cache.bytes, "max_bytes": cache.max_bytes, "live_bytes": cache.live_bytes,
            "dead_bytes": cache.dead_bytes, "index_bytes": cache.index_bytes,
            "bookkeeping_bytes": cache.bookkeeping_bytes, "free_bytes": cache.free_bytes,
        },
        "protocols": protocols,
    })
}
