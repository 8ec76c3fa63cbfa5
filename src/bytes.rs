//! Comparing and copying short runs of bytes without a call.
//!
//! Keys are mostly 8 to 64 bytes, many values not much more. A call of memcmp or memcpy through the GOT, with its dispatch
//! on the length, costs 5 to 8 ns of a hit that takes 40; two or four loads of 16 bytes that may overlap cost one or two.

use std::ptr;

/// Whether two slices are equal.
#[inline(always)]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let len = a.len();
    if len > 64 {
        return a == b;
    }
    // SAFETY: all loads lie within the `len` bytes of each slice: the second of each pair ends where the slice ends.
    unsafe {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        let differ =
            |at: usize| ptr::read_unaligned(a.add(at).cast::<u128>()) ^ ptr::read_unaligned(b.add(at).cast::<u128>());
        if len >= 16 {
            let mut difference = differ(0) | differ(len - 16);
            if len > 32 {
                difference |= differ(16) | differ(len - 32);
            }
            difference == 0
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

/// Copies `len` bytes.
///
/// # Safety
/// As [`ptr::copy_nonoverlapping`].
#[inline(always)]
pub unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: all loads and stores lie within the `len` bytes of each side: the second of each pair ends where they end. The
    // sides don't overlap, so the order of loads and stores is free.
    unsafe {
        let chunk = |at: usize| ptr::read_unaligned(from.add(at).cast::<u128>());
        let store = |at: usize, bytes: u128| ptr::write_unaligned(to.add(at).cast::<u128>(), bytes);
        if len > 128 {
            ptr::copy_nonoverlapping(from, to, len);
        } else if len >= 16 {
            if len > 32 {
                if len > 64 {
                    let (a, b, c, d) = (chunk(32), chunk(48), chunk(len - 64), chunk(len - 48));
                    store(32, a);
                    store(48, b);
                    store(len - 64, c);
                    store(len - 48, d);
                }
                let (a, b) = (chunk(16), chunk(len - 32));
                store(16, a);
                store(len - 32, b);
            }
            let (a, b) = (chunk(0), chunk(len - 16));
            store(0, a);
            store(len - 16, b);
        } else if len >= 8 {
            let a = ptr::read_unaligned(from.cast::<u64>());
            let b = ptr::read_unaligned(from.add(len - 8).cast::<u64>());
            ptr::write_unaligned(to.cast::<u64>(), a);
            ptr::write_unaligned(to.add(len - 8).cast::<u64>(), b);
        } else if len >= 4 {
            let a = ptr::read_unaligned(from.cast::<u32>());
            let b = ptr::read_unaligned(from.add(len - 4).cast::<u32>());
            ptr::write_unaligned(to.cast::<u32>(), a);
            ptr::write_unaligned(to.add(len - 4).cast::<u32>(), b);
        } else if len > 0 {
            let (a, b, c) = (*from, *from.add(len / 2), *from.add(len - 1));
            *to = a;
            *to.add(len / 2) = b;
            *to.add(len - 1) = c;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_and_compared() {
        let source: Vec<u8> = (0..300u32).map(|i| (i * 7 + 3) as u8).collect();
        for len in 0..300 {
            let mut target = vec![0xee; 302];
            // SAFETY: both sides have room.
            unsafe { copy(source.as_ptr(), target.as_mut_ptr().add(1), len) };
            assert_eq!(target[0], 0xee);
            assert_eq!(&target[1..=len], &source[..len]);
            assert!(target[len + 1..].iter().all(|&b| b == 0xee));
            assert!(equal(&target[1..=len], &source[..len]));
            for at in 0..len {
                target[1 + at] ^= 1;
                assert!(!equal(&target[1..=len], &source[..len]), "{len} {at}");
                target[1 + at] ^= 1;
            }
            assert!(!equal(&source[..len], &source[..len + 1 - 1 + usize::from(len < 299)]) || len == 299);
        }
    }
}
