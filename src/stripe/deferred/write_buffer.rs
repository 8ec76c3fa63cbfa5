//! Sets that wait for their cache misses, while their callers don't.
//!
//! A set of a cache that is larger than the CPU's caches waits for memory twice, one after the other: for the bucket of the
//! index, and for the entry that it overwrites. Nobody waits for what it does, though: a set returns nothing but that it was
//! done. So a small set by the fast door leaves its key and value in its stripe's queue, has its bucket fetched, and returns.
//! The next set of the stripe has the entry fetched that the bucket names, and the one after that finds both in the cache and
//! completes the first. (A CPU does the same with its stores. `many` overlaps the misses of one call; this, those of
//! several.) With two million entries an overwriting set takes 300 ns instead of 600 (docs/performance.md).
//!
//! To everybody else the set is done. Who looks for a key asks the stripe's [`Marks`] first, 16 bits of each waiting hash in
//! the cache line that holds the index's shape, which he needs anyhow; and if it is among them completes what waits.
//! Whoever has the stripe's lock and wants to know of a key, or of all, does the same. Others don't care: a set that waits
//! has simply not come yet, for a drain or a sweep.
//!
//! The order is that of the queue, which is that in which the sets came. Marks go only after the index has changed: who doesn't
//! find a mark of a set that has returned finds what the set did. tests/loom/tests/pending.rs tries every order.
//!
//! The fast door completes what it can; what it can't waits for the slow door, which makes room if there is none (`Cache::settled`). An
//! iteration can't wait for that: there the value goes as if it had been evicted at once.

use crate::stripe::{Condition, Store};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::bytes;

/// Sets that may wait in a stripe: one for its bucket, one for its entry.
const QUEUE: usize = 2;
/// The longest key and value, together, that wait in a queue: what is longer isn't worth copying twice.
const ROOM: usize = 256;
/// Marks that there may be.
pub const LANES: usize = 4;
const LANE_BITS: usize = 16;
const LANE: u64 = 0xffff;

/// A set that waits, with its key and value.
pub struct Record<B = [u8; ROOM]> {
    hash: u64,
    deadline: Option<u64>,
    key_len: u16,
    len: u16,
    /// Its entry has been asked for.
    asked: bool,
    bytes: B,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Record<B> {
    /// None yet.
    pub fn of(bytes: B) -> Record<B> {
        Record { hash: 0, deadline: None, key_len: 0, len: 0, asked: false, bytes }
    }

    /// Whether there is room for a set.
    #[inline]
    pub fn takes(&self, store: &Store<'_>) -> bool {
        store.key.len() + store.value.len() <= self.bytes.as_ref().len()
    }

    /// Writes a set down, which must [fit](Record::takes).
    #[inline(always)]
    pub fn fill(&mut self, store: &Store<'_>) {
        debug_assert!(self.takes(store));
        self.hash = store.hash;
        self.deadline = store.deadline;
        self.key_len = store.key.len() as u16;
        self.len = (store.key.len() + store.value.len()) as u16;
        self.asked = false;
        let bytes = self.bytes.as_mut();
        let (key, value) = bytes.split_at_mut(store.key.len().min(bytes.len()));
        bytes::copy_most(key, store.key);
        bytes::copy_most(value, store.value);
    }

    /// The set that was written down.
    #[inline]
    pub fn store(&self) -> Store<'_> {
        let bytes = self.bytes.as_ref();
        let bytes = bytes.get(..self.len.into()).unwrap_or(bytes);
        let (key, value) = bytes.split_at_checked(self.key_len.into()).unwrap_or((bytes, &[]));
        Store { hash: self.hash, key, value, deadline: self.deadline, extra: None, condition: Condition::Always }
    }
}

/// The sets of a stripe that wait, in the order in which they came.
pub struct Pending {
    records: [Record; QUEUE],
    first: usize,
    len: usize,
}

/// What readers see of them: 16 bits of each hash; 0: none. In a line of its own, which is the only one that who leaves a set in a
/// mailbox writes to beside that.
#[repr(align(64))]
pub struct Marks(AtomicU64);

impl Pending {
    /// An empty queue.
    pub fn new() -> Box<Pending> {
        Box::new(Pending { records: std::array::from_fn(|_| Record::of([0; ROOM])), first: 0, len: 0 })
    }

    /// Whether a set is small enough to wait.
    #[inline]
    pub fn takes(store: &Store<'_>) -> bool {
        store.key.len() + store.value.len() <= ROOM
    }

    /// Whether as many wait as can.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == QUEUE
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes all off the queue, and says how many they were.
    pub fn forget(&mut self) -> usize {
        std::mem::take(&mut self.len)
    }

    #[inline]
    fn record(&self, i: usize) -> &Record {
        &self.records[(self.first + i) % QUEUE]
    }

    /// The one that has waited longest.
    #[inline]
    pub fn first(&self) -> Option<Store<'_>> {
        (self.len > 0).then(|| self.record(0).store())
    }

    /// Takes the one that has waited longest off the queue.
    #[inline]
    pub fn pop(&mut self) {
        self.first = (self.first + 1) % QUEUE;
        self.len = self.len.saturating_sub(1);
    }

    /// Adds one. There must be room, and it must be [small enough](Pending::takes).
    #[inline]
    pub fn push(&mut self, store: &Store<'_>) {
        debug_assert!(!self.is_full());
        self.records[(self.first + self.len) % QUEUE].fill(store);
        self.len += 1;
    }

    /// The hash of the last one that came, the first time that this is asked.
    #[inline]
    pub fn unasked(&mut self) -> Option<u64> {
        let last = (self.first + self.len.checked_sub(1)?) % QUEUE;
        let record = &mut self.records[last];
        (!std::mem::replace(&mut record.asked, true)).then_some(record.hash)
    }

    /// When the first of them expires.
    pub fn earliest(&self) -> u64 {
        (0..self.len).filter_map(|i| self.record(i).deadline).min().unwrap_or(u64::MAX)
    }

    /// What readers are to see.
    #[inline]
    pub fn marks(&self) -> u64 {
        (0..self.len).fold(0, |marks, i| marks << LANE_BITS | mark(self.record(i).hash))
    }
}

/// What a lane holds that is taken, and not marked yet. No mark: those are odd.
const TAKEN: u64 = 2;

/// Bits of a hash that neither choose the stripe nor the bucket. Never 0.
#[inline]
fn mark(hash: u64) -> u64 {
    u64::from((hash >> 20) as u16 | 1)
}

#[inline]
fn lane_of(marks: u64, lane: usize) -> u64 {
    marks >> (lane % LANES * LANE_BITS) & LANE
}

impl Marks {
    /// None.
    pub fn new() -> Marks {
        Marks(AtomicU64::new(0))
    }

    /// Whether a set of a hash may be waiting: once in some 8,000 times it is another's.
    #[inline(always)]
    pub fn has(&self, hash: u64) -> bool {
        // Acquire: who doesn't find a mark any more sees what the set has changed.
        let marks = self.0.load(Ordering::Acquire);
        marks != 0 && {
            // A lane of zeros borrows from its highest bit, which it didn't have before.
            const ONES: u64 = u64::MAX / LANE;
            let lanes = marks ^ (mark(hash) * ONES);
            lanes.wrapping_sub(ONES) & !lanes & (ONES << (LANE_BITS - 1)) != 0
        }
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Says which sets wait, where they are changed under the stripe's lock.
    #[inline]
    pub fn set(&self, marks: u64) {
        self.0.store(marks, Ordering::Release);
    }

    /// Takes a free lane, unless a set of this hash may be waiting.
    pub fn take(&self, hash: u64) -> Option<usize> {
        // Acquire: who was in the lane before is done with what lies there.
        let mut marks = self.0.load(Ordering::Acquire);
        loop {
            let lane = (0..LANES).find(|lane| lane_of(marks, *lane) == 0)?;
            if (0..LANES).any(|lane| lane_of(marks, lane) == mark(hash)) {
                return None;
            }
            let taken = marks | TAKEN << (lane * LANE_BITS);
            match self.0.compare_exchange_weak(marks, taken, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(lane),
                Err(now) => marks = now,
            }
        }
    }

    /// Marks a lane that was taken for a hash.
    pub fn put(&self, lane: usize, hash: u64) {
        // Release: who sees it sees what was written before.
        self.0.fetch_xor((mark(hash) ^ TAKEN) << (lane % LANES * LANE_BITS), Ordering::Release);
    }

    /// Frees lanes (a bit for each): their sets are done.
    pub fn free(&self, lanes: u32) {
        let marks =
            (0..LANES).filter(|lane| lanes >> lane & 1 == 1).fold(0, |marks, lane| marks | LANE << (lane * LANE_BITS));
        self.0.fetch_and(!marks, Ordering::Release);
    }

    /// The lanes that are marked.
    pub fn lanes(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        // Acquire: what the marks are of was written before.
        let marks = self.0.load(Ordering::Acquire);
        (0..LANES).filter(move |lane| lane_of(marks, *lane) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store<'a>(hash: u64, key: &'a [u8], value: &'a [u8]) -> Store<'a> {
        Store { hash, key, value, deadline: Some(hash), extra: None, condition: Condition::Always }
    }

    #[test]
    fn sets_leave_in_the_order_they_came_in() {
        let mut pending = Pending::new();
        let marks = Marks::new();
        let hashes = [1 << 20, 2 << 20, 0, u64::MAX, 7 << 33];
        let values: Vec<Vec<u8>> = (0..5).map(|i| vec![i as u8; i * 60]).collect();
        for (i, &hash) in hashes.iter().enumerate() {
            if pending.is_full() {
                let first = pending.first().unwrap();
                assert_eq!((first.hash, first.key, first.value), (hashes[i - 2], &b"a key"[..], &values[i - 2][..]));
                assert_eq!(first.deadline, Some(hashes[i - 2]));
                pending.pop();
            }
            let fresh = store(hash, b"a key", &values[i]);
            assert!(Pending::takes(&fresh));
            pending.push(&fresh);
            assert_eq!(pending.unasked(), Some(hash));
            assert_eq!(pending.unasked(), None);
            marks.set(pending.marks());
            assert!(marks.has(hash) && (i == 0 || marks.has(hashes[i - 1])));
            assert!(!marks.has(9 << 20));
        }
        pending.pop();
        pending.pop();
        marks.set(pending.marks());
        assert!(pending.first().is_none() && marks.is_empty() && pending.unasked().is_none());
        assert!(!marks.has(0) && !marks.has(u64::MAX));
    }

    #[test]
    fn large_sets_have_no_part_in_it() {
        let value = [0; ROOM];
        assert!(Pending::takes(&store(0, b"", &value)));
        assert!(!Pending::takes(&store(0, b"k", &value)));
    }
}
