//! Sizes and times as people write them.

use std::time::Duration;

/// Bytes: a number, and perhaps `k`, `m`, `g` (powers of 1000) or `kb`, `mb`, `gb` (also `kib` …: of 1024), as
/// Redis and Valkey read them. Or a share of `limit`, as `25%`.
pub(super) fn size(text: &str, limit: u64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = split(&text);
    let number: u64 = number.parse().ok()?;
    let factor = match unit {
        "" | "b" => 1,
        "k" => 1000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "kb" | "kib" => 1 << 10,
        "mb" | "mib" => 1 << 20,
        "gb" | "gib" => 1 << 30,
        "%" if (1..=100).contains(&number) => {
            return Some((u128::from(limit) * u128::from(number) / 100) as u64);
        }
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A time: a number of seconds, or one with `ms`, `s`, `m` or `h`.
pub(super) fn time(text: &str) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = split(&text);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    millis.map(Duration::from_millis)
}

/// Bytes in the largest unit that says them whole.
pub(super) fn show_size(bytes: u64) -> String {
    for (unit, shift) in [("gb", 30), ("mb", 20), ("kb", 10)] {
        if bytes >> shift > 0 && bytes & ((1 << shift) - 1) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// A time in the largest unit that says it whole.
pub(super) fn show_time(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_redis_reads_them() {
        for (text, bytes) in [
            ("100", Some(100)),
            ("1k", Some(1000)),
            ("1kb", Some(1024)),
            ("1 MiB", Some(1 << 20)),
            ("2GB", Some(2 << 30)),
            ("25%", Some(250)),
            ("101%", None),
            ("0%", None),
            ("-1", None),
            ("1.5g", None),
            ("gb", None),
            ("99999999999999999999", None),
            ("18446744073709551615g", None),
        ] {
            assert_eq!(size(text, 1000), bytes, "{text}");
        }
        assert_eq!(size("100%", u64::MAX), Some(u64::MAX));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time("10"), Some(Duration::from_secs(10)));
        assert_eq!(time("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(time("2m"), Some(Duration::from_secs(120)));
        assert_eq!(time("1d"), None);
        assert_eq!(time("18446744073709551615h"), None);
        assert_eq!(
            (show_time(Duration::from_millis(1500)), show_size(64 << 20)),
            ("1500ms".into(), "64mb".into())
        );
    }
}
