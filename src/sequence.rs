//! Who reads a small value while it is overwritten in place notices.
//!
//! Small values are overwritten where they lie: no new entry, nothing to drain later, nothing to write in the index. So a
//! reader may see half of one value and half of the next. A *sequence* tells it: a word that the writer makes odd before it
//! touches the entry and even again after, each time a new number. A reader takes the number before it looks for the entry,
//! and again after it has copied the value; if it was odd, or has changed, the copy is worth nothing and the reader starts
//! anew. (A seqlock; Lameter 2005 for the idea, Boehm 2012, "Can seqlocks get along with programming language memory
//! models?", for the fences.) Writers of one word exclude each other by the stripe's lock: a word belongs to one stripe,
//! because its number begins with the bits of the hash that choose the stripe.
//!
//! The words are a table for the whole cache, by bits of the hash. A word an entry would cost 8 bytes; a word a stripe would
//! make readers of one key wait for writers of another, and would lie in the line that every reader of the stripe needs. A
//! thousand words are 8 KiB, a fifth of a first-level cache, and two keys share one too rarely to matter. Readers of values
//! that can't be overwritten in place ([`IN_PLACE`]) needn't look, and most do, as the test would cost more.
//!
//! # Views
//!
//! A view must not change. It pins its segment, and a segment with pins is not written in place. To agree on that, each
//! side writes its word first and reads the other's after it, with a fence between (Dekker): the writer makes the sequence odd, then
//! looks at the pins; who takes a view raises the pins, then looks whether the sequence has changed since before it found the
//! entry. At least one of them sees the other, and steps back: the writer appends as for a larger value, the view is taken
//! anew. tests/loom/tests/sequence.rs tries every order.

use crate::sync::{AtomicU64, Ordering, fence};

/// The largest value that is overwritten in place, in bytes. On x86-64 it is copied in and out as fast as by memcpy (`wide`), so
/// a hit is no dearer for it, and an overwrite takes half the time of an append; elsewhere the copies go byte by byte.
/// The fast door copies 64 KiB a call, so that a reader that is overtaken has four tries of the largest value
/// (docs/performance.md).
pub const IN_PLACE: usize = if cfg!(target_arch = "x86_64") { 16 << 10 } else { 4 << 10 };

/// Words of a cache, at most.
const MOST: usize = 1024;
/// Words of a cache, at least: more than there are stripes.
const LEAST: usize = 256;
/// Budget for each word: the table takes a 256th of a small cache.
const BUDGET_PER_WORD: u64 = 2048;

/// The sequences of a cache.
pub struct Sequences {
    words: Box<[AtomicU64]>,
}

/// One word of them.
#[derive(Clone, Copy)]
pub struct Sequence<'a>(&'a AtomicU64);

impl Sequences {
    /// How many words a cache of this budget has.
    fn count(max_bytes: u64) -> usize {
        ((max_bytes / BUDGET_PER_WORD).next_power_of_two() as usize).clamp(LEAST, MOST)
    }

    /// Bytes for a cache of this budget.
    pub fn bytes_for(max_bytes: u64) -> u64 {
        (Self::count(max_bytes) * size_of::<AtomicU64>()) as u64
    }

    /// For a cache of this budget.
    pub fn new(max_bytes: u64) -> Sequences {
        Sequences { words: (0..Self::count(max_bytes)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The word of a hash.
    #[inline]
    pub fn of(&self, hash: u64) -> Sequence<'_> {
        let number = hash as usize & (self.words.len() - 1);
        // SAFETY: there is at least one word, so the mask keeps the number below their count. (A checked index could panic,
        // which has no place on the fast door's stack.)
        Sequence(unsafe { self.words.get_unchecked(number) })
    }
}

impl Sequence<'_> {
    /// For a reader: the number before it looks for an entry.
    #[inline]
    pub fn number(self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// For a reader: whether nothing was overwritten between the taking of this number and now.
    #[inline]
    pub fn is_still(self, number: u64) -> bool {
        fence(Ordering::Acquire);
        number.is_multiple_of(2) && self.0.load(Ordering::Relaxed) == number
    }

    /// For who takes a view, with the pins raised: as [`Sequence::is_still`].
    #[inline]
    pub fn is_still_pinned(self, number: u64) -> bool {
        if cfg!(larder_tsan) {
            // ThreadSanitizer knows no fences; a read-modify-write orders the same and it understands it.
            return number.is_multiple_of(2) && self.0.fetch_add(0, Ordering::SeqCst) == number;
        }
        fence(Ordering::SeqCst);
        number.is_multiple_of(2) && self.0.load(Ordering::Relaxed) == number
    }

    /// For a writer, which has the stripe's lock: says that the entry is about to change, unless `pinned` says, asked after
    /// that, that somebody has a view of it. Then nothing has changed.
    #[inline]
    pub fn begin(self, pinned: impl FnOnce() -> bool) -> bool {
        let number = self.0.load(Ordering::Relaxed);
        debug_assert!(number.is_multiple_of(2));
        if cfg!(larder_tsan) {
            self.0.swap(number + 1, Ordering::SeqCst);
        } else {
            self.0.store(number + 1, Ordering::Relaxed);
            // For views: the odd number is there before the pins are looked at. For readers: it is there before the value changes.
            fence(Ordering::SeqCst);
        }
        if pinned() {
            self.end();
            return false;
        }
        true
    }

    /// For a writer: the change is done.
    #[inline]
    pub fn end(self) {
        let number = self.0.load(Ordering::Relaxed);
        debug_assert!(number % 2 == 1);
        self.0.store(number + 1, Ordering::Release);
    }
}
