//! The sweep: what the maintenance thread does to a stripe, to give the bytes of expired entries back.
//!
//! A sweep is a round over the stripe's segments, a bounded number of steps each time the lock is taken. A segment knows a
//! time before which nothing in it expires, and so does each of its parts of [`PART`] bytes (`Space::note_deadline`), for
//! where lifetimes are mixed nearly every segment has something due all the time: of it only the parts that are due are
//! walked. What expired within the last [`DEFER`] milliseconds alone makes nothing due; so a part with many deadlines is
//! walked once for several of them.

use crate::space::{NONE, PART};
use crate::stripe::{Cause, Writer};
use crate::sync::Ordering;

/// How long a segment may hold something expired before it is due, in milliseconds.
pub const DEFER: u64 = 250;

/// Where a sweep stands.
pub struct Sweep {
    /// The log, and the segment in it; NONE for its tail.
    log: usize,
    id: u32,
    /// The next entry or part in the segment; NEW when it was not looked at.
    at: u64,
    /// No entry in what was passed, or was appended since the round began, expires before this.
    earliest: u64,
}

const NEW: u64 = u64::MAX;

impl Sweep {
    /// At the beginning of a round.
    pub fn new() -> Sweep {
        Sweep { log: 0, id: NONE, at: NEW, earliest: u64::MAX }
    }

    /// Takes notice of an entry that is appended.
    #[inline]
    pub fn note(&mut self, deadline: u64) {
        self.earliest = self.earliest.min(deadline);
    }

    /// Takes notice that a segment is about to leave its log; `newer` comes after it.
    pub fn leaves(&mut self, id: u32, newer: u32) {
        if self.id == id {
            self.go_to(newer);
        }
    }

    fn go_to(&mut self, id: u32) {
        (self.id, self.at) = (id, NEW);
        if id == NONE {
            self.log += 1;
        }
    }

    /// Whether a segment is being swept: what it says of deadlines is complete only after.
    pub fn is_at(&self, id: u32) -> bool {
        self.id == id
    }
}

impl<const FAST: bool> Writer<'_, FAST> {
    /// Removes expired entries where a deadline is [`DEFER`] old, in about `most` steps (an entry, a part or a segment looked
    /// at). Returns whether the round is finished; the stripe's `next_deadline` is then as late as can be.
    pub fn sweep(&mut self, now: u64, most: usize) -> bool {
        let due = now.saturating_sub(DEFER);
        let mut visited = 0;
        while visited < most {
            visited += 1;
            if self.core.sweep.log > 1 {
                self.stripe.next_deadline.store(self.core.sweep.earliest, Ordering::Release);
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
            self.sweep_segment(now, due, most, &mut visited);
            if self.stripe.index.wants_steps(&self.core.index) {
                self.stripe.index.steps(&mut self.core.index, &self.shared.space, &self.shared.index_space);
            }
        }
        false
    }

    fn sweep_segment(&mut self, now: u64, due: u64, most: usize, visited: &mut usize) {
        let space = &self.shared.space;
        let id = self.core.sweep.id;
        let segment = space.segment(id);
        if self.core.sweep.at == NEW {
            let earliest = segment.min_deadline.load(Ordering::Relaxed);
            if earliest > due {
                self.core.sweep.note(earliest);
                self.core.sweep.go_to(segment.newer.load(Ordering::Relaxed));
                return;
            }
            // What is found, appended or kept from here on lowers it again.
            segment.min_deadline.store(u64::MAX, Ordering::Relaxed);
            self.core.sweep.at = 0;
        }
        let lower = |deadline: u64| {
            if deadline < segment.min_deadline.load(Ordering::Relaxed) {
                segment.min_deadline.store(deadline, Ordering::Relaxed);
            }
        };
        while self.core.sweep.at < segment.used.load(Ordering::Relaxed) {
            if *visited >= most {
                return;
            }
            *visited += 1;
            let mut at = self.core.sweep.at;
            if !space.is_run(id) && at.is_multiple_of(PART) {
                let part = space.part(id, at);
                if let Some((_, first)) = part.get().filter(|part| part.0 <= due) {
                    part.clear();
                    at = first;
                } else {
                    if let Some((earliest, _)) = part.get() {
                        lower(earliest);
                    }
                    self.core.sweep.at += PART;
                    continue;
                }
            }
            // The entries of one part, or those that fit this hold.
            let end = if space.is_run(id) { u64::MAX } else { at / PART * PART + PART };
            loop {
                let offset = segment.start() + at;
                let entry = self.entry(offset);
                let header = entry.header();
                let deadline = entry.deadline(header).filter(|_| !header.is_dead());
                let next = at + header.size() as u64;
                let done = next >= end || next >= segment.used.load(Ordering::Relaxed);
                self.core.sweep.at = if done { end.min(segment.capacity()) } else { next };
                match deadline {
                    Some(deadline) if deadline <= now => {
                        let hash = self.shared.hasher.hash(entry.key(header));
                        self.unindex(hash, offset);
                        self.kill(offset, entry, header, Cause::Expired);
                        if self.core.sweep.id != id || self.core.sweep.at == NEW {
                            return;
                        }
                    }
                    Some(deadline) => {
                        lower(deadline);
                        if !space.is_run(id) {
                            space.part(id, at).note(deadline, at);
                        }
                    }
                    None => {}
                }
                if done {
                    break;
                }
                at = next;
                *visited += 1;
                if *visited >= most {
                    return;
                }
            }
        }
        self.core.sweep.note(segment.min_deadline.load(Ordering::Relaxed));
        self.core.sweep.go_to(segment.newer.load(Ordering::Relaxed));
    }
}
