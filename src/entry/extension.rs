//! What few entries have: the extension of an entry's header.
//!
//! A plain entry pays 8 bytes of header, and 8 more if it expires. An entry that can be stale, has
//! tags or a version pays for an extension word, and for what that announces, in this order:
//!
//! ```text
//! extension word: bit 0 absent   the entry says that its key has no value (a negative entry)
//!                     1 stale    a word: when it becomes stale, and the lease (see `freshness`)
//!                     2 sliding  a word: milliseconds that it lives on from each read
//!                     3 version  a word
//!                     4 tags     a word: the stamp of the tags; then the hashes of the tags, a word each (see `tags`)
//!                     8..16      number of tags
//!                     16..64     the number that the caller keeps with it
//! ```
//!
//! The stale word is an atomic that readers change. The others never change once the entry is
//! published.

/// Bits of the extension word.
pub const ABSENT: u64 = 1;
/// See above.
pub const STALE: u64 = 1 << 1;
/// See above.
pub const SLIDING: u64 = 1 << 2;
/// See above.
pub const VERSION: u64 = 1 << 3;
/// See above.
pub const TAGS: u64 = 1 << 4;
const WORDS: u64 = STALE | SLIDING | VERSION | TAGS;
const TAGS_SHIFT: u32 = 8;
const USER_SHIFT: u32 = 16;
/// The largest number of the caller's: it has 48 bits.
pub const MAX_USER: u64 = u64::MAX >> USER_SHIFT;
/// The most tags of an entry.
pub const MAX_TAGS: usize = 64;

/// The tags of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tags<'a> {
    /// The clock of invalidations when the value was obtained.
    pub stamp: u64,
    /// A hash of each tag. At most [`MAX_TAGS`].
    pub hashes: &'a [u64],
}

/// What an extension says.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Extension<'a> {
    /// The entry says that its key has no value.
    pub absent: bool,
    /// From when on it is stale.
    pub stale: Option<u64>,
    /// Milliseconds that it lives on from each read.
    pub sliding: Option<u64>,
    /// Its version.
    pub version: Option<u64>,
    /// Its tags.
    pub tags: Option<Tags<'a>>,
    /// What the caller keeps beside the value: up to [`MAX_USER`].
    pub user: u64,
}

impl Extension<'_> {
    /// The extension word; 0 if there is nothing to say.
    #[inline]
    pub fn word(&self) -> u64 {
        let bit = |there: bool, bit: u64| if there { bit } else { 0 };
        let tags = self
            .tags
            .map_or(0, |tags| TAGS | (tags.hashes.len().min(MAX_TAGS) as u64) << TAGS_SHIFT);
        bit(self.absent, ABSENT)
            | bit(self.stale.is_some(), STALE)
            | bit(self.sliding.is_some(), SLIDING)
            | bit(self.version.is_some(), VERSION)
            | tags
            | self.user << USER_SHIFT
    }

    /// All words in order, the extension word first.
    #[inline]
    pub fn each_word(&self, mut f: impl FnMut(u64)) {
        let word = self.word();
        if word == 0 {
            return;
        }
        f(word);
        for word in [self.stale, self.sliding, self.version, self.tags.map(|tags| tags.stamp)]
            .into_iter()
            .flatten()
        {
            f(word);
        }
        if let Some(tags) = self.tags {
            tags.hashes.iter().take(MAX_TAGS).for_each(|&hash| f(hash));
        }
    }
}

/// How many tags an extension word announces.
#[inline]
pub fn tags(word: u64) -> usize {
    (word >> TAGS_SHIFT) as usize & 0xff
}

/// The caller's number in an extension word.
#[inline]
pub fn user(word: u64) -> u64 {
    word >> USER_SHIFT
}

/// Bytes of an extension, its own word included. 0 for none.
#[inline]
pub fn bytes(word: u64) -> usize {
    if word == 0 { 0 } else { 8 * (1 + (word & WORDS).count_ones() as usize + tags(word)) }
}

/// Where the word of one of the bits lies, in words from the extension word on. None if it isn't
/// there.
#[inline]
pub fn place(word: u64, bit: u64) -> Option<usize> {
    (word & bit != 0).then(|| 1 + (word & WORDS & (bit - 1)).count_ones() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lie_where_they_are_said_to_lie() {
        let hashes = [11, 22, 33];
        for bits in 0..64u32 {
            let has = |bit: u32| bits & 1 << bit != 0;
            let extra = Extension {
                absent: has(0),
                stale: has(1).then_some(101),
                sliding: has(2).then_some(102),
                version: has(3).then_some(103),
                tags: has(4).then_some(Tags { stamp: 104, hashes: &hashes }),
                user: if has(5) { MAX_USER } else { 0 },
            };
            let mut words = Vec::new();
            extra.each_word(|word| words.push(word));
            let word = extra.word();
            assert_eq!(words.len() * 8, bytes(word));
            for (bit, value) in [(STALE, 101), (SLIDING, 102), (VERSION, 103), (TAGS, 104)] {
                assert_eq!(
                    place(word, bit).map(|at| words[at]),
                    (word & bit != 0).then_some(value)
                );
            }
            assert_eq!(tags(word), if has(4) { 3 } else { 0 });
            assert_eq!(user(word), if has(5) { MAX_USER } else { 0 });
            if has(4) {
                assert_eq!(words[words.len() - 3..], hashes);
            }
        }
    }
}
