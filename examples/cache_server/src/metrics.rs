//! What the server counts: commands by protocol and name, how long they took, connections, bytes.
//!
//! Every counter is there once for each of some shards, each on cache lines of its own, and a
//! thread adds to one of them: counting costs no traffic between processors.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SHARDS: usize = 16;
/// Words to a shard are a multiple of this: two cache lines.
const LINE: usize = 16;
/// Upper ends of the buckets of times, in microseconds. One more holds what took longer.
pub const BOUNDS: [u64; 12] =
    [10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 50_000, 250_000, 1_000_000];

/// A row of counters.
pub struct Tally {
    width: usize,
    cells: Box<[AtomicU64]>,
}

impl Tally {
    /// So many counters.
    pub fn new(counters: usize) -> Tally {
        let width = counters.next_multiple_of(LINE);
        Tally { width, cells: (0..width * SHARDS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Adds to a counter. Nothing if there is no such.
    #[inline]
    pub fn add(&self, counter: usize, n: u64) {
        debug_assert!(counter < self.width);
        if counter < self.width
            && let Some(cell) = self.cells.get(shard() * self.width + counter)
        {
            cell.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// What a counter has come to.
    pub fn sum(&self, counter: usize) -> u64 {
        let cells = self.cells.chunks(self.width);
        cells.filter_map(|shard| Some(shard.get(counter)?.load(Ordering::Relaxed))).sum()
    }
}

fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        own.get()
    })
}

/// What is counted of one protocol.
pub struct Protocol {
    /// Its name.
    pub name: &'static str,
    /// Names of its commands, in the order of the counters.
    pub names: &'static [&'static str],
    counts: Tally,
    /// The buckets, their sum in nanoseconds, and what the constants below name.
    times: Tally,
    open: AtomicI64,
}

const SUM: usize = BOUNDS.len() + 1;
const BYTES_IN: usize = SUM + 1;
const BYTES_OUT: usize = SUM + 2;
const OPENED: usize = SUM + 3;
const CUT: usize = SUM + 4;
const UNREAD: usize = SUM + 5;
const TOO_LONG: usize = SUM + 6;
const ERRORS: usize = SUM + 7;

impl Protocol {
    /// A protocol with these commands.
    pub fn new(name: &'static str, names: &'static [&'static str]) -> Protocol {
        let (counts, times) = (Tally::new(names.len()), Tally::new(ERRORS + 1));
        Protocol { name, names, counts, times, open: AtomicI64::new(0) }
    }

    /// Counts a command by its place in the list.
    #[inline]
    pub fn command(&self, place: usize) {
        self.counts.add(place, 1);
    }

    /// Counts so many of one kind.
    #[inline]
    pub fn commands(&self, place: usize, n: u64) {
        self.counts.add(place, n);
    }

    /// How often a command was asked for.
    pub fn count(&self, place: usize) -> u64 {
        self.counts.sum(place)
    }

    /// How often a command was asked for.
    pub fn count_of(&self, command: &str) -> u64 {
        self.names.iter().position(|name| *name == command).map_or(0, |i| self.count(i))
    }

    /// All commands.
    pub fn total(&self) -> u64 {
        (0..self.names.len()).map(|place| self.count(place)).sum()
    }

    /// Some commands that came together were done, and took so long from the reading of their
    /// bytes until their replies were ready.
    #[inline]
    pub fn took(&self, commands: u64, time: Duration) {
        let micros = time.as_micros() as u64;
        let bucket = BOUNDS.iter().position(|&bound| micros <= bound).unwrap_or(BOUNDS.len());
        self.times.add(bucket, commands);
        self.times.add(SUM, (time.as_nanos() as u64).saturating_mul(commands));
    }

    /// Commands that took at most as long as each bound of [`BOUNDS`], then all, and the sum of
    /// their times.
    pub fn histogram(&self) -> ([u64; BOUNDS.len() + 1], Duration) {
        let mut sums = [0; BOUNDS.len() + 1];
        let mut so_far = 0;
        for (bucket, sum) in sums.iter_mut().enumerate() {
            so_far += self.times.sum(bucket);
            *sum = so_far;
        }
        (sums, Duration::from_nanos(self.times.sum(SUM)))
    }

    /// Bytes that were read and written.
    #[inline]
    pub fn moved(&self, read: usize, written: usize) {
        self.times.add(BYTES_IN, read as u64);
        self.times.add(BYTES_OUT, written as u64);
    }

    /// Bytes read, and bytes written.
    pub fn bytes(&self) -> (u64, u64) {
        (self.times.sum(BYTES_IN), self.times.sum(BYTES_OUT))
    }

    /// A connection has come; it has gone when what is returned is dropped.
    pub fn opened(self: &std::sync::Arc<Self>) -> Open {
        self.times.add(OPENED, 1);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// Connections that are open, and all that ever came.
    pub fn connections(&self) -> (u64, u64) {
        (self.open.load(Ordering::Relaxed).max(0) as u64, self.times.sum(OPENED))
    }

    /// A connection was cut because its client didn't read or write for too long, or asked for too
    /// much.
    pub fn cut(&self) {
        self.times.add(CUT, 1);
    }

    /// As [`Protocol::cut`], because the client left too much of its answers unread.
    pub fn cut_unread(&self) {
        self.times.add(UNREAD, 1);
        self.cut();
    }

    /// As [`Protocol::cut`], because a request was too long.
    pub fn cut_too_long(&self) {
        self.times.add(TOO_LONG, 1);
        self.cut();
    }

    /// Connections that were cut for leaving answers unread, and for a request that was too long.
    pub fn cuts_by_limit(&self) -> (u64, u64) {
        (self.times.sum(UNREAD), self.times.sum(TOO_LONG))
    }

    /// A command was answered with an error.
    pub fn failed(&self) {
        self.times.add(ERRORS, 1);
    }

    /// Errors that were answered, where they are counted.
    pub fn failures(&self) -> u64 {
        self.times.sum(ERRORS)
    }

    /// Connections that were cut.
    pub fn cuts(&self) -> u64 {
        self.times.sum(CUT)
    }
}

/// A connection that is counted as open.
pub struct Open(std::sync::Arc<Protocol>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the server counts.
pub struct Metrics {
    /// When it began.
    pub started: Instant,
    /// The protocols.
    pub protocols: Vec<std::sync::Arc<Protocol>>,
    /// Connections that were refused because there were too many.
    pub refused: AtomicU64,
}

impl Metrics {
    /// Of these protocols.
    pub fn new(protocols: Vec<std::sync::Arc<Protocol>>) -> Metrics {
        Metrics { started: Instant::now(), protocols, refused: AtomicU64::new(0) }
    }

    /// Connections of all protocols that are open.
    pub fn open(&self) -> u64 {
        self.protocols.iter().map(|protocol| protocol.connections().0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_threads_count_adds_up() {
        let protocol = Arc::new(Protocol::new("test", &["get", "set"]));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..100).for_each(|i| protocol.command(i % 2)));
            }
        });
        assert_eq!(
            (protocol.count(0), protocol.count_of("set"), protocol.total()),
            (1000, 1000, 2000)
        );
        assert_eq!(protocol.count_of("none"), 0);
    }

    #[test]
    fn a_time_is_in_all_buckets_from_its_own_on() {
        let protocol = Protocol::new("test", &[]);
        protocol.took(3, Duration::from_micros(10));
        protocol.took(1, Duration::from_millis(2));
        protocol.took(1, Duration::from_secs(5));
        let (buckets, sum) = protocol.histogram();
        assert_eq!((buckets[0], buckets[6], buckets[7], buckets[11], buckets[12]), (3, 3, 4, 4, 5));
        assert_eq!(sum, Duration::from_micros(3 * 10 + 2000 + 5_000_000));
    }

    #[test]
    fn connections_are_counted_while_they_are_open() {
        let protocol = Arc::new(Protocol::new("test", &[]));
        let (one, two) = (protocol.opened(), protocol.opened());
        drop(one);
        assert_eq!(protocol.connections(), (1, 2));
        drop(two);
        assert_eq!(protocol.connections(), (0, 2));
    }
}
