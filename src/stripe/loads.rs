//! Loads that are under way: who fetches a value for a key that wasn't there.
//!
//! A load begins with a token and ends by storing what was fetched, unless the key was set, deleted
//! or cleared meanwhile: what was fetched may be older than that. So every such change takes the
//! key's token away, under the stripe's lock. (Sets that take no lock take it while a load is under
//! way: rule 5 of `sequence`.) That also answers who may wait for whom: a caller that comes after
//! the change finds no token, and begins a load of its own.
//!
//! Loads are known by the hash of their key. Two keys with one hash (64 bits, seeded) would take
//! each other's tokens away, or be told of each other's load; a user of tokens compares keys.

use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::os;
use ahash::RandomState;
use hashbrown::HashMap;

/// Loads that a cache's stripes together remember at least, if they are spread evenly, and that a
/// stripe does. Those that nobody ever ends would fill the memory: when there are twice as many in
/// a stripe, the oldest are forgotten, as if their keys had been changed.
const KEPT: u64 = 4096;
/// See [`kept`].
pub const KEPT_AT_LEAST: u64 = 64;
/// Loads whose memory isn't worth counting.
const UNCOUNTED: usize = 14;

/// The loads of a stripe. What takes tokens away keeps `Stripe::loading` true of them.
pub struct Loads {
    tokens: HashMap<u64, u64, RandomState>,
    /// Bytes of it that were taken from the budget.
    bytes: u64,
}

/// Loads that each of so many stripes remembers.
pub fn kept(stripes: usize) -> u64 {
    (KEPT / stripes as u64).max(KEPT_AT_LEAST)
}

/// Bytes of a table for so many loads.
fn bytes_for(loads: usize) -> u64 {
    if loads <= UNCOUNTED { 0 } else { ((loads * 8 / 7).next_power_of_two() * 17 + 16) as u64 }
}

impl Loads {
    /// None.
    pub fn new() -> Loads {
        Loads { tokens: HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4)), bytes: 0 }
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

    /// The token of the load that is under way, or else of the one that begins with `fresh`; and
    /// whether it begins. Tokens only grow. At least the last `kept` are remembered, if `pay`
    /// agrees to the bytes that this takes; else fewer.
    pub fn begin(
        &mut self,
        hash: u64,
        fresh: u64,
        kept: u64,
        pay: impl FnOnce(u64) -> bool,
    ) -> (u64, bool) {
        if let Some(&token) = self.tokens.get(&hash) {
            return (token, false);
        }
        if self.tokens.len() >= 2 * kept as usize {
            // At most so many are as young.
            self.tokens.retain(|_, token| *token + kept > fresh);
        }
        if self.tokens.len() == self.tokens.capacity() && !self.grow(pay) {
            let half = self.tokens.len() as u64 / 2;
            self.tokens.retain(|_, token| *token + half > fresh);
        }
        if self.tokens.len() < self.tokens.capacity() {
            self.tokens.insert(hash, fresh);
        }
        // One that isn't remembered has been overtaken already.
        (fresh, true)
    }

    /// Makes room for twice as many.
    fn grow(&mut self, pay: impl FnOnce(u64) -> bool) -> bool {
        let more = self.tokens.capacity().max(UNCOUNTED / 2);
        let bytes = bytes_for(self.tokens.len() + more);
        let dearer = bytes.saturating_sub(self.bytes);
        if os::refused(os::Ask::Heap) || dearer > 0 && !pay(dearer) {
            return false;
        }
        self.bytes += dearer;
        // What it is refused now stays paid for, until no load is under way.
        self.tokens.try_reserve(more).is_ok()
    }

    /// Gives the memory back if no load is under way: bytes of the budget.
    pub fn release(&mut self) -> u64 {
        if self.bytes == 0 || !self.tokens.is_empty() {
            return 0;
        }
        let bytes = self.bytes;
        *self = Loads::new();
        bytes
    }

    /// Whether any is under way.
    pub fn any(&self) -> bool {
        !self.tokens.is_empty()
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
            assert_eq!(loads.begin(token * 7, token, KEPT, |_| true), (token, true));
            assert!(loads.tokens.len() <= 2 * KEPT as usize);
            // The young ones are all there.
            assert!(loads.is(
                token.saturating_sub(KEPT - 1).max(1) * 7,
                token.saturating_sub(KEPT - 1).max(1)
            ));
        }
        assert!(!loads.end(7, 1, &AtomicBool::new(true)));
    }

    #[test]
    fn what_loads_take_is_in_the_budget_and_comes_back() {
        let (mut loads, loading) = (Loads::new(), AtomicBool::new(true));
        let mut paid = 0;
        for token in 1..=KEPT {
            loads.begin(token * 7, token, KEPT, |bytes| {
                paid += bytes;
                true
            });
        }
        assert_eq!(paid, loads.bytes);
        assert!(paid >= KEPT * 17, "{paid}");
        (1..=KEPT).for_each(|token| assert!(loads.end(token * 7, token, &loading)));
        assert_eq!(loads.release(), paid);
        assert_eq!((loads.bytes, loads.tokens.capacity()), (0, 0));
    }

    #[test]
    fn without_room_for_more_the_oldest_are_forgotten() {
        let mut loads = Loads::new();
        for token in 1..10_000 {
            assert_eq!(loads.begin(token * 7, token, KEPT, |_| loads_fit(token)), (token, true));
            assert!(loads.is(token * 7, token));
        }
        assert!(loads.bytes <= bytes_for(200) && loads.is(9_990 * 7, 9_990), "{}", loads.bytes);
    }

    /// The budget is used up after the first hundred.
    fn loads_fit(token: u64) -> bool {
        token < 100
    }
}
