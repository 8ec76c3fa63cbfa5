//! What index and policy hold follows the entries: of a cache that nobody writes to as well.
//!
//! A stripe that is written to looks after itself: its table shrinks a few buckets with each removal, and every so many sets
//! the policy is told what the stripe may hold. Of one that is idle entries go all the same: others take its segments (`share`),
//! they expire, or the budget shrinks. Whoever took them gives back what was kept for them, here; else a family of idle
//! namespaces would fill its budget with ghosts.

use crate::cache::Shared;
use crate::policy::Policy;
use crate::stripe::Writer;

/// A policy that was told of more than so many times the entries that are left is told anew.
const TOO_MANY: u64 = 4;
/// Entries for which nobody bothers.
const FEW: u64 = 256;

impl<const FAST: bool> Writer<'_, FAST> {
    /// Entries of the stripe.
    fn count(&self) -> u64 {
        self.core.logs.iter().map(|log| log.entries).sum()
    }

    /// The most entries that ghosts are kept for where others share the budget: some more than there are. By what is free, each of a hundred
    /// namespaces would take ghosts for all of it while it is; and before the first eviction they are of no use.
    pub fn most_told(&self) -> u64 {
        if self.shared.space.is_shared() { self.count() + self.count() / 4 + 16 } else { u64::MAX }
    }

    /// Whether the policy remembers for many more entries than there are.
    #[inline]
    pub fn remembers_too_much(&self) -> bool {
        self.shared.space.is_shared() && self.core.told_entries > TOO_MANY * self.count() + FEW
    }

    /// Has the policy remember for so many entries, and accounts for that. False if the budget has no room for it. Where the
    /// system refuses the memory it goes on with what it has; or without, if that was to become less.
    pub fn tell_policy<P: Policy>(&mut self, policy: &mut P, entries: u64) -> bool {
        let space = &self.shared.space;
        let (before, wanted) = (self.core.policy_bytes, policy.bytes_for(entries));
        let more = wanted.saturating_sub(before);
        if more > 0 && !space.reserve_bookkeeping(more) {
            return false;
        }
        let told = if policy.resize(entries) {
            entries
        } else if more > 0 {
            space.unreserve_bookkeeping(more);
            return true;
        } else {
            policy.resize(0);
            0
        };
        let now = policy.bytes_for(told);
        space.unreserve_bookkeeping((before + more) - now);
        self.core.told_entries = told;
        self.core.policy_bytes = now;
        true
    }

    /// Goes on shrinking the index, and tells the policy if it remembers too much, after entries have gone without a set.
    pub fn follow<P: Policy>(&mut self, policy: &mut P) {
        self.stripe.index.shrink_on(&mut self.core.index, &self.shared.space, &self.shared.index_space);
        if self.remembers_too_much() {
            self.inform_now(policy);
        }
    }
}

impl Shared {
    /// Has every stripe of the family give back what index and policy needn't hold: when nothing else can be had, and when the budget
    /// has shrunk.
    pub fn settle_family(&self) {
        for member in self.family.fullest_first() {
            member.settle();
        }
    }

    /// As [`Shared::settle_family`], of this cache alone.
    pub fn settle(&self) {
        self.each_stripe(|stripe, state| {
            stripe.index.settle(&mut state.core.index, &self.space, &self.index_space);
            let (mut writer, policy) = state.writer(self, stripe);
            writer.inform_now(policy);
        });
    }
}
