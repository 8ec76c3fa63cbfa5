//! The hash of a key: 64 bits, seeded at random for each cache.
//!
//! The low bits choose the stripe, the top 28 bits are the index tag (see `index`), and policies
//! keep fingerprints of the bits between. aHash is keyed, so an attacker who doesn't know the seed
//! can't choose keys that collide; keys are compared whole in any case.

use crate::sys::os;
use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Hashes the keys of one cache.
#[derive(Clone)]
pub struct KeyHasher(RandomState);

impl KeyHasher {
    /// A hasher with a seed of its own.
    pub fn new() -> KeyHasher {
        let [a, b, c, d] = os::random_words();
        KeyHasher(RandomState::with_seeds(a, b, c, d))
    }

    /// A hasher with a given seed, so that a test can be repeated.
    pub fn with_seed(seed: u64) -> KeyHasher {
        KeyHasher(RandomState::with_seeds(
            seed,
            seed ^ 0x9e37_79b9_7f4a_7c15,
            !seed,
            seed.rotate_left(32),
        ))
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}
