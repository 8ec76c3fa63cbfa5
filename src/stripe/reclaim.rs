//! Reclaiming memory: what is owed and how it is paid, and what is done when there is no room at
//! all.
//!
//! A set pays for what the stripe's last one appended, a bounded number of entries; who finds no
//! room at all drains until a segment is free. Each step either compacts (`compact`), where enough
//! is dead, or evicts (`evict`).

use crate::memory::NONE;
use crate::policy::{AnyPolicy, Policy, each};
use crate::stripe::compact::Compacted;
use crate::stripe::evict::{Drained, MAX_FAST_DRAIN};
use crate::stripe::log::Log;
use crate::stripe::writer::Writer;
use crate::sys::atomic::Ordering;

/// Entries that one call drains at most while it pays what it owes.
pub const MAX_DRAIN: usize = 64;
/// Entries that are drained for each time the lock is taken when room is needed at once: some 100
/// microseconds.
const MAX_HOLD: usize = 1024;
/// Entries, of these, that it drains beyond what it owes (see `Space::lead`). More would drain in
/// bursts, before the entries could be looked at ahead.
const MAX_EXTRA: usize = 1;
/// Bytes that are owed before they are paid, in caches that aren't far from the CPU.
const BATCH: i64 = 1 << 10;

/// What an attempt to give room came to.
#[derive(PartialEq, Eq)]
pub enum Given {
    /// A segment, after a grace period.
    Some,
    /// Nothing yet: it takes more of the same.
    More,
    /// Nothing yet: it takes a segment whose grace period isn't over.
    Waits,
    /// Nothing: there is nothing left to drain.
    Nothing,
}

/// How badly room is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It is owed: a compaction that finds no segment to fill, because those that were given up
    /// wait for their grace period, may be gone on with by a later set.
    Later,
    /// Somebody waits for it.
    Now,
    /// As `Now`, and enough has been kept: what comes next goes, whatever the policy says.
    Drop,
}

impl<'a, const FAST: bool> Writer<'a, FAST> {
    /// Whether enough is owed to be paid.
    #[inline]
    pub fn owes(&self) -> bool {
        let batch = if self.env.far { 0 } else { BATCH };
        self.core.owed.debt > batch - self.pressure.lead()
            && (self.core.pace.entering || self.pressure.drains())
    }

    /// The second station of a set: pays what the stripe owes. False if only the slow path can go
    /// on.
    #[inline(always)]
    pub fn pay_owed(&mut self, policy: &mut AnyPolicy) -> bool {
        if self.owes() && (FAST && self.must_choose() || !each!(policy, policy => self.pay(policy)))
        {
            return false;
        }
        // What is left to be given up or kept comes first, and the slow path can do it always.
        !FAST || self.flush() && self.core.deferred_keep.is_none()
    }

    /// Drains what is owed, a bounded number of entries. False if only the slow path can go on.
    #[inline(never)]
    pub fn pay<P: Policy>(&mut self, policy: &mut P) -> bool {
        self.core.pace.newest = self.core.pace.last;
        let most = if FAST { MAX_FAST_DRAIN } else { MAX_DRAIN };
        self.core.owed.patience = 4 * most;
        let mut extra = MAX_EXTRA;
        let mut stuck = false;
        for _ in 0..most {
            if self.core.owed.debt <= 0 {
                // A run at an old end gives no segment, and may be a quarter of the cache.
                let gives_segments =
                    |log: &Log| log.tail == NONE || !self.env.space.is_run(log.tail);
                if extra == 0
                    || self.core.owed.debt <= -self.pressure.lead()
                    || !self.core.logs.iter().all(gives_segments)
                {
                    break;
                }
                extra -= 1;
            }
            if self.core.owed.deferred_len > 0 || self.core.owed.patience == 0 {
                break;
            }
            if matches!(self.make_some_room(policy, Need::Later), Drained::Nothing | Drained::Waits)
            {
                stuck = self.core.compaction.source.0 != NONE && self.core.owed.patience > 0;
                break;
            }
        }
        self.core.pace.newest = 0;
        self.core.owed.patience = if FAST { 4 * MAX_FAST_DRAIN } else { usize::MAX };
        !(FAST && stuck)
    }

    /// Makes room, one entry's worth: compacts where enough is dead, else evicts.
    pub fn make_some_room<P: Policy>(&mut self, policy: &mut P, need: Need) -> Drained {
        let drop = need == Need::Drop;
        // One that is half compacted is finished first: what was passed of it has been counted as
        // paid.
        if self.core.compaction.choose && self.core.compaction.source.0 == NONE && !drop {
            if FAST && self.must_choose() {
                return Drained::Nothing;
            }
            self.choose();
        }
        if self.core.compaction.source.0 != NONE && !drop {
            match self.compact_one(policy.clock().step_bits) {
                Compacted::Some => return Drained::Kept,
                Compacted::NoRoom if FAST || need == Need::Later => return Drained::Nothing,
                Compacted::NoRoom if self.env.space.is_waiting() => return Drained::Waits,
                // There is no room to compact into: evict until the next choice.
                Compacted::NoRoom => self.core.compaction.source = (NONE, 0),
            }
        }
        self.drain_one(policy, drop)
    }

    /// Whether it is time to choose between compacting and evicting, and takes a look through all
    /// segments.
    #[inline]
    pub fn must_choose(&self) -> bool {
        self.core.compaction.choose
            && self.core.compaction.source.0 == NONE
            && self.core.compaction.died >= self.core.compaction.sparse_at
    }

    /// Chooses between compacting and evicting, if a segment's worth was given up since that was
    /// done last. Where segments have to be looked through the fast path can't, so the slow one
    /// does before it leaves: else sets by the fast path could drain nothing until the slow one is
    /// needed again, which then would have to drain for dozens of sets at once, with the lock held
    /// for 10 microseconds.
    pub fn choose(&mut self) {
        if self.core.compaction.choose && self.core.compaction.source.0 == NONE {
            self.core.compaction.choose = false;
            self.core.compaction.source =
                self.sparsest().map_or((NONE, 0), |id| (id, self.env.space.segment(id).first()));
        }
    }

    /// Drains until a segment has been given up, but not for long: the lock is wanted by others.
    /// `keeps` counts entries that were kept instead, over the calls of one attempt.
    pub fn give_room<P: Policy>(&mut self, policy: &mut P, keeps: &mut usize) -> Given {
        let before = self.stripe.footprint.load(Ordering::Relaxed);
        // Enough to compact a few segments of small entries; then they go without being asked
        // about.
        let most_keeps = (self.env.space.segment_size() / 16) as usize;
        for _ in 0..MAX_HOLD {
            match self
                .make_some_room(policy, if *keeps > most_keeps { Need::Drop } else { Need::Now })
            {
                Drained::Kept => *keeps += 1,
                Drained::Dropped => self.follow(policy),
                Drained::Waits => return Given::Waits,
                Drained::Nothing => {
                    // Only open segments are left, drained to their ends.
                    for log in 0..2 {
                        let Log { young, filling, .. } = &self.core.logs[log];
                        for id in [young.rest, young.open, filling.rest, filling.open] {
                            self.close(log, id);
                        }
                    }
                    let less = self.stripe.footprint.load(Ordering::Relaxed) < before;
                    return if less { Given::Some } else { Given::Nothing };
                }
            }
            if self.stripe.footprint.load(Ordering::Relaxed) < before {
                self.core.owed.debt = 0;
                return Given::Some;
            }
        }
        Given::More
    }
}
