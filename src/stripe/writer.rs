//! A stripe in the hands of whoever holds its lock: how it finds an entry, and what it can say of
//! one. What it does is in the files beside this one, each an `impl Writer`.

use crate::entry::{Entry, Header, extension};
use crate::index::Place;
use crate::memory::Pressure;
use crate::policy::Sizes;
use crate::stripe::deferred::write_buffer::WriteBuffer;
use crate::stripe::env::Env;
use crate::stripe::request::Cause;
use crate::stripe::{Core, Stripe};
use crate::sync::seqlock::Seqlock;
use crate::sys::atomic::Ordering;
use crate::sys::bytes;

/// A stripe in the hands of whoever holds its lock.
pub struct Writer<'a, const FAST: bool> {
    pub env: &'a Env,
    pub stripe: &'a Stripe,
    pub core: &'a mut Core,
    /// Sets that wait. None also while one is completed.
    pub pending: Option<&'a mut WriteBuffer>,
    /// How short memory was when the stripe was taken in hand, or when this call last took or gave
    /// up a segment.
    pub pressure: Pressure,
    /// The time when the stripe was taken in hand, if anything in it has a deadline.
    pub now: u64,
}

impl<'a, const FAST: bool> Writer<'a, FAST> {
    #[inline(always)]
    pub fn of(
        env: &'a Env,
        stripe: &'a Stripe,
        core: &'a mut Core,
        pending: &'a mut Option<Box<WriteBuffer>>,
    ) -> Writer<'a, FAST> {
        let timeless = stripe.next_deadline.load(Ordering::Relaxed) == u64::MAX;
        let now = if timeless { 0 } else { env.clock.now() };
        Writer {
            env,
            stripe,
            core,
            pending: pending.as_deref_mut(),
            pressure: env.space.pressure(),
            now,
        }
    }

    /// The entry at an offset.
    #[inline]
    pub fn entry(&self, offset: u64) -> Entry<'a> {
        // SAFETY: offsets come from the index or from a walk over a segment's used bytes: an entry
        // was written there. The stripe's lock is held, and segments of this stripe are given up
        // only under it; 'a ends with the lock.
        unsafe { Entry::at(self.env.space.base().add(offset as usize)) }
    }

    /// The offset of an entry.
    #[inline]
    pub fn offset(&self, entry: Entry<'a>) -> u64 {
        entry.address() as u64 - self.env.space.base() as u64
    }

    /// The value of an entry.
    ///
    /// # Safety
    /// The key's sequence is closed, and neither that nor the lock is let go while the slice is in
    /// use.
    #[inline]
    pub(crate) unsafe fn value(&self, entry: Entry<'a>, header: Header) -> &'a [u8] {
        // SAFETY: the stripe's lock is held and the sequence closed, so only `cache::in_place` may
        // change a value, which is called by sets with a slice of their own.
        unsafe { entry.value_bytes(header) }
    }

    /// Makes the sequence of a key odd. None where that would be to wait for an overwriter and the
    /// fast path is not to.
    #[inline]
    pub fn hold(&self, hash: u64) -> Option<Seqlock<'a>> {
        let sequence = self.env.seqlocks.of(hash);
        if FAST {
            return sequence.try_begin().then_some(sequence);
        }
        sequence.begin();
        Some(sequence)
    }

    /// The key with this hash was changed: its load is overtaken.
    #[inline]
    pub fn supersede(&mut self, hash: u64) {
        self.core.loads.supersede(hash, &self.stripe.loading);
        let bytes = self.core.loads.release();
        if bytes > 0 {
            self.env.space.unreserve_bookkeeping(bytes);
        }
    }

    /// Takes an entry that must not be served any more out of the index, to be
    /// [killed](Writer::kill) for that cause. None if it was overwritten with a later deadline just
    /// now, and stays; or if the fast path would have to wait.
    pub fn take_gone(&mut self, hash: u64, offset: u64, entry: Entry<'a>) -> Option<Cause> {
        let sequence = self.hold(hash)?;
        let cause = self.gone(entry, entry.header());
        if cause.is_some() {
            self.unindex(hash, offset);
        }
        sequence.end();
        cause
    }

    #[inline(always)]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<(Place, u64, Entry<'a>, Header)> {
        let mut found = None;
        let place = self.stripe.index.find_place(&self.core.index, hash, |slot| {
            let entry = self.entry(slot.offset());
            let header = entry.header();
            if bytes::equal(entry.key(header), key) {
                found = Some((entry, header));
                return true;
            }
            false
        });
        let ((place, slot), (entry, header)) = (place?, found?);
        Some((place, slot.offset(), entry, header))
    }

    pub fn segment_of(&self, offset: u64, entry: Entry<'_>, header: Header) -> u32 {
        entry.run(header).unwrap_or_else(|| self.env.space.segment_at(offset))
    }

    pub fn expired(&self, entry: Entry<'_>, header: Header) -> bool {
        self.gone(entry, header).is_some()
    }

    /// Why an entry that is still in the index must not be served any more, if so.
    #[inline]
    pub fn gone(&self, entry: Entry<'_>, header: Header) -> Option<Cause> {
        if entry.deadline(header).is_some_and(|deadline| deadline <= self.now) {
            Some(Cause::Expired)
        } else if header.has_extra() && self.env.is_invalidated(entry, header) {
            Some(Cause::Invalidated)
        } else {
            None
        }
    }

    /// The size of an entry in what the policy weighs by: bytes, or entries under a bound on
    /// entries.
    #[inline]
    pub fn weight(&self, size: usize) -> u32 {
        if self.env.max_entries > 0 { 1 } else { size as u32 }
    }

    /// What the policy weighs by.
    pub fn sizes(&self) -> Sizes {
        let logs = &self.core.logs;
        let max_entries = self.env.max_entries;
        if max_entries > 0 {
            let share = ((max_entries - 1) >> self.env.stripe_bits) + 1;
            Sizes { used: [logs[0].entries, logs[1].entries], capacity: share }
        } else {
            let share = self.env.capacity() >> self.env.stripe_bits;
            Sizes { used: [logs[0].live, logs[1].live], capacity: share }
        }
    }

    /// The entry of a key that may be served.
    pub fn peek(&self, hash: u64, key: &[u8]) -> Option<(u64, Entry<'a>, Header)> {
        let (_, offset, entry, header) = self.find(hash, key)?;
        self.gone(entry, header).is_none().then_some((offset, entry, header))
    }

    /// A version that was never given before.
    pub fn next_version(&mut self) -> u64 {
        self.core.versions += 1;
        self.core.versions
    }

    /// Gives the place of an entry that is gone back, or to whoever of this stripe waits for one.
    #[inline]
    pub fn give_place_back(&mut self) {
        if self.env.max_entries > 0 && !std::mem::take(&mut self.core.wants_place) {
            self.env.entries.give(1);
        }
    }

    pub fn unindex(&mut self, hash: u64, offset: u64) {
        self.stripe.index.remove_entry(&mut self.core.index, hash, offset);
    }

    /// Visits the live entries of one home bucket from `tag` on, and returns the tag to go on with.
    pub fn visit(&self, tag: u32, mut visit: impl FnMut(&[u8], &[u8])) -> u32 {
        self.stripe.index.visit_home(&self.core.index, tag, |slot| {
            let entry = self.entry(slot.offset());
            let key = entry.key(entry.header());
            let _closed = self.env.seqlocks.of(self.env.hasher.hash(key)).close();
            let header = entry.header();
            if !self.expired(entry, header) && header.extra() & extension::ABSENT == 0 {
                // SAFETY: it is closed until the visit is over.
                visit(key, unsafe { self.value(entry, header) });
            }
        })
    }
}
