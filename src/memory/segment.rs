//! Where things are: the table, with a line for each segment and run, and how to find a line, a
//! segment or an entry.
//!
//! Ids count segments from the bottom of the space, then runs. A segment lies where its id says; a
//! run lies wherever there was room, which only its line knows. A line holds what the stripe that
//! has the segment knows of it, its neighbours in the log among that; while it is free or in limbo,
//! the next one there (`list`).

use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};

/// No segment.
pub const NONE: u32 = u32::MAX;

/// What is known of a segment. Every field is written under the lock of the stripe that has it (or
/// by the pool); they are atomics so that statistics, views and the maintenance thread may look
/// without it. In this order: a page of the table is touched by its first word (see
/// [`crate::sys::region::Region::touch`]).
#[repr(C)]
pub struct Segment {
    pub(super) start: AtomicU64,
    pub(super) capacity: AtomicU64,
    /// Bytes appended so far.
    pub used: AtomicU64,
    /// Bytes of entries that the index points at. While it waits for its grace period: the epoch's
    /// stamp.
    pub live: AtomicU64,
    /// No entry in the segment expires before this.
    pub min_deadline: AtomicU64,
    /// Neighbours in the log: towards its tail, and towards its head.
    pub older: AtomicU32,
    /// See `older`.
    pub newer: AtomicU32,
    /// The policy's clock when the segment was opened.
    pub stamp: AtomicU32,
    /// Which of the stripe's logs it is in.
    pub log: AtomicU32,
    /// Views that keep it.
    pub pins: AtomicU32,
    /// What the times of its parts count from, in units of theirs: a time before it was opened.
    pub base: AtomicU32,
}

impl Segment {
    /// Its first byte, as an offset into the space.
    #[inline]
    pub fn start(&self) -> u64 {
        self.start.load(Ordering::Relaxed)
    }

    /// Its size in bytes.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Where its first entry begins. Location 0 means "no entry", so nothing is stored there.
    #[inline]
    pub fn first(&self) -> u64 {
        if self.start() == 0 { 8 } else { 0 }
    }
}

/// Where things are: what never changes of a space. Each cache that shares a space has a copy, so
/// that a get and a set find an entry or a segment without another pointer on the way. Good as long
/// as the space lives.
#[derive(Clone, Copy)]
pub struct Geometry {
    pub(super) base: *mut u8,
    pub(super) table: *const Segment,
    pub(super) segment_shift: u32,
    pub(super) segments: u32,
    pub(super) run_slots: u32,
}

// SAFETY: the pointers are the starts of mappings, which is all that is done with them here but for
// `segment`, whose table is made of atomics.
unsafe impl Send for Geometry {}
// SAFETY: as above.
unsafe impl Sync for Geometry {}

impl Geometry {
    /// The first byte of the space.
    #[inline]
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// The table's line of a segment.
    ///
    /// # Safety
    /// The space lives for `'a`.
    #[inline]
    pub unsafe fn segment<'a>(&self, id: u32) -> &'a Segment {
        debug_assert!(id < self.segments + self.run_slots);
        // Clamped rather than checked: a wrong id would be a defect, but not a wrong access; and a
        // panic has no place on the fast path's stack.
        let id = id.min(self.segments + self.run_slots - 1);
        // SAFETY: the table has room for this many, and whoever first took one has opened its line
        // (`Space::open_segments`, `Space::run_id`). Segment is made of atomics, for which zeros
        // are valid. And the caller promises that the mapping is there.
        unsafe { &*self.table.add(id as usize) }
    }

    /// Bytes of a segment.
    #[inline]
    pub fn segment_size(&self) -> u64 {
        1 << self.segment_shift
    }

    /// The segment (not the run) that holds an offset.
    #[inline]
    pub fn segment_at(&self, offset: u64) -> u32 {
        debug_assert!(offset >> self.segment_shift < u64::from(self.segments));
        (offset >> self.segment_shift) as u32
    }

    /// Whether a segment is a run.
    #[inline]
    pub fn is_run(&self, id: u32) -> bool {
        id >= self.segments
    }

    /// Whether an entry of this size lies in a shared segment or in a run of its own.
    ///
    /// Entries up to an eighth of a segment share, for a run costs system calls and page faults,
    /// and isn't overwritten in place; larger ones too, up to half a segment, if a segment full of
    /// their like loses no more than a sixth of one for each. (Values of a power of two, with their
    /// headers, are a seventh of a segment: those share.)
    #[inline]
    pub fn wants_run(&self, size: u64) -> bool {
        let segment = self.segment_size();
        if size <= segment / 8 {
            return false;
        }
        // Never 0 here, but the compiler doesn't know, and a panic has no place on the fast path's
        // stack.
        let size = size.max(1);
        size > segment / 2 || segment % size * 6 > size * (segment / size)
    }
}
