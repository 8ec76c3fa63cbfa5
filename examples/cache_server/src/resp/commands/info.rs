//! INFO: the numbers, under the names that tools of Redis look for.

use crate::resp::command::Call;
use crate::server::Server;
use std::fmt::Write;

type Section = (&'static str, fn(&Server, &mut String));

const SECTIONS: [Section; 9] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", cpu),
    ("Cluster", |_, text| *text += "cluster_enabled:0\r\n"),
    ("Keyspace", keyspace),
];

/// INFO.
pub fn info(call: &mut Call<'_>) {
    let wanted: Vec<String> =
        call.args.from(1).map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
    let all = wanted.is_empty()
        || wanted.iter().any(|name| matches!(name.as_str(), "all" | "default" | "everything"));
    let mut text = String::new();
    for (name, write) in SECTIONS {
        if all || wanted.contains(&name.to_ascii_lowercase()) {
            if !text.is_empty() {
                text += "\r\n";
            }
            let _ = write!(text, "# {name}\r\n");
            write(call.server, &mut text);
        }
    }
    call.out.text(&text);
}

macro_rules! lines {
    ($text:expr, $($name:literal: $value:expr),* $(,)?) => {
        $(let _ = write!($text, concat!($name, ":{}\r\n"), $value);)*
    };
}

fn server(server: &Server, text: &mut String) {
    let config = &server.config;
    let uptime = server.shared.metrics.started.elapsed().as_secs();
    lines!(text,
        "redis_version": config.redis_version,
        "server_name": config.server_name,
        "larder_version": env!("CARGO_PKG_VERSION"),
        "redis_mode": "standalone",
        "server_mode": "standalone",
        "os": std::env::consts::OS,
        "arch_bits": 64,
        "process_id": std::process::id(),
        "run_id": server.run_id,
        "tcp_port": config.port.unwrap_or(0),
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime / 86_400,
        "hz": 100,
        "io_threads_active": i32::from(config.workers != 1),
    );
}

fn clients(server: &Server, text: &mut String) {
    lines!(text,
        "connected_clients": server.clients.len(),
        "maxclients": server.live().maxclients(),
        "blocked_clients": 0,
        "tracking_clients": server.store.tracking().clients(),
    );
}

fn memory(server: &Server, text: &mut String) {
    let stats = server.store.stats();
    lines!(text,
        "used_memory": stats.bytes,
        "used_memory_human": human(stats.bytes),
        "used_memory_rss": resident().unwrap_or(stats.bytes),
        "used_memory_dataset": stats.live_bytes,
        "used_memory_overhead": stats.index_bytes + stats.bookkeeping_bytes,
        "maxmemory": stats.max_bytes,
        "maxmemory_human": human(stats.max_bytes),
        "maxmemory_policy": "allkeys-lru",
        "mem_fragmentation_ratio": "1.00",
        "mem_allocator": "larder",
    );
}

fn human(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    UNITS.iter().find(|(unit, _)| bytes >= *unit).map_or_else(
        || format!("{bytes}B"),
        |(unit, name)| format!("{:.2}{name}", bytes as f64 / *unit as f64),
    )
}

/// Bytes of the process that are in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

fn persistence(_: &Server, text: &mut String) {
    lines!(text,
        "loading": 0,
        "async_loading": 0,
        "rdb_changes_since_last_save": 0,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_bgsave_status": "ok",
        "aof_enabled": 0,
        "aof_rewrite_in_progress": 0,
    );
}

fn stats(server: &Server, text: &mut String) {
    let (stats, totals) = (server.store.stats(), server.totals());
    let (keys, items, prefixes) = server.store.tracking().len();
    lines!(text,
        "total_connections_received": totals.connections,
        "total_commands_processed": totals.commands,
        "total_net_input_bytes": totals.received,
        "total_net_output_bytes": totals.sent,
        "rejected_connections": totals.refused,
        "total_error_replies": totals.errors,
        "client_output_buffer_limit_disconnections": totals.unread,
        "client_query_buffer_limit_disconnections": totals.too_long,
        "expired_keys": totals.expired,
        "evicted_keys": totals.evicted,
        "keyspace_hits": totals.hits,
        "keyspace_misses": totals.misses,
        "tracking_total_keys": keys,
        "tracking_total_items": items,
        "tracking_total_prefixes": prefixes,
        "larder_invalidations": stats.invalidations,
        "larder_rejections": stats.rejections,
    );
}

fn replication(server: &Server, text: &mut String) {
    lines!(text,
        "role": "master",
        "connected_slaves": 0,
        "master_replid": server.run_id,
        "master_repl_offset": 0,
    );
}

fn cpu(_: &Server, text: &mut String) {
    // SAFETY: an all-zero rusage is one, and the call only writes to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| format!("{}.{:06}", time.tv_sec, time.tv_usec);
    lines!(text,
        "used_cpu_sys": seconds(usage.ru_stime),
        "used_cpu_user": seconds(usage.ru_utime),
    );
}

fn keyspace(server: &Server, text: &mut String) {
    let entries = server.store.stats().entries;
    if entries > 0 {
        let _ = write!(text, "db0:keys={entries},expires=0,avg_ttl=0\r\n");
    }
}
