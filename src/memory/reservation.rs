//! The address space of a cache: all of it or none, with some left for the program.
//!
//! Reserved address space costs nothing but where it is limited (`ulimit -v`, containers that
//! forbid overcommitment). There a cache is content with less room to grow. Four ranges go
//! together, so they are tried together: with one of them refused all are given back, and half as
//! much is tried, until the budget itself doesn't fit any more.

use crate::memory::deadlines::{PART, Part};
use crate::memory::segment::Segment;
use crate::sys::os::{HUGE, PAGE, Region};
use std::io;

/// The largest budget: what 36 bits of location can address in steps of 8 bytes, halved for the
/// runs.
pub const MAX_BUDGET: u64 = 256 << 30;
/// The smallest budget.
pub const MIN_BUDGET: u64 = 256 << 10;
const LOCATION_LIMIT: u64 = 512 << 30;
/// The largest budget that there is to be address space for, where it isn't limited; four times the
/// first one, if that is more.
const ROOMY: u64 = 16 << 30;
/// The least that is left for the program.
const LEFT: u64 = 16 << 20;

/// The ranges of a cache.
pub(super) struct Reservation {
    /// Segments and runs.
    pub region: Region,
    /// What is known of them.
    pub table: Region,
    /// What is known of the segments' parts.
    pub parts: Region,
    /// The stripes' tables.
    pub index: Region,
    /// The largest budget that they allow.
    pub limit: u64,
}

/// The size of segments for a budget: about two thousand to a cache, 16 KiB to 2 MiB.
pub fn segment_bytes(max: u64) -> u64 {
    (max / 2048).next_power_of_two().clamp(16 << 10, HUGE as u64)
}

/// Address space for the tables of a cache of at most `limit` bytes. (The smallest entry that can
/// exist in numbers takes 16 bytes in the log and 9 to 11 in the index.)
fn index_bytes(limit: u64) -> u64 {
    limit / 2 + HUGE as u64
}

/// Whether there is as much again as a quarter of what was reserved, for whatever the program maps.
fn leaves_room(reserved: u64) -> io::Result<()> {
    Region::reserve((reserved / 4).max(LEFT) as usize, c"larder: tried").map(drop)
}

/// Tries with `most`, and with half as much again and again, down to `least`.
fn halving<T>(
    most: u64,
    least: u64,
    mut attempt: impl FnMut(u64) -> io::Result<T>,
) -> io::Result<T> {
    let huge = |bytes: u64| bytes.next_multiple_of(HUGE as u64);
    let mut limit = huge(most);
    loop {
        match attempt(limit) {
            Err(error) if limit <= huge(least) => return Err(error),
            Err(_) => limit = huge(limit / 2).max(huge(least)),
            done => return done,
        }
    }
}

impl Reservation {
    /// For a budget, with room to grow to at least four times it where the system allows that much.
    pub fn new(max: u64) -> io::Result<Reservation> {
        let segment = segment_bytes(max);
        halving((max * 4).clamp(ROOMY, MAX_BUDGET), max, |limit| {
            let lines = (limit / segment + limit / PAGE as u64) as usize;
            let ranges = Reservation {
                region: Region::reserve(
                    (limit * 4).min(LOCATION_LIMIT) as usize,
                    c"larder: entries",
                )?,
                table: Region::reserve(lines * size_of::<Segment>(), c"larder: segments")?,
                parts: Region::reserve(
                    (limit / PART) as usize * size_of::<Part>(),
                    c"larder: deadlines",
                )?,
                index: Region::reserve(index_bytes(limit) as usize, c"larder: index")?,
                limit,
            };
            let lens = [&ranges.region, &ranges.table, &ranges.parts, &ranges.index]
                .map(|it| it.len() as u64);
            leaves_room(lens.iter().sum()).map(|()| ranges)
        })
    }
}

/// Address space for the tables of a namespace, in a cache of this budget that may be made as large
/// as `limit`.
pub fn reserve_index(limit: u64, max: u64) -> io::Result<Region> {
    halving(limit, max, |limit| {
        let region = Region::reserve(index_bytes(limit) as usize, c"larder: index")?;
        leaves_room(region.len() as u64).map(|()| region)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cache, NamespaceOptions, Options};
    use std::time::Duration;

    #[test]
    fn half_as_much_is_tried_until_it_is_too_little() {
        let mut tried = Vec::new();
        let done = halving(64 << 20, 5 << 20, |limit| {
            tried.push(limit >> 20);
            if limit > 16 << 20 { Err(io::Error::other("too much")) } else { Ok(limit) }
        });
        assert_eq!(done.unwrap(), 16 << 20);
        assert_eq!(tried, [64, 32, 16]);
        tried.clear();
        let done = halving(64 << 20, 5 << 20, |limit| {
            tried.push(limit >> 20);
            Err::<(), _>(io::Error::other("never"))
        });
        assert!(done.is_err());
        assert_eq!(tried, [64, 32, 16, 8, 6]);
    }

    /// Bytes of address space that the process has.
    fn mapped() -> u64 {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').next().unwrap().parse::<u64>().unwrap() * PAGE as u64
    }

    fn limit_address_space(bytes: u64) {
        // SAFETY: a valid struct; only the soft limit changes, and may be raised again.
        unsafe {
            let mut limit: libc::rlimit = std::mem::zeroed();
            assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &raw mut limit), 0);
            limit.rlim_cur = bytes.min(limit.rlim_max);
            assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const limit), 0);
        }
    }

    /// In a process of its own, since the limit is the process's.
    #[test]
    fn under_any_limit_on_address_space_above_the_least_a_cache_works_and_leaves_some() {
        const CHILD: &str = "LARDER_TEST_ADDRESS_SPACE";
        if std::env::var_os(CHILD).is_none() {
            let name = std::thread::current().name().expect("a test's").to_owned();
            let test = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &name, "--nocapture"])
                .env(CHILD, "1")
                .output()
                .unwrap();
            assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stderr));
            return;
        }
        for budget in [1 << 20, 64 << 20] {
            let mut limit = 100 << 30u64;
            while limit > 3 << 30 {
                // The background thread may hold the last one a little longer.
                let begun = std::time::Instant::now();
                while mapped() > 1 << 30 {
                    let waited = begun.elapsed();
                    assert!(waited < Duration::from_secs(60), "{} MiB are mapped", mapped() >> 20);
                    std::thread::sleep(Duration::from_millis(1));
                }
                limit_address_space(limit);
                let cache = Cache::new(Options { stripes: 1, ..Options::new(budget) });
                let namespace =
                    cache.as_ref().map(|it| it.namespace("n", NamespaceOptions::default()).is_ok());
                let room = Vec::<u8>::new().try_reserve_exact(32 << 20);
                limit_address_space(u64::MAX);
                assert!(room.is_ok(), "{} MiB leave nothing", limit >> 20);
                assert!(
                    namespace.unwrap_or_else(|error| panic!("{} MiB: {error}", limit >> 20)),
                    "{} MiB",
                    limit >> 20
                );
                cache.unwrap().set(b"key", b"value").unwrap();
                limit -= limit / 40;
            }
        }
    }
}
