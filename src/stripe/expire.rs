//! The sweep: what the maintenance thread does to a stripe, to give the bytes of expired entries
//! back.
//!
//! A sweep is a round over the stripe's segments, a bounded number of steps each time the lock is
//! taken. A segment knows a time before which nothing in it expires, and so does each of its parts
//! of [`PART`] bytes (`Space::note_deadline`), for where lifetimes are mixed nearly every segment
//! has something due all the time: of it only the parts that are due are walked. What expired
//! within the last [`DEFER`] milliseconds alone makes nothing due; so a part with many deadlines is
//! walked once for several of them.
//!
//! What a sweep costs is cache misses: nothing that it touches has been touched lately. So they
//! overlap. While one part is walked, the next one that is due is on its way from memory; expired
//! entries are gathered, and while more are looked for the index buckets of those come.

use crate::entry::freshness;
use crate::memory::{NONE, PART, first_due};
use crate::stripe::log::{NEW, Sweep};
use crate::stripe::request::Cause;
use crate::stripe::writer::Writer;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::prefetch::prefetch;

/// How long a segment may hold something expired before it is due, in milliseconds.
pub const DEFER: u64 = 100;

/// Entries that are removed together: while they are gathered their index buckets are on the way
/// from memory.
const BATCH: usize = 16;

/// Units of work that it is to remove an entry.
const REMOVAL: usize = 4;
/// That it is to get a part from memory.
const FETCH: usize = 20;
/// Parts whose words are looked at in a unit of work.
const WORDS: usize = 8;

/// Expired entries that are in the index still: hash and offset.
struct Batch {
    found: [(u64, u64); BATCH],
    len: usize,
}

/// A part that is due: where it begins, and where its first entry with a deadline does.
#[derive(Clone, Copy)]
struct Due {
    start: u64,
    first: u64,
}

/// Brings a time forward, under the lock.
#[inline]
fn lower(time: &AtomicU64, to: u64) {
    if to < time.load(Ordering::Relaxed) {
        time.store(to, Ordering::Relaxed);
    }
}

impl<const FAST: bool> Writer<'_, FAST> {
    /// Removes expired entries where a deadline is [`DEFER`] old, for about `most` units of work:
    /// to look at an entry is one, some 10 nanoseconds. Returns whether the round is finished; the
    /// stripe's `next_deadline` is then as late as can be.
    pub fn sweep(&mut self, now: u64, most: usize) -> bool {
        let due = now.saturating_sub(DEFER);
        let mut work = 0;
        while work < most {
            work += 1;
            if self.core.sweep.log > 1 {
                let waiting = self.pending.as_ref().map_or(u64::MAX, |pending| pending.earliest());
                self.stripe
                    .next_deadline
                    .store(self.core.sweep.earliest.min(waiting), Ordering::Release);
                self.core.sweep = Sweep::new();
                return true;
            }
            if self.core.sweep.id == NONE {
                if self.core.sweep.log == 0 {
                    self.core.sweep.earliest = u64::MAX;
                }
                let tail = self.core.logs[self.core.sweep.log & 1].tail;
                self.core.sweep.go_to(tail);
                continue;
            }
            self.sweep_segment(now, due, most, &mut work);
            if self.stripe.index.wants_steps(&self.core.index) {
                self.stripe.index.steps(
                    &mut self.core.index,
                    &self.env.space,
                    &self.env.index_space,
                );
            }
        }
        false
    }

    /// Goes on in the segment at which the sweep stands.
    fn sweep_segment(&mut self, now: u64, due: u64, most: usize, work: &mut usize) {
        let space = &self.env.space;
        let id = self.core.sweep.id;
        let segment = space.segment(id);
        if self.core.sweep.at == NEW {
            let earliest = segment.min_deadline.load(Ordering::Relaxed);
            if earliest > due {
                self.core.sweep.note(earliest);
                self.core.sweep.go_to(segment.newer.load(Ordering::Relaxed));
                return;
            }
            if !space.is_run(id) {
                space.renew_base(id, now);
            }
            // What is found, appended or kept from here on lowers it again.
            segment.min_deadline.store(u64::MAX, Ordering::Relaxed);
            self.core.sweep.at = 0;
        }
        let used = segment.used.load(Ordering::Relaxed);
        let is_run = space.is_run(id);
        let mut batch = Batch { found: [(0, 0); BATCH], len: 0 };
        let mut ahead = None;
        let mut at = self.core.sweep.at;
        // Something in any case: a hold that only forgot what the segment says would leave nobody
        // who knows its deadlines.
        let mut begun = false;
        while at < used && (*work < most || !begun) {
            begun = true;
            let mut end = used;
            if !is_run {
                if at.is_multiple_of(PART) {
                    let Some(part) = ahead.take().or_else(|| self.due_part(id, at, due, work))
                    else {
                        at = used;
                        break;
                    };
                    space.part(id, part.start).clear();
                    at = part.first;
                }
                end = at / PART * PART + PART;
                ahead = self.due_part(id, end, due, work);
                if let Some(part) = ahead {
                    *work += FETCH;
                    for line in (part.first..(part.start + PART).min(used)).step_by(64) {
                        prefetch(space.base().wrapping_add((segment.start() + line) as usize));
                    }
                }
            }
            // At least one entry, for the part's word was cleared.
            let (mut earliest, mut first) = (u64::MAX, u64::MAX);
            loop {
                *work += 1;
                let offset = segment.start() + at;
                let entry = self.entry(offset);
                let header = entry.header();
                if let Some(deadline) = entry.deadline(header).filter(|_| !header.is_dead()) {
                    if deadline > now {
                        earliest = earliest.min(deadline);
                        first = first.min(at);
                    } else {
                        let hash = self.env.hasher.hash(entry.key(header));
                        self.stripe.index.prefetch(hash);
                        batch.found[batch.len % BATCH] = (hash, offset);
                        batch.len += 1;
                    }
                }
                at += header.size() as u64;
                if batch.len == BATCH && !self.expire(id, &mut batch, work) {
                    return;
                }
                if at >= end || at >= used || *work >= most {
                    break;
                }
            }
            if first != u64::MAX {
                lower(&segment.min_deadline, earliest);
                if !is_run {
                    space.part(id, first).note(
                        segment.base.load(Ordering::Relaxed),
                        earliest,
                        first,
                    );
                }
            }
            // An entry that reaches into the next part isn't where that one's entries begin.
            at = at.min(end);
        }
        self.core.sweep.at = at;
        if self.expire(id, &mut batch, work) && at >= used {
            self.core.sweep.note(segment.min_deadline.load(Ordering::Relaxed));
            self.core.sweep.go_to(segment.newer.load(Ordering::Relaxed));
        }
    }

    /// The first part of a segment, from byte `from` on, where something is due.
    fn due_part(&self, id: u32, from: u64, due: u64, work: &mut usize) -> Option<Due> {
        let space = &self.env.space;
        let segment = space.segment(id);
        // The last part may lie behind what is used.
        let (first, last) = (from / PART, segment.used.load(Ordering::Relaxed).div_ceil(PART));
        let parts = space.parts(id).get(first as usize..last as usize).unwrap_or_default();
        let base = segment.base.load(Ordering::Relaxed);
        let (found, earliest) = first_due(parts, base, due);
        *work += found.unwrap_or(parts.len()) / WORDS;
        lower(&segment.min_deadline, earliest);
        let start = from + found? as u64 * PART;
        let (_, first) = space.part(id, start).get(base)?;
        Some(Due { start, first: start + first })
    }

    /// Removes what was gathered of a segment. False if the segment was given up with it.
    fn expire(&mut self, id: u32, batch: &mut Batch, work: &mut usize) -> bool {
        for &(hash, offset) in &batch.found[..batch.len] {
            let entry = self.entry(offset);
            if let Some(cause) = self.take_gone(hash, offset, entry) {
                self.kill(offset, entry, entry.header(), cause);
            } else if let Some(deadline) = entry.deadline(entry.header()) {
                // It was put off since it was gathered.
                self.due(id, offset - self.env.space.segment(id).start(), deadline);
            }
        }
        *work += batch.len * REMOVAL;
        batch.len = 0;
        self.core.sweep.id == id && self.core.sweep.at != NEW
    }

    /// Removes the entries of one home bucket that are invalid by their tags, makes those stale
    /// that were invalidated softly, and gives the others a stamp: they are valid as of then.
    /// Returns the tag of the index to go on with.
    pub fn settle(&mut self, tag: u32, stamp: u64) -> u32 {
        let mut invalid = [0; 64];
        let mut count = 0;
        let next = self.stripe.index.visit_home(&self.core.index, tag, |slot| {
            let entry = self.entry(slot.offset());
            let header = entry.header();
            if entry.tags(header).is_none() {
                return;
            }
            if self.env.is_invalidated(entry, header) {
                // More than one bucket is ever home to; what is left over stays invalid by its old
                // stamp.
                if let Some(place) = invalid.get_mut(count) {
                    *place = slot.offset();
                    count += 1;
                }
                return;
            }
            if self.env.is_soft(entry, header)
                && let Some(word) = entry.stale_word(header)
                && word.load(Ordering::Relaxed) >> 63 == 0
            {
                freshness::expire(word);
            }
            if entry.tags(header).is_some_and(|tags| tags.stamp < stamp) {
                entry.restamp(header, stamp);
            }
        });
        for &offset in &invalid[..count] {
            let entry = self.entry(offset);
            let header = entry.header();
            self.unindex(self.env.hasher.hash(entry.key(header)), offset);
            self.kill(offset, entry, header, Cause::Invalidated);
        }
        next
    }
}
