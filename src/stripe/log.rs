//! A log: a stripe's segments in the order they were opened, and where the drain stands.

use crate::memory::{NONE, Space};
use crate::sys::atomic::Ordering;

/// The segments that take entries from one source: the open one, and the *rest*, which was open
/// before and whose last bytes wait for entries that are small enough. With entries of many sizes
/// little is lost at a segment's end so; with entries of one size the rest takes none, and costs a
/// comparison.
pub struct Frontier {
    /// The open segment, or NONE.
    pub open: u32,
    /// The rest, or NONE.
    pub rest: u32,
    /// Bytes that entries may still take of the rest. Known here, so that its line in the table is
    /// touched by those only that fit.
    pub left: u64,
    /// Bytes behind what the open one holds: known here for the same reason. 0 if there is none.
    pub room: u64,
}

impl Frontier {
    const NONE: Frontier = Frontier { open: NONE, rest: NONE, left: 0, room: 0 };

    /// Whether a segment still takes entries.
    #[inline]
    pub fn has(&self, id: u32) -> bool {
        id == self.open || id == self.rest
    }

    /// Takes notice that so many bytes of a segment are being taken.
    #[inline]
    pub fn take(&mut self, id: u32, size: u64) {
        if id == self.rest {
            self.left -= size;
        } else {
            self.room -= size;
        }
    }

    /// Goes on with a fresh segment that has so much room. The open one, with so many bytes left
    /// for others, or the rest, whichever has more, is the rest from now on; the other is returned,
    /// to be closed.
    pub fn go_on(&mut self, fresh: u32, room: u64, left: u64) -> u32 {
        self.room = room;
        let old = std::mem::replace(&mut self.open, fresh);
        if left <= self.left {
            return old;
        }
        self.left = left;
        std::mem::replace(&mut self.rest, old)
    }

    /// Forgets a segment. False if it was none of them.
    pub fn forget(&mut self, id: u32) -> bool {
        if self.open == id {
            (self.open, self.room) = (NONE, 0);
        } else if self.rest == id {
            (self.rest, self.left) = (NONE, 0);
        } else {
            return false;
        }
        true
    }
}

/// A list of segments from the oldest (tail) to the youngest (head).
pub struct Log {
    /// What takes new entries.
    pub young: Frontier,
    /// The oldest segment.
    pub tail: u32,
    head: u32,
    /// Where the drain stands in the tail: an offset within it.
    pub cursor: u64,
    /// The offset in the space of the entry that was looked at ahead of the drain, or 0, and the
    /// hash of its key.
    pub ahead: (u64, u64),
    /// Bytes of live entries.
    pub live: u64,
    /// Live entries.
    pub entries: u64,
    /// Bytes of all its segments, dead or alive.
    pub footprint: u64,
    /// What a compaction fills. Each stands where its first source stood.
    pub filling: Frontier,
}

impl Log {
    /// An empty log.
    pub fn new() -> Log {
        let (live, entries, footprint) = (0, 0, 0);
        Log {
            young: Frontier::NONE,
            tail: NONE,
            head: NONE,
            cursor: 0,
            ahead: (0, 0),
            live,
            entries,
            footprint,
            filling: Frontier::NONE,
        }
    }

    /// Whether a segment still takes entries.
    #[inline]
    pub fn is_open(&self, id: u32) -> bool {
        self.young.has(id) || self.filling.has(id)
    }

    /// Adds a segment at the young end.
    pub fn push(&mut self, space: &Space, id: u32) {
        let segment = space.segment(id);
        segment.older.store(self.head, Ordering::Relaxed);
        segment.newer.store(NONE, Ordering::Relaxed);
        if self.head == NONE {
            self.tail = id;
            self.cursor = segment.first();
        } else {
            space.segment(self.head).newer.store(id, Ordering::Relaxed);
        }
        self.head = id;
        self.footprint += segment.capacity();
    }

    /// Adds a segment on the young side of another.
    pub fn insert_after(&mut self, space: &Space, id: u32, older: u32) {
        let newer = space.segment(older).newer.load(Ordering::Relaxed);
        if newer == NONE {
            return self.push(space, id);
        }
        let segment = space.segment(id);
        segment.older.store(older, Ordering::Relaxed);
        segment.newer.store(newer, Ordering::Relaxed);
        space.segment(older).newer.store(id, Ordering::Relaxed);
        space.segment(newer).older.store(id, Ordering::Relaxed);
        self.footprint += segment.capacity();
    }

    /// Takes a segment out. It takes no more entries, and the drain starts anew if it stood there.
    pub fn unlink(&mut self, space: &Space, id: u32) {
        let segment = space.segment(id);
        let older = segment.older.load(Ordering::Relaxed);
        let newer = segment.newer.load(Ordering::Relaxed);
        if older == NONE {
            // Its memory will be used again, for other keys.
            self.ahead = (0, 0);
            self.tail = newer;
            self.cursor = if newer == NONE { 0 } else { space.segment(newer).first() };
        } else {
            space.segment(older).newer.store(newer, Ordering::Relaxed);
        }
        if newer == NONE {
            self.head = older;
        } else {
            space.segment(newer).older.store(older, Ordering::Relaxed);
        }
        self.young.forget(id);
        self.filling.forget(id);
        self.footprint -= segment.capacity();
    }

    /// The segments, oldest first.
    pub fn segments<'a>(&self, space: &'a Space) -> impl Iterator<Item = u32> + use<'a> {
        let mut next = self.tail;
        std::iter::from_fn(move || {
            let id = next;
            (id != NONE).then(|| {
                next = space.segment(id).newer.load(Ordering::Relaxed);
                id
            })
        })
    }
}

/// Where a sweep stands.
pub struct Sweep {
    /// The log, and the segment in it; NONE for its tail.
    pub log: usize,
    pub id: u32,
    /// The next entry or part in the segment; NEW when it was not looked at.
    pub at: u64,
    /// No entry in what was passed, or was appended since the round began, expires before this.
    pub earliest: u64,
}

/// Not looked at: see [`Sweep`].
pub const NEW: u64 = u64::MAX;

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

    pub fn go_to(&mut self, id: u32) {
        (self.id, self.at) = (id, NEW);
        if id == NONE {
            self.log += 1;
        }
    }

    /// Whether a segment is being swept: what it says of deadlines is complete only after.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn is_at(&self, id: u32) -> bool {
        self.id == id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_two_segments_before_the_one_with_more_room_is_the_rest() {
        let mut young = Frontier::NONE;
        assert_eq!(young.go_on(1, 1000, 0), NONE);
        assert_eq!((young.open, young.rest), (1, NONE));
        assert_eq!(young.go_on(2, 1000, 300), NONE);
        assert_eq!((young.open, young.rest, young.left), (2, 1, 300));
        young.take(2, 100);
        young.take(1, 100);
        assert_eq!((young.left, young.room), (200, 900));
        assert_eq!(young.go_on(3, 1000, 200), 2);
        assert_eq!((young.open, young.rest, young.left), (3, 1, 200));
        assert_eq!(young.go_on(4, 1000, 208), 1);
        assert_eq!((young.open, young.rest, young.left), (4, 3, 208));
        assert!(young.has(3) && young.has(4) && !young.has(1));
        assert!(!young.forget(1) && young.forget(3));
        assert_eq!((young.rest, young.left), (NONE, 0));
        assert!(young.forget(4));
        assert_eq!(young.open, NONE);
    }
}
