//! Segments in a row, linked through their lines in the table: what is free, and what waits for its
//! grace period. It takes no memory of its own, so that the fast path can add to it.

use crate::memory::segment::{Geometry, NONE, Segment};
use crate::sys::atomic::Ordering;

/// A row of segments. Whoever changes it has the pool's lock, and a segment is in one row, or log,
/// at most.
pub struct Chain {
    first: u32,
    last: u32,
    len: usize,
}

impl Chain {
    /// No segments.
    pub const EMPTY: Chain = Chain { first: NONE, last: NONE, len: 0 };

    /// How many they are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first one.
    #[inline]
    pub fn first(&self) -> Option<u32> {
        (self.len > 0).then_some(self.first)
    }

    /// Adds one before the first.
    #[inline]
    pub fn push_front(&mut self, geometry: &Geometry, id: u32) {
        line(geometry, id).newer.store(self.first, Ordering::Relaxed);
        self.first = id;
        if self.len == 0 {
            self.last = id;
        }
        self.len += 1;
    }

    /// Adds one behind the last.
    #[inline]
    pub fn push_back(&mut self, geometry: &Geometry, id: u32) {
        line(geometry, id).newer.store(NONE, Ordering::Relaxed);
        if self.len == 0 {
            self.first = id;
        } else {
            line(geometry, self.last).newer.store(id, Ordering::Relaxed);
        }
        self.last = id;
        self.len += 1;
    }

    /// Takes the first one out.
    #[inline]
    pub fn pop_front(&mut self, geometry: &Geometry) -> Option<u32> {
        let id = self.first()?;
        self.first = line(geometry, id).newer.load(Ordering::Relaxed);
        self.len -= 1;
        Some(id)
    }
}

#[inline]
fn line(geometry: &Geometry, id: u32) -> &Segment {
    // SAFETY: whoever calls has the space's pool in hand, and so a reference to the space.
    unsafe { geometry.segment(id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Space;

    #[test]
    fn segments_leave_from_the_front() {
        let space = Space::new(1 << 20, 1).unwrap();
        assert!(space.open_segments(10));
        let geometry = &space.geometry();
        let mut chain = Chain::EMPTY;
        assert_eq!(chain.pop_front(geometry), None);
        for round in 0..2 {
            for id in [3, 1, 4] {
                chain.push_back(geometry, id);
            }
            chain.push_front(geometry, 5);
            assert_eq!((chain.len(), chain.first()), (4, Some(5)));
            let all: Vec<_> = std::iter::from_fn(|| chain.pop_front(geometry)).collect();
            assert_eq!((all, chain.len()), (vec![5, 3, 1, 4], 0), "{round}");
            chain.push_front(geometry, 7);
            chain.push_back(geometry, 8);
            assert_eq!(chain.pop_front(geometry), Some(7));
            assert_eq!((chain.pop_front(geometry), chain.pop_front(geometry)), (Some(8), None));
        }
    }
}
