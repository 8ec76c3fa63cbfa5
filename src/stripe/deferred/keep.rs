//! A `Keep` verdict that the fast path could not execute because no open segment had room. The next
//! slow-path call executes it before anything else; until then the fast path returns BUSY.
//!
//! Asking a policy changes it: a verdict is counted, spends what the policy had in store, learns
//! from the entry it judged. The fast path can't take a segment, so now and then it asks, hears
//! "keep", and finds no room. Were the answer forgotten, the slow path would ask about the same
//! entry again and might hear something else; and as only the slow path opens segments, a log whose
//! open one is full would hardly ever get the entries it was meant to get. So the fast path leaves
//! the verdict here, and is shut until somebody has come by the slow one, which carries it out
//! before anything else: one crossing for each segment.
//!
//! The same holds for a rotation, but that the policy has to be told that it failed: one key from a
//! ghost is turned away, and the next slow call does the rotation and so opens the segment for
//! those that follow.
//!
//! Everything here is under the stripe's lock. A ruling holds for the entry it was made about, if
//! that is still the oldest of its log; what has changed in between makes it void, and the policy
//! is asked anew.

use crate::policy::Placement;

/// A verdict that is yet to be executed.
pub struct DeferredKeep {
    /// The log whose oldest entry it was.
    pub log: usize,
    /// Where it lay, and whose it was: an offset alone might by now be another's.
    pub offset: u64,
    pub hash: u64,
    /// Where it goes.
    pub to: Placement,
}
