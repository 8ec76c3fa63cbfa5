//! The address space of a cache: about its budget is mapped, all of it or none, with some left for
//! the program; it may grow to many times that where it lies (`sys::plots`).
//!
//! A cache takes address space for the budget that it has: its segments, as much again for runs,
//! the index that the smallest entries would need, and the tables. If that is refused, or nothing
//! would be left for the program, it does with the segments and a beginning of the rest, which then
//! grows as it is needed, if it can. Of all that only what has been in use is open.

use crate::memory::deadlines::{PART, Part};
use crate::memory::segment::Segment;
use crate::sys::os::{self, HUGE, PAGE};
use crate::sys::plots::{self, Plot};
use crate::sys::region::Region;
use std::ffi::CStr;
use std::io;
use std::sync::Arc;

/// The largest budget: what 36 bits of location can address in steps of 8 bytes, halved for the
/// runs.
pub const MAX_BUDGET: u64 = 256 << 30;
/// The smallest budget.
pub const MIN_BUDGET: u64 = 256 << 10;
const LOCATION_LIMIT: u64 = 512 << 30;
/// The largest budget that there is to be room for; four times the first one, if that is more.
const ROOMY: u64 = 16 << 30;
/// The same when hundreds of caches have taken half of the room that there is.
const CROWDED: u64 = 512 << 20;
/// The least that is left for the program.
const LEFT: u64 = 16 << 20;
/// Runs are of at least an eighth of a segment.
const LEAST_RUN: u64 = 2 << 10;
/// What each stripe's table has behind its last bucket, to look for the end of a chain.
pub const INDEX_TAIL: u64 = 16 << 10;
/// Plots that are tried, if others have something there.
const TRIES: usize = 4;

/// The ranges of a cache.
pub(super) struct Reservation {
    /// Segments.
    pub region: Region,
    /// Runs, `limit` behind the first byte of the segments.
    pub runs: Region,
    /// What is known of segments.
    pub table: Region,
    /// What is known of runs, behind the last line of `table`.
    pub run_table: Region,
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

/// Address space for the tables of a cache of at most `limit` bytes, of so many stripes. (The
/// smallest entry that can exist in numbers takes 16 bytes in the log and 9 to 11 in the index.)
fn index_bytes(limit: u64, stripes: usize) -> u64 {
    huge(limit / 2 + INDEX_TAIL * stripes as u64)
}

fn huge(bytes: u64) -> u64 {
    bytes.next_multiple_of(HUGE as u64)
}

/// Lines for so many runs as a budget has room for.
pub(super) fn run_slots(limit: u64) -> u64 {
    limit / LEAST_RUN
}

/// How many bytes each range has, for a budget.
struct Lens {
    segments: u64,
    runs: u64,
    table: u64,
    run_table: u64,
    parts: u64,
    index: u64,
}

impl Lens {
    /// What a cache of a budget may use.
    fn of(max: u64, segment: u64, stripes: usize) -> Lens {
        let line = size_of::<Segment>() as u64;
        Lens {
            segments: max,
            runs: max,
            table: max.div_ceil(segment) * line,
            run_table: PAGE as u64,
            parts: max.div_ceil(PART) * size_of::<Part>() as u64,
            index: index_bytes(max, stripes),
        }
    }

    /// What one of a budget can't do without.
    fn least(max: u64, segment: u64, stripes: usize) -> Lens {
        Lens { runs: 0, run_table: 0, index: HUGE as u64, ..Lens::of(max, segment, stripes) }
    }

    /// What one may come to use whose budget may come to be `limit`.
    fn most(limit: u64, segment: u64, stripes: usize) -> Lens {
        Lens {
            runs: (limit * 3).min(LOCATION_LIMIT - limit),
            run_table: run_slots(limit) * size_of::<Segment>() as u64,
            ..Lens::of(limit, segment, stripes)
        }
    }

    /// In the order in which they lie.
    fn all(&self) -> [u64; 6] {
        [self.segments, self.runs, self.table, self.run_table, self.parts, self.index]
    }
}

/// Whether there is as much again as a quarter of what was reserved, for whatever the program maps.
fn leaves_room(reserved: u64) -> io::Result<()> {
    os::asked(os::Ask::Mapping)?;
    Plot::map((reserved / 4).max(LEFT) as usize).map(drop)
}

/// Takes plots of a size, until one has nothing of others where `begin` maps it.
fn on_a_plot<T>(len: u64, mut begin: impl FnMut(&Arc<Plot>) -> io::Result<T>) -> io::Result<T> {
    for _ in 0..TRIES {
        let Some(plot) = Plot::take(len as usize) else { break };
        let plot = Arc::new(plot);
        match begin(&plot) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => plot.spoil(),
            Ok(done) => {
                plot.is_good();
                return Ok(done);
            }
            failed => return failed,
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// Tries with `most`, and with half as much again and again, down to `least`.
fn halving<T>(
    most: u64,
    least: u64,
    mut attempt: impl FnMut(u64) -> io::Result<T>,
) -> io::Result<T> {
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
    /// For a budget, with room to grow to at least four times it where there is that much.
    pub fn new(max: u64, stripes: usize) -> io::Result<Reservation> {
        let segment = segment_bytes(max);
        let roomy = if plots::is_roomy() { ROOMY } else { CROWDED };
        let limit = huge((max * 4).clamp(roomy, MAX_BUDGET));
        let lens = Lens::most(limit, segment, stripes);
        let placed = on_a_plot(lens.all().map(huge).iter().sum(), |plot| {
            let ranges = Reservation::cut(plot, &lens);
            let begun = ranges.reserve(&Lens::of(max, segment, stripes));
            match begun {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {}
                _ => return begun.map(|()| ranges),
            }
            drop(ranges);
            let ranges = Reservation::cut(plot, &lens);
            ranges.reserve(&Lens::least(max, segment, stripes)).map(|()| ranges)
        });
        match placed {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                halving(2 * max, max, |limit| Reservation::mapped(limit, segment, stripes))
            }
            placed => placed,
        }
    }

    /// Where the system likes, mapped as a whole.
    fn mapped(limit: u64, segment: u64, stripes: usize) -> io::Result<Reservation> {
        os::asked(os::Ask::Mapping)?;
        let lens = Lens::most(limit, segment, stripes);
        let len: u64 = lens.all().map(huge).iter().sum();
        let plot = Arc::new(Plot::map(len as usize)?);
        leaves_room(len)?;
        Ok(Reservation::cut(&plot, &lens))
    }

    /// Cuts a plot into ranges that may become as long as this.
    fn cut(plot: &Arc<Plot>, lens: &Lens) -> Reservation {
        let names: [&CStr; 6] = [
            c"larder: entries",
            c"larder: large entries",
            c"larder: segments",
            c"larder: runs",
            c"larder: deadlines",
            c"larder: index",
        ];
        let mut at = 0;
        let mut each = lens.all().into_iter().zip(names).map(|(len, name)| {
            let region = Region::of(plot, at, huge(len) as usize, name);
            at += huge(len) as usize;
            region
        });
        let mut next = || each.next().expect("one for each name");
        Reservation {
            region: next(),
            runs: next(),
            table: next(),
            run_table: next(),
            parts: next(),
            index: next(),
            limit: lens.segments,
        }
    }

    fn reserve(&self, lens: &Lens) -> io::Result<()> {
        let ranges =
            [&self.region, &self.runs, &self.table, &self.run_table, &self.parts, &self.index];
        for (range, len) in ranges.into_iter().zip(lens.all()) {
            range.reserve(len as usize)?;
        }
        leaves_room(lens.all().iter().sum())
    }
}

/// Address space for the tables of a namespace of so many stripes, in a cache of this budget that
/// may be made as large as `limit`. What it needs beyond the smallest is mapped as it grows.
pub fn reserve_index(limit: u64, max: u64, stripes: usize) -> io::Result<Region> {
    let cut = |plot: &Arc<Plot>, limit| {
        Region::of(plot, 0, index_bytes(limit, stripes) as usize, c"larder: index")
    };
    let placed = on_a_plot(index_bytes(limit, stripes), |plot| {
        let region = cut(plot, limit);
        region.reserve(HUGE)?;
        leaves_room(HUGE as u64).map(|()| region)
    });
    match placed {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => halving(2 * max, max, |limit| {
            os::asked(os::Ask::Mapping)?;
            let len = index_bytes(limit, stripes);
            let plot = Arc::new(Plot::map(len as usize)?);
            leaves_room(len).map(|()| cut(&plot, limit))
        }),
        placed => placed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
