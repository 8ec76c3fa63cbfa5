//! Sets that wait for their cache misses, while their callers don't.
//!
//! A set of a cache that is larger than the CPU's caches waits for memory twice, one after the
//! other: for the bucket of the index, and for the entry that it overwrites. Nobody waits for what
//! it does, though: a set returns nothing but that it was done. So a small set by the fast path
//! leaves its key and value in its stripe's queue, has its bucket fetched, and returns. The next
//! set of the stripe has the entry fetched that the bucket names, and the one after that finds both
//! in the cache and completes the first. (A CPU does the same with its stores. `batch` overlaps the
//! misses of one call; this, those of several.) (docs/performance.md has the numbers.)
//!
//! To everybody else the set is done. Who looks for a key asks the stripe's [`PendingFilter`]
//! first, 16 bits of each waiting hash in the cache line that holds the index's shape, which he
//! needs anyhow; and if it is among them completes what waits. Whoever has the stripe's lock and
//! wants to know of a key, or of all, does the same. Others don't care: a set that waits has simply
//! not come yet, for a drain or a sweep.
//!
//! The order is that of the queue, which is that in which the sets came. PendingFilter go only
//! after the index has changed: who doesn't find a mark of a set that has returned finds what the
//! set did. tests/loom/tests/pending.rs tries every order.
//!
//! The fast path completes what it can; what it can't waits for the slow path, which makes room if
//! there is none (`Cache::with_applied`). An iteration can't wait for that: there the value goes as
//! if it had been evicted at once.

use crate::stripe::deferred::pending_filter::{LANE_BITS, mark};
use crate::stripe::deferred::record::Record;
use crate::stripe::request::Store;

/// Sets that may wait in a stripe: one for its bucket, one for its entry.
const QUEUE: usize = 2;
/// The longest key and value, together, that wait in a queue: what is longer isn't worth copying
/// twice.
const ROOM: usize = 256;

/// The sets of a stripe that wait, in the order in which they came.
pub struct WriteBuffer {
    records: [Record<[u8; ROOM]>; QUEUE],
    first: usize,
    len: usize,
}

impl WriteBuffer {
    /// An empty queue.
    pub fn new() -> Box<WriteBuffer> {
        Box::new(WriteBuffer {
            records: std::array::from_fn(|_| Record::of([0; ROOM])),
            first: 0,
            len: 0,
        })
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
    fn record(&self, i: usize) -> &Record<[u8; ROOM]> {
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

    /// Adds one. There must be room, and it must be [small enough](WriteBuffer::takes).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::deferred::pending_filter::PendingFilter;
    use crate::stripe::request::Condition;

    fn store<'a>(hash: u64, key: &'a [u8], value: &'a [u8]) -> Store<'a> {
        Store { hash, key, value, deadline: Some(hash), extra: None, condition: Condition::Always }
    }

    #[test]
    fn sets_leave_in_the_order_they_came_in() {
        let mut pending = WriteBuffer::new();
        let marks = PendingFilter::new();
        let hashes = [1 << 20, 2 << 20, 0, u64::MAX, 7 << 33];
        let values: Vec<Vec<u8>> = (0..5).map(|i| vec![i as u8; i * 60]).collect();
        for (i, &hash) in hashes.iter().enumerate() {
            if pending.is_full() {
                let first = pending.first().unwrap();
                assert_eq!(
                    (first.hash, first.key, first.value),
                    (hashes[i - 2], &b"a key"[..], &values[i - 2][..])
                );
                assert_eq!(first.deadline, Some(hashes[i - 2]));
                pending.pop();
            }
            let fresh = store(hash, b"a key", &values[i]);
            assert!(WriteBuffer::takes(&fresh));
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
        assert!(WriteBuffer::takes(&store(0, b"", &value)));
        assert!(!WriteBuffer::takes(&store(0, b"k", &value)));
    }
}
