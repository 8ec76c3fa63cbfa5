//! How short memory is, in one word that each set reads once, when it has taken its stripe in hand.
//!
//! Whoever takes or frees a segment, and whoever is refused memory, says so here. A set asks
//! whether it must drain, whether it soon will have to, and by how much stripes should get ahead.

use crate::memory::space::Space;
use crate::sys::atomic::Ordering;

/// The last attempt to take memory failed, or hardly any is left: stripes drain as much as they
/// append.
const DRAIN: u64 = 1;
/// There are three segments a stripe left beyond that.
const NEARLY_FULL: u64 = 2;
/// There are several caches here, or were: one that has always been alone needn't ask what others
/// hold.
const SHARED: u64 = 4;
const LEAD_SHIFT: u32 = 3;

/// What was said at one moment.
#[derive(Clone, Copy)]
pub struct Pressure(u64);

impl Pressure {
    /// Whether the stripe must drain as much as it appends.
    #[inline]
    pub fn drains(self) -> bool {
        self.0 & DRAIN != 0
    }

    /// Whether a stripe that has had room so far should begin to drain.
    #[inline]
    pub fn is_nearly_full(self) -> bool {
        self.0 & NEARLY_FULL != 0
    }

    /// Whether there is nothing to be done.
    #[inline]
    pub fn is_none(self) -> bool {
        self.0 & (DRAIN | NEARLY_FULL) == 0
    }

    /// Bytes that each stripe should have drained beyond what it appended, to bring the free
    /// segments back to what is wanted.
    #[inline]
    pub fn lead(self) -> i64 {
        (self.0 >> LEAD_SHIFT) as i64
    }

    /// Whether others may hold some of the memory.
    #[inline]
    pub fn is_shared(self) -> bool {
        self.0 & SHARED != 0
    }

    /// As a cache sees it that has a bound of its own, and may take from others: it must drain if
    /// it is near its bound, and needn't for want of what it may take.
    pub fn of_member(self, near_bound: bool, may_take: bool) -> Pressure {
        let seen = if may_take { self.0 & !(DRAIN | NEARLY_FULL) } else { self.0 };
        Pressure(if near_bound { seen | DRAIN } else { seen })
    }
}

impl Space {
    /// What is said now.
    #[inline]
    pub fn pressure(&self) -> Pressure {
        Pressure(self.signals.pressure.load(Ordering::Relaxed))
    }

    /// Whether there are several caches here, or were.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.pressure().is_shared()
    }

    /// Says that there are several.
    pub fn share(&self) {
        self.signals.pressure.fetch_or(SHARED, Ordering::Relaxed);
    }

    /// Says that memory was refused.
    pub(super) fn press(&self) {
        self.signals.pressure.fetch_or(DRAIN, Ordering::Relaxed);
    }

    /// Says that there is memory again.
    pub(super) fn relieve(&self) {
        self.signals.pressure.fetch_and(!DRAIN, Ordering::Relaxed);
    }

    /// Says how it stands. Written only when that has changed.
    pub(super) fn say(&self, drain: bool, nearly_full: bool, lead: u64) {
        let said = (u64::from(drain) * DRAIN)
            | (u64::from(nearly_full) * NEARLY_FULL)
            | (lead << LEAD_SHIFT);
        let now = self.signals.pressure.load(Ordering::Relaxed);
        if now & !SHARED != said {
            // SHARED is never taken back, and may come meanwhile.
            self.signals
                .pressure
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(old & SHARED | said))
                .ok();
        }
    }
}
