//! Admission: whether what a cache and its namespaces hold for good leaves them room to live.
//!
//! A cache has parts that go only when it is closed: tables of its own, and the least that each
//! stripe's index and policy take. What is left of the budget must have room for a few segments to
//! a stripe, and for one large value. That is asked when a namespace is made and when the budget
//! changes, and both under one lock: of two that would fit alone but not together the second is
//! refused.

use crate::memory::space::Space;
use crate::sys::atomic::Ordering;

/// Segments without which hardly an entry stays: two open ones to a stripe, and some to move.
pub fn least_segments(stripes: u64) -> u64 {
    2 * stripes + 6
}

impl Space {
    /// The smallest budget for so many stripes that hold so much for good.
    fn least(&self, stripes: u64, fixed: u64) -> u64 {
        let kept = fixed + self.most_table_bytes();
        let segment = self.segment_size();
        // A value may be a quarter of the budget, when all else has gone.
        let for_one = (kept + (self.spare + 1) * segment).div_ceil(3) * 4;
        (least_segments(stripes) * segment + kept).max(for_one)
    }

    /// The smallest budget for the caches that there are.
    pub fn least_max(&self) -> u64 {
        self.least(self.stripes.load(Ordering::Relaxed), self.fixed.load(Ordering::Relaxed))
    }

    /// Lets a cache of so many stripes come, which will hold `fixed` bytes for good, if the budget
    /// has room for one more.
    pub fn admit(&self, stripes: u64, fixed: u64) -> bool {
        let _lock = self.admission.lock();
        let after = self.stripes.load(Ordering::Relaxed) + stripes;
        let fits = self.least(after, self.fixed.load(Ordering::Relaxed) + fixed) <= self.max();
        if fits {
            self.stripes.fetch_add(stripes, Ordering::Relaxed);
            self.keep_for_good(fixed);
        }
        fits
    }

    /// Takes notice that a cache holds so many bytes more for good.
    pub fn keep_for_good(&self, bytes: u64) {
        self.fixed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A cache has gone.
    pub fn dismiss(&self, stripes: u64, fixed: u64) {
        self.stripes.fetch_sub(stripes, Ordering::Relaxed);
        self.fixed.fetch_sub(fixed, Ordering::Relaxed);
    }

    /// As [`Space::set_max`], if the caches that there are can live on so much.
    pub fn try_set_max(&self, max: u64) -> bool {
        let _lock = self.admission.lock();
        let fits = (self.least_max()..=self.limit()).contains(&max) && self.make_ready(max);
        if fits {
            self.set_max(max);
        }
        fits
    }
}
