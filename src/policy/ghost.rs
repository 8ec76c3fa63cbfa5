//! Keys that were evicted not long ago, as fingerprints.
//!
//! A table of eight-way sets; a word holds 16 bits of the hash and the 16-bit time it was put
//! there, in steps of a 8,192th of the ghost's length. What is older than the length is as good as
//! absent; what is put into a full set takes the oldest place. Four bytes each; a wrong "yes" comes
//! about once in 8,000 questions (eight places, 2^16 fingerprints).

use crate::sys::os::{PAGE, Zeroed};
use std::io;

const WAYS: usize = 8;
const STEPS: u64 = 8192;

/// A set of recently dropped hashes, forgetting in the order they came.
pub struct Ghost {
    words: Zeroed<u32>,
    /// Entries put so far.
    clock: u64,
    length: u64,
}

impl Ghost {
    /// Remembers about the last `length` hashes.
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn new(length: u64) -> io::Result<Ghost> {
        let length = clamp(length);
        Ok(Ghost { words: Zeroed::try_new(sets(length) * WAYS)?, clock: 0, length })
    }

    /// Remembers nothing, and takes no memory.
    pub fn none() -> Ghost {
        Ghost { words: Zeroed::none(), clock: 0, length: clamp(0) }
    }

    /// Bytes of memory of a ghost of this length.
    pub fn bytes_for(length: u64) -> u64 {
        (sets(clamp(length)) * WAYS * 4).next_multiple_of(PAGE) as u64
    }

    fn set_of(&self, hash: u64) -> (usize, u32) {
        // Bits 20..52: neither the stripe's nor all of the index tag's.
        let sets = self.words.len() / WAYS;
        let set = (((hash >> 20) as u32 as u64 * sets as u64) >> 32) as usize;
        (set * WAYS, (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u32)
    }

    /// The time in steps, from 1: a word of 0 is empty.
    fn now(&self) -> u32 {
        (self.clock * STEPS / self.length.max(1) % 0xffff) as u32 + 1
    }

    fn age(&self, word: u32) -> u32 {
        (self.now() + 0xffff - (word & 0xffff)) % 0xffff
    }

    /// Remembers a hash.
    pub fn put(&mut self, hash: u64) {
        self.clock += 1;
        let (at, fingerprint) = self.set_of(hash);
        let word = fingerprint << 16 | self.now();
        let mut place = at;
        let mut oldest = 0;
        for i in at..at + WAYS {
            let there = self.words.get(i).copied().unwrap_or_default();
            let age = if there == 0 { u32::MAX } else { self.age(there) + 1 };
            if age > oldest {
                (place, oldest) = (i, age);
            }
        }
        if let Some(there) = self.words.get_mut(place) {
            *there = word;
        }
    }

    /// Whether the hash was put not too long ago. It is forgotten by this.
    pub fn take(&mut self, hash: u64) -> bool {
        let (at, fingerprint) = self.set_of(hash);
        for i in at..at + WAYS {
            let Some(&word) = self.words.get(i) else { return false };
            if word != 0 && word >> 16 == fingerprint && u64::from(self.age(word)) <= STEPS {
                if let Some(there) = self.words.get_mut(i) {
                    *there = 0;
                }
                return true;
            }
        }
        false
    }

    /// Starts loading the set of a hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        crate::sys::prefetch::prefetch(
            self.words.as_ptr().wrapping_add(self.set_of(hash).0).cast(),
        );
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.words.clear();
    }
}

fn clamp(length: u64) -> u64 {
    length.clamp(16, 1 << 28)
}

/// A quarter more places than entries, so that few sets overflow before their entries are old.
fn sets(length: u64) -> usize {
    (length * 5 / 4).div_ceil(WAYS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u64) -> u64 {
        let x = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ x >> 27
    }

    #[test]
    fn remembers_about_its_length_and_takes_once() {
        let mut ghost = Ghost::new(1000).unwrap();
        (0..10_000).for_each(|i| ghost.put(hash(i)));
        let recent = (9_100..10_000).filter(|&i| ghost.take(hash(i))).count();
        assert!(recent > 850, "{recent}");
        assert!((9_100..10_000).filter(|&i| ghost.take(hash(i))).count() < 3);
        let old = (0..8_900).filter(|&i| ghost.take(hash(i))).count();
        assert!(old < 20, "{old}");
        assert!((20_000..30_000).filter(|&i| ghost.take(hash(i))).count() < 5);
    }
}
