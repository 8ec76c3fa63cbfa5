//! Resident bytes of an entry over its key and value. Each cache is filled in a process of its own, with half as many
//! keys again as it has room for, so that it is as full as in service.

use std::process::Command;

use crate::caches::{self, Capacity};
use crate::keys;
use crate::table;

const KEY: usize = 16;
const VALUE: usize = 100;

/// The command that a child process is started with.
pub const CHILD: &str = "memory-child";

/// Starts a child for each cache and prints what they used.
pub fn measure(names: &[String], entries: usize) -> Result<(), String> {
    let mut rows = Vec::new();
    for name in names {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let output = Command::new(program)
            .args([CHILD, name, &entries.to_string()])
            .output()
            .map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let &[held, resident, peak] = &numbers[..] else {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        };
        rows.push(vec![
            name.clone(),
            format!("{held}"),
            format!("{:.0}", resident / 1048576.0),
            format!("{:.1}", resident / held - (KEY + VALUE) as f64),
            format!("{:.2}", peak / (held * (KEY + VALUE) as f64)),
        ]);
    }
    println!("\nResident memory, room for {entries} entries of {KEY} + {VALUE} bytes, filled\n");
    let header = [
        "cache",
        "entries held",
        "resident MiB",
        "bytes/entry over key and value",
        "peak / payload",
    ];
    table::print(&header.map(String::from), &rows);
    Ok(())
}

/// The child: prints the entries held, and by how many bytes the resident memory grew, at the end and at most.
pub fn child(name: &str, entries: usize) -> Result<(), String> {
    let before = resident("VmRSS:")?;
    let cache = caches::make(name, Capacity { entries, entry_bytes: KEY + VALUE })?;
    let mut value = vec![1; VALUE];
    let mut out = Vec::with_capacity(VALUE);
    let count = entries as u64 * 3 / 2;
    for id in 0..count {
        let key = &keys::key(id)[..KEY];
        keys::stamp(&mut value, key);
        cache.set(key, &value);
    }
    let held = (0..count).filter(|&id| cache.get(&keys::key(id)[..KEY], &mut out)).count();
    println!("{held} {} {}", resident("VmRSS:")? - before, resident("VmHWM:")? - before);
    Ok(())
}

fn resident(line: &str) -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let kilobytes = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map(|k| k << 10).ok_or(format!("no {line} in /proc/self/status"))
}
