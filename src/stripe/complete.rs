//! Completing: what is done with the sets that wait in a stripe, be it in its queue
//! (`write_buffer`) or in its mailbox (`combining`).

use crate::index::candidate;
use crate::policy::AnyPolicy;
use crate::stripe::deferred::combining::Publications;
use crate::stripe::deferred::write_buffer::WriteBuffer;
use crate::stripe::request::{Cause, Condition, Store, Stored};
use crate::stripe::writer::Writer;
use crate::sys::prefetch::prefetch;

impl Writer<'_, false> {
    /// Completes all sets that wait, for someone who wants to know of all entries.
    pub fn finish(&mut self, policy: &mut AnyPolicy) {
        while !self.apply_all(policy) {
            self.evict_first();
        }
    }

    /// Applies the stripe's deferred sets if one may be for this key. Returns false, with nothing
    /// lost, if there is no memory and `drops` is false.
    #[inline]
    pub fn apply_key(&mut self, policy: &mut AnyPolicy, hash: u64, drops: bool) -> bool {
        if !self.stripe.filter.has(hash) || self.apply_all(policy) {
            return true;
        }
        if drops {
            self.finish(policy);
        }
        drops
    }

    /// How many sets wait.
    pub fn waiting(&self) -> u64 {
        match &self.pending {
            Some(pending) => pending.len() as u64,
            None => self.stripe.filter.lanes().count() as u64,
        }
    }

    /// Drops a set that has waited, the one that has waited longest where that is known, as there
    /// is no room for it, and the value that it was to replace.
    #[cold]
    fn evict_first(&mut self) {
        if let Some(mailbox) = &self.stripe.publications {
            if let Some(lane) = self.stripe.filter.lanes().next() {
                // SAFETY: it is marked, and the stripe's lock is held.
                let store = unsafe { mailbox.published(lane) };
                self.evict_instead(&store);
                self.stripe.filter.free(1 << lane);
            }
            return;
        }
        let Some(pending) = self.pending.take() else { return };
        if let Some(store) = pending.first() {
            self.evict_instead(&store);
        }
        pending.pop();
        self.stripe.filter.set(pending.marks());
        self.pending = Some(pending);
    }

    fn evict_instead(&mut self, store: &Store<'_>) {
        if let Some((place, offset, entry, header)) = self.find(store.hash, store.key) {
            self.stripe.index.remove(&mut self.core.index, place);
            self.kill(offset, entry, header, Cause::Evicted);
        } else {
            self.core.tally.evictions += 1;
        }
        self.core.tally.sets += 1;
    }
}

impl<const FAST: bool> Writer<'_, FAST> {
    /// Leaves a small set to be completed later, and completes one that has waited.
    #[inline]
    pub fn defer(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        if self.core.loads.has(store.hash)
            || self.pending.as_ref().is_some_and(|pending| pending.is_full())
                && !self.complete(policy, 1)
        {
            return false;
        }
        let Some(pending) = &mut self.pending else { return false };
        if let Some(hash) = pending.unasked()
            && let Some(slot) = candidate(self.stripe.index.prefetch(hash), hash)
        {
            let start = self.env.space.base().wrapping_add(slot.offset() as usize);
            prefetch(start);
            prefetch(start.wrapping_add(64));
        }
        pending.push(store);
        self.stripe.filter.set(pending.marks());
        if let Some(deadline) = store.deadline {
            self.stripe.due(deadline);
        }
        true
    }

    /// Completes the sets that have waited longest. False if there is one left of them, for which
    /// only the slow path can do something, or which has no room.
    #[inline(never)]
    fn complete(&mut self, policy: &mut AnyPolicy, most: usize) -> bool {
        if let Some(mailbox) = &self.stripe.publications {
            return self.combine(policy, mailbox);
        }
        // Taken out meanwhile, as a set has the whole stripe in hand.
        let Some(pending) = self.pending.take() else { return true };
        let mut done = true;
        for _ in 0..most {
            let Some(store) = pending.first() else { break };
            done = self.complete_one(policy, &store);
            if !done {
                break;
            }
            pending.pop();
            self.stripe.filter.set(pending.marks());
        }
        self.pending = Some(pending);
        done
    }

    /// Does what others have left in the mailbox. False as [`Writer::complete`] says.
    fn combine(&mut self, policy: &mut AnyPolicy, mailbox: &Publications) -> bool {
        let lanes = self.stripe.filter.lanes();
        lanes.clone().for_each(|lane| mailbox.prefetch(lane));
        let mut all = true;
        let mut done = 0;
        for lane in lanes {
            // SAFETY: it is marked, and the stripe's lock is held.
            let store = unsafe { mailbox.published(lane) };
            if store.deadline.is_some() && self.now == 0 {
                // Nothing else has a deadline; this one may have passed while it waited.
                self.now = self.env.clock.now();
            }
            all = self.complete_one(policy, &store);
            if !all {
                break;
            }
            done |= 1 << lane;
        }
        if done != 0 {
            self.stripe.filter.free(done);
        }
        all
    }

    #[inline]
    fn complete_one(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        match self.set(policy, store, None) {
            Stored::NoRoom(said) => {
                if let Some(to) = said {
                    self.core.placement = Some((store.hash, to));
                }
                false
            }
            Stored::Done | Stored::Refused(_) => true,
        }
    }

    /// Completes all sets that wait. False as [`Writer::complete`] says.
    #[inline]
    pub fn apply_all(&mut self, policy: &mut AnyPolicy) -> bool {
        self.stripe.filter.is_empty() || self.complete(policy, usize::MAX)
    }

    /// As [`Writer::set`], without a condition, on the fast path. False if it must be repeated by
    /// the slow one.
    #[inline]
    pub fn try_set(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        debug_assert_eq!(store.condition, Condition::Always);
        if self.pending.is_some() {
            if WriteBuffer::takes(store) {
                return self.defer(policy, store);
            }
            if !self.apply_all(policy) {
                return false;
            }
        } else if self.stripe.filter.has(store.hash) && !self.apply_all(policy) {
            return false;
        }
        let done = self.complete_one(policy, store);
        if done && self.stripe.publications.is_some() {
            // What isn't done now is done by the next who comes.
            let _ = self.apply_all(policy);
        }
        done
    }

    /// As [`Writer::delete`], on the fast path. None if it must be repeated by the slow one.
    pub fn try_delete(&mut self, policy: &mut AnyPolicy, hash: u64, key: &[u8]) -> Option<bool> {
        if self.core.loads.has(hash) || self.stripe.filter.has(hash) && !self.apply_all(policy) {
            return None;
        }
        self.try_delete_now(hash, key)
    }
}
