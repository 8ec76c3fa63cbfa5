//! Compaction: making room by moving what lives out of segments that hold much that is dead.

use crate::index::{Slot, tag_of};
use crate::memory::NONE;
use crate::stripe::request::Cause;
use crate::stripe::writer::Writer;
use crate::sys::atomic::Ordering;

/// A segment is compacted when more than so many thirty-seconds of it are dead. Three keep nine
/// tenths of the memory alive under overwrites all over (Rosenblum and Ousterhout 1992: who cleans
/// the emptiest segments of a log that is 94 % alive finds them 88 % alive), for two to five bytes
/// copied for each appended; where overwrites or deadlines cluster it is a fraction of one. What a
/// segment's last entry left over isn't counted: whatever the others are moved to will have as much
/// left over.
const COMPACT_AT: u64 = 3;

/// What a step of a compaction came to.
#[derive(PartialEq, Eq)]
pub enum Compacted {
    /// An entry was moved or removed.
    Some,
    /// There is no segment to move it to.
    NoRoom,
}

impl<const FAST: bool> Writer<'_, FAST> {
    /// The closed segment with the most dead bytes, if they are worth copying the others.
    pub fn sparsest(&mut self) -> Option<u32> {
        // To look through all segments for each one that is given up is much, in vain where nothing
        // dies but at the logs' old ends.
        if self.core.compaction.died < self.core.compaction.sparse_at {
            return None;
        }
        let space = &self.env.space;
        let enough = space.segment_size() * COMPACT_AT / 32;
        let (mut best, mut most, mut most_of_all) = (None, enough, 0);
        for log in &self.core.logs {
            for id in log.segments(space) {
                // What is dead at the drain's place is about to be free anyhow; a run is all or
                // nothing.
                if id == log.tail || space.is_run(id) {
                    continue;
                }
                let segment = space.segment(id);
                let dead =
                    segment.used.load(Ordering::Relaxed) - segment.live.load(Ordering::Relaxed);
                most_of_all = most_of_all.max(dead);
                if dead > most && !log.is_open(id) {
                    (best, most) = (Some(id), dead);
                }
            }
        }
        // If there is none, so many bytes more must die before there is one.
        self.core.compaction.sparse_at =
            self.core.compaction.died + (enough + 1).saturating_sub(most_of_all);
        best
    }

    /// Moves the next live entry of the segment that is being compacted to the one that takes its
    /// place in the log.
    pub fn compact_one(&mut self, step_bits: u32) -> Compacted {
        let space = &self.env.space;
        let (id, mut at) = self.core.compaction.source;
        let segment = space.segment(id);
        let number = segment.log.load(Ordering::Relaxed) as usize;
        while at < segment.used.load(Ordering::Relaxed) {
            let offset = segment.start() + at;
            let entry = self.entry(offset);
            let header = entry.header();
            let size = header.size() as u64;
            if header.is_dead() {
                if self.core.owed.patience == 0 {
                    return Compacted::Some;
                }
                self.core.owed.patience -= 1;
                at += size;
                self.core.compaction.source.1 = at;
                self.core.owed.debt -= size as i64;
                continue;
            }
            let key = entry.key(header);
            let hash = self.env.hasher.hash(key);
            if self.expired(entry, header) {
                if let Some(cause) = self.take_gone(hash, offset, entry) {
                    self.core.compaction.source.1 = at + size;
                    self.core.owed.debt -= size as i64;
                    self.kill(offset, entry, header, cause);
                } else if FAST {
                    return Compacted::NoRoom;
                }
                return Compacted::Some;
            }
            let filling = &self.core.logs[number & 1].filling;
            let mut target = if size <= filling.left { filling.rest } else { filling.open };
            if !self.fits(target, size) {
                let taken =
                    if FAST { space.try_take_segment(true) } else { space.take_segment(true) };
                let Some(fresh) = taken else { return Compacted::NoRoom };
                let opened = space.segment(fresh);
                opened.log.store(number as u32, Ordering::Relaxed);
                opened.stamp.store(segment.stamp.load(Ordering::Relaxed), Ordering::Relaxed);
                space.set_base(fresh, self.env.clock.now());
                self.core.logs[number & 1].insert_after(space, fresh, id);
                self.stripe.footprint.fetch_add(opened.capacity(), Ordering::Relaxed);
                let left = if target == NONE { 0 } else { self.left(target) };
                let done = self.core.logs[number & 1].filling.go_on(
                    fresh,
                    opened.capacity() - opened.first(),
                    left,
                );
                self.closed(done);
                target = fresh;
            }
            let Some(sequence) = self.hold(hash) else { return Compacted::NoRoom };
            // As it is now: it may have been overwritten since it was looked at.
            let header = entry.header();
            self.core.compaction.source.1 = at + size;
            self.core.owed.debt -= size as i64;
            if let Some(place) = self.stripe.index.place_of(&self.core.index, hash, offset) {
                self.core.logs[number & 1].filling.take(target, size);
                // As old as it was, as far as the target can say.
                let stamp = |id| space.segment(id).stamp.load(Ordering::Relaxed);
                let age = stamp(id)
                    .wrapping_sub(stamp(target))
                    .wrapping_add(header.steps() << step_bits) as i32;
                let steps = age.max(0) as u32 >> step_bits;
                let new = self.copy_to(target, entry, header, header.policy_bits(), steps);
                self.stripe.index.replace(
                    &mut self.core.index,
                    place,
                    Slot::new(tag_of(hash), new),
                );
                sequence.end();
                if self.core.pace.newest == offset {
                    self.core.pace.newest = new;
                }
                self.core.tally.copied += size;
                self.kill(offset, entry, header, Cause::Moved);
            } else {
                // Lost from the index (see `Index::step`).
                sequence.end();
                self.kill(offset, entry, header, Cause::Evicted);
            }
            return Compacted::Some;
        }
        // Its last live entry would have given it up, unless the fast path left that to be done.
        debug_assert!(FAST);
        Compacted::NoRoom
    }
}
