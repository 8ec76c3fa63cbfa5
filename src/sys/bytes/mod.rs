//! Comparing and copying short runs of bytes without a call.
//!
//! Keys are mostly 8 to 64 bytes, many values not much more. A call of memcmp or memcpy through the
//! GOT, with its dispatch on the length, costs 5 to 8 ns of a hit that takes 40; two or four loads
//! of 16 bytes that may overlap cost one or two.
//!
//! [`copy_out`] and [`copy_in`] are for bytes that one thread writes while others read
//! (`sync::seqlock`): what the one may read is torn between two writes, but the accesses themselves
//! are atomic, each byte for itself. Long ones are copied by `sys::bytes::avx`.

pub mod avx;

use crate::sys::atomic::{AtomicU8, Ordering};
use std::ptr;

/// Sixteen bytes beside sixteen others. On x86-64 a vector, which stays one until the end is asked
/// for: the compiler would carry a `u128` around in two registers.
#[derive(Clone, Copy)]
struct Pair(Lanes);

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m128i as Lanes;
#[cfg(not(target_arch = "x86_64"))]
use u128 as Lanes;

#[cfg(target_arch = "x86_64")]
impl Pair {
    /// # Safety
    /// Sixteen bytes are readable at both places.
    #[inline(always)]
    unsafe fn at(a: *const u8, b: *const u8) -> Pair {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64; the bytes are readable, as the caller promises.
        unsafe { Pair(_mm_cmpeq_epi8(_mm_loadu_si128(a.cast()), _mm_loadu_si128(b.cast()))) }
    }
    #[inline(always)]
    fn and(self, other: Pair) -> Pair {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { Pair(std::arch::x86_64::_mm_and_si128(self.0, other.0)) }
    }
    #[inline(always)]
    fn is_equal(self) -> bool {
        // SAFETY: as above.
        unsafe { std::arch::x86_64::_mm_movemask_epi8(self.0) == 0xffff }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Pair {
    /// # Safety
    /// Sixteen bytes are readable at both places.
    unsafe fn at(a: *const u8, b: *const u8) -> Pair {
        // SAFETY: as the caller promises.
        unsafe {
            Pair(ptr::read_unaligned(a.cast::<u128>()) ^ ptr::read_unaligned(b.cast::<u128>()))
        }
    }
    fn and(self, other: Pair) -> Pair {
        Pair(self.0 | other.0)
    }
    fn is_equal(self) -> bool {
        self.0 == 0
    }
}

/// Whether two slices are equal. Long ones are compared without a call as well: around a call,
/// those who compare would have to put away what they hold in registers, for every key.
#[inline(always)]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let len = a.len();
    // SAFETY: all loads lie within the `len` bytes of each slice: the last of each size ends where
    // the slice ends.
    unsafe {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        if len >= 16 {
            let pair = |at: usize| Pair::at(a.add(at), b.add(at));
            let mut pairs = pair(0).and(pair(len - 16));
            if len > 32 {
                pairs = pairs.and(pair(16)).and(pair(len - 32));
                let mut at = 32;
                while at + 32 < len {
                    pairs = pairs.and(pair(at)).and(pair(at + 16));
                    at += 32;
                }
            }
            pairs.is_equal()
        } else if len >= 8 {
            let word = |p: *const u8, at: usize| ptr::read_unaligned(p.add(at).cast::<u64>());
            (word(a, 0) ^ word(b, 0)) | (word(a, len - 8) ^ word(b, len - 8)) == 0
        } else if len >= 4 {
            let word = |p: *const u8, at: usize| ptr::read_unaligned(p.add(at).cast::<u32>());
            (word(a, 0) ^ word(b, 0)) | (word(a, len - 4) ^ word(b, len - 4)) == 0
        } else {
            (0..len).all(|i| *a.add(i) == *b.add(i))
        }
    }
}

/// How one side of a copy is accessed.
trait Access {
    /// Whether a call of memcpy may do it.
    const PLAIN: bool;
    /// # Safety
    /// Sixteen bytes at this distance from `from` are readable. (A constant becomes part of the
    /// instruction.)
    unsafe fn load16<const AT: isize>(from: *const u8) -> u128;
    /// # Safety
    /// As `load16`, for eight.
    unsafe fn load8(from: *const u8) -> u64;
    /// # Safety
    /// As `load16`, for four.
    unsafe fn load4(from: *const u8) -> u32;
    /// # Safety
    /// As `load16`, for one.
    unsafe fn load1(from: *const u8) -> u8;
    /// # Safety
    /// Sixteen bytes at this distance from `to` are writable.
    unsafe fn store16<const AT: isize>(to: *mut u8, bytes: u128);
    /// # Safety
    /// As `store16`, for eight.
    unsafe fn store8(to: *mut u8, bytes: u64);
    /// # Safety
    /// As `store16`, for four.
    unsafe fn store4(to: *mut u8, bytes: u32);
    /// # Safety
    /// As `store16`, for one.
    unsafe fn store1(to: *mut u8, byte: u8);
}

/// Memory that nobody writes meanwhile.
struct Plain;

impl Access for Plain {
    const PLAIN: bool = true;

    #[inline(always)]
    unsafe fn load16<const AT: isize>(from: *const u8) -> u128 {
        // SAFETY: as the caller promises.
        unsafe { ptr::read_unaligned(from.offset(AT).cast()) }
    }
    #[inline(always)]
    unsafe fn load8(from: *const u8) -> u64 {
        // SAFETY: as the caller promises.
        unsafe { ptr::read_unaligned(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load4(from: *const u8) -> u32 {
        // SAFETY: as the caller promises.
        unsafe { ptr::read_unaligned(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load1(from: *const u8) -> u8 {
        // SAFETY: as the caller promises.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store16<const AT: isize>(to: *mut u8, bytes: u128) {
        // SAFETY: as the caller promises.
        unsafe { ptr::write_unaligned(to.offset(AT).cast(), bytes) }
    }
    #[inline(always)]
    unsafe fn store8(to: *mut u8, bytes: u64) {
        // SAFETY: as the caller promises.
        unsafe { ptr::write_unaligned(to.cast(), bytes) }
    }
    #[inline(always)]
    unsafe fn store4(to: *mut u8, bytes: u32) {
        // SAFETY: as the caller promises.
        unsafe { ptr::write_unaligned(to.cast(), bytes) }
    }
    #[inline(always)]
    unsafe fn store1(to: *mut u8, byte: u8) {
        // SAFETY: as the caller promises.
        unsafe { *to = byte }
    }
}

/// Memory that one thread writes while others read: each access stands for relaxed atomic accesses
/// of its bytes, one by one. (Not of its words: a value begins at any byte, and the word it begins
/// in holds the end of a key, which is read as plain memory.)
struct Racing;

#[cfg(all(target_arch = "x86_64", not(larder_tsan), not(miri)))]
impl Access for Racing {
    const PLAIN: bool = false;

    #[inline(always)]
    unsafe fn load16<const AT: isize>(from: *const u8) -> u128 {
        let bytes: std::arch::x86_64::__m128i;
        // SAFETY: SSE2 is part of x86-64; the bytes are readable, as the caller promises. In
        // assembly, because another thread may be storing to them: an unaligned vector load reads
        // each of its bytes once, whole, which is what sixteen relaxed atomic loads may do; and the
        // compiler makes no use of what it doesn't know to be a load.
        unsafe {
            std::arch::asm!(
                "movdqu {bytes}, [{from} + {at}]", from = in(reg) from, at = const AT, bytes = out(xmm_reg) bytes,
                options(nostack, preserves_flags, readonly)
            );
            std::mem::transmute(bytes)
        }
    }
    #[inline(always)]
    unsafe fn load8(from: *const u8) -> u64 {
        let bytes: u64;
        // SAFETY: as in `load16`.
        unsafe {
            std::arch::asm!(
                "mov {bytes}, [{from}]", from = in(reg) from, bytes = out(reg) bytes,
                options(nostack, preserves_flags, readonly)
            );
        }
        bytes
    }
    #[inline(always)]
    unsafe fn load4(from: *const u8) -> u32 {
        let bytes: u32;
        // SAFETY: as in `load16`.
        unsafe {
            std::arch::asm!(
                "mov {bytes:e}, [{from}]", from = in(reg) from, bytes = out(reg) bytes,
                options(nostack, preserves_flags, readonly)
            );
        }
        bytes
    }
    #[inline(always)]
    unsafe fn load1(from: *const u8) -> u8 {
        // SAFETY: the byte is readable, and everyone accesses it as an atomic meanwhile.
        unsafe { (*from.cast::<AtomicU8>()).load(Ordering::Relaxed) }
    }
    #[inline(always)]
    unsafe fn store16<const AT: isize>(to: *mut u8, bytes: u128) {
        // SAFETY: the bytes are writable, as the caller promises. In assembly as in `load16`:
        // sixteen relaxed atomic stores.
        unsafe {
            let bytes: std::arch::x86_64::__m128i = std::mem::transmute(bytes);
            std::arch::asm!(
                "movdqu [{to} + {at}], {bytes}", to = in(reg) to, at = const AT, bytes = in(xmm_reg) bytes,
                options(nostack, preserves_flags)
            );
        }
    }
    #[inline(always)]
    unsafe fn store8(to: *mut u8, bytes: u64) {
        // SAFETY: as in `store16`.
        unsafe {
            std::arch::asm!(
                "mov [{to}], {bytes}", to = in(reg) to, bytes = in(reg) bytes,
                options(nostack, preserves_flags)
            );
        }
    }
    #[inline(always)]
    unsafe fn store4(to: *mut u8, bytes: u32) {
        // SAFETY: as in `store16`.
        unsafe {
            std::arch::asm!(
                "mov [{to}], {bytes:e}", to = in(reg) to, bytes = in(reg) bytes,
                options(nostack, preserves_flags)
            );
        }
    }
    #[inline(always)]
    unsafe fn store1(to: *mut u8, byte: u8) {
        // SAFETY: as in `load1`.
        unsafe { (*to.cast::<AtomicU8>()).store(byte, Ordering::Relaxed) }
    }
}

/// Slower, but what the other stands for, in so many words.
#[cfg(not(all(target_arch = "x86_64", not(larder_tsan), not(miri))))]
impl Access for Racing {
    const PLAIN: bool = false;

    unsafe fn load16<const AT: isize>(from: *const u8) -> u128 {
        // SAFETY: as the caller promises.
        u128::from_ne_bytes(std::array::from_fn(|i| unsafe { Self::load1(from.offset(AT).add(i)) }))
    }
    unsafe fn load8(from: *const u8) -> u64 {
        // SAFETY: as the caller promises.
        u64::from_ne_bytes(std::array::from_fn(|i| unsafe { Self::load1(from.add(i)) }))
    }
    unsafe fn load4(from: *const u8) -> u32 {
        // SAFETY: as the caller promises.
        u32::from_ne_bytes(std::array::from_fn(|i| unsafe { Self::load1(from.add(i)) }))
    }
    #[inline(always)]
    unsafe fn load1(from: *const u8) -> u8 {
        // SAFETY: the byte is readable, and everyone accesses it as an atomic meanwhile.
        unsafe { (*from.cast::<AtomicU8>()).load(Ordering::Relaxed) }
    }
    unsafe fn store16<const AT: isize>(to: *mut u8, bytes: u128) {
        // SAFETY: as the caller promises.
        let store = |(i, byte)| unsafe { Self::store1(to.offset(AT).add(i), byte) };
        bytes.to_ne_bytes().into_iter().enumerate().for_each(store);
    }
    unsafe fn store8(to: *mut u8, bytes: u64) {
        // SAFETY: as the caller promises.
        bytes
            .to_ne_bytes()
            .into_iter()
            .enumerate()
            .for_each(|(i, byte)| unsafe { Self::store1(to.add(i), byte) });
    }
    unsafe fn store4(to: *mut u8, bytes: u32) {
        // SAFETY: as the caller promises.
        bytes
            .to_ne_bytes()
            .into_iter()
            .enumerate()
            .for_each(|(i, byte)| unsafe { Self::store1(to.add(i), byte) });
    }
    #[inline(always)]
    unsafe fn store1(to: *mut u8, byte: u8) {
        // SAFETY: as in `load1`.
        unsafe { (*to.cast::<AtomicU8>()).store(byte, Ordering::Relaxed) }
    }
}

/// Copies `len` bytes.
///
/// # Safety
/// As [`ptr::copy_nonoverlapping`].
#[inline(always)]
pub unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: passed on to the caller.
    unsafe { copy_as::<Plain, Plain>(from, to, len) }
}

/// Copies `len` bytes that another thread may be writing with [`copy_in`]. The copy may be torn.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes, and nobody else accesses the latter
/// meanwhile. Nobody writes the former but by [`copy_in`].
#[inline(always)]
pub unsafe fn copy_out(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: passed on to the caller.
    unsafe { copy_as::<Racing, Plain>(from, to, len) }
}

/// Copies `len` bytes to where other threads may be reading with [`copy_out`].
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes. Nobody writes the former meanwhile; nobody
/// accesses the latter meanwhile but by [`copy_out`].
#[inline(always)]
pub unsafe fn copy_in(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: passed on to the caller.
    unsafe { copy_as::<Plain, Racing>(from, to, len) }
}

/// # Safety
/// `from` is readable by `F` and `to` writable by `T` for `len` bytes, and they don't overlap.
#[inline(always)]
unsafe fn copy_as<F: Access, T: Access>(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: all loads and stores lie within the `len` bytes of each side: the last of each size
    // ends where they end. The sides don't overlap, so the order of loads and stores is free.
    unsafe {
        if len > 128 {
            if F::PLAIN && T::PLAIN {
                ptr::copy_nonoverlapping(from, to, len);
            } else if len >= avx::LEAST && avx::is_there() {
                avx::copy(from, to, len);
            } else {
                copy_long::<F, T>(from, to, len);
            }
        } else if len >= 16 {
            let (end, to_end) = (from.add(len), to.add(len));
            if len > 32 {
                if len > 64 {
                    let (a, b) = (F::load16::<32>(from), F::load16::<48>(from));
                    let (c, d) = (F::load16::<-64>(end), F::load16::<-48>(end));
                    T::store16::<32>(to, a);
                    T::store16::<48>(to, b);
                    T::store16::<-64>(to_end, c);
                    T::store16::<-48>(to_end, d);
                }
                let (a, b) = (F::load16::<16>(from), F::load16::<-32>(end));
                T::store16::<16>(to, a);
                T::store16::<-32>(to_end, b);
            }
            let (a, b) = (F::load16::<0>(from), F::load16::<-16>(end));
            T::store16::<0>(to, a);
            T::store16::<-16>(to_end, b);
        } else if len >= 8 {
            let (a, b) = (F::load8(from), F::load8(from.add(len - 8)));
            T::store8(to, a);
            T::store8(to.add(len - 8), b);
        } else if len >= 4 {
            let (a, b) = (F::load4(from), F::load4(from.add(len - 4)));
            T::store4(to, a);
            T::store4(to.add(len - 4), b);
        } else if len > 0 {
            let (a, b, c) =
                (F::load1(from), F::load1(from.add(len / 2)), F::load1(from.add(len - 1)));
            T::store1(to, a);
            T::store1(to.add(len / 2), b);
            T::store1(to.add(len - 1), c);
        }
    }
}

/// # Safety
/// As [`copy_as`]; `len` is at least 64.
#[inline(always)]
unsafe fn copy_long<F: Access, T: Access>(from: *const u8, to: *mut u8, len: usize) {
    debug_assert!(len >= 64);
    // SAFETY: as in `copy_as`.
    unsafe {
        let chunk = |at: usize| F::load16::<0>(from.add(at));
        let store = |at: usize, bytes: u128| T::store16::<0>(to.add(at), bytes);
        let mut at = 0;
        while at + 64 < len {
            let (a, b, c, d) = (chunk(at), chunk(at + 16), chunk(at + 32), chunk(at + 48));
            store(at, a);
            store(at + 16, b);
            store(at + 32, c);
            store(at + 48, d);
            at += 64;
        }
        let (a, b) = (chunk(len - 64), chunk(len - 48));
        store(len - 64, a);
        store(len - 48, b);
        let (a, b) = (chunk(len - 32), chunk(len - 16));
        store(len - 32, a);
        store(len - 16, b);
    }
}

/// Copies as many bytes as both sides have. (`copy_from_slice` could panic, which has no place on
/// the fast path's stack.)
#[inline(always)]
pub fn copy_most(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    // SAFETY: so many bytes are there on both sides, which don't overlap: one is borrowed alone.
    unsafe { copy(from.as_ptr(), to.as_mut_ptr(), len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a copy is done.
    type Way = unsafe fn(*const u8, *mut u8, usize);

    /// Copies so many bytes in each way, from and to places at any distance from a boundary, and
    /// looks around them.
    fn check(ways: &[Way], source: &[u8], target: &mut [u8], len: usize) {
        for (from, to) in
            [(0, 1), (1, 0), (3, 3), (7, 16), (13, 31), (16, 33), (31, 17), (33, 63), (62, 32)]
        {
            for way in ways {
                let target = &mut target[..to + len + 64];
                target.fill(0xee);
                // SAFETY: both sides have room.
                unsafe {
                    way(source[from..from + len].as_ptr(), target[to..to + len].as_mut_ptr(), len)
                };
                assert!(
                    target[..to].iter().chain(&target[to + len..]).all(|&b| b == 0xee),
                    "{len} {from} {to}"
                );
                assert!(target[to..to + len] == source[from..from + len], "{len} {from} {to}");
            }
        }
    }

    #[test]
    fn every_length_is_copied() {
        avx::prepare();
        let lengths = || (0..700).chain([4095, 4096, 4097, 8191, 16384, 16385]);
        let source: Vec<u8> = (0..17_000u32).map(|i| (i * 7 + i / 256) as u8).collect();
        let mut target = vec![0; 17_000];
        for len in lengths() {
            check(&[copy, copy_in, copy_out], &source, &mut target, len);
        }
        // Beyond some length these are used only where there is nothing wider.
        for len in lengths().filter(|&len| len >= 64) {
            check(
                &[copy_long::<Plain, Racing>, copy_long::<Racing, Plain>],
                &source,
                &mut target,
                len,
            );
        }
    }

    #[test]
    fn every_length_is_compared() {
        let source: Vec<u8> = (0..700u32).map(|i| (i * 7 + 3) as u8).collect();
        for len in 0..700 {
            let mut target = source[..len].to_vec();
            assert!(equal(&target, &source[..len]));
            for at in 0..len {
                target[at] ^= 1;
                assert!(!equal(&target, &source[..len]), "{len} {at}");
                target[at] ^= 1;
            }
            target.push(0);
            assert!(!equal(&target, &source[..len]));
        }
    }
}
