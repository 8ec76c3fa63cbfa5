//! `Cache-Control` of a PUT: for how long the value is good.

use super::problem::Problem;
use hyper::HeaderMap;
use hyper::header::CACHE_CONTROL;
use std::time::Duration;

/// Seconds at most, as RFC 9111 (1.2.2) has it: 68 years. More is taken for that.
const MOST: u64 = 1 << 31;

/// For how long a value is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lifetime {
    /// It expires; None: it doesn't.
    pub(super) ttl: Option<Duration>,
    /// It is stale before.
    pub(super) stale_after: Option<Duration>,
}

impl Lifetime {
    /// What the fields say: `s-maxage` before `max-age`, since this is a shared cache, and
    /// `stale-while-revalidate` on top of that. Other directives are for others.
    pub(super) fn of(headers: &HeaderMap) -> Result<Lifetime, Problem> {
        let (mut shared, mut own, mut stale) = (None, None, None);
        for line in headers.get_all(CACHE_CONTROL) {
            let line = line
                .to_str()
                .map_err(|_| Problem::bad("Cache-Control has bytes that aren't ASCII"))?;
            for directive in line.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
                let place = match name.trim().to_ascii_lowercase().as_str() {
                    "no-store" | "private" => {
                        return Err(Problem::bad(format!(
                            "Cache-Control: {name} forbids what a PUT asks for"
                        )));
                    }
                    "s-maxage" => &mut shared,
                    "max-age" => &mut own,
                    "stale-while-revalidate" => &mut stale,
                    _ => continue,
                };
                if place.is_none() {
                    *place = Some(seconds(name, value)?);
                }
            }
        }
        let fresh = shared.or(own);
        Ok(match (fresh, stale) {
            (Some(fresh), Some(stale)) => {
                Lifetime { ttl: Some(fresh + stale), stale_after: Some(fresh) }
            }
            _ => Lifetime { ttl: fresh, stale_after: None },
        })
    }
}

fn seconds(name: &str, value: &str) -> Result<Duration, Problem> {
    let digits = value.trim();
    let digits = digits.strip_prefix('"').and_then(|d| d.strip_suffix('"')).unwrap_or(digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::bad(format!(
            "Cache-Control: {name} must be a whole number of seconds"
        )));
    }
    // Too many digits for a number are more than the most.
    Ok(Duration::from_secs(digits.parse().unwrap_or(MOST).min(MOST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&'static str]) -> Result<Lifetime, Problem> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, hyper::header::HeaderValue::from_static(line));
        }
        Lifetime::of(&headers)
    }

    #[test]
    fn what_the_fields_say_of_time() {
        let ttl = |seconds| Some(Duration::from_secs(seconds));
        for (lines, expected, stale) in [
            (&[][..], None, None),
            (&["public"][..], None, None),
            (&["max-age=60"], ttl(60), None),
            (&["Max-Age = \"60\", must-revalidate"], ttl(60), None),
            (&["max-age=60, s-maxage=5"], ttl(5), None),
            (&["max-age=60", "max-age=0"], ttl(60), None),
            (&["max-age=10, stale-while-revalidate=20"], ttl(30), ttl(10)),
            (&["max-age=99999999999999999999"], ttl(MOST), None),
        ] {
            let found = of(lines).unwrap();
            assert_eq!((found.ttl, found.stale_after), (expected, stale), "{lines:?}");
        }
        for lines in [["no-store"], ["private"], ["max-age"], ["max-age=-1"], ["max-age=1.5"]] {
            assert!(of(&lines).is_err(), "{lines:?}");
        }
    }
}
