//! `stats`: what memcached's tools look for, from the cache's counts and the server's.

use super::session::Context;
use super::{COMMANDS, number};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn stats(cx: &Context<'_>, words: &[&[u8]], out: &mut Vec<u8>) {
    match words {
        [] => general(cx, out),
        [b"settings"] => settings(cx, out),
        [b"reset"] => return out.extend_from_slice(b"RESET\r\n"),
        // Slabs and classes there are none.
        [b"items" | b"slabs" | b"sizes" | b"conns"] => {}
        _ => return out.extend_from_slice(b"ERROR\r\n"),
    }
    out.extend_from_slice(b"END\r\n");
}

fn stat(out: &mut Vec<u8>, name: &str, value: u64) {
    let _ = write!(out, "STAT {name} ");
    number::push(out, value);
    out.extend_from_slice(b"\r\n");
}

fn general(cx: &Context<'_>, out: &mut Vec<u8>) {
    let stats = cx.store.stats();
    let (open, ever) = cx.counts.connections();
    let (read, written) = cx.counts.bytes();
    let count = |name: &str| cx.counts.count_of(name);
    let gets = ["get", "gets", "gat", "gats", "mg"].map(count).iter().sum();
    let sets = ["set", "add", "replace", "append", "prepend", "cas", "ms"].map(count).iter().sum();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    stat(out, "pid", u64::from(std::process::id()));
    stat(out, "uptime", cx.metrics.started.elapsed().as_secs());
    stat(out, "time", now);
    let _ = write!(
        out,
        "STAT version {}\r\n",
        super::session::VERSION.trim_start_matches("VERSION ").trim_end()
    );
    stat(out, "pointer_size", usize::BITS.into());
    stat(out, "max_connections", cx.live.maxclients() as u64);
    stat(out, "curr_connections", open);
    stat(out, "total_connections", ever);
    stat(
        out,
        "rejected_connections",
        cx.metrics.refused.load(std::sync::atomic::Ordering::Relaxed),
    );
    stat(out, "cmd_get", gets);
    stat(out, "cmd_set", sets);
    stat(out, "cmd_flush", count("flush_all"));
    stat(out, "cmd_touch", count("touch"));
    stat(
        out,
        "cmd_meta",
        COMMANDS.iter().filter(|name| name.len() == 2).map(|name| count(name)).sum(),
    );
    stat(out, "get_hits", stats.hits);
    stat(out, "get_misses", stats.misses);
    stat(out, "get_expired", stats.expirations);
    stat(out, "delete_hits", stats.deletes);
    stat(out, "bytes_read", read);
    stat(out, "bytes_written", written);
    stat(out, "limit_maxbytes", stats.max_bytes);
    stat(out, "accepting_conns", 1);
    stat(out, "bytes", stats.bytes);
    stat(out, "curr_items", stats.entries);
    stat(out, "total_items", stats.sets);
    stat(out, "evictions", stats.evictions);
    stat(out, "expired_unfetched", 0);
}

fn settings(cx: &Context<'_>, out: &mut Vec<u8>) {
    stat(out, "maxbytes", cx.store.stats().max_bytes);
    stat(out, "maxconns", cx.live.maxclients() as u64);
    stat(out, "item_size_max", cx.live.longest_value() as u64);
    let ascii = if cx.live.wants_password() { "yes" } else { "no" };
    let _ = write!(
        out,
        "STAT evictions on\r\nSTAT cas_enabled yes\r\nSTAT flush_enabled yes\r\n\
         STAT auth_enabled_sasl no\r\nSTAT auth_enabled_ascii {ascii}\r\n"
    );
}
