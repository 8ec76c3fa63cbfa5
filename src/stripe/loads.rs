//! Loads that are under way: who fetches a value for a key that wasn't there.
//!
//! A load begins with a token and ends by storing what was fetched, unless the key was set, deleted or cleared meanwhile: what
//! was fetched may be older than that. So every such change takes the key's token away, under the stripe's lock. (Sets that
//! take no lock take it while a load is under way: rule 5 of `sequence`.) That also answers who may wait for whom: a caller
//! that comes after the change finds no token, and begins a load of its own.
//!
//! Loads are known by the hash of their key. Two keys with one hash (64 bits, seeded) would take each other's tokens away,
//! or be told of each other's load; a user of tokens compares keys.

use crate::sys::atomic::{AtomicBool, Ordering};
use ahash::RandomState;
use hashbrown::HashMap;

/// Loads that a stripe remembers at least. Those that nobody ever ends would fill the memory: when there are twice as many
/// (280 KiB), the oldest are forgotten, as if their keys had been changed.
const KEPT: u64 = 4096;

/// The loads of a stripe. What takes tokens away keeps `Stripe::loading` true of them.
pub struct Loads {
    tokens: HashMap<u64, u64, RandomState>,
}

impl Loads {
    /// None.
    pub fn new() -> Loads {
        Loads { tokens: HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4)) }
    }

    /// Whether the key with this hash is being loaded. While no key is, a look at one word.
    #[inline]
    pub fn has(&self, hash: u64) -> bool {
        !self.tokens.is_empty() && self.tokens.contains_key(&hash)
    }

    /// Whether this load is under way and was not superseded.
    pub fn is(&self, hash: u64, token: u64) -> bool {
        self.tokens.get(&hash) == Some(&token)
    }

    /// The token of the load that is under way, or else of the one that begins with `fresh`; and whether it begins. Tokens
    /// only grow.
    pub fn begin(&mut self, hash: u64, fresh: u64) -> (u64, bool) {
        if self.tokens.len() >= 2 * KEPT as usize {
            // At most so many are as young.
            self.tokens.retain(|_, token| *token + KEPT > fresh);
        }
        let token = *self.tokens.entry(hash).or_insert(fresh);
        (token, token == fresh)
    }

    /// The key with this hash was changed.
    #[inline]
    pub fn supersede(&mut self, hash: u64, loading: &AtomicBool) {
        if !self.tokens.is_empty() {
            self.tokens.remove(&hash);
            loading.store(!self.tokens.is_empty(), Ordering::Relaxed);
        }
    }

    /// Ends a load. False if it was superseded.
    pub fn end(&mut self, hash: u64, token: u64, loading: &AtomicBool) -> bool {
        let valid = self.is(hash, token);
        if valid {
            self.supersede(hash, loading);
        }
        valid
    }

    /// All keys were changed.
    pub fn clear(&mut self, loading: &AtomicBool) {
        self.tokens.clear();
        loading.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_that_nobody_ends_are_forgotten() {
        let mut loads = Loads::new();
        for token in 1..20 * KEPT {
            assert_eq!(loads.begin(token * 7, token), (token, true));
            assert!(loads.tokens.len() <= 2 * KEPT as usize);
            // The young ones are all there.
            assert!(loads.is(token.saturating_sub(KEPT - 1).max(1) * 7, token.saturating_sub(KEPT - 1).max(1)));
        }
        assert!(!loads.end(7, 1, &AtomicBool::new(true)));
    }
}
