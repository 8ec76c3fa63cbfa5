//! What the kernel says of this process's memory.

use std::fs;

/// Resident bytes now: anonymous and file-backed pages.
pub fn resident() -> u64 {
    field("VmRSS:")
}

/// The most that was resident since the last `reset_peak`.
pub fn peak() -> u64 {
    field("VmHWM:")
}

/// Starts a new measurement of the peak. Returns false where the kernel doesn't offer that.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn field(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().trim_end_matches(" kB").parse::<u64>().expect(name) << 10
}

/// The mappings with the most resident bytes, as (bytes, anonymous huge bytes, name or address
/// range), largest first.
pub fn largest_mappings(count: usize) -> Vec<(u64, u64, String)> {
    let text = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut mappings: Vec<(u64, u64, String)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let kib = |word: Option<&str>| word.and_then(|w| w.parse::<u64>().ok()).unwrap_or(0) << 10;
        match first {
            "Rss:" => mappings.last_mut().expect("after its header").0 = kib(words.next()),
            "AnonHugePages:" => {
                mappings.last_mut().expect("after its header").1 = kib(words.next())
            }
            _ if !first.ends_with(':') => {
                let name = words.nth(4).unwrap_or("anonymous");
                mappings.push((0, 0, format!("{first} {name}")));
            }
            _ => {}
        }
    }
    mappings.sort_by_key(|m| std::cmp::Reverse(m.0));
    mappings.truncate(count);
    mappings
}
