//! Metrics in Prometheus' text format. Names follow its conventions: a prefix, base units, `_total`
//! for what only grows.

use crate::metrics::{BOUNDS, Protocol};
use crate::shared::Shared;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// All metrics.
pub fn metrics(shared: &Shared) -> String {
    let mut out = String::with_capacity(16 << 10);
    of_cache(&mut out, shared);
    of_server(&mut out, shared);
    of_protocols(&mut out, &shared.metrics.protocols);
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP larder_{name} {help}\n# TYPE larder_{name} {kind}");
}

fn one(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    head(out, name, kind, help);
    let _ = writeln!(out, "larder_{name} {value}");
}

fn of_cache(out: &mut String, shared: &Shared) {
    let s = shared.store.stats();
    for (name, help, value) in [
        ("hits_total", "Reads that found their key.", s.hits),
        ("misses_total", "Reads that did not.", s.misses),
        ("sets_total", "Values stored.", s.sets),
        ("deletes_total", "Entries deleted by clients.", s.deletes),
        ("evictions_total", "Entries dropped to make room.", s.evictions),
        ("expirations_total", "Entries removed because their time had come.", s.expirations),
        ("invalidations_total", "Entries removed because of a tag.", s.invalidations),
        ("rejections_total", "Sets that failed for want of room.", s.rejections),
        ("appended_bytes_total", "Bytes of entries written by sets.", s.appended_bytes),
        ("copied_bytes_total", "Bytes of entries moved to make room.", s.copied_bytes),
    ] {
        one(out, name, "counter", help, value);
    }
    one(out, "entries", "gauge", "Entries now.", s.entries);
    one(out, "max_bytes", "gauge", "The budget.", s.max_bytes);
    head(out, "memory_bytes", "gauge", "Bytes of the budget, by what they are used for.");
    for (state, bytes) in [
        ("live", s.live_bytes),
        ("dead", s.dead_bytes),
        ("index", s.index_bytes),
        ("bookkeeping", s.bookkeeping_bytes),
        ("free", s.free_bytes),
    ] {
        let _ = writeln!(out, "larder_memory_bytes{{state=\"{state}\"}} {bytes}");
    }
}

fn of_server(out: &mut String, shared: &Shared) {
    head(out, "build_info", "gauge", "The version.");
    let _ = writeln!(out, "larder_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    let uptime = shared.metrics.started.elapsed().as_secs();
    one(out, "uptime_seconds", "gauge", "Seconds since the start.", uptime);
    if let Some(bytes) = resident() {
        one(out, "resident_memory_bytes", "gauge", "Memory of the process.", bytes);
    }
    let refused = shared.metrics.refused.load(Ordering::Relaxed);
    let help = "Connections refused because there were too many.";
    one(out, "connections_refused_total", "counter", help, refused);
    let most = shared.live.maxclients() as u64;
    one(out, "connections_max", "gauge", "Connections at once, at most.", most);
}

/// What a number of a protocol is called, what it is, and how it is asked for.
type Number = (&'static str, &'static str, &'static str, fn(&Protocol) -> u64);

fn of_protocols(out: &mut String, protocols: &[std::sync::Arc<Protocol>]) {
    let numbers: [Number; 5] = [
        ("connections", "gauge", "Connections now.", |p| p.connections().0),
        ("connections_total", "counter", "Connections so far.", |p| p.connections().1),
        ("connections_cut_total", "counter", "Connections cut for want of patience.", |p| p.cuts()),
        ("received_bytes_total", "counter", "Bytes received.", |p| p.bytes().0),
        ("sent_bytes_total", "counter", "Bytes sent.", |p| p.bytes().1),
    ];
    for (name, kind, help, value) in numbers {
        head(out, name, kind, help);
        for protocol in protocols {
            let (label, value) = (protocol.name, value(protocol));
            let _ = writeln!(out, "larder_{name}{{protocol=\"{label}\"}} {value}");
        }
    }
    head(out, "commands_total", "counter", "Commands, by name.");
    for protocol in protocols {
        for (place, command) in protocol.names.iter().enumerate() {
            let (name, count) = (protocol.name, protocol.count(place));
            let labels = format!("protocol=\"{name}\",command=\"{command}\"");
            let _ = writeln!(out, "larder_commands_total{{{labels}}} {count}");
        }
    }
    let help = "Seconds from a command's bytes to its reply, which commands sent together share.";
    head(out, "command_duration_seconds", "histogram", help);
    for protocol in protocols {
        histogram(out, protocol);
    }
}

fn histogram(out: &mut String, protocol: &Protocol) {
    let name = protocol.name;
    let (counts, sum) = protocol.histogram();
    let metric = "larder_command_duration_seconds";
    for (bound, count) in BOUNDS.iter().zip(counts) {
        let bound = *bound as f64 / 1e6;
        let _ = writeln!(out, "{metric}_bucket{{protocol=\"{name}\",le=\"{bound}\"}} {count}");
    }
    let all = counts[BOUNDS.len()];
    let _ = writeln!(out, "{metric}_bucket{{protocol=\"{name}\",le=\"+Inf\"}} {all}");
    let _ = writeln!(out, "{metric}_sum{{protocol=\"{name}\"}} {}", sum.as_secs_f64());
    let _ = writeln!(out, "{metric}_count{{protocol=\"{name}\"}} {all}");
}

/// Resident memory of this process, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
