//! A log: a stripe's segments in the order they were opened, and where the drain stands.

use crate::space::{NONE, Space};
use crate::sync::Ordering;

/// A list of segments from the oldest (tail) to the youngest (head). New entries go into the open one.
pub struct Log {
    /// The segment that takes new entries, or NONE.
    pub open: u32,
    /// The segment that a compaction fills, or NONE. It stands where its first source stood.
    pub filling: u32,
    /// The oldest segment.
    pub tail: u32,
    head: u32,
    /// Where the drain stands in the tail: an offset within it.
    pub cursor: u64,
    /// The offset in the space of the entry that was looked at ahead of the drain, or 0, and the hash of its key.
    pub ahead: (u64, u64),
    /// Bytes of live entries.
    pub live: u64,
    /// Live entries.
    pub entries: u64,
    /// Bytes of all its segments, dead or alive.
    pub footprint: u64,
}

impl Log {
    /// An empty log.
    pub fn new() -> Log {
        let (live, entries, footprint) = (0, 0, 0);
        Log { open: NONE, filling: NONE, tail: NONE, head: NONE, cursor: 0, ahead: (0, 0), live, entries, footprint }
    }

    /// Whether a segment still takes entries.
    #[inline]
    pub fn is_open(&self, id: u32) -> bool {
        id == self.open || id == self.filling
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

    /// Takes a segment out. It is no longer the open one, and the drain starts anew if it stood there.
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
        if self.open == id {
            self.open = NONE;
        }
        if self.filling == id {
            self.filling = NONE;
        }
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
