//! Room: what a call does that finds none under the lock, and the loop around it.
//!
//! A store is tried under the stripe's lock. If memory is short, nothing has changed; the lock is
//! let go, room is made (perhaps in another stripe), and it is tried again: `Cache::write` is that
//! loop, and everything that stores by the slow door goes through it.

use crate::cache::family::Member;
use crate::cache::handle::Cache;
use crate::cache::shared::Shared;
use crate::error::Error;
use crate::policy::{AnyPolicy, Placement};
use crate::stripe::Stripe;
use crate::stripe::events::Reason;
use crate::stripe::reclaim::Given;
use crate::stripe::writer::Writer;
use crate::sync::epoch::{self, Guard};
use crate::sync::waker;
use crate::sys::atomic::Ordering;
use std::time::Duration;

/// How often a set that finds no room waits, 100 microseconds and more each time, for readers who
/// are on their way out. They take a microsecond, unless the system takes the processor from them:
/// on a crowded machine for tenths of a second.
const READERS: u32 = 20_000;
/// The same for views, which may be held for ever.
const VIEWS: u32 = 2_000;
/// Waits between two looks at what the family's indexes and policies hold.
const SETTLE_EVERY: u32 = 64;
/// How often room is made for what waits under a key before it is dropped.
const MAX_SETTLES: u32 = 16;

/// What an attempt under the lock came to.
pub(crate) enum Attempt<T> {
    /// Done, and whether an entry with a deadline was stored.
    Done(T, bool),
    /// There is no room. The policy's word, if it was asked.
    NoRoom(Option<Placement>),
}

/// What one call has done so far to get room, so that it comes to an end.
#[derive(Default)]
pub(crate) struct Effort {
    /// Times that it waited for readers.
    waits: u32,
    /// Entries that were kept instead of evicted.
    keeps: usize,
}

impl Shared {
    /// Evicts something: of this cache, if it is at its bound or holds its part of the memory (see
    /// `memory::quota`), else of the one that holds most. If nothing can be had there, of any: a
    /// set never fails because others are full.
    fn give_room(&self, hash: Option<u64>, bytes: u64, keeps: &mut usize) -> Given {
        let full = self.env.space.is_full(bytes);
        let alone = self.family.len() == 0;
        if full
            || alone
            || !self.env.space.may_take(|| self.env.space.segment_budget())
            || self.is_sparse(hash)
        {
            let given = self.drain(hash, keeps);
            if given != Given::Nothing || full || alone {
                return given;
            }
        }
        let others = self.family.fullest_first();
        others
            .iter()
            .map(|other| other.give(keeps))
            .find(|given| *given != Given::Nothing)
            .unwrap_or(Given::Nothing)
    }

    fn drain(&self, hash: Option<u64>, keeps: &mut usize) -> Given {
        let victim = self.victim(hash);
        let mut state = victim.state.lock();
        let (mut writer, policy) = state.writer(&self.env, victim);
        writer.give_room(policy, keeps)
    }

    /// Whether a quarter of what the stripe of a hash holds is dead: then it is to compact, before
    /// it takes from others.
    fn is_sparse(&self, hash: Option<u64>) -> bool {
        hash.is_some_and(|hash| {
            let stripe = self.stripe(hash);
            let live: u64 = stripe.state.lock().core.logs.iter().map(|log| log.live).sum();
            let footprint = stripe.footprint.load(Ordering::Relaxed);
            footprint > 8 * self.env.space.segment_size() && live < footprint / 4 * 3
        })
    }

    /// The stripe that must give room for an entry with this hash: its own, unless it holds less
    /// than half of its share; then the fullest.
    fn victim(&self, hash: Option<u64>) -> &Stripe {
        let footprint = |stripe: &Stripe| stripe.footprint.load(Ordering::Relaxed);
        let total: u64 = self.stripes.iter().map(footprint).sum();
        let own = hash.map(|hash| self.stripe(hash)).filter(|own| {
            let held = footprint(own);
            held > 0 && held * self.stripes.len() as u64 >= total / 2
        });
        own.or_else(|| self.stripes.iter().max_by_key(|stripe| footprint(stripe)))
            .expect("there are stripes")
    }

    /// Has every stripe of the family give back what index and policy needn't hold: when nothing
    /// else can be had, and when the budget has shrunk.
    pub fn settle_family(&self) {
        for member in self.family.fullest_first() {
            member.settle();
        }
    }

    /// As [`Shared::settle_family`], of this cache alone.
    pub fn settle(&self) {
        self.each_stripe(|stripe, state| {
            stripe.index.settle(&mut state.core.index, &self.env.space, &self.env.index_space);
            let (mut writer, policy) = state.writer(&self.env, stripe);
            writer.update_capacity_now(policy);
        });
    }
}

impl Member for Shared {
    fn held(&self) -> u64 {
        self.env.space.held_segments()
    }

    fn give(&self, keeps: &mut usize) -> Given {
        self.drain(None, keeps)
    }

    fn settle(&self) {
        Shared::settle(self);
    }
}

impl Cache {
    /// Runs `attempt` under the lock of a key's stripe, again and again while there is no room,
    /// making some in between.
    pub(crate) fn write<T>(
        &self,
        key: &[u8],
        value_len: usize,
        attempt: impl FnMut(
            &Shared,
            u64,
            &mut Writer<'_, false>,
            &mut AnyPolicy,
            Option<Placement>,
        ) -> Result<Attempt<T>, Error>,
    ) -> Result<T, Error> {
        self.with_room(key, value_len, attempt).inspect_err(|&error| {
            if error == Error::Full {
                self.reject(key, value_len);
            }
        })
    }

    /// Runs `look` under a pin, after applying any deferred set of the key. `look` returns None if
    /// applying needs memory; the pin is dropped (it would delay reclamation), room is made, and
    /// `look` runs again. On the last attempt `drops` is true: `look` must discard the deferred
    /// set.
    pub(crate) fn with_applied<T>(
        &self,
        key: &[u8],
        mut look: impl FnMut(&Guard, &Shared, u64, bool) -> Option<T>,
    ) -> Result<T, Error> {
        let (mut tries, mut drops) = (0, false);
        loop {
            {
                let guard = epoch::pin();
                let shared = self.shared(&guard)?;
                if let Some(found) = look(&guard, shared, shared.env.hasher.hash(key), drops) {
                    return Ok(found);
                }
            }
            tries += 1;
            let room = self.with_room(key, 0, |_, _, _, _, _| Ok(Attempt::Done((), false)));
            drops = room.is_err() || tries == MAX_SETTLES;
        }
    }

    /// As [`Cache::write`]; a failure for want of room isn't told of.
    fn with_room<T>(
        &self,
        key: &[u8],
        value_len: usize,
        mut attempt: impl FnMut(
            &Shared,
            u64,
            &mut Writer<'_, false>,
            &mut AnyPolicy,
            Option<Placement>,
        ) -> Result<Attempt<T>, Error>,
    ) -> Result<T, Error> {
        let (mut placed, mut effort, mut informed) = (None, Effort::default(), false);
        loop {
            let hash;
            'attempt: {
                let guard = epoch::pin();
                let shared = self.shared(&guard)?;
                shared.check_lengths(key.len(), value_len)?;
                hash = shared.env.hasher.hash(key);
                let stripe = shared.stripe(hash);
                stripe.index.prefetch(hash);
                if shared.env.space.wants_reclaim() {
                    shared.env.space.reclaim();
                }
                let mut state = stripe.lock();
                let (mut writer, policy) = state.writer(&shared.env, stripe);
                if !informed {
                    // If there is no room for the policy's ghosts it is made once, and before the
                    // entry comes, which might be what has to go.
                    informed = true;
                    if !writer.update_capacity(policy) {
                        break 'attempt;
                    }
                }
                if !writer.apply_all(policy) {
                    break 'attempt;
                }
                let done = attempt(shared, hash, &mut writer, policy, placed);
                drop(state);
                // After it: this set may be the one to say so, and the next that comes by here may
                // be thousands away.
                if shared.wants_ahead() {
                    waker::wake_now();
                }
                match done? {
                    Attempt::Done(done, deadline) => {
                        if deadline {
                            waker::wake();
                        }
                        return Ok(done);
                    }
                    Attempt::NoRoom(said) => placed = said,
                }
            }
            self.make_room(Some(hash), (key.len() + value_len + 64) as u64, &mut effort)?;
        }
    }

    /// Evicts until a segment is free, from the stripe of a hash unless others hold more than their
    /// share, or from the fullest. Called with nothing pinned and nothing locked.
    pub(crate) fn make_room(
        &self,
        hash: Option<u64>,
        bytes: u64,
        effort: &mut Effort,
    ) -> Result<(), Error> {
        // Who is at its own bound has nothing to gain from what waits.
        let (waited, waiting) = self.with(|shared| {
            let space = &shared.env.space;
            if space.is_full(bytes) { (false, 0) } else { (space.is_waiting(), space.reclaim()) }
        })?;
        if waited && waiting == 0 {
            // What was waited for is free just now: that may be room enough, and nothing else has
            // to go.
            return Ok(());
        }
        if waiting == 0 {
            let mut given = Given::More;
            while given == Given::More {
                given = self.with(|shared| shared.give_room(hash, bytes, &mut effort.keeps))?;
                // Mostly it was this thread's own pin that what it gave up had to wait for.
                if given == Given::Waits && self.with(|shared| shared.env.space.reclaim())? == 0 {
                    given = Given::More;
                }
            }
            if given == Given::Some {
                // With a fresh pin, else this thread would hold back what it has just given up.
                self.with(|shared| shared.env.space.reclaim())?;
                return Ok(());
            }
            // No entry is left that could go: what was kept for those that went, if it was not
            // given back with them.
            if effort.waits.is_multiple_of(SETTLE_EVERY) {
                self.with(Shared::settle_family)?;
            }
        }
        // What was given up is still being read, or is held by views.
        effort.waits += 1;
        let most = if self.with(|shared| shared.env.space.is_waiting())? { READERS } else { VIEWS };
        match effort.waits {
            0..32 => std::thread::yield_now(),
            waits if waits < most => std::thread::sleep(Duration::from_micros(100)),
            _ => return Err(Error::Full),
        }
        Ok(())
    }

    /// Counts a store that found no room, and tells of it.
    #[cold]
    fn reject(&self, key: &[u8], value_len: usize) {
        // A cache that was closed meanwhile counts no more.
        let _ = self.with(|shared| {
            let hash = shared.env.hasher.hash(key);
            shared.rejections.fetch_add(1, Ordering::Relaxed);
            let mut state = shared.stripe(hash).state.lock();
            if state.core.events.wants(Reason::Rejected as u8) {
                state.core.events.push(Reason::Rejected as u8, key, value_len);
            }
        });
    }
}
