//! Hits and misses (and sets that take no lock), counted without sharing a cache line: one line per
//! cache and thread slot.
//!
//! A thread's line has one writer, so a plain load and store count exactly; whoever asks adds the
//! lines up. The sum is exact when nobody is counting at that moment.

use crate::sync::epoch::Guard;
use crate::sys::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sys::os;
use std::ptr;

const CHUNK: usize = 64;
/// Threads beyond `CHUNK * CHUNKS` share a line, and count with read-modify-writes.
const CHUNKS: usize = 64;

/// One thread's counts. A cache line.
#[repr(align(64))]
#[derive(Default)]
pub struct Line {
    hits: AtomicU64,
    misses: AtomicU64,
    /// Sets that took no lock, and the bytes of their entries (see `cache::in_place`).
    sets: AtomicU64,
    overwritten: AtomicU64,
    /// Sets that aren't to be tried that way.
    skips: AtomicU64,
}

/// What the lines of a cache add up to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Sums {
    /// Gets that found their key.
    pub hits: u64,
    /// Gets that didn't.
    pub misses: u64,
    /// Sets that took no lock.
    pub sets: u64,
    /// The bytes of their entries.
    pub overwritten: u64,
}

impl Sums {
    fn add(&mut self, line: &Line) {
        self.hits += line.hits.load(Ordering::Relaxed);
        self.misses += line.misses.load(Ordering::Relaxed);
        self.sets += line.sets.load(Ordering::Relaxed);
        self.overwritten += line.overwritten.load(Ordering::Relaxed);
    }
}

/// The counts of a cache.
pub struct Counters {
    chunks: [AtomicPtr<[Line; CHUNK]>; CHUNKS],
    shared: Line,
}

/// Bytes of one lazily made chunk: what 64 threads cost.
pub const CHUNK_BYTES: u64 = (CHUNK * size_of::<Line>()) as u64;

/// A chunk of zeros. None if the system refuses memory.
fn fresh() -> Option<Box<[Line; CHUNK]>> {
    let mut lines = Vec::new();
    if os::refused(os::Ask::Heap) || lines.try_reserve_exact(CHUNK).is_err() {
        return None;
    }
    lines.resize_with(CHUNK, Line::default);
    lines.into_boxed_slice().try_into().ok()
}

impl Counters {
    /// Counts of zero. The lines are made as threads come.
    pub fn new() -> Counters {
        Counters {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            shared: Line::default(),
        }
    }

    /// The line of a thread, if its chunk was made before. Never allocates.
    #[inline]
    pub fn line(&self, guard: &Guard) -> Option<Handle<'_>> {
        let shared = || Handle { line: &self.shared, shared: true };
        self.own_line(guard).or_else(|| (guard.thread() >= CHUNK * CHUNKS).then(shared))
    }

    /// As [`Counters::line`], for the threads that don't share one.
    #[inline]
    pub fn own_line(&self, guard: &Guard) -> Option<Handle<'_>> {
        let thread = guard.thread();
        let chunk = self.chunks.get(thread / CHUNK)?.load(Ordering::Acquire);
        // SAFETY: chunks live as long as the counters.
        let line = unsafe { &chunk.as_ref()?[thread % CHUNK] };
        Some(Handle { line, shared: false })
    }

    /// The line of a thread, made if need be and if `pay` agrees to the memory.
    pub fn line_or_make(
        &self,
        guard: &Guard,
        pay: impl FnOnce(u64) -> bool,
        pay_back: impl FnOnce(u64),
    ) -> Handle<'_> {
        if let Some(handle) = self.line(guard) {
            return handle;
        }
        if !pay(CHUNK_BYTES) {
            return Handle { line: &self.shared, shared: true };
        }
        let Some(fresh) = fresh() else {
            pay_back(CHUNK_BYTES);
            return Handle { line: &self.shared, shared: true };
        };
        let fresh = Box::into_raw(fresh);
        let chunk = &self.chunks[guard.thread() / CHUNK];
        if chunk
            .compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // SAFETY: `fresh` lost the race: nobody else has seen it.
            drop(unsafe { Box::from_raw(fresh) });
            pay_back(CHUNK_BYTES);
        }
        self.line(guard).expect("the chunk is there now")
    }

    /// The counts so far.
    pub fn sum(&self) -> Sums {
        let mut sums = Sums::default();
        sums.add(&self.shared);
        for chunk in &self.chunks {
            let chunk = chunk.load(Ordering::Acquire);
            if !chunk.is_null() {
                // SAFETY: chunks live as long as the counters.
                unsafe { &*chunk }.iter().for_each(|line| sums.add(line));
            }
        }
        sums
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            let chunk = chunk.load(Ordering::Acquire);
            if !chunk.is_null() {
                // SAFETY: made by Box::into_raw, and no handle outlives the counters.
                drop(unsafe { Box::from_raw(chunk) });
            }
        }
    }
}

/// A thread's own line.
#[derive(Clone, Copy)]
pub struct Handle<'a> {
    line: &'a Line,
    shared: bool,
}

impl Handle<'_> {
    /// Counts hits.
    #[inline]
    pub fn hit(&self, n: u64) {
        self.add(&self.line.hits, n);
    }

    /// Counts misses.
    #[inline]
    pub fn miss(&self, n: u64) {
        self.add(&self.line.misses, n);
    }

    /// Counts a set that took no lock.
    #[inline]
    pub fn overwrote(&self, bytes: u64) {
        self.add(&self.line.sets, 1);
        self.add(&self.line.overwritten, bytes);
    }

    /// Whether the thread's next set isn't to be tried without the lock. Counts it.
    #[inline]
    pub fn skips(&self) -> bool {
        let left = self.line.skips.load(Ordering::Relaxed);
        if left > 0 {
            self.line.skips.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }

    /// The thread's next sets aren't to be tried without the lock.
    #[inline]
    pub fn skip(&self, sets: u64) {
        self.line.skips.store(sets, Ordering::Relaxed);
    }

    #[inline]
    fn add(&self, counter: &AtomicU64, n: u64) {
        if self.shared {
            counter.fetch_add(n, Ordering::Relaxed);
        } else {
            counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_a_line_counts_on_the_shared_one() {
        let counters = Counters::new();
        let guard = crate::sync::epoch::pin();
        counters.line_or_make(&guard, |_| false, |_| {}).hit(3);
        assert!(counters.line(&guard).is_none());
        counters.line_or_make(&guard, |bytes| bytes == CHUNK_BYTES, |_| {}).miss(2);
        assert_eq!(counters.sum(), Sums { hits: 3, misses: 2, ..Sums::default() });
    }

    #[test]
    fn the_sum_is_exact_at_rest() {
        let counters = Counters::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for i in 0..10_000 {
                        let guard = crate::sync::epoch::pin();
                        let line = counters.line_or_make(&guard, |_| true, |_| {});
                        if i % 4 == 0 { line.miss(1) } else { line.hit(1) }
                    }
                });
            }
        });
        assert_eq!(counters.sum(), Sums { hits: 60_000, misses: 20_000, ..Sums::default() });
    }
}
