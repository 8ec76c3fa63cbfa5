//! Appending: how entries get into segments, and what is accounted for when they come, and when
//! they go.

use crate::entry::{self, Entry, Header};
use crate::memory::NONE;
use crate::policy::{Placement, Ticks};
use crate::stripe::DEFERRED;
use crate::stripe::request::{Cause, Store};
use crate::stripe::writer::Writer;
use crate::sys::atomic::Ordering;

/// Entries that there should be room for in an open segment, before a set by the fast path: its
/// own, and some that are kept.
const PREPARED: u64 = 3;
/// The largest segments that are made younger: to walk through one takes some microseconds. Where
/// they are larger there are so many that each is filled in time.
const RENEWED: u64 = 16 << 10;

impl<'a, const FAST: bool> Writer<'a, FAST> {
    /// Writes an entry at the young end of a log. None if there is no room. (Not inlined: it would
    /// grow the frame of every insert.)
    #[inline(never)]
    pub fn append(&mut self, clock: Ticks, to: Placement, store: &Store<'_>) -> Option<u64> {
        let mut shape = store.shape();
        let size = shape.size() as u64;
        let id = if self.env.space.wants_run(size) {
            if FAST {
                return None;
            }
            let id = self.env.space.take_run(size + 8)?;
            shape.run = Some(id);
            self.adopt(id, to.log, clock.time);
            id
        } else {
            self.room(clock, to.log, size, false)?
        };
        let steps = self.steps(id, clock);
        let size = shape.size() as u64;
        let start = self.start(id, size);
        // SAFETY: `start` has found `size` aligned bytes that belong to this stripe's log and that
        // no published entry reaches.
        unsafe { entry::write(start, &shape, to.bits, steps, store.key, store.value) };
        Some(self.account(id, size, shape.run.is_some(), shape.deadline))
    }

    /// Writes a copy of an entry, which is not a run, at the young end of a log. None if there is
    /// no room. The caller holds the key's sequence, and has read the header since.
    pub fn append_copy(
        &mut self,
        clock: Ticks,
        to: Placement,
        entry: Entry<'_>,
        header: Header,
    ) -> Option<u64> {
        let id = self.room(clock, to.log, header.size() as u64, true)?;
        Some(self.copy_to(id, entry, header, to.bits, self.steps(id, clock)))
    }

    /// As [`Writer::append_copy`], behind what a segment holds, which must have room.
    pub fn copy_to(
        &mut self,
        id: u32,
        entry: Entry<'_>,
        header: Header,
        bits: u8,
        steps: u32,
    ) -> u64 {
        let size = header.size() as u64;
        let start = self.start(id, size);
        // SAFETY: `start` has found `size` aligned bytes that belong to this stripe's log and that
        // no published entry reaches. The sequence is odd: both callers hold it.
        unsafe { entry::write_copy(start, entry, header, bits, steps) };
        self.account(id, size, false, entry.deadline(header))
    }

    /// The segment at the young end of a log, with room for so many bytes. The fast path opens none
    /// here, where its stack is deep, but before ([`Writer::prepare`]).
    pub fn room(&mut self, clock: Ticks, log: usize, size: u64, for_keep: bool) -> Option<u32> {
        let id = match self.opened(clock, log, size) {
            Some(id) => id,
            None if FAST => return None,
            None => match self.renewed(clock, log, size) {
                Some(id) => id,
                None => self.open(clock, log, for_keep)?,
            },
        };
        self.core.logs[log & 1].young.take(id, size);
        Some(id)
    }

    /// Whether an entry of this size can be appended without opening a segment.
    #[inline]
    pub fn has_room(&self, log: usize, size: u64, clock: Ticks) -> bool {
        !self.env.space.wants_run(size) && self.opened(clock, log, size).is_some()
    }

    /// Opens segments in which there is little room left, for a call that is about to append
    /// entries of some such size. What is left isn't lost: it is the rest from then on.
    #[inline]
    pub fn prepare(&mut self, clock: Ticks, size: u64) {
        let wanted = if self.core.in_order { size } else { PREPARED * size };
        for log in 0..2 {
            let young = &self.core.logs[log].young;
            if young.room < wanted && young.open != NONE {
                self.open(clock, log, false);
            }
        }
    }

    /// Opens a segment at the young end of a log.
    #[cold]
    #[inline(never)]
    fn open(&mut self, clock: Ticks, log: usize, for_keep: bool) -> Option<u32> {
        let space = &self.env.space;
        let fresh =
            if FAST { space.try_take_segment(for_keep) } else { space.take_segment(for_keep) }?;
        self.adopt(fresh, log, clock.time);
        let room = self.left(fresh);
        let (open, rest) = (self.core.logs[log & 1].young.open, self.core.logs[log & 1].young.rest);
        if rest != NONE && !self.is_young(rest, clock) {
            self.core.logs[log & 1].young.left = 0;
        }
        let keeps = open != NONE && !self.core.in_order && self.is_young(open, clock);
        let left = if keeps { self.left(open) } else { 0 };
        let done = self.core.logs[log & 1].young.go_on(fresh, room, left);
        self.closed(done);
        Some(fresh)
    }

    /// The segment at the young end of a log that takes an entry of so many bytes without another
    /// being taken: the rest before the open one.
    #[inline]
    pub fn opened(&self, clock: Ticks, log: usize, size: u64) -> Option<u32> {
        let young = &self.core.logs[log & 1].young;
        if size <= young.left && self.is_young(young.rest, clock) {
            return Some(young.rest);
        }
        (size <= young.room && young.open != NONE && self.is_young(young.open, clock))
            .then_some(young.open)
    }

    /// The open segment of a log, if it has grown too old to say when entries come, while much of
    /// it is still empty: it is made younger, and with it those of its entries that came first.
    /// Those are older than anything the policy compares them with anyhow. (A log that grows slowly
    /// would lose half of its memory else; in a cache of 1 MiB that was an eighth of all.)
    fn renewed(&mut self, clock: Ticks, log: usize, size: u64) -> Option<u32> {
        let id = self.core.logs[log & 1].young.open;
        if id == NONE
            || self.is_young(id, clock)
            || self.left(id) < size.max(self.env.space.segment_size() / 16)
        {
            return None;
        }
        let segment = self.env.space.segment(id);
        if segment.capacity() > RENEWED {
            return None;
        }
        let before = segment.stamp.load(Ordering::Relaxed);
        let after = clock.time.wrapping_sub((entry::MAX_STEPS / 2) << clock.step_bits);
        let later = after.wrapping_sub(before) >> clock.step_bits;
        let mut at = segment.first();
        while at < segment.used.load(Ordering::Relaxed) {
            let entry = self.entry(segment.start() + at);
            let header = entry.header();
            entry.set_steps(header.steps().saturating_sub(later));
            at += header.size() as u64;
        }
        segment.stamp.store(after, Ordering::Relaxed);
        Some(id)
    }

    /// Steps of the policy's clock since a segment was opened.
    #[inline]
    pub fn steps(&self, id: u32, clock: Ticks) -> u32 {
        clock.time.wrapping_sub(self.env.space.segment(id).stamp.load(Ordering::Relaxed))
            >> clock.step_bits
    }

    /// Whether a segment isn't too old to say when an entry came.
    #[inline]
    fn is_young(&self, id: u32, clock: Ticks) -> bool {
        self.steps(id, clock) <= entry::MAX_STEPS
    }

    /// Whether so many bytes fit behind what a segment holds.
    #[inline]
    pub fn fits(&self, id: u32, size: u64) -> bool {
        id != NONE && size <= self.left(id)
    }

    /// Bytes behind what a segment holds.
    #[inline]
    pub fn left(&self, id: u32) -> u64 {
        let segment = self.env.space.segment(id);
        segment.capacity() - segment.used.load(Ordering::Relaxed)
    }

    /// Where the next entry of a segment goes, which must have room for it.
    #[inline]
    pub fn start(&self, id: u32, size: u64) -> *mut u8 {
        let space = &self.env.space;
        let segment = space.segment(id);
        let used = segment.used.load(Ordering::Relaxed);
        debug_assert!(used + size <= segment.capacity());
        space.base().wrapping_add((segment.start() + used) as usize)
    }

    /// Accounts for an entry that was written where [`Writer::start`] said, and returns its offset.
    #[inline]
    pub fn account(&mut self, id: u32, size: u64, run: bool, deadline: Option<u64>) -> u64 {
        let segment = self.env.space.segment(id);
        let used = segment.used.load(Ordering::Relaxed);
        segment.used.store(used + size, Ordering::Relaxed);
        segment.live.store(segment.live.load(Ordering::Relaxed) + size, Ordering::Relaxed);
        if let Some(deadline) = deadline {
            self.due(id, used, deadline);
        }
        let log = &mut self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1];
        log.live += size;
        log.entries += 1;
        self.core.owed.debt += if run { segment.capacity() as i64 } else { size as i64 };
        segment.start() + used
    }

    /// Notes that the entry at a byte of a segment expires at a time.
    #[inline]
    pub fn due(&mut self, id: u32, at: u64, deadline: u64) {
        let segment = self.env.space.segment(id);
        if deadline < segment.min_deadline.load(Ordering::Relaxed) {
            segment.min_deadline.store(deadline, Ordering::Relaxed);
        }
        if !self.env.space.is_run(id) {
            self.env.space.part(id, at).note(segment.base.load(Ordering::Relaxed), deadline, at);
        }
        self.core.sweep.note(deadline);
        self.stripe.due(deadline);
    }

    pub fn adopt(&mut self, id: u32, log: usize, stamp: u32) {
        let segment = self.env.space.segment(id);
        segment.log.store(log as u32, Ordering::Relaxed);
        segment.stamp.store(stamp, Ordering::Relaxed);
        self.env.space.set_base(id, self.env.clock.now());
        self.core.logs[log & 1].push(&self.env.space, id);
        self.stripe.footprint.fetch_add(segment.capacity(), Ordering::Relaxed);
        self.pressure = self.env.space.pressure();
    }

    /// Closes a segment, if it is one of a log's that take entries.
    pub fn close(&mut self, log: usize, id: u32) {
        let log = &mut self.core.logs[log & 1];
        if log.young.forget(id) || log.filling.forget(id) {
            self.closed(id);
        }
    }

    /// Accounts for a segment that takes no more entries. What is left of it is lost until it is
    /// drained.
    pub fn closed(&mut self, id: u32) {
        if id != NONE {
            let segment = self.env.space.segment(id);
            if segment.live.load(Ordering::Relaxed) == 0 {
                self.emptied(id);
            } else {
                self.core.owed.debt += self.left(id) as i64;
            }
        }
    }

    /// Accounts for an entry that the index no longer points at (or never will again).
    #[inline]
    pub fn kill(&mut self, offset: u64, entry: Entry<'_>, header: Header, cause: Cause) {
        let id = self.segment_of(offset, entry, header);
        self.kill_in(id, entry, header, cause);
    }

    /// As [`Writer::kill`], for who knows the segment.
    #[inline]
    pub fn kill_in(&mut self, id: u32, entry: Entry<'_>, header: Header, cause: Cause) {
        let size = header.size() as u64;
        entry.mark_dead();
        let segment = self.env.space.segment(id);
        let live = segment.live.load(Ordering::Relaxed) - size;
        segment.live.store(live, Ordering::Relaxed);
        let log = &mut self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1];
        log.live -= size;
        log.entries -= 1;
        if id != log.tail {
            self.core.compaction.died += size;
        }
        let tally = &mut self.core.tally;
        match cause {
            Cause::Overwritten | Cause::Moved => {}
            Cause::Deleted => tally.deletes += 1,
            Cause::Expired => tally.expirations += 1,
            Cause::Invalidated => tally.invalidations += 1,
            Cause::Evicted => tally.evictions += 1,
        }
        if !matches!(cause, Cause::Overwritten | Cause::Moved) {
            self.give_place_back();
        }
        if self.core.events.wants(cause as u8) {
            self.tell(entry, header, cause);
        }
        if live == 0
            && !self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1].is_open(id)
        {
            self.emptied(id);
        }
    }

    /// Gives up a closed segment without live entries; the fast path leaves that until its call has
    /// done what it came for.
    #[inline]
    fn emptied(&mut self, id: u32) {
        if FAST {
            // A call leaves at most one by its set or delete, and stops draining at the first;
            // rotations add up to four. Six may be closed besides, where the drain comes to them: a
            // rest and what compactions fill.
            debug_assert!(self.core.owed.deferred_len < DEFERRED);
            self.core.deferred[self.core.owed.deferred_len % DEFERRED] = id;
            self.core.owed.deferred_len += 1;
        } else {
            self.give_up(id);
        }
    }

    /// Gives up what the fast path has left. False if it can't now, on the fast path.
    #[inline]
    pub fn flush(&mut self) -> bool {
        self.core.owed.deferred_len == 0 || self.flush_all()
    }

    #[cold]
    #[inline(never)]
    fn flush_all(&mut self) -> bool {
        while self.core.owed.deferred_len > 0 {
            let last = self.core.owed.deferred_len - 1;
            if !self.give_up(self.core.deferred[last % DEFERRED]) {
                return false;
            }
            self.core.owed.deferred_len = last;
        }
        true
    }

    /// Notes what became of an entry, for whoever wants to hear of it. Apart, so that `kill` stays
    /// small enough to be inlined in an overwriting set.
    #[cold]
    #[inline(never)]
    pub fn tell(&mut self, entry: Entry<'_>, header: Header, cause: Cause) {
        self.core.events.push(cause as u8, entry.key(header), header.value_len());
    }

    /// Unlinks a segment without live entries: it is free after a grace period. False if the fast
    /// path would have to wait for that.
    pub fn give_up(&mut self, id: u32) -> bool {
        let space = &self.env.space;
        let capacity = space.segment(id).capacity();
        if FAST {
            if !space.try_retire(id, || self.unlink(id)) {
                return false;
            }
        } else {
            self.unlink(id);
            space.retire(id);
        }
        self.stripe.footprint.fetch_sub(capacity, Ordering::Relaxed);
        self.pressure = self.env.space.pressure();
        true
    }

    /// Takes a segment without live entries out of its log.
    fn unlink(&mut self, id: u32) {
        let segment = self.env.space.segment(id);
        debug_assert_eq!(segment.live.load(Ordering::Relaxed), 0);
        let log = &mut self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1];
        // What was passed of it has been counted, but for runs, whose size is the whole segment's.
        let passed = if self.core.compaction.source.0 == id {
            self.core.compaction.source.1
        } else if log.tail == id && !self.env.space.is_run(id) {
            log.cursor
        } else {
            0
        };
        self.core.owed.debt -= segment.capacity().saturating_sub(passed) as i64;
        let newer = segment.newer.load(Ordering::Relaxed);
        log.unlink(&self.env.space, id);
        if self.core.compaction.source.0 == id {
            self.core.compaction.source = (NONE, 0);
        }
        // Runs are many and small: not for each of them all segments are looked through.
        self.core.compaction.given_up += segment.capacity();
        if self.core.compaction.given_up >= self.env.space.segment_size() {
            self.core.compaction.given_up = 0;
            self.core.compaction.choose = true;
        }
        self.core.sweep.leaves(id, newer);
    }

    /// Makes an entry expire at another time. False if it has no room for a deadline.
    pub fn redate(&mut self, offset: u64, entry: Entry<'_>, header: Header, deadline: u64) -> bool {
        if !header.has_deadline() {
            return false;
        }
        entry.set_deadline(header, deadline);
        let id = self.segment_of(offset, entry, header);
        self.due(id, offset - self.env.space.segment(id).start(), deadline);
        true
    }
}
