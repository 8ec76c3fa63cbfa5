//! What a stripe may hold: the policy is told when that has changed; and everything is forgotten at
//! once.
//!
//! What index and policy hold follows the entries: of a cache that nobody writes to as well. A
//! stripe that is written to looks after itself: its table shrinks a few buckets with each removal,
//! and every so many sets the policy is told what the stripe may hold. Of one that is idle entries
//! go all the same: others take its segments (`memory::quota`), they expire, or the budget shrinks.
//! Whoever took them gives back what was kept for them ([`Writer::follow`]); else a family of idle
//! namespaces would fill its budget with ghosts.

use crate::policy::Policy;
use crate::stripe::log::Log;
use crate::stripe::writer::Writer;
use crate::sys::atomic::Ordering;

/// A policy that was told of more than so many times the entries that are left is told anew.
const TOO_MANY: u64 = 4;
/// Entries for which nobody bothers.
const FEW: u64 = 256;
/// Bytes of index for an entry, about.
const INDEX_BYTES: f64 = 10.6;

impl<const FAST: bool> Writer<'_, FAST> {
    /// Tells the policy what the stripe may hold, if that has changed much, and accounts for its
    /// memory. False if there is no room for that; the policy then goes on as it is.
    #[inline]
    pub fn update_capacity<P: Policy>(&mut self, policy: &mut P) -> bool {
        self.core.tally.sets < self.core.feed.update_capacity_at || self.update_capacity_now(policy)
    }

    /// As [`Writer::inform`], without asking whether it is time.
    pub fn update_capacity_now<P: Policy>(&mut self, policy: &mut P) -> bool {
        let logs = &self.core.logs;
        // By the mean size so far; nothing is known of an empty stripe.
        let count = logs[0].entries + logs[1].entries;
        let live = logs[0].live + logs[1].live;
        let mean = if count < 16 { 64.0 } else { live as f64 / count as f64 };
        // Index and policy take more of the stripe's part as it fills: an estimate without them is
        // an eighth too high.
        let bytes = self.env.capacity() / (1 << self.env.stripe_bits);
        let part = (bytes + self.core.index.bytes() + self.core.feed.policy_bytes) as f64;
        let most = (part / mean).max(1.0) as u64;
        let beside = INDEX_BYTES + policy.bytes_for(most) as f64 / most as f64;
        let fit = (part / (mean + beside)) as u64;
        let entries = match self.env.max_entries {
            0 if count < 16 => 16,
            0 => fit,
            _ => self.sizes().capacity.min(fit),
        };
        let entries = entries.min(self.most_told());
        let told = self.core.feed.capacity_hint;
        self.core.feed.update_capacity_at = self.core.tally.sets + 16 + told / 8;
        // Before the first eviction the ghosts are empty, and the policy loses nothing by another
        // size.
        let tolerance = if self.core.tally.evictions == 0 { told / 16 } else { told / 4 };
        if entries.abs_diff(told) <= tolerance {
            return true;
        }
        self.tell_policy(policy, entries)
    }

    /// Forgets everything.
    pub fn clear<P: Policy>(&mut self, policy: &mut P) {
        self.stripe.index.clear(&mut self.core.index, &self.env.space, &self.env.index_space);
        // Only now: who finds no mark any more must not find what a set that has waited was to
        // replace.
        if let Some(pending) = &mut self.pending {
            self.core.tally.sets += pending.forget() as u64;
            self.stripe.filter.set(0);
        }
        if self.stripe.publications.is_some() {
            let lanes = self.stripe.filter.lanes().fold(0u32, |lanes, lane| lanes | 1 << lane);
            self.core.tally.sets += u64::from(lanes.count_ones());
            self.stripe.filter.free(lanes);
        }
        for log in 0..2 {
            let gone = self.core.logs[log & 1].entries;
            if self.env.max_entries > 0 {
                self.env.entries.give(gone);
            }
            let ids: Vec<u32> = self.core.logs[log & 1].segments(&self.env.space).collect();
            for id in ids {
                self.env.space.segment(id).live.store(0, Ordering::Relaxed);
                self.give_up(id);
            }
            self.core.logs[log & 1] = Log::new();
        }
        self.core.owed.debt = 0;
        self.core.loads.clear(&self.stripe.loading);
        self.env.space.unreserve_bookkeeping(self.core.loads.release());
        self.core.deferred_keep = None;
        self.stripe.next_deadline.store(u64::MAX, Ordering::Release);
        policy.clear();
    }

    /// Entries of the stripe.
    fn count(&self) -> u64 {
        self.core.logs.iter().map(|log| log.entries).sum()
    }

    /// The most entries that ghosts are kept for where others share the budget: some more than
    /// there are. By what is free, each of a hundred namespaces would take ghosts for all of it
    /// while it is; and before the first eviction they are of no use.
    pub fn most_told(&self) -> u64 {
        if self.env.space.is_shared() { self.count() + self.count() / 4 + 16 } else { u64::MAX }
    }

    /// Whether the policy remembers for many more entries than there are.
    #[inline]
    pub fn remembers_too_much(&self) -> bool {
        self.env.space.is_shared() && self.core.feed.capacity_hint > TOO_MANY * self.count() + FEW
    }

    /// Has the policy remember for so many entries, and accounts for that. False if the budget has
    /// no room for it. Where the system refuses the memory it goes on with what it has; or without,
    /// if that was to become less.
    pub fn tell_policy<P: Policy>(&mut self, policy: &mut P, entries: u64) -> bool {
        let space = &self.env.space;
        let (before, wanted) = (self.core.feed.policy_bytes, policy.bytes_for(entries));
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
        self.core.feed.capacity_hint = told;
        self.core.feed.policy_bytes = now;
        true
    }

    /// Goes on shrinking the index, and tells the policy if it remembers too much, after entries
    /// have gone without a set.
    pub fn follow<P: Policy>(&mut self, policy: &mut P) {
        self.stripe.index.shrink_on(&mut self.core.index, &self.env.space, &self.env.index_space);
        if self.remembers_too_much() {
            self.update_capacity_now(policy);
        }
    }
}
