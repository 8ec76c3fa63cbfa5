//! Setting and deleting, under the stripe's lock: the same for both paths but for what the fast one
//! leaves to the slow one.
//!
//! A set first pays what the stripe's last ones owe (`reclaim`). Then it looks for its key. A value
//! of the same room is overwritten where it lies; else the new one is appended (`append`), the
//! index swung to it, and the old one marked dead.

use crate::entry::extension;
use crate::entry::{Entry, Header};
use crate::index::{Place, Slot, tag_of};
use crate::policy::{AnyPolicy, Placement, Policy, each};
use crate::stripe::evict::PolicyTails;
use crate::stripe::request::{Cause, Condition, Store, Stored};
use crate::stripe::writer::Writer;
use crate::sys::atomic::Ordering;

/// Bytes that a set by the slow path may leave to be drained by the next one. (The fast path
/// appends 64 KiB at most.)
const MAX_OWED: i64 = 2 << 10;

/// Segments that a stripe has appended while there was room, after which it drains one more than it
/// appends as soon as the cache is nearly full. A cache becomes full in all stripes at once; each
/// then needs an open segment more, as what is new goes into another log from then on, and has a
/// segment to drain before one is free. Without this there would not be so many free ones, and who
/// finds none drains two thousand entries on the spot.
const CALM: u64 = 4;

impl<'a, const FAST: bool> Writer<'a, FAST> {
    /// Whether an entry is the last live one of a closed segment.
    #[inline]
    fn is_last(&self, offset: u64, entry: Entry<'_>, header: Header) -> bool {
        let id = self.segment_of(offset, entry, header);
        let segment = self.env.space.segment(id);
        segment.live.load(Ordering::Relaxed) == header.size() as u64
            && !self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1].is_open(id)
    }

    /// Stores a value, station by station: the same for both paths, but that the fast one gives up
    /// where it would have to wait, allocate or call the system: [`Stored::NoRoom`], with nothing
    /// changed that it couldn't do again.
    ///
    /// `placed` is the policy's word of an earlier attempt. The policy is told apart only where it
    /// is asked: code for each policy is then small, and an overwrite in place meets none of it.
    pub fn set(
        &mut self,
        policy: &mut AnyPolicy,
        store: &Store<'_>,
        placed: Option<Placement>,
    ) -> Stored {
        debug_assert!(!FAST || store.condition == Condition::Always);
        let placed = if FAST { None } else { placed.or_else(|| self.placement_of(store.hash)) };
        if !self.may_begin(store.hash) || !self.pay_owed(policy) {
            return Stored::NoRoom(placed);
        }
        let mut found = self.find(store.hash, store.key);
        if let Some((_, offset, entry, header)) = found
            && self.expired(entry, header)
        {
            if FAST {
                return Stored::NoRoom(None);
            }
            if let Some(cause) = self.take_gone(store.hash, offset, entry) {
                self.kill(offset, entry, header, cause);
                found = None;
            }
        }
        if !FAST && !self.meets(store, found.map(|(_, _, entry, header)| (entry, header))) {
            return Stored::Refused(found.is_some());
        }
        match found {
            Some((_, offset, entry, header)) if self.overwrite(store, offset, entry, header) => {
                Stored::Done
            }
            Some((place, _, entry, _)) => self.replace(policy, store, (place, entry), placed),
            None => self.insert(policy, store, placed),
        }
    }

    /// The first station of a set. The fast path leaves keys that are being loaded to the slow one,
    /// and has moved the index on before
    /// ([`StripeState::admits_fast`](crate::stripe::StripeState::admits_fast)).
    #[inline(always)]
    fn may_begin(&mut self, hash: u64) -> bool {
        if FAST {
            return !self.core.loads.has(hash);
        }
        !self.stripe.index.wants_steps(&self.core.index)
            || self.stripe.index.steps(&mut self.core.index, &self.env.space, &self.env.index_space)
    }

    /// What the policy said of a hash, when there was no room. Once.
    #[inline]
    fn placement_of(&mut self, hash: u64) -> Option<Placement> {
        self.core
            .placement
            .take()
            .and_then(|(placement_of, to)| (placement_of == hash).then_some(to))
    }

    /// Appends a new value of a key that was found.
    #[inline]
    fn replace(
        &mut self,
        policy: &mut AnyPolicy,
        store: &Store<'_>,
        found: (Place, Entry<'a>),
        placed: Option<Placement>,
    ) -> Stored {
        if FAST {
            self.prepare(policy.clock(), store.shape().size() as u64);
        }
        if each!(policy, policy => self.replace_by(policy, store, found)) {
            Stored::Done
        } else {
            Stored::NoRoom(placed)
        }
    }

    #[inline(never)]
    fn replace_by<P: Policy>(
        &mut self,
        policy: &mut P,
        store: &Store<'_>,
        (place, entry): (Place, Entry<'a>),
    ) -> bool {
        let (offset, header) = (self.offset(entry), entry.header());
        if FAST && self.is_last(offset, entry, header) {
            return false;
        }
        let to = self.placed_again(policy, offset, entry, header);
        let Some(new) = self.append(policy.clock(), to, store) else { return false };
        self.stripe.index.replace(&mut self.core.index, place, Slot::new(tag_of(store.hash), new));
        // What is written again as it is has not been replaced.
        let again = !FAST && store.condition == Condition::Again;
        self.kill(offset, entry, header, if again { Cause::Moved } else { Cause::Overwritten });
        self.stored(policy, new, store);
        true
    }

    /// Stores the value of a key that wasn't found.
    #[inline]
    fn insert(
        &mut self,
        policy: &mut AnyPolicy,
        store: &Store<'_>,
        placed: Option<Placement>,
    ) -> Stored {
        if FAST {
            if self.core.tally.sets >= self.core.feed.update_capacity_at {
                // It is time to tell the policy what it may hold, which may take memory.
                return Stored::NoRoom(None);
            }
            self.prepare(policy.clock(), store.shape().size() as u64);
        }
        // One after the other, not one in the other: the frames of both together are more than the
        // fast path's stack has.
        if self.env.max_entries > 0 && !each!(policy, policy => self.make_place(policy)) {
            return Stored::NoRoom(placed);
        }
        each!(policy, policy => self.insert_by(policy, store, placed))
    }

    #[inline(never)]
    fn insert_by<P: Policy>(
        &mut self,
        policy: &mut P,
        store: &Store<'_>,
        placed: Option<Placement>,
    ) -> Stored {
        let placed = if FAST { self.placement_of(store.hash) } else { placed };
        let to = placed.unwrap_or_else(|| {
            let (sizes, clock) = (self.sizes(), policy.clock());
            let weight = self.weight(store.shape().size());
            policy.insert(store.hash, weight, &sizes, &mut PolicyTails { writer: self, clock })
        });
        let Some(new) = self.append(policy.clock(), to, store) else {
            self.give_place_back();
            return Stored::NoRoom(Some(to));
        };
        self.publish(store.hash, new);
        self.stored(policy, new, store);
        Stored::Done
    }

    /// Where the policy wants an entry that is written again.
    #[inline]
    fn placed_again<P: Policy>(
        &self,
        policy: &mut P,
        offset: u64,
        entry: Entry<'_>,
        header: Header,
    ) -> Placement {
        let id = self.segment_of(offset, entry, header);
        let log = self.env.space.segment(id).log.load(Ordering::Relaxed) as usize;
        policy.update(log, header.policy_bits())
    }

    /// As [`Writer::delete`], on the fast path. None if it must be repeated by the slow one.
    pub fn try_delete_now(&mut self, hash: u64, key: &[u8]) -> Option<bool> {
        let Some((place, offset, entry, header)) = self.find(hash, key) else { return Some(false) };
        if self.is_last(offset, entry, header)
            || self.expired(entry, header)
            || self.remembers_too_much()
        {
            return None;
        }
        self.stripe.index.remove(&mut self.core.index, place);
        self.kill(offset, entry, header, Cause::Deleted);
        // A negative entry says that there was nothing to delete.
        Some(header.extra() & extension::ABSENT == 0)
    }

    /// Puts a new entry into the index.
    fn publish(&mut self, hash: u64, offset: u64) {
        let slot = Slot::new(tag_of(hash), offset);
        if !self.stripe.index.insert(&mut self.core.index, slot) {
            let other = self.stripe.index.insert_instead(&mut self.core.index, slot).offset();
            let entry = self.entry(other);
            self.kill(other, entry, entry.header(), Cause::Evicted);
        }
    }

    /// Whether the condition of a store is met by what was found.
    fn meets(&self, store: &Store<'_>, found: Option<(Entry<'_>, Header)>) -> bool {
        match store.condition {
            Condition::Always => true,
            // A negative entry says that there is no value.
            Condition::Absent => {
                found.is_none_or(|(_, header)| header.extra() & extension::ABSENT != 0)
            }
            Condition::Version(version) => {
                found.is_some_and(|(entry, header)| entry.version(header) == Some(version))
            }
            Condition::Loaded(token) => self.core.loads.is(store.hash, token),
            Condition::Again => found.is_some(),
        }
    }

    /// Puts a value in the place of an older one of the same key, if it fits there and nobody has a
    /// view of the segment. The entry stays where it is in its log; that it was written counts as a
    /// hit does.
    #[inline]
    fn overwrite(
        &mut self,
        store: &Store<'_>,
        offset: u64,
        entry: Entry<'_>,
        header: Header,
    ) -> bool {
        let shape = store.shape();
        if !shape.fits_over(header) || !FAST && store.condition == Condition::Again {
            return false;
        }
        let segment = self.env.space.segment(self.env.space.segment_at(offset));
        let sequence = self.env.seqlocks.of(store.hash);
        if !sequence.try_begin() {
            return false;
        }
        // SeqCst: acquire, for what was read through views that are gone; the rest is said at
        // `fence_after_swap`.
        if segment.pins.load(Ordering::SeqCst) > 0 {
            sequence.end();
            return false;
        }
        // Another may have come while the sequence was free; it fits as well.
        let header = entry.header();
        // SAFETY: the sequence is odd, and the header was read since; it fits; nobody has pinned
        // the segment; nothing in this call has a slice of the value.
        unsafe { entry.overwrite(header, &shape, store.value, self.env.hit_max) };
        sequence.end();
        if let Some(deadline) = shape.deadline {
            let id = self.env.space.segment_at(offset);
            self.due(id, offset - self.env.space.segment(id).start(), deadline);
        }
        self.core.tally.sets += 1;
        self.core.tally.appended += header.size() as u64;
        if self.core.events.wants(Cause::Overwritten as u8) {
            self.tell(entry, header, Cause::Overwritten);
        }
        if !FAST {
            self.supersede(store.hash);
        }
        true
    }

    /// The last station of a set that has appended.
    fn stored<P: Policy>(&mut self, policy: &mut P, offset: u64, store: &Store<'_>) {
        if FAST || store.condition != Condition::Again {
            self.core.tally.sets += 1;
        }
        if !FAST && store.condition != Condition::Again {
            // The fast path has found no load of the key.
            self.supersede(store.hash);
        }
        self.core.tally.appended += store.shape().size() as u64;
        if self.core.tally.sets >= self.core.feed.served_at {
            // A policy that must notice when nothing hits any more has to hear of it well within a
            // cache of misses.
            self.core.feed.served_at =
                self.core.tally.sets + 64 + self.core.feed.capacity_hint / 64;
            policy.served(self.env.hits() >> self.env.stripe_bits);
        }
        let pressed = self.pressure.drains();
        if pressed || self.pressure.is_nearly_full() {
            let segment = self.env.space.segment_size();
            if self.core.tally.appended.wrapping_sub(self.core.pace.pressed_at) > CALM * segment {
                self.core.pace.entering = true;
                self.core.owed.debt = segment as i64;
            }
            self.core.pace.pressed_at = self.core.tally.appended;
        }
        self.core.pace.entering &= self.core.owed.debt > 0;
        if self.core.pace.entering {
            // Calm begins when that is over: else the stripes would never get to the end of the
            // memory, but enter again and again.
            self.core.pace.pressed_at = self.core.tally.appended;
        }
        let evicts = if pressed || self.core.pace.entering {
            self.core.pace.last = offset;
            if !FAST {
                if self.core.owed.debt > MAX_OWED {
                    self.pay(policy);
                }
                self.choose();
            }
            true
        } else {
            self.core.owed.debt = self.core.owed.debt.min(0);
            self.env.evicts(self.pressure)
        };
        if self.env.far && evicts {
            self.look_ahead(policy);
        }
    }

    /// Removes a key. False if it wasn't there.
    pub fn delete<P: Policy>(&mut self, policy: &mut P, hash: u64, key: &[u8]) -> bool {
        self.supersede(hash);
        let Some((place, offset, entry, header)) = self.find(hash, key) else { return false };
        let gone =
            if self.expired(entry, header) { self.take_gone(hash, offset, entry) } else { None };
        if gone.is_none() {
            self.stripe.index.remove(&mut self.core.index, place);
        }
        self.kill(offset, entry, header, gone.unwrap_or(Cause::Deleted));
        if self.stripe.index.wants_steps(&self.core.index) {
            self.stripe.index.steps(&mut self.core.index, &self.env.space, &self.env.index_space);
        }
        if self.remembers_too_much() {
            self.update_capacity_now(policy);
        }
        // A negative entry says that there was nothing to delete.
        gone.is_none() && header.extra() & extension::ABSENT == 0
    }
}
