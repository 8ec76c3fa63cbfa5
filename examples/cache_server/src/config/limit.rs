//! How much memory this process may take: what its container may, or what the machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes: the least of the limits of the control groups that this process is in, and of the
/// machine's memory. Where nobody says (elsewhere than on Linux), 1 GiB.
pub fn memory_limit() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = limits(&groups, Path::new("/sys/fs/cgroup"));
    groups.into_iter().chain(machine).min().unwrap_or(1 << 30)
}

/// `MemTotal` of /proc/meminfo.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The limits of a group and of all that it is in, by the lines of /proc/self/cgroup: version 2
/// (`0::/path`) and 1 (`4:memory:/path`). In a container the group's own folder is often the root.
fn limits(groups: &str, root: &Path) -> Vec<u64> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(kind), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match kind {
            "" => (root.to_path_buf(), "memory.max"),
            kind if kind.split(',').any(|kind| kind == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut folder: PathBuf = root.join(path.trim_start_matches('/'));
        loop {
            let limit = fs::read_to_string(folder.join(file)).ok();
            // "max", or in version 1 a number near 2^63: none.
            found.extend(
                limit.and_then(|text| text.trim().parse::<u64>().ok()).filter(|&n| n < 1 << 60),
            );
            if folder == root || !folder.pop() {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_on_the_way_to_the_root_counts() {
        let root = std::env::temp_dir().join(format!("larder-limit-{}", std::process::id()));
        let inner = root.join("pods/one");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        fs::write(root.join("pods/memory.max"), "1048576\n").unwrap();
        assert_eq!(limits("0::/pods/one\n", &root), [1 << 20]);
        fs::create_dir_all(root.join("memory/a")).unwrap();
        fs::write(root.join("memory/a/memory.limit_in_bytes"), "77\n").unwrap();
        fs::write(root.join("memory/memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(limits("9:cpu,memory:/a\n3:pids:/b\nnonsense\n", &root), [77]);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_machine_says_what_it_has() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:  2048 kB\n"), Some(2 << 20));
        assert_eq!(total("nothing"), None);
    }
}
