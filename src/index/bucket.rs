//! A bucket: eight slots in one cache line.
//!
//! A slot is a word of 64 bits: 28 bits of *tag* (the top bits of the hash) and 36 bits of
//! *location* (in steps of 8 bytes); 0 is an empty slot. A search asks a bucket which slots have a
//! tag and whether any is empty, which ends it.
//!
//! What lies where is random, so a branch for each slot would be mispredicted all the time. All
//! eight are compared at once instead, with SSE2 on x86-64 (elsewhere by a loop that says the
//! same), and the answer is a set of slots: [`Matches`]. Other entries may have the same tag, and
//! tag 0 is also that of empty slots: who has found a slot looks at its word again, and then
//! compares the key.
//!
//! There are two ways to read a bucket. Readers [`look`] while writers store to it: each word is
//! read whole, but the eight are not of one moment. Writers have the stripe's lock, so nothing
//! changes under them: they ask [`Words`], which answers more.

use crate::sys::atomic::{AtomicU64, Ordering};

/// Bits of the tag.
pub const TAG_BITS: u32 = 28;
/// One more than the largest tag.
pub const TAG_END: u32 = 1 << TAG_BITS;
const LOCATION_BITS: u32 = 36;
const LOCATION_MASK: u64 = (1 << LOCATION_BITS) - 1;
pub(super) const SLOTS: usize = 8;
/// Where the tag begins in the upper half of a word.
#[cfg(target_arch = "x86_64")]
const TAG_SHIFT: i32 = LOCATION_BITS as i32 - 32;
pub(super) const BUCKET_BYTES: usize = 64;

/// The tag of a hash.
#[inline]
pub fn tag_of(hash: u64) -> u32 {
    (hash >> LOCATION_BITS) as u32
}

/// A slot's word: where an entry is, and its tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub(super) u64);

impl Slot {
    /// A slot for an entry at a byte offset (a multiple of 8, not 0).
    #[inline]
    pub fn new(tag: u32, offset: u64) -> Slot {
        debug_assert!(
            tag < TAG_END
                && offset != 0
                && offset.is_multiple_of(8)
                && offset >> 3 <= LOCATION_MASK
        );
        Slot(u64::from(tag) << LOCATION_BITS | offset >> 3)
    }

    /// The tag.
    #[inline]
    pub fn tag(self) -> u32 {
        (self.0 >> LOCATION_BITS) as u32
    }

    /// The entry's offset in the space, in bytes.
    #[inline]
    pub fn offset(self) -> u64 {
        (self.0 & LOCATION_MASK) << 3
    }
}

/// Eight slots: one cache line.
pub type Bucket = [AtomicU64; SLOTS];

/// A bucket as it was read: which slots match (an empty one may, for tag 0), and whether none was
/// empty.
pub(super) struct Seen {
    pub(super) matches: Matches,
    pub(super) full: bool,
}

/// Slots of a bucket: two bits each, as the comparison of vectors leaves them.
#[derive(Clone, Copy)]
pub(super) struct Matches(u32);

impl Matches {
    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that aren't among others.
    #[inline(always)]
    pub(super) fn without(self, others: Matches) -> Matches {
        Matches(self.0 & !others.0)
    }

    /// The first, which is looked at next, if there is one.
    #[inline(always)]
    pub(super) fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| (self.0.trailing_zeros() / 2) as usize & (SLOTS - 1))
    }
}

impl Iterator for Matches {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let slot = self.first()?;
        self.0 &= !(3 << (2 * slot));
        Some(slot)
    }
}

/// Asks `found` about the slots of a bucket whose tags matched.
#[inline(always)]
pub(super) fn candidates<T>(
    slots: &Bucket,
    matches: Matches,
    found: &mut impl FnMut(Slot) -> Option<T>,
) -> Option<T> {
    for slot in matches {
        let word = slots[slot].load(Ordering::Acquire);
        // It may have changed since it was compared; the key decides. Tag 0 also matches empty
        // slots.
        if word != 0
            && let Some(answer) = found(Slot(word))
        {
            return Some(answer);
        }
    }
    None
}

/// The slot of a bucket that a hash probably has, before keys are compared.
#[inline(always)]
pub fn candidate(slots: &Bucket, hash: u64) -> Option<Slot> {
    let slot = look(slots, tag_of(hash)).matches.first()?;
    let word = slots[slot].load(Ordering::Acquire);
    (word != 0).then_some(Slot(word))
}

/// A bucket's words, two to a vector, each read whole.
///
/// The loads are written in assembly because other threads store to the slots meanwhile: each
/// stands for two relaxed atomic loads of 8 bytes (aligned 8-byte halves of a vector load are read
/// whole on x86-64), and x86 orders no later load before them, which makes them acquire loads.
/// (Under the stripe's lock nobody stores another word; but the background thread touches pages
/// ahead by a compare-and-swap of 0 for 0, beside which a plain load would be a race by the
/// letter.)
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn load(slots: &Bucket) -> [std::arch::x86_64::__m128; 4] {
    use std::arch::asm;
    use std::arch::x86_64::__m128;
    let start = slots.as_ptr().cast::<u8>();
    let (a, b, c, d): (__m128, __m128, __m128, __m128);
    // SAFETY: SSE2 is part of x86-64. The bucket is 64 bytes, aligned to 64. Nothing is concluded
    // from a word seen here but that its slot is worth a look or that the bucket had no empty slot,
    // unless the stripe's lock is held.
    unsafe {
        asm!(
            "movaps {a}, [{p}]",
            "movaps {b}, [{p} + 16]",
            "movaps {c}, [{p} + 32]",
            "movaps {d}, [{p} + 48]",
            p = in(reg) start,
            a = out(xmm_reg) a,
            b = out(xmm_reg) b,
            c = out(xmm_reg) c,
            d = out(xmm_reg) d,
            options(nostack, preserves_flags, readonly),
        );
    }
    [a, b, c, d]
}

/// Reads a bucket and compares all its tags, without a branch: 25 instructions, where eight loads
/// and compares take 120.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn look(slots: &Bucket, tag: u32) -> Seen {
    use std::arch::x86_64::*;
    let [a, b, c, d] = load(slots);
    // SAFETY: SSE2 is part of x86-64.
    unsafe {
        // The high halves hold tag << 4 and the top of the location, the low halves the rest of it.
        let high = [_mm_shuffle_ps::<0xdd>(a, b), _mm_shuffle_ps::<0xdd>(c, d)]
            .map(|x| _mm_castps_si128(x));
        let low = [_mm_shuffle_ps::<0x88>(a, b), _mm_shuffle_ps::<0x88>(c, d)]
            .map(|x| _mm_castps_si128(x));
        let wanted = _mm_set1_epi32(tag as i32);
        let matches = |i: usize| _mm_cmpeq_epi32(_mm_srli_epi32::<TAG_SHIFT>(high[i]), wanted);
        let empty = |i: usize| _mm_cmpeq_epi32(_mm_or_si128(high[i], low[i]), _mm_setzero_si128());
        Seen {
            matches: Matches(_mm_movemask_epi8(_mm_packs_epi32(matches(0), matches(1))) as u32),
            full: _mm_movemask_epi8(_mm_or_si128(empty(0), empty(1))) == 0,
        }
    }
}

/// Reads a bucket and compares all its tags.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn look(slots: &Bucket, tag: u32) -> Seen {
    let mut seen = Seen { matches: Matches(0), full: true };
    for (i, slot) in slots.iter().enumerate() {
        let word = slot.load(Ordering::Acquire);
        seen.matches.0 |= (u32::from(Slot(word).tag() == tag) * 3) << (2 * i);
        seen.full &= word != 0;
    }
    seen
}

/// A bucket as a writer reads it, who has the stripe's lock: nobody stores to its slots meanwhile.
/// All eight are compared at once, without a branch: what lies where is random.
#[cfg(target_arch = "x86_64")]
pub(super) struct Words {
    /// Tag << 4 and the top of the location, and the rest of it.
    high: [std::arch::x86_64::__m128i; 2],
    low: [std::arch::x86_64::__m128i; 2],
}

#[cfg(target_arch = "x86_64")]
impl Words {
    #[inline(always)]
    pub(super) fn of(slots: &Bucket) -> Words {
        use std::arch::x86_64::*;
        let [a, b, c, d] = load(slots);
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            Words {
                high: [_mm_shuffle_ps::<0xdd>(a, b), _mm_shuffle_ps::<0xdd>(c, d)]
                    .map(|x| _mm_castps_si128(x)),
                low: [_mm_shuffle_ps::<0x88>(a, b), _mm_shuffle_ps::<0x88>(c, d)]
                    .map(|x| _mm_castps_si128(x)),
            }
        }
    }

    /// The slots for which `is` answers with ones, for each half of the bucket.
    #[inline(always)]
    fn those(is: impl Fn(usize) -> std::arch::x86_64::__m128i) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        unsafe { Matches(_mm_movemask_epi8(_mm_packs_epi32(is(0), is(1))) as u32) }
    }

    /// The empty slots.
    #[inline(always)]
    pub(super) fn empty(&self) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        Self::those(|i| unsafe {
            _mm_cmpeq_epi32(_mm_or_si128(self.high[i], self.low[i]), _mm_setzero_si128())
        })
    }

    /// The slot with this word.
    #[inline(always)]
    pub(super) fn equal(&self, slot: Slot) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let (high, low) =
                (_mm_set1_epi32((slot.0 >> 32) as i32), _mm_set1_epi32(slot.0 as i32));
            Self::those(|i| {
                _mm_and_si128(
                    _mm_cmpeq_epi32(self.high[i], high),
                    _mm_cmpeq_epi32(self.low[i], low),
                )
            })
        }
    }

    /// The slots with this tag; for tag 0 the empty ones as well.
    #[inline(always)]
    pub(super) fn tagged(&self, tag: u32) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        Self::those(|i| unsafe {
            _mm_cmpeq_epi32(_mm_srli_epi32::<TAG_SHIFT>(self.high[i]), _mm_set1_epi32(tag as i32))
        })
    }

    /// The slots with tags below this one, which is at most `TAG_END`; and the empty ones, if that
    /// isn't 0.
    #[inline(always)]
    pub(super) fn below(&self, tag: u32) -> Matches {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64.
        Self::those(|i| unsafe {
            _mm_cmpgt_epi32(_mm_set1_epi32(tag as i32), _mm_srli_epi32::<TAG_SHIFT>(self.high[i]))
        })
    }
}

/// A bucket as a writer reads it, who has the stripe's lock.
#[cfg(not(target_arch = "x86_64"))]
pub(super) struct Words([u64; SLOTS]);

#[cfg(not(target_arch = "x86_64"))]
impl Words {
    pub(super) fn of(slots: &Bucket) -> Words {
        Words(std::array::from_fn(|i| slots[i].load(Ordering::Relaxed)))
    }

    fn those(&self, is: impl Fn(Slot) -> bool) -> Matches {
        Matches(
            self.0
                .iter()
                .enumerate()
                .map(|(i, &word)| (u32::from(is(Slot(word))) * 3) << (2 * i))
                .sum(),
        )
    }

    pub(super) fn empty(&self) -> Matches {
        self.those(|slot| slot.0 == 0)
    }

    pub(super) fn equal(&self, wanted: Slot) -> Matches {
        self.those(|slot| slot == wanted)
    }

    pub(super) fn tagged(&self, tag: u32) -> Matches {
        self.those(|slot| slot.tag() == tag)
    }

    pub(super) fn below(&self, tag: u32) -> Matches {
        self.those(|slot| slot.tag() < tag)
    }
}
