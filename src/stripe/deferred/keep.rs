//! What the policy ruled, but the fast door could not carry out.
//!
//! Asking a policy changes it: a verdict is counted, spends what the policy had in store, learns from the entry it judged.
//! The fast door can't take a segment, so now and then it asks, hears "keep", and finds no room. Were the answer forgotten,
//! the slow door would ask about the same entry again and might hear something else; and as only the slow door opens
//! segments, a log whose open one is full would hardly ever get the entries it was meant to get. (So it was: a loop
//! after a scan, at 300 entries, had 4 % of hits instead of 28 %.) So the fast door leaves the verdict here, and is shut
//! until somebody has come by the slow one, which carries it out before anything else: one crossing for each segment.
//!
//! The same holds for a rotation, but that the policy has to be told that it failed: one key from a ghost is turned away,
//! and the next slow call does the rotation and so opens the segment for those that follow.
//!
//! Everything here is under the stripe's lock. A ruling holds for the entry it was made about, if that is still the oldest
//! of its log; what has changed in between makes it void, and the policy is asked anew.

use crate::policy::Placement;

/// An entry that is to be kept.
pub struct DeferredKeep {
    /// The log whose oldest entry it was.
    pub log: usize,
    /// Where it lay, and whose it was: an offset alone might by now be another's.
    pub offset: u64,
    pub hash: u64,
    /// Where it goes.
    pub to: Placement,
}
