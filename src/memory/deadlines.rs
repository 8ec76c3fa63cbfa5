//! What is known of a segment's parts, so that the sweep for expired entries needn't walk a whole
//! segment: for each [`PART`] bytes one word, with a time before which nothing there expires, and
//! where its first entry with a deadline begins.
//!
//! The words of all segments lie in a mapping of their own, which is written to only where
//! something has a deadline. A word has room for twelve days, so times count from the segment's
//! base, which is set when it is opened, and brought forward when it is old (the sweep does that).
//! A time that can't be said is said to be earlier than it is: that costs a walk, never an entry.

use crate::sys::atomic::{AtomicU32, Ordering};

/// Bytes of a part of a segment, the least that the sweep for expired entries looks at.
pub const PART: u64 = 2 << 10;

/// What is known of a part of a segment, for the sweep: a time before which nothing that begins in
/// it expires, and where its first entry with a deadline begins. In one word of 32 bits: the place
/// in units of 8 bytes takes 8, the time the others, in units of 64 milliseconds since the
/// segment's [base](crate::memory::Segment::base). 0 when it has no deadline, 1 for a time before
/// the base. What is twelve days after the base or later is said to be just that: who finds it due
/// walks the part and knows better.
pub struct Part(AtomicU32);

const PLACE_BITS: u32 = (PART / 8).trailing_zeros();
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
/// The logarithm of the milliseconds of a unit of a part's time.
pub(super) const UNIT_BITS: u32 = 6;
const MOST_UNITS: u64 = (1 << (32 - PLACE_BITS)) - 1;
/// A base is brought forward when it is so many units old: six days.
pub(super) const OLD_BASE: u64 = MOST_UNITS / 2;

impl Part {
    /// The earliest deadline in milliseconds, rounded down, and the place of the first entry with
    /// one in the part, for a segment of this base.
    #[inline]
    pub fn get(&self, base: u32) -> Option<(u64, u64)> {
        let word = self.0.load(Ordering::Relaxed);
        (word != 0).then(|| (time(word >> PLACE_BITS, base), u64::from(word & PLACE_MASK) * 8))
    }

    /// Takes notice of an entry with a deadline that begins at byte `at` of the segment.
    #[inline]
    pub fn note(&self, base: u32, deadline: u64, at: u64) {
        let code = ((deadline >> UNIT_BITS) + 2)
            .saturating_sub(u64::from(base))
            .clamp(1, MOST_UNITS) as u32;
        let place = (at % PART / 8) as u32;
        let word = self.0.load(Ordering::Relaxed);
        let noted = if word == 0 {
            code << PLACE_BITS | place
        } else {
            code.min(word >> PLACE_BITS) << PLACE_BITS | place.min(word & PLACE_MASK)
        };
        if noted != word {
            self.0.store(noted, Ordering::Relaxed);
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Brings the base forward by so many units.
    pub(super) fn rebase(&self, units: u32) {
        let word = self.0.load(Ordering::Relaxed);
        if word != 0 {
            let code = (word >> PLACE_BITS).saturating_sub(units).max(1);
            self.0.store(code << PLACE_BITS | word & PLACE_MASK, Ordering::Relaxed);
        }
    }
}

/// The first part of a row with something due at a time, and the earliest time of the parts before
/// it (all, if there is none). For a segment of this base. A nanosecond a part.
pub fn first_due(parts: &[Part], base: u32, due: u64) -> (Option<usize>, u64) {
    // Words less one, so that those without a deadline come last.
    let last_code =
        ((due >> UNIT_BITS) + 2).saturating_sub(u64::from(base)).clamp(1, MOST_UNITS - 1) as u32;
    let end = ((last_code + 1) << PLACE_BITS) - 1;
    let mut least = u32::MAX;
    let mut found = None;
    for (i, part) in parts.iter().enumerate() {
        let word = part.0.load(Ordering::Relaxed).wrapping_sub(1);
        if word < end {
            found = Some(i);
            break;
        }
        least = least.min(word);
    }
    (found, if least == u32::MAX { u64::MAX } else { time((least + 1) >> PLACE_BITS, base) })
}

#[inline]
fn time(code: u32, base: u32) -> u64 {
    if code == 1 { 0 } else { (u64::from(code) + u64::from(base) - 2) << UNIT_BITS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Space;

    #[test]
    fn a_part_knows_the_earliest_deadline_to_a_unit_and_the_first_place() {
        let part = Part(AtomicU32::new(0));
        let base = 1_000_000;
        let now = u64::from(base) << UNIT_BITS;
        assert_eq!(part.get(base), None);
        part.note(base, now + 70_000, 5 * PART + 800);
        assert_eq!(part.get(base), Some(((now + 70_000) & !63, 800)));
        part.note(base, now + 7, 7 * PART - 8);
        assert_eq!(part.get(base), Some((now, 800)));
        part.note(base, now + 80_000, 0);
        assert_eq!(part.get(base), Some((now, 0)));
        // Before the base: at any time.
        part.note(base, now - 1, 16);
        assert_eq!(part.get(base), Some((0, 0)));
        part.clear();
        assert_eq!(part.get(base), None);
        // As far away as can be said, and never later than it is.
        part.note(base, u64::MAX, 16);
        let days = 24 * 3600 * 1000;
        assert!(
            part.get(base)
                .is_some_and(|(time, _)| time > now + 12 * days && time < now + 13 * days)
        );
    }

    #[test]
    fn a_base_is_renewed_and_times_stay_what_they_were_or_are_said_to_have_come() {
        let space = Space::new(1 << 20, 1).unwrap();
        let id = space.take_segment(true).unwrap();
        let days = |n: u64| n * 24 * 3600 * 1000;
        let (opened, now) = (days(100), days(107));
        space.set_base(id, opened);
        let base = || space.segment(id).base.load(Ordering::Relaxed);
        let deadlines = [opened + 5, days(106), now + 1000, days(110), days(300)];
        for (i, &deadline) in deadlines.iter().enumerate() {
            space.part(id, i as u64 * PART).note(base(), deadline, i as u64 * PART + 8);
        }
        space.renew_base(id, opened + days(1));
        assert_eq!(u64::from(base()), opened >> UNIT_BITS);
        space.renew_base(id, now);
        assert_eq!(u64::from(base()), now >> UNIT_BITS);
        let times: Vec<u64> =
            (0..5).map(|i| space.part(id, i * PART).get(base()).unwrap().0).collect();
        assert_eq!(times[..2], [0, 0]);
        assert_eq!(times[2..4], [(now + 1000) & !63, days(110) & !63]);
        assert!(times[4] > days(112) && times[4] < days(113));
        let due = |time| first_due(space.parts(id), base(), time);
        assert_eq!(due(now), (Some(0), u64::MAX));
        space.part(id, 0).clear();
        space.part(id, PART).clear();
        assert_eq!(due(now), (None, (now + 1000) & !63));
        assert_eq!(due(now + 1000), (Some(2), u64::MAX));
        space.part(id, 2 * PART).clear();
        assert_eq!(due(days(110) - 64), (None, days(110) & !63));
        assert_eq!(due(days(110)), (Some(3), u64::MAX));
        space.part(id, 3 * PART).clear();
        assert_eq!(due(days(111)), (None, times[4]));
        assert_eq!(space.part(id, 5 * PART).get(base()), None);
    }
}
