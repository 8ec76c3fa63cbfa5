//! What a policy is asked, and what it is told.

/// What a policy is told of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The hash of its key.
    pub hash: u64,
    /// Bits 0 and 1: hits since it was written or kept, saturating at [`Policy::hit_max`]. Bits 2
    /// and 3 are the policy's.
    pub bits: u8,
    /// Its size, in the unit of [`Sizes`].
    pub size: u32,
    /// The time of the policy's [clock](Policy::clock) at which it was appended, to a step before.
    pub stamp: u32,
}

/// What is to become of the oldest entry of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes to the young end of a log, with these bits.
    Keep {
        /// Which log.
        log: usize,
        /// Its counter and flags from now on.
        bits: u8,
    },
    /// It is evicted.
    Drop,
}

/// Where a new entry goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// Which log.
    pub log: usize,
    /// Its counter and flags.
    pub bits: u8,
}

/// How full the stripe is: in bytes of live entries, or in entries where the cache has a bound on
/// entries.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// In each log.
    pub used: [u64; 2],
    /// What the stripe may hold: its share of the cache.
    pub capacity: u64,
}

/// The old ends of the logs, for a policy that wants to look at them before it places an entry.
pub trait Tails {
    /// The oldest live entry of a log.
    fn peek(&mut self, log: usize) -> Option<Seen>;
    /// Moves that entry to the young end of its log, with these bits. False if there is no room to,
    /// or none to move.
    fn rotate(&mut self, log: usize, bits: u8) -> bool;
}

/// A policy's clock: it ticks when the policy likes, and wraps. The time at which an entry is
/// appended is kept with it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Ticks {
    /// The time.
    pub time: u32,
    /// Entries keep the time in steps of two to this power. 255 steps after a segment was opened it
    /// is closed.
    pub step_bits: u32,
}

/// An eviction policy.
pub trait Policy {
    /// Where the counter of hits stops. At most 3.
    fn hit_max(&self) -> u8;
    /// A key comes that is not in the cache.
    fn insert<T: Tails>(&mut self, hash: u64, size: u32, sizes: &Sizes, tails: &mut T)
    -> Placement;
    /// A key that is in the cache (in this log, with these bits) is written again.
    fn update(&mut self, log: usize, bits: u8) -> Placement;
    /// From which log to take next. Asked before each entry; an empty answer falls to the other
    /// log.
    fn victim(&mut self, sizes: &Sizes) -> usize;
    /// The drain has reached this entry, the oldest of the log.
    fn tail(&mut self, log: usize, entry: &Seen, sizes: &Sizes) -> Verdict;
    /// An entry with this hash will be asked about soon: start loading what is known of it.
    fn prefetch(&self, _hash: u64) {}
    /// The policy's clock now.
    fn clock(&self) -> Ticks {
        Ticks::default()
    }
    /// Whether entries must come to the drain in the very order in which they were appended; else
    /// small ones may come a segment or two before, to fill what large ones left over. Asked once.
    fn in_order(&self) -> bool {
        false
    }
    /// How many hits there have been so far, about; told now and then.
    fn served(&mut self, _hits: u64) {}
    /// The stripe may now hold about so many entries: ghosts follow. Called when that has changed
    /// by a quarter or so. False if the system refuses memory; then all is as it was. With 0, which
    /// is never refused, the ghosts are given up.
    fn resize(&mut self, entries: u64) -> bool;
    /// Everything was cleared.
    fn clear(&mut self);
    /// Bytes of memory in use after [`Policy::resize`] to so many entries.
    fn bytes_for(&self, entries: u64) -> u64;
}
