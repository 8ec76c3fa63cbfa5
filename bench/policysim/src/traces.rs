//! Traces: a key a line (`.txt`, `.lirs`) or ARC's runs of keys (`.lis`), unpacked by the system's zstd, gzip and xz; and
//! `.u32`, which is keys of four bytes, little-endian, and nothing else. bench/hitratio makes that of every other format, with
//! `-u32 FOLDER`; there is one reader of each.

use std::collections::HashMap;
use std::process::Command;

/// Reads traces, one after the other, and numbers their keys. Keys of different traces that look
/// the same are different.
pub fn load(names: &str) -> Result<(Vec<Vec<u32>>, usize), String> {
    let mut numbers: HashMap<(String, String), u32> = HashMap::new();
    let mut parts = Vec::new();
    for name in names.split(',') {
        let mut part = Vec::new();
        let mut add = |key: String| {
            let next = numbers.len() as u32;
            part.push(*numbers.entry((name.to_owned(), key)).or_insert(next));
        };
        if let Some(rest) = name.strip_prefix("loop:") {
            let wanted = || format!("{name}: loop:KEYS:REQUESTS is wanted");
            let (keys, requests) = rest.split_once(':').ok_or_else(wanted)?;
            let keys: u64 = keys.parse().ok().filter(|&keys| keys > 0).ok_or_else(wanted)?;
            (0..requests.parse().map_err(|_| wanted())?)
                .for_each(|i: u64| add((i % keys).to_string()));
        } else if let Some(requests) = name.strip_prefix("scan:") {
            let requests: u64 =
                requests.parse().map_err(|_| format!("{name}: scan:REQUESTS is wanted"))?;
            (0..requests).for_each(|i| add(i.to_string()));
        } else if name.ends_with(".u32") {
            let bytes = std::fs::read(name).map_err(|error| format!("{name}: {error}"))?;
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .for_each(|&key| add(u32::from_le_bytes(key).to_string()));
        } else {
            let plain =
                name.trim_end_matches(".zst").trim_end_matches(".gz").trim_end_matches(".xz");
            let arc = plain.ends_with(".lis");
            if !arc && !plain.ends_with(".txt") && !plain.ends_with(".lirs") {
                return Err(format!(
                    "{name}: only .lis, .lirs, .txt and .u32 are read; hitratio -u32 makes that of others"
                ));
            }
            let text = unpack(name)?;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "*")
            {
                if !arc {
                    if line.contains([',', ';', ' ', '\t', '\0']) {
                        return Err(format!("{name}: {line:?} is more than one key"));
                    }
                    add(line.to_owned());
                    continue;
                }
                let mut fields = line.split_whitespace().map(str::parse::<u64>);
                let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else {
                    return Err(format!("{name}: {line:?} has no first key and count"));
                };
                (first..first + count).for_each(|key| add(key.to_string()));
            }
        }
        parts.push(part);
    }
    Ok((parts, numbers.len()))
}

fn unpack(name: &str) -> Result<String, String> {
    let program = match name.rsplit('.').next() {
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        Some("xz") => "xz",
        _ => return std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}")),
    };
    let output = Command::new(program)
        .args(["-dc", name])
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} -dc {name}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
