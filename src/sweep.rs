//! The sweep: what the maintenance thread does to a stripe, to give the bytes of expired entries back.

use crate::space::NONE;
use crate::stripe::{Cause, Writer};
use crate::sync::Ordering;

impl<const FAST: bool> Writer<'_, FAST> {
    /// Removes expired entries from segments whose earliest deadline has passed, visiting about `most` entries. Returns
    /// whether it got through; `next_deadline` is exact then.
    pub fn sweep(&mut self, now: u64, most: usize) -> bool {
        let space = &self.shared.space;
        let mut visited = 0;
        loop {
            let (mut id, mut at) = self.core.sweep;
            if id == NONE {
                let due = |&id: &u32| space.segment(id).min_deadline.load(Ordering::Relaxed) <= now;
                let logs = &self.core.logs;
                let Some(next) = logs[0].segments(space).chain(logs[1].segments(space)).find(due) else {
                    let earliest = |id| space.segment(id).min_deadline.load(Ordering::Relaxed);
                    let next = logs[0].segments(space).chain(logs[1].segments(space)).map(earliest).min();
                    self.stripe.next_deadline.store(next.unwrap_or(u64::MAX), Ordering::Release);
                    return true;
                };
                id = next;
                at = space.segment(id).first();
                // What is appended or kept meanwhile lowers it again.
                space.segment(id).min_deadline.store(u64::MAX, Ordering::Relaxed);
            }
            let segment = space.segment(id);
            let mut earliest = u64::MAX;
            while at < segment.used.load(Ordering::Relaxed) && visited < most {
                visited += 1;
                let offset = segment.start() + at;
                let entry = self.entry(offset);
                let header = entry.header();
                at += header.size() as u64;
                self.core.sweep = (id, at);
                if header.is_dead() {
                    continue;
                }
                let Some(deadline) = entry.deadline(header) else { continue };
                if deadline > now {
                    earliest = earliest.min(deadline);
                    continue;
                }
                let hash = self.shared.hasher.hash(entry.key(header));
                self.unindex(hash, offset);
                self.kill(offset, entry, header, Cause::Expired);
                if self.core.sweep.0 == NONE {
                    break;
                }
            }
            if self.core.sweep.0 != NONE {
                if earliest < segment.min_deadline.load(Ordering::Relaxed) {
                    segment.min_deadline.store(earliest, Ordering::Relaxed);
                }
                if at >= segment.used.load(Ordering::Relaxed) {
                    self.core.sweep = (NONE, 0);
                }
            }
            if self.stripe.index.wants_steps(&self.core.index) {
                self.stripe.index.steps(&mut self.core.index, space, &self.shared.index_space);
            }
            if visited >= most {
                return false;
            }
        }
    }
}
