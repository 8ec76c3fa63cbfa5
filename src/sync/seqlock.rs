//! Seqlocks by key hash. A reader detects that a small value was overwritten while it copied it; in
//! small caches a set overwrites under the seqlock alone, without the stripe's lock.
//!
//! Small values are overwritten where they lie: no new entry, nothing to drain later, nothing to
//! write in the index. So a reader may see half of one value and half of the next. A *sequence*
//! tells it: a word that the writer makes odd before it touches the entry and even again after,
//! each time a new number. A reader takes the number before it looks for the entry, and again after
//! it has copied the value; if it was odd, or has changed, the copy is worth nothing and the reader
//! starts anew. (A seqlock; Lameter 2005 for the idea, Boehm 2012, "Can seqlocks get along with
//! programming language memory models?", for the fences.)
//!
//! The words are a table for the whole cache, by bits of the hash. A word an entry would cost 8
//! bytes; a word a stripe would make readers of one key wait for writers of another, and would lie
//! in the line that every reader of the stripe needs. A thousand words are 8 KiB, a fifth of a
//! first-level cache, and two keys share one too rarely to matter. A word belongs to one stripe,
//! because its number begins with the bits of the hash that choose the stripe. Readers of values
//! that can't be overwritten in place ([`IN_PLACE`]) needn't look, and most do, as the test would
//! cost more.
//!
//! # Without the stripe's lock
//!
//! In a small cache, which has one stripe or a few, the commonest set takes no lock
//! (`cache::in_place`). It finds the entry as a reader does, and makes the word odd by a
//! compare-and-swap from the number that it took before: so nobody has held the word since. While
//! it is odd the value is the overwriter's. It waits for nobody meanwhile, so who has the stripe's
//! lock may wait for it. The others, who all have the lock, keep these rules:
//!
//! 1. Who *moves* an entry, or removes it because it has expired, holds the word (odd) while it
//!    looks at the entry, copies it and swings the index's slot. Else a set that was acknowledged
//!    would be left behind in the old entry, or be taken for what it replaced.
//! 2. Who reads a value to write it again, or hands out a slice of it, *closes* the word: an even
//!    number with a high bit, which holds overwriters off and nobody else. It may last, and what
//!    happens inside may hold the same word.
//! 3. Who replaces, deletes or evicts an entry needs neither. An overwriter that writes to that
//!    entry still has found it in the index during its call, so its set comes just before the
//!    change that took the entry away, and no reader finds a value there that came after. The
//!    entry's memory stays: the overwriter has pinned the epoch. That it is dead is a bit of the
//!    header, which is changed by read-modify-writes only.
//! 4. Deadlines are only put off, so what segments and stripes know of the earliest stays true
//!    without the lock.
//! 5. A set ends the load of its key that is under way (`loads`). Who begins one says so in its
//!    stripe, then closes and opens the word, which gives it a new number. An overwriter looks
//!    after it has read the number: either it sees that there are loads, and takes the lock; or it
//!    fails to make the word odd; or it was done before the load began.
//!
//! tests/loom/tests/overwrite.rs has all of these with a rule left out.
//!
//! # Views
//!
//! A view must not change. It pins its segment, and a segment with pins is not written in place. To
//! agree on that, each side writes its word first and reads the other's after it, with a fence
//! between (Dekker): the writer makes the sequence odd, then looks at the pins; who takes a view
//! raises the pins, then looks whether the sequence has changed since before it found the entry. At
//! least one of them sees the other, and steps back: the writer appends as for a larger value, the
//! view is taken anew. tests/loom/tests/sequence.rs tries every order.

use crate::sys::atomic::{AtomicU64, Ordering, compiler_fence, fence, spin_loop, yield_now};
use crate::sys::os;

/// The largest value that is overwritten in place, in bytes. On x86-64 it is copied in and out as
/// fast as by memcpy (`sys::bytes::avx`), so a hit is no dearer for it, and an overwrite takes half
/// the time of an append; elsewhere the copies go byte by byte. The fast path copies 64 KiB a call,
/// so that a reader that is overtaken has four tries of the largest value (docs/performance.md).
pub const IN_PLACE: usize = if cfg!(target_arch = "x86_64") { 16 << 10 } else { 4 << 10 };

/// Words of a cache, at most.
const MOST: usize = 1024;
/// Words of a cache, at least: more than there are stripes.
const LEAST: usize = 256;
/// Budget for each word: the table takes a 256th of a small cache.
const BUDGET_PER_WORD: u64 = 2048;

/// Set in a word that overwriters without the stripe's lock keep away from.
const CLOSED: u64 = 1 << 63;
/// How often who has the stripe's lock looks for the end of an overwriter: half a microsecond,
/// where one has the word for a tenth.
const SPINS: usize = 32;

/// The sequences of a cache.
pub struct Seqlocks {
    words: Box<[AtomicU64]>,
}

/// One word of them.
#[derive(Clone, Copy)]
pub struct Seqlock<'a>(&'a AtomicU64);

impl Seqlocks {
    /// How many words a cache of this budget has.
    fn count(max_bytes: u64) -> usize {
        ((max_bytes / BUDGET_PER_WORD).next_power_of_two() as usize).clamp(LEAST, MOST)
    }

    /// Bytes for a cache of this budget.
    pub fn bytes_for(max_bytes: u64) -> u64 {
        (Self::count(max_bytes) * size_of::<AtomicU64>()) as u64
    }

    /// For a cache of this budget. None if the system refuses memory.
    pub fn new(max_bytes: u64) -> Option<Seqlocks> {
        Self::of_words(Self::count(max_bytes))
    }

    /// With so many words, a power of two.
    pub fn of_words(count: usize) -> Option<Seqlocks> {
        let mut words = Vec::new();
        if os::refused(os::Ask::Heap) || words.try_reserve_exact(count).is_err() {
            return None;
        }
        words.resize_with(count, || AtomicU64::new(0));
        Some(Seqlocks { words: words.into_boxed_slice() })
    }

    /// The word of a hash.
    #[inline]
    pub fn of(&self, hash: u64) -> Seqlock<'_> {
        let number = hash as usize & (self.words.len() - 1);
        // SAFETY: there is at least one word, so the mask keeps the number below their count. (A
        // checked index could panic, which has no place on the fast path's stack.)
        Seqlock(unsafe { self.words.get_unchecked(number) })
    }
}

impl Seqlock<'_> {
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

    /// For who takes a view, with the pins raised: as [`Seqlock::is_still`].
    #[inline]
    pub fn is_still_pinned(self, number: u64) -> bool {
        if cfg!(larder_tsan) {
            // ThreadSanitizer knows no fences; a read-modify-write orders the same and it
            // understands it.
            return number.is_multiple_of(2) && self.0.fetch_add(0, Ordering::SeqCst) == number;
        }
        fence(Ordering::SeqCst);
        number.is_multiple_of(2) && self.0.load(Ordering::Relaxed) == number
    }

    /// For an overwriter without the stripe's lock: makes the word odd, if it is open and nobody
    /// has held it since it had this number.
    #[inline]
    pub fn begin_at(self, number: u64) -> bool {
        if number & (CLOSED | 1) != 0
            || self
                .0
                .compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        fence_after_swap();
        true
    }

    /// For who has the stripe's lock: makes the word odd, unless an overwriter has it for longer
    /// than one needs.
    #[inline]
    pub fn try_begin(self) -> bool {
        for _ in 0..SPINS {
            let number = self.0.load(Ordering::Relaxed);
            if number.is_multiple_of(2)
                && self
                    .0
                    .compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::Relaxed)
                    .is_ok()
            {
                fence_after_swap();
                return true;
            }
            spin_loop();
        }
        false
    }

    /// As [`Seqlock::try_begin`], and waits for the overwriter.
    #[inline]
    pub fn begin(self) {
        while !self.try_begin() {
            yield_now();
        }
    }

    /// For an overwriter without the stripe's lock, who has made it odd: the change is done. By an
    /// addition, because somebody may be closing the word just now: a store would undo that.
    #[inline]
    pub fn end_alone(self) {
        let number = self.0.fetch_add(1, Ordering::Release);
        debug_assert!(number % 2 == 1);
    }

    /// For who has the stripe's lock, and has made it odd: the change is done.
    #[inline]
    pub fn end(self) {
        let number = self.0.load(Ordering::Relaxed);
        debug_assert!(number % 2 == 1);
        self.0.store(number + 1, Ordering::Release);
    }
}

impl<'a> Seqlock<'a> {
    /// For who has the stripe's lock, and for as long: no overwriter begins until what is returned
    /// is dropped, and those that had begun are done.
    pub fn close(self) -> Closed<'a> {
        let before = self.0.fetch_or(CLOSED, Ordering::Relaxed);
        debug_assert!(before & CLOSED == 0);
        let mut spins = 0;
        while self.0.load(Ordering::Acquire) % 2 == 1 {
            spins += 1;
            if spins < SPINS {
                spin_loop();
            } else {
                yield_now();
            }
        }
        Closed(self.0)
    }
}

/// A word that overwriters keep away from.
pub struct Closed<'a>(&'a AtomicU64);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        // A new number: what an overwriter found out before is worth nothing. Nobody else writes
        // the word while it is closed and even.
        let number = self.0.load(Ordering::Relaxed);
        debug_assert!(number & CLOSED != 0 && number.is_multiple_of(2));
        self.0.store((number & !CLOSED) + 2, Ordering::Release);
    }
}

/// Says, after the word was made odd by a compare-and-swap, that it is so before anything else:
/// before the pins are looked at, for views; before the value changes, for readers.
#[inline(always)]
fn fence_after_swap() {
    if cfg!(target_arch = "x86_64") {
        // A locked instruction is a fence; a second one would cost as much again. (ThreadSanitizer
        // knows no fences anyhow.)
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}
