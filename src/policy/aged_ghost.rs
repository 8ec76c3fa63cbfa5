//! Keys that were evicted not long ago, as fingerprints, with the time of it: two bytes a key.
//!
//! A table of lines of 32 words of 16 bits, as many words as keys. A word holds nine bits of the
//! hash and a seven-bit date: the number of the *step* in which the key was put, a step being a
//! ninety-sixth of the length. Dates run from 1 to 127 and around; 0 is an empty place. What is
//! older than 96 steps is as good as absent, and before its date could be taken for a young one it
//! is wiped: every few puts the next line is looked at, so the whole table is seen every 24 steps
//! or less.
//!
//! A hash names a line and four of its words, one in each quarter, and a new key takes the place of
//! the oldest of the four. Other hashes of the line name other fours, so the line fills evenly:
//! with one place a key it loses as many keys before they are old as fixed sets of four with 1.13
//! (docs/hit-ratio.md, try 16).
//!
//! The four words are compared without a branch, and all of a line: what lies where is random, and
//! a mispredicted branch costs as much as the rest of a question.
//!
//! Keys come in the order in which they entered the log that they fell out of, so the *stamp* that
//! came with a key need not be kept with it: one stamp a step does, in a ring of 128.
//!
//! A wrong "yes" comes about once in 145 questions to a full table: 3.5 used places, one in 512
//! each. It costs a new key an undeserved place in the hot log, if the hot tail is idle:
//! docs/hit-ratio.md has what shorter and longer fingerprints do.

use crate::sys::os::{PAGE, Zeroed};
use std::io;

/// Words of a cache line, and of a quarter.
const LINE: usize = 32;
const QUARTER: usize = 8;
/// Words in which a key may be.
const WAYS: usize = LINE / QUARTER;
/// How often the table is seen by wipes in its length.
const WIPES: u64 = 8;
/// Steps in the longest memory.
const STEPS: u16 = 96;
/// Dates are 1 to 127.
const DATES: u64 = 127;
const DATE_BITS: u32 = 7;
const DATE_MASK: u16 = (1 << DATE_BITS) - 1;

type Line = [u16; LINE];

/// Where a hash is remembered.
struct Place {
    line: usize,
    /// Three bits for each quarter: which word of it.
    words: usize,
    /// Bits of the hash, where a word has them.
    fingerprint: u16,
}

impl Place {
    /// The word of a line's quarter.
    #[inline(always)]
    fn word(&self, way: usize) -> usize {
        (way * QUARTER + (self.words >> (3 * way)) % QUARTER) % LINE
    }
}

/// What is known of a key that came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Keys put since, in steps of a ninety-sixth of the length, rounded up to the end of a step.
    pub age: u64,
    /// The stamp of the first key put in the same step.
    pub stamp: u32,
}

/// A set of recently dropped hashes, forgetting in the order they came, with dates.
pub struct AgedGhost {
    lines: Zeroed<Line>,
    /// Stamps of the steps, by date.
    stamps: Box<[u32; 128]>,
    length: u64,
    /// Keys put so far.
    clock: u64,
    /// The step of the clock, the clock at which the next one begins, and the step's date: kept, so
    /// that a put divides only at the beginning of a step.
    step: u64,
    next: u64,
    date: u16,
    /// The line that is wiped next, and how much of it has been earned by puts: at `length` it is
    /// due.
    sweep: usize,
    earned: u64,
}

impl AgedGhost {
    /// Remembers about the last `length` hashes.
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn new(length: u64) -> io::Result<AgedGhost> {
        let length = clamp(length);
        Ok(AgedGhost::of(length, Zeroed::try_new(lines(length))?))
    }

    /// Remembers nothing, and takes no memory.
    pub fn none() -> AgedGhost {
        AgedGhost::of(clamp(0), Zeroed::none())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        let mut lines = std::mem::replace(&mut self.lines, Zeroed::none());
        lines.clear();
        *self = AgedGhost::of(self.length, lines);
    }

    fn of(length: u64, lines: Zeroed<Line>) -> AgedGhost {
        let mut ghost = AgedGhost {
            lines,
            stamps: Box::new([0; 128]),
            length,
            clock: 0,
            step: 0,
            next: 0,
            date: 1,
            sweep: 0,
            earned: 0,
        };
        ghost.begin_step();
        ghost
    }

    /// Bytes of memory of a ghost of this length.
    pub fn bytes_for(length: u64) -> u64 {
        (lines(clamp(length)) * size_of::<Line>()).next_multiple_of(PAGE) as u64 + 128 * 4
    }

    /// How many steps old a key is that was put `keys` keys ago: to compare with [`Found::age`].
    pub fn steps(&self, keys: u64) -> u64 {
        (keys * u64::from(STEPS)).div_ceil(self.length.max(1))
    }

    fn begin_step(&mut self) {
        self.step = self.clock * u64::from(STEPS) / self.length.max(1);
        self.next = ((self.step + 1) * self.length).div_ceil(u64::from(STEPS));
        self.date = (self.step % DATES) as u16 + 1;
    }

    #[inline]
    fn place(&self, hash: u64) -> Place {
        // Stripes and index tags take their bits from the same hash: mix again, so that a stripe's
        // keys use every line.
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let line = (u128::from(mixed) * self.lines.len() as u128) >> 64;
        // The lowest bits are the fingerprint, the next ones say which word of each quarter.
        let words = mixed as usize >> (u16::BITS - DATE_BITS);
        Place { line: line as usize, words, fingerprint: (mixed as u16) << DATE_BITS }
    }

    /// Starts loading the line of a hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        crate::sys::prefetch::prefetch(
            self.lines.as_ptr().wrapping_add(self.place(hash).line).cast(),
        );
    }

    /// Remembers a hash. Stamps must not go backwards.
    pub fn put(&mut self, hash: u64, stamp: u32) {
        self.clock += 1;
        if self.clock >= self.next {
            self.go_on(stamp);
        }
        self.earned += self.lines.len() as u64 * WIPES;
        if self.earned >= self.length {
            self.earned -= self.length;
            self.wipe();
        }
        let place = self.place(hash);
        let date = self.date;
        let Some(line) = self.lines.get_mut(place.line) else { return };
        // The first of the oldest, where an empty place is older than any. The words are lanes of
        // one number: to compare them one by one were four branches on what is random.
        let words =
            (0..WAYS).fold(0, |words, way| words | u64::from(line[place.word(way)]) << (16 * way));
        let keys = ages(date, words) << 2 | 0x0000_0001_0002_0003;
        let oldest = (0..WAYS).map(|way| (keys >> (16 * way)) as u16).fold(0, u16::max);
        line[place.word((WAYS - 1) - usize::from(oldest & 3))] = place.fingerprint | date;
    }

    /// Begins the next step, which has this stamp.
    #[cold]
    #[inline(never)]
    fn go_on(&mut self, stamp: u32) {
        let before = self.step;
        self.begin_step();
        // A short memory passes several steps with one key.
        for step in (before + 1..=self.step).rev().take(128) {
            self.stamps[((step % DATES) as usize + 1) & 127] = stamp;
        }
    }

    /// Empties the places of the next line whose keys are too old. Each put earns an eighth of the
    /// table's share: the whole of it is seen in 12 steps, or in 12 and a put where a put is many
    /// steps.
    fn wipe(&mut self) {
        self.sweep = if self.sweep + 1 < self.lines.len() { self.sweep + 1 } else { 0 };
        let date = self.date;
        let Some(line) = self.lines.get_mut(self.sweep) else { return };
        let mut kept = *line;
        let mut gone = 0;
        for word in &mut kept {
            let too_old = (STEPS as i16 - age(date, *word) as i16) >> 15;
            gone |= *word & too_old as u16;
            *word &= !(too_old as u16);
        }
        if gone != 0 {
            *line = kept;
        }
    }

    /// When the hash was put, if it was and not more than `steps` steps ago. It is forgotten by
    /// this.
    #[inline]
    pub fn take(&mut self, hash: u64, steps: u64) -> Option<Found> {
        let place = self.place(hash);
        let line = self.lines.get(place.line)?;
        let mut like = false;
        for way in 0..WAYS {
            // An empty place looks like one of fingerprint 0.
            like |= line[place.word(way)] & !DATE_MASK == place.fingerprint;
        }
        if like { self.take_from(&place, steps) } else { None }
    }

    #[inline(never)]
    fn take_from(&mut self, place: &Place, steps: u64) -> Option<Found> {
        let date = self.date;
        let line = self.lines.get_mut(place.line)?;
        for way in 0..WAYS {
            let word = &mut line[place.word(way)];
            if *word & DATE_MASK != 0 && *word & !DATE_MASK == place.fingerprint {
                let age = u64::from(age(date, *word));
                if age <= steps.min(u64::from(STEPS)) {
                    let date = std::mem::take(word) & DATE_MASK;
                    return Some(Found { age, stamp: self.stamps[usize::from(date) & 127] });
                }
            }
        }
        None
    }
}

/// Steps since a word was written, if that is less than once around.
#[inline(always)]
fn age(date: u16, word: u16) -> u16 {
    let age = date.wrapping_sub(word & DATE_MASK) as i16;
    (age + (age >> 15 & DATES as i16)) as u16
}

/// As [`age`], of four words at once, which are lanes of 16 bits; of an empty one it is 127, more
/// than of any other.
#[inline(always)]
fn ages(date: u16, words: u64) -> u64 {
    const EACH: u64 = 0x0001_0001_0001_0001;
    let dates = words & (EACH * DATE_MASK as u64);
    // Bit 7 stays if the word's date isn't after ours; else it was one round before, which is 127
    // steps and not 128.
    let since = EACH * u64::from(date | 0x80) - dates;
    let ages = (since & (EACH * DATE_MASK as u64)) + (since >> 7 & EACH) - EACH;
    let some = (dates + EACH * DATE_MASK as u64) >> 7 & EACH;
    ages | ((EACH - some) * DATE_MASK as u64)
}

fn clamp(length: u64) -> u64 {
    length.clamp(8, 1 << 28)
}

/// As many places as keys.
fn lines(length: u64) -> usize {
    (length as usize).div_ceil(LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u64) -> u64 {
        let x = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ (x >> 27)
    }

    #[test]
    fn remembers_about_its_length_and_takes_once() {
        let mut ghost = AgedGhost::new(9600).unwrap();
        (0..100_000).for_each(|i| ghost.put(hash(i), i as u32));
        let young = 100_000 - 9_000..100_000;
        let found =
            young.clone().filter(|&i| ghost.take(hash(i), u64::from(STEPS)).is_some()).count();
        // One key in six has lost its place to a younger one.
        assert!(found > 7_500, "{found}");
        let again = young.filter(|&i| ghost.take(hash(i), u64::from(STEPS)).is_some()).count();
        assert!(again < 200, "{again}");
    }

    #[test]
    fn wrong_answers_are_about_one_in_145() {
        let mut ghost = AgedGhost::new(9600).unwrap();
        (0..100_000).for_each(|i| ghost.put(hash(i), 0));
        let wrong =
            (200_000..220_000).filter(|&i| ghost.take(hash(i), u64::from(STEPS)).is_some()).count();
        assert!((40..250).contains(&wrong), "{wrong}");
    }

    #[test]
    fn dates_and_stamps_are_right_to_a_step() {
        let mut ghost = AgedGhost::new(960).unwrap();
        (0..5_000u64).for_each(|i| ghost.put(hash(i), 7 + 3 * i as u32));
        let mut seen = 0;
        for back in (0..900u64).step_by(45) {
            let key = 4_999 - back;
            let Some(found) = ghost.take(hash(key), u64::from(STEPS)) else { continue };
            seen += 1;
            assert!(found.age.abs_diff(back / 10) <= 1, "{back}: {found:?}");
            let stamp = 7 + 3 * key as u32;
            assert!(found.stamp <= stamp && stamp - found.stamp <= 30, "{back}: {found:?}");
        }
        assert!(seen >= 14, "{seen}");
    }

    #[test]
    fn older_than_asked_for_is_absent_and_never_young_again() {
        let mut ghost = AgedGhost::new(960).unwrap();
        ghost.put(hash(1), 1);
        (100..580).for_each(|i| ghost.put(hash(i), 2));
        assert_eq!(ghost.take(hash(1), ghost.steps(240)), None);
        // Dates go around at 1,270 keys.
        (1_000..1_880).for_each(|i| ghost.put(hash(i), 3));
        assert_eq!(ghost.take(hash(1), u64::from(STEPS)), None);
    }

    #[test]
    fn four_ages_at_once_are_four_ages() {
        for date in 1..=127 {
            for other in 0..=127u16 {
                let words =
                    [other | 0x8000, 127 - other, (0xff80 * u16::from(other > 0)) | other, 1];
                let lanes =
                    words.iter().rev().fold(0, |lanes, &word| lanes << 16 | u64::from(word));
                for (way, &word) in words.iter().enumerate() {
                    let wanted = if word & DATE_MASK == 0 { 127 } else { age(date, word) };
                    assert_eq!((ages(date, lanes) >> (16 * way)) as u16, wanted, "{date} {word:x}");
                }
            }
        }
    }

    #[test]
    fn short_memories_work() {
        for length in [1, 8, 10, 50] {
            let mut ghost = AgedGhost::new(length).unwrap();
            (0..1000).for_each(|i| ghost.put(hash(i), i as u32));
            let found = ghost.take(hash(999), u64::from(STEPS)).expect("the last one");
            assert!(found.stamp.abs_diff(999) <= 1, "{found:?}");
            assert_eq!(ghost.take(hash(900), u64::from(STEPS)), None);
        }
    }
}
