//! What one cache has of a space that it may share with others: a cache and its namespaces take
//! segments from one pool and reserve bytes of one budget (`memory`), and each counts here what it
//! holds and keeps to its own bound.
//!
//! Everything that a stripe takes or gives back goes through its cache's share, so the counts are
//! right by construction, and what is left of them goes back when the share is dropped. They change
//! a segment or a page of index at a time, never with a get.
//!
//! # Who may take from whom
//!
//! A cache whose hashes are spread over its stripes evicts where it writes. Between namespaces that
//! would not do: one that comes when the memory is full would have to live on its first segment for
//! ever, and the oldest entry of all is not known (the policies keep no common time). So the rule
//! is that of max-min fairness: the *part* of a cache is an equal part of what segments may have,
//! among the caches that hold any. Whoever holds less than its part, and needs room, takes it from
//! the one that holds most; whoever holds its part or more replaces what is its own. So a small
//! namespace is not drained by a busy large one, which is never below its part; a new one comes to
//! its part at the cost of the largest; and what nobody else asks for may be held by one alone.
//! Without namespaces there is one cache, whose part is all.

use crate::memory::pressure::Pressure;
use crate::memory::segment::{Geometry, Segment};
use crate::memory::space::{Space, slack};
use crate::sys::atomic::{AtomicU64, Ordering};
use std::ops::Deref;
use std::sync::Arc;

/// No bound of its own.
pub const UNBOUNDED: u64 = u64::MAX;

/// One cache's account with a space.
pub struct Quota {
    geometry: Geometry,
    space: Arc<Space>,
    stripes: u64,
    /// Bytes that go only with it.
    fixed: AtomicU64,
    /// The bound, or [`UNBOUNDED`].
    max: AtomicU64,
    /// From here on stripes drain as much as they append.
    press_at: AtomicU64,
    account: Account,
}

/// What changes with each segment, in a line of its own.
#[repr(align(64))]
struct Account {
    /// Segments, runs, index and bookkeeping.
    held: AtomicU64,
    segments: AtomicU64,
    index: AtomicU64,
    bookkeeping: AtomicU64,
}

impl Deref for Quota {
    type Target = Space;

    fn deref(&self) -> &Space {
        &self.space
    }
}

impl Quota {
    /// The share of the cache that a space was made for, with so many stripes, which will hold
    /// `fixed` bytes for good.
    pub fn whole(space: Space, stripes: usize, fixed: u64) -> Quota {
        space.keep_for_good(fixed);
        Quota::new(Arc::new(space), stripes, fixed, UNBOUNDED)
    }

    /// The share of one more cache, which may hold `max` bytes. None if the budget is too small for
    /// one more.
    pub fn beside(&self, stripes: usize, fixed: u64, max: u64) -> Option<Quota> {
        if !self.space.admit(stripes as u64, fixed) {
            return None;
        }
        self.space.share();
        Some(Quota::new(self.space.clone(), stripes, fixed, max))
    }

    fn new(space: Arc<Space>, stripes: usize, fixed: u64, max: u64) -> Quota {
        let share = Quota {
            geometry: space.geometry(),
            space,
            stripes: stripes as u64,
            fixed: AtomicU64::new(fixed),
            max: AtomicU64::new(max),
            press_at: AtomicU64::new(UNBOUNDED),
            account: Account {
                held: AtomicU64::new(0),
                segments: AtomicU64::new(0),
                index: AtomicU64::new(0),
                bookkeeping: AtomicU64::new(0),
            },
        };
        share.set_bound(max);
        share
    }

    /// Changes the bound.
    pub fn set_bound(&self, max: u64) {
        let margin = (self.space.spare() + slack(self.stripes)) * self.geometry.segment_size();
        self.max.store(max, Ordering::SeqCst);
        self.press_at.store(
            if max == UNBOUNDED { max } else { max.saturating_sub(margin) },
            Ordering::Relaxed,
        );
    }

    /// The bound, or [`UNBOUNDED`].
    #[inline]
    pub fn bound(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Bytes held: segments, index and bookkeeping.
    pub fn held(&self) -> u64 {
        self.account.held.load(Ordering::Relaxed)
    }

    /// Of them, bytes of segments and runs.
    pub fn held_segments(&self) -> u64 {
        self.account.segments.load(Ordering::Relaxed)
    }

    /// Of them, bytes of the index, and of tables, counters and policies.
    pub fn held_beside(&self) -> (u64, u64) {
        (
            self.account.index.load(Ordering::Relaxed),
            self.account.bookkeeping.load(Ordering::Relaxed),
        )
    }

    /// Whether the bound leaves no room for so many bytes more, or for a segment and a step of the
    /// index.
    pub fn is_full(&self, bytes: u64) -> bool {
        let max = self.bound();
        let segment = self.geometry.segment_size();
        let step = (self.account.index.load(Ordering::Relaxed) / 4).max(8 << 10);
        max != UNBOUNDED
            && self.held() + bytes.max(segment) + self.space.spare() * segment + step > max
    }

    /// What the segments may hold, of `budget` bytes that those of all caches may: what the others
    /// leave, or an equal part if that is more; and no more than the bound.
    #[inline]
    pub fn allowance(&self, budget: u64) -> u64 {
        if !self.space.is_shared() && self.bound() == UNBOUNDED {
            return budget;
        }
        let own = self.account.segments.load(Ordering::Relaxed);
        let others = self.space.in_use.load(Ordering::Relaxed).saturating_sub(own);
        let room = if others == 0 {
            budget
        } else {
            budget.saturating_sub(others).max(self.equal_part(budget))
        };
        let max = self.bound();
        if max == UNBOUNDED {
            return room;
        }
        let (index, bookkeeping) = self.held_beside();
        room.min(max.saturating_sub(index + bookkeeping))
    }

    fn equal_part(&self, budget: u64) -> u64 {
        let others =
            self.space.sharers.load(Ordering::Relaxed) - i64::from(self.held_segments() > 0);
        budget / (others.max(0) as u64 + 1)
    }

    /// Whether it holds less than its equal part, and so may take from who holds most. Never
    /// without namespaces.
    #[inline]
    pub fn may_take(&self, budget: impl FnOnce() -> u64) -> bool {
        if !self.space.is_shared() {
            return false;
        }
        let own = self.held_segments();
        own < self.space.in_use.load(Ordering::Relaxed) && own < self.equal_part(budget())
    }

    /// How short memory is for this cache.
    #[inline]
    pub fn pressure(&self) -> Pressure {
        let pressure = self.space.pressure();
        if pressure.is_shared() { self.pressure_beside_others(pressure) } else { pressure }
    }

    #[cold]
    #[inline(never)]
    fn pressure_beside_others(&self, pressure: Pressure) -> Pressure {
        let at = self.press_at.load(Ordering::Relaxed);
        let near_bound = at != UNBOUNDED && self.held() >= at;
        pressure.of_member(
            near_bound,
            !pressure.is_none() && self.may_take(|| self.space.segment_budget()),
        )
    }

    fn hold(&self, bytes: u64, max: u64) -> bool {
        let fits = |now: u64| (now + bytes <= max).then_some(now + bytes);
        self.account.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }

    fn release_bytes(&self, bytes: u64) {
        self.account.held.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn adopted(&self, bytes: u64) {
        self.space.in_use.fetch_add(bytes, Ordering::Relaxed);
        if self.account.segments.fetch_add(bytes, Ordering::Relaxed) == 0 {
            self.space.sharers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As [`Space::take_segment`], within the bound.
    pub fn take_segment(&self, for_keep: bool) -> Option<u32> {
        self.take(for_keep, Space::take_segment)
    }

    /// As [`Space::try_take_segment`], within the bound.
    pub fn try_take_segment(&self, for_keep: bool) -> Option<u32> {
        self.take(for_keep, Space::try_take_segment)
    }

    #[inline]
    fn take(&self, for_keep: bool, take: impl FnOnce(&Space, bool) -> Option<u32>) -> Option<u32> {
        let size = self.geometry.segment_size();
        let leave = if for_keep { 0 } else { self.space.spare() * size };
        if !self.hold(size, self.bound() - leave.min(self.bound())) {
            return None;
        }
        let id = take(&self.space, for_keep);
        match id {
            Some(_) => self.adopted(size),
            None => self.release_bytes(size),
        }
        id
    }

    /// Whether a segment that can't be had now can be after a grace period.
    pub fn is_waiting(&self) -> bool {
        self.held() + self.geometry.segment_size() <= self.bound() && self.space.is_waiting()
    }

    /// As [`Space::take_run`], within the bound.
    pub fn take_run(&self, bytes: u64) -> Option<u32> {
        if !self.hold(bytes, self.bound()) {
            return None;
        }
        let id = self.space.take_run(bytes);
        match id {
            Some(_) => self.adopted(bytes),
            None => self.release_bytes(bytes),
        }
        id
    }

    /// As [`Space::retire`]. From here on it counts against the budget only, not as held by this
    /// cache.
    pub fn retire(&self, id: u32) {
        let bytes = self.segment(id).capacity();
        self.space.retire(id);
        self.retired(bytes);
    }

    /// As [`Space::try_retire`].
    #[inline]
    pub fn try_retire(&self, id: u32, unlink: impl FnOnce()) -> bool {
        let bytes = self.segment(id).capacity();
        let done = self.space.try_retire(id, unlink);
        if done {
            self.retired(bytes);
        }
        done
    }

    fn retired(&self, bytes: u64) {
        self.release_bytes(bytes);
        self.space.in_use.fetch_sub(bytes, Ordering::Relaxed);
        if self.account.segments.fetch_sub(bytes, Ordering::Relaxed) == bytes {
            self.space.sharers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// As [`Space::reserve_index`], within the bound.
    pub fn reserve_index(&self, bytes: u64) -> bool {
        if !self.hold(bytes, self.bound()) {
            return false;
        }
        let ok = self.space.reserve_index(bytes);
        if ok {
            self.account.index.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.release_bytes(bytes);
        }
        ok
    }

    /// As [`Space::unreserve_index`].
    pub fn unreserve_index(&self, bytes: u64) {
        self.account.index.fetch_sub(bytes, Ordering::Relaxed);
        self.release_bytes(bytes);
        self.space.unreserve_index(bytes);
    }

    /// As [`Space::reserve_bookkeeping`], within the bound.
    #[must_use]
    pub fn reserve_bookkeeping(&self, bytes: u64) -> bool {
        if !self.hold(bytes, self.bound()) {
            return false;
        }
        let ok = self.space.reserve_bookkeeping(bytes);
        if ok {
            self.account.bookkeeping.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.release_bytes(bytes);
        }
        ok
    }

    /// As [`Quota::reserve_bookkeeping`], for what goes only when the cache is closed.
    #[must_use]
    pub fn reserve_for_good(&self, bytes: u64) -> bool {
        let ok = self.reserve_bookkeeping(bytes);
        if ok {
            self.fixed.fetch_add(bytes, Ordering::Relaxed);
            self.space.keep_for_good(bytes);
        }
        ok
    }

    /// Gives back what [`Quota::reserve_for_good`] has just taken.
    pub fn unreserve_for_good(&self, bytes: u64) {
        self.fixed.fetch_sub(bytes, Ordering::Relaxed);
        self.space.dismiss(0, bytes);
        self.unreserve_bookkeeping(bytes);
    }

    /// As [`Space::unreserve_bookkeeping`].
    pub fn unreserve_bookkeeping(&self, bytes: u64) {
        self.account.bookkeeping.fetch_sub(bytes, Ordering::Relaxed);
        self.release_bytes(bytes);
        self.space.unreserve_bookkeeping(bytes);
    }

    /// As [`Geometry::base`].
    #[inline]
    pub fn base(&self) -> *mut u8 {
        self.geometry.base()
    }

    /// What is known of a segment.
    #[inline]
    pub fn segment(&self, id: u32) -> &Segment {
        // SAFETY: the share holds a count of the space, for as long as `self`.
        unsafe { self.geometry.segment(id) }
    }

    /// As [`Geometry::segment_size`].
    #[inline]
    pub fn segment_size(&self) -> u64 {
        self.geometry.segment_size()
    }

    /// As [`Geometry::segment_at`].
    #[inline]
    pub fn segment_at(&self, offset: u64) -> u32 {
        self.geometry.segment_at(offset)
    }

    /// As [`Geometry::is_run`].
    #[inline]
    pub fn is_run(&self, id: u32) -> bool {
        self.geometry.is_run(id)
    }

    /// As [`Geometry::wants_run`].
    #[inline]
    pub fn wants_run(&self, size: u64) -> bool {
        self.geometry.wants_run(size)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let (index, bookkeeping) = self.held_beside();
        self.space.unreserve_index(index);
        self.space.unreserve_bookkeeping(bookkeeping);
        self.space.dismiss(self.stripes, self.fixed.load(Ordering::Relaxed));
    }
}
