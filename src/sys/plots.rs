//! Where in the address space a cache lies: each on a *plot*, of which it maps only what it needs
//! now and into which it grows.
//!
//! What is mapped is limited and charged (`ulimit -v`, mlockall, emulators), so a cache maps about
//! its budget. But it must be able to grow where it lies, as others hold pointers into it. The
//! kernel puts mappings one below the other, so behind one that it has placed there is hardly ever
//! room. Of the 128 TiB that a process has, though, some 60 in the middle are never used: there
//! plots are given out, without asking anybody, and mapped at their beginnings.
//!
//! Where the address space has no such middle (39 bits of it, sanitizers, more caches than it has
//! room for) the kernel places a plot, which is then mapped as a whole, and has less room.

use crate::sys::atomic::{AtomicBool, Mutex, Ordering};
use crate::sys::os::{self, HUGE};
use std::io;

/// The middle: above what sanitizers keep for themselves and any heap of Go's, below where programs
/// and their libraries are loaded.
const MIDDLE: std::ops::Range<usize> = 0x1100_0000_0000..0x5000_0000_0000;
/// The first plot lies anywhere in so much, so that nobody can tell addresses beforehand.
const RANDOM: usize = 0x0400_0000_0000;
/// After so many plots that others have something on, and none without, no more are tried.
const HOPELESS: u32 = 16;

/// The free ranges of the middle: where they begin, and their lengths. In that order, and few.
struct Middle {
    free: Vec<(usize, usize)>,
    left: usize,
    begun: bool,
    spoiled: u32,
    used: bool,
}

static THE_MIDDLE: Mutex<Middle> =
    Mutex::new(Middle { free: Vec::new(), left: 0, begun: false, spoiled: 0, used: false });

impl Middle {
    fn begin(&mut self) {
        let [word] = os::random_words();
        let start = MIDDLE.start + (word as usize % RANDOM) / HUGE * HUGE;
        self.left = MIDDLE.end - start;
        self.free.push((start, self.left));
        self.begun = true;
    }

    /// The first range that is large enough.
    fn take(&mut self, len: usize) -> Option<usize> {
        if !self.begun {
            self.begin();
        }
        if self.spoiled >= HOPELESS && !self.used {
            return None;
        }
        let at = self.free.iter().position(|&(_, found)| found >= len)?;
        let (start, found) = self.free[at];
        if found > len {
            self.free[at] = (start + len, found - len);
        } else {
            self.free.remove(at);
        }
        self.left -= len;
        Some(start)
    }

    fn give(&mut self, start: usize, len: usize) {
        self.left += len;
        let at = self.free.partition_point(|&(other, _)| other < start);
        self.free.insert(at, (start, len));
        // With the next one first, then with the one before.
        for at in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if let [(start, len), (next, next_len), ..] = self.free[at..]
                && start + len == next
            {
                self.free[at].1 += next_len;
                self.free.remove(at + 1);
            }
        }
    }
}

/// Whether most of the middle is free: there is room for generous plots.
pub fn is_roomy() -> bool {
    let middle = THE_MIDDLE.lock();
    !middle.begun || middle.left > (MIDDLE.end - MIDDLE.start) / 2
}

/// A range of addresses that nobody else in larder is given. It goes back when it is dropped.
pub struct Plot {
    start: usize,
    len: usize,
    /// Placed by the system, and mapped as a whole, without access.
    mapped: bool,
    /// Others have something there: it isn't given out again.
    spoiled: AtomicBool,
}

impl Plot {
    /// A plot of the middle. None if there is none of that size.
    pub fn take(len: usize) -> Option<Plot> {
        let len = len.next_multiple_of(HUGE);
        let start = THE_MIDDLE.lock().take(len)?;
        Some(Plot { start, len, mapped: false, spoiled: AtomicBool::new(false) })
    }

    /// A plot where the system likes, mapped without access.
    ///
    /// # Errors
    /// What the system says when it refuses, for example under a limit on address space.
    pub fn map(len: usize) -> io::Result<Plot> {
        let len = len.next_multiple_of(HUGE);
        let padded = len + HUGE;
        let raw = os::map_no_access(0, padded)?;
        let start = raw.next_multiple_of(HUGE);
        // SAFETY: head and tail of the mapping just made, which nobody uses.
        unsafe {
            os::unmap(raw, start - raw);
            os::unmap(start + len, raw + padded - start - len);
        }
        Ok(Plot { start, len, mapped: true, spoiled: AtomicBool::new(false) })
    }

    /// The address of its first byte, a multiple of [`HUGE`].
    pub fn start(&self) -> usize {
        self.start
    }

    /// Whether all of it is mapped, and unmapped with it.
    pub fn is_mapped(&self) -> bool {
        self.mapped
    }

    /// Takes notice that it was of use.
    pub fn is_good(&self) {
        THE_MIDDLE.lock().used |= !self.mapped;
    }

    /// Takes notice that others have something there.
    pub fn spoil(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
        THE_MIDDLE.lock().spoiled += 1;
    }
}

impl Drop for Plot {
    fn drop(&mut self) {
        if self.mapped {
            // SAFETY: the mapping is this plot's, and its last region has gone.
            unsafe { os::unmap(self.start, self.len) };
        } else if !self.spoiled.load(Ordering::Relaxed) {
            THE_MIDDLE.lock().give(self.start, self.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_joined() {
        let free = vec![(100, 1000)];
        let mut middle = Middle { free, left: 1000, begun: true, spoiled: 0, used: false };
        let [a, b, c] = [10, 20, 30].map(|len| middle.take(len).unwrap());
        assert_eq!(([a, b, c], middle.left), ([100, 110, 130], 940));
        middle.give(a, 10);
        middle.give(c, 30);
        assert_eq!(middle.take(11), Some(130));
        middle.give(130, 11);
        assert_eq!(middle.take(10), Some(100));
        middle.give(a, 10);
        middle.give(b, 20);
        assert_eq!((&middle.free, middle.left), (&vec![(100, 1000)], 1000));
        assert_eq!(middle.take(1001), None);
        middle.spoiled = HOPELESS;
        assert_eq!(middle.take(1), None);
        middle.used = true;
        assert_eq!(middle.take(1), Some(100));
    }

    #[test]
    fn plots_lie_apart_and_come_back() {
        let plots: Vec<_> = (0..8).map(|_| Plot::take(5 << 30).unwrap()).collect();
        for (i, a) in plots.iter().enumerate() {
            assert!(a.start.is_multiple_of(HUGE) && MIDDLE.contains(&a.start));
            for b in &plots[..i] {
                assert!(a.start + a.len <= b.start || b.start + b.len <= a.start);
            }
        }
    }
}
