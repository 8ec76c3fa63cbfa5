//! Draining: what becomes of the oldest entries when memory is short.
//!
//! The policy names a log, and says of the entry at its old end whether it stays (it is appended
//! again) or goes. A set pays for what the stripe's last one appended, a bounded number of entries;
//! who finds no room at all drains until a segment is free.

use crate::entry::{Entry, Header};
use crate::index::{Slot, tag_of};
use crate::memory::NONE;
use crate::policy::{self, Placement, Policy, Tails, Ticks, Verdict};
use crate::stripe::deferred::keep::DeferredKeep;
use crate::stripe::request::Cause;
use crate::stripe::writer::Writer;
use crate::sys::atomic::Ordering;
use crate::sys::prefetch::prefetch;

/// As [`MAX_DRAIN`], on the fast path.
pub const MAX_FAST_DRAIN: usize = 16;

/// Entries that may be kept before one goes in any case, when a single place is needed
/// (`max_entries`).
const MAX_KEEPS: usize = 512;

/// What draining an entry came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drained {
    /// It stays.
    Kept,
    /// It is gone.
    Dropped,
    /// There was none.
    Nothing,
    /// It is to be moved, to a segment whose grace period isn't over.
    Waits,
}

/// What came of keeping an entry.
#[derive(PartialEq, Eq)]
pub enum Kept {
    /// It stays.
    Yes,
    /// The fast path has left it to the slow one.
    Left,
    /// There is no room for it.
    No,
}

/// An entry at the old end of a log.
#[derive(Clone, Copy)]
pub struct Tail<'a> {
    id: u32,
    /// Where it lies.
    pub offset: u64,
    entry: Entry<'a>,
    header: Header,
    /// Of its key.
    pub hash: u64,
    /// When it was appended, by the policy's clock.
    stamp: u32,
    /// Its size in what the policy weighs by.
    weight: u32,
}

impl Tail<'_> {
    /// As the policy sees it.
    pub fn seen(&self) -> policy::Seen {
        policy::Seen {
            hash: self.hash,
            bits: self.header.policy_bits(),
            size: self.weight,
            stamp: self.stamp,
        }
    }
}

/// The old ends of the logs, as the policy sees them.
pub struct PolicyTails<'w, 'a, const FAST: bool> {
    pub writer: &'w mut Writer<'a, FAST>,
    pub clock: Ticks,
}

impl<const FAST: bool> Tails for PolicyTails<'_, '_, FAST> {
    fn peek(&mut self, log: usize) -> Option<policy::Seen> {
        self.writer.tail(log, self.clock.step_bits).map(|tail| tail.seen())
    }

    fn rotate(&mut self, log: usize, bits: u8) -> bool {
        match self.writer.tail(log, self.clock.step_bits) {
            Some(tail) => {
                self.writer.keep(self.clock, &tail, log, Placement { log, bits }) == Kept::Yes
            }
            None => false,
        }
    }
}

impl<'a, const FAST: bool> Writer<'a, FAST> {
    /// The oldest live entry of a log. Dead ones before it are passed; expired ones are removed.
    pub fn tail(&mut self, log: usize, step_bits: u32) -> Option<Tail<'a>> {
        loop {
            let id = self.core.logs[log & 1].tail;
            if id == NONE {
                return None;
            }
            if id != self.core.logs[log & 1].young.open && self.core.logs[log & 1].is_open(id) {
                self.close(log, id);
                continue;
            }
            let segment = self.env.space.segment(id);
            let cursor = self.core.logs[log & 1].cursor;
            if cursor >= segment.used.load(Ordering::Relaxed) {
                // Only an open segment can be passed to its end: a closed one would have been given
                // up, or will be.
                debug_assert!(self.core.logs[log & 1].is_open(id) || FAST);
                return None;
            }
            let offset = segment.start() + cursor;
            if offset == self.core.pace.newest {
                return None;
            }
            let entry = self.entry(offset);
            let header = entry.header();
            if header.is_dead() {
                if self.core.owed.patience == 0 {
                    return None;
                }
                self.core.owed.patience -= 1;
                self.core.logs[log & 1].cursor += header.size() as u64;
                self.core.owed.debt -= header.size() as i64;
                continue;
            }
            let ahead = self.core.logs[log & 1].ahead;
            let hash =
                if ahead.0 == offset { ahead.1 } else { self.env.hasher.hash(entry.key(header)) };
            if self.expired(entry, header) {
                if let Some(cause) = self.take_gone(hash, offset, entry) {
                    self.pass(log, header, entry);
                    self.kill(offset, entry, header, cause);
                } else if FAST {
                    self.core.owed.patience = 0;
                    return None;
                }
                continue;
            }
            let stamp =
                segment.stamp.load(Ordering::Relaxed).wrapping_add(header.steps() << step_bits);
            let weight = self.weight(header.size());
            return Some(Tail { id, offset, entry, header, hash, stamp, weight });
        }
    }

    /// Moves the drain past the entry it stands at.
    pub fn pass(&mut self, log: usize, header: Header, entry: Entry<'_>) {
        let log = &mut self.core.logs[log & 1];
        log.cursor += header.size() as u64;
        if entry.run(header).is_none() {
            self.core.owed.debt -= header.size() as i64;
        }
    }

    /// Drains one entry as the policy says, or drops it in any case.
    pub fn drain_one<P: Policy>(&mut self, policy: &mut P, drop: bool) -> Drained {
        let sizes = self.sizes();
        let first = policy.victim(&sizes);
        let step_bits = policy.clock().step_bits;
        let (log, tail) = match self.tail(first, step_bits) {
            Some(tail) => (first, tail),
            // There may be more behind the dead ones: the other log isn't to pay for it.
            None if self.core.owed.patience == 0 => return Drained::Nothing,
            None => match self.tail(1 - first, step_bits) {
                Some(tail) => (1 - first, tail),
                None => return Drained::Nothing,
            },
        };
        let verdict = if drop { Verdict::Drop } else { policy.tail(log, &tail.seen(), &sizes) };
        if let Verdict::Keep { log: to, bits } = verdict {
            match self.keep(policy.clock(), &tail, log, Placement { log: to, bits }) {
                Kept::Yes => return Drained::Kept,
                Kept::Left => return Drained::Nothing,
                Kept::No => {}
            }
        }
        self.pass(log, tail.header, tail.entry);
        self.unindex(tail.hash, tail.offset);
        self.kill_in(tail.id, tail.entry, tail.header, Cause::Evicted);
        Drained::Dropped
    }

    /// Moves the oldest entry of a log to the young end of one.
    pub fn keep(&mut self, clock: Ticks, tail: &Tail<'a>, log: usize, to: Placement) -> Kept {
        let &Tail { id, offset, entry, header, hash, .. } = tail;
        if FAST && !self.has_room(to.log, header.size() as u64, clock) {
            self.defer_keep(log, tail, to);
            return Kept::Left;
        }
        if header.is_run() {
            // Nothing to copy: the run itself goes to the other end.
            let space = &self.env.space;
            let size = header.size() as u64;
            // Where it goes the sweep may have been.
            self.core.sweep.leaves(id, space.segment(id).newer.load(Ordering::Relaxed));
            let from = &mut self.core.logs[log & 1];
            from.unlink(space, id);
            from.live -= size;
            from.entries -= 1;
            space.segment(id).log.store(to.log as u32, Ordering::Relaxed);
            space.segment(id).stamp.store(clock.time, Ordering::Relaxed);
            let target = &mut self.core.logs[to.log & 1];
            target.push(space, id);
            target.live += size;
            target.entries += 1;
            entry.set_policy_bits(to.bits);
            // By what the entry says: what the segment says may be what a sweep has just begun to
            // find out.
            if let Some(deadline) = entry.deadline(header) {
                self.due(id, offset - space.segment(id).start(), deadline);
            }
            return Kept::Yes;
        }
        let Some(place) = self.stripe.index.place_of(&self.core.index, hash, offset) else {
            // Lost from the index (see `Index::step`): it can only be dropped.
            return Kept::No;
        };
        let Some(sequence) = self.hold(hash) else {
            self.defer_keep(log, tail, to);
            return Kept::Left;
        };
        // As it is now: it may have been overwritten since it was judged.
        let new = self.append_copy(clock, to, entry, entry.header());
        if let Some(new) = new {
            self.stripe.index.replace(&mut self.core.index, place, Slot::new(tag_of(hash), new));
        }
        sequence.end();
        if new.is_none() {
            return Kept::No;
        }
        self.pass(log, header, entry);
        self.core.tally.copied += header.size() as u64;
        self.kill_in(id, entry, header, Cause::Moved);
        Kept::Yes
    }

    /// Starts loading what the next drains will want: the entries at the logs' old ends, their
    /// index buckets, what the policy knows of them. Without it each set of a full cache waits for
    /// two or three cache misses more. The hash that it takes is kept for the drain, and each entry
    /// is looked at once.
    pub fn look_ahead<P: Policy>(&mut self, policy: &P) {
        for log in 0..2 {
            let (tail, cursor) = (self.core.logs[log].tail, self.core.logs[log].cursor);
            if tail == NONE {
                continue;
            }
            let segment = self.env.space.segment(tail);
            let offset = segment.start() + cursor;
            if offset == self.core.logs[log].ahead.0
                || cursor + 8 >= segment.used.load(Ordering::Relaxed)
            {
                continue;
            }
            let entry = self.entry(offset);
            let header = entry.header();
            prefetch(entry.address().wrapping_add(header.size()));
            prefetch(entry.address().wrapping_add(header.size() + 64));
            if !header.is_dead() {
                let hash = self.env.hasher.hash(entry.key(header));
                self.core.logs[log].ahead = (offset, hash);
                if self.env.far {
                    self.stripe.index.prefetch(hash);
                    policy.prefetch(hash);
                }
            }
        }
    }

    /// Leaves an entry for the slow path to keep. (Not inlined: it would grow the frame of every
    /// drain.)
    #[cold]
    #[inline(never)]
    pub fn defer_keep(&mut self, log: usize, tail: &Tail<'_>, to: Placement) {
        self.core.deferred_keep =
            Some(DeferredKeep { log, offset: tail.offset, hash: tail.hash, to });
    }

    /// Keeps what the fast path has left, if there is memory for it. One entry's copy at most.
    #[inline]
    pub fn apply_deferred(&mut self, clock: Ticks) {
        let Some(ruling) = self.core.deferred_keep.take() else { return };
        let tail = self.tail(ruling.log, clock.step_bits);
        if let Some(tail) =
            tail.filter(|tail| (tail.offset, tail.hash) == (ruling.offset, ruling.hash))
        {
            self.keep(clock, &tail, ruling.log, ruling.to);
        }
    }

    /// Makes sure that one more entry may come: the cache's bound on entries, where it has one.
    #[inline]
    pub fn make_place<P: Policy>(&mut self, policy: &mut P) -> bool {
        let max = self.env.max_entries;
        max == 0 || self.make_place_below(policy, max)
    }

    #[inline(never)]
    fn make_place_below<P: Policy>(&mut self, policy: &mut P, max: u64) -> bool {
        let mut keeps = 0;
        loop {
            if FAST && (keeps > MAX_FAST_DRAIN || self.core.owed.deferred_len > 0) {
                return false;
            }
            if self.env.entries.take(max) {
                return true;
            }
            // The place of what goes is had at once, and nobody else is told: to give it back and
            // take it again were three writes to a line that all stripes write.
            self.core.wants_place = true;
            let drained = self.drain_one(policy, keeps >= MAX_KEEPS);
            if !std::mem::take(&mut self.core.wants_place) {
                return true;
            }
            match drained {
                Drained::Nothing | Drained::Waits => return false,
                Drained::Kept => keeps += 1,
                Drained::Dropped => {}
            }
        }
    }
}
