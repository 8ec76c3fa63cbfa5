//! A region: memory that grows where it lies.
//!
//! It is reserved, which takes address space, and opened, which lets it be written to, a part at a
//! time, each from its beginning on. What is reserved has no access and costs nothing (it isn't
//! charged where the system doesn't overcommit, and not locked where it locks all). An open page
//! costs nothing either until it is written, but is charged, and locked. It reads as zeros; one
//! given back with [`Region::decommit`] does so again, so a reader that races with that sees an
//! empty bucket, never a fault. What was opened stays open.

use crate::sys::atomic::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::sys::os::{self, Ask, HUGE, PAGE};
use crate::sys::plots::Plot;
use std::ffi::CStr;
use std::io;
use std::sync::Arc;

/// What is reserved is opened in so many steps, of whole huge pages. (Each changes the system's map
/// of the process, and who has a page fault meanwhile waits for that: a microsecond or two.)
const STEPS: usize = 32;
/// ... or, beyond what was reserved, of so many bytes, for what was thought to be small.
const FEW: usize = 64 << 10;

/// A part of a plot, of which a beginning is mapped.
pub struct Region {
    plot: Arc<Plot>,
    start: *mut u8,
    most: usize,
    reserved: AtomicUsize,
    open: AtomicUsize,
    /// Whether huge pages were asked for.
    huge: AtomicBool,
    name: &'static CStr,
    /// Who reserves or opens.
    growing: Mutex<()>,
}

// SAFETY: a Region is only an address range; every access through it is made by the modules that
// own parts of it.
unsafe impl Send for Region {}
// SAFETY: as above: `start` and `most` never change.
unsafe impl Sync for Region {}

impl Region {
    /// The `most` bytes of a plot (a multiple of [`HUGE`]) from `at` on. `name` is what
    /// /proc/PID/maps shows.
    pub fn of(plot: &Arc<Plot>, at: usize, most: usize, name: &'static CStr) -> Region {
        let reserved = if plot.is_mapped() { most } else { 0 };
        let region = Region {
            plot: plot.clone(),
            start: (plot.start() + at) as *mut u8,
            most,
            reserved: AtomicUsize::new(reserved),
            open: AtomicUsize::new(0),
            huge: AtomicBool::new(false),
            name,
            growing: Mutex::new(()),
        };
        region.prepare(0, reserved);
        region
    }

    /// One of its own, reserved as a whole.
    ///
    /// # Errors
    /// As [`Plot::map`].
    #[cfg(test)]
    pub fn alone(len: usize, name: &'static CStr) -> io::Result<Region> {
        os::asked(Ask::Mapping)?;
        let len = len.next_multiple_of(HUGE);
        Ok(Region::of(&Arc::new(Plot::map(len)?), 0, len, name))
    }

    /// The first byte.
    #[inline]
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// Bytes that it may come to have.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Bytes of address space.
    pub fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Reserves at least so many bytes, from the beginning.
    ///
    /// # Errors
    /// What the system says when it refuses; `AddrInUse` when something else lies there.
    pub fn reserve(&self, len: usize) -> io::Result<()> {
        if len <= self.reserved() {
            return Ok(());
        }
        self.extend(&self.growing.lock(), len)
    }

    fn extend(&self, _: &impl Sized, len: usize) -> io::Result<()> {
        let before = self.reserved();
        let len = len.next_multiple_of(os::system_page());
        if len <= before {
            return Ok(());
        }
        if len > self.most {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        os::asked(Ask::Mapping)?;
        let wanted = self.start as usize + before;
        let got = os::map_no_access(wanted, len - before)?;
        if got != wanted {
            // SAFETY: the mapping just made, which nobody uses.
            unsafe { os::unmap(got, len - before) };
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.prepare(before, len);
        self.reserved.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Says of what was reserved what it is.
    fn prepare(&self, from: usize, to: usize) {
        if from == to {
            return;
        }
        // Without this a system set to `always` would give huge pages where the budget counted
        // small ones.
        self.advise(from, to - from, self.huge.load(Ordering::Relaxed));
        os::say_what_it_is(self.start.wrapping_add(from).cast(), to - from, self.name);
    }

    /// Lets so many bytes be written to, from the beginning, and reserves what of them isn't yet.
    /// False when the system refuses.
    #[inline]
    #[must_use]
    pub fn open(&self, len: usize) -> bool {
        len <= self.open.load(Ordering::Acquire) || self.open_more(len)
    }

    #[cold]
    #[inline(never)]
    fn open_more(&self, len: usize) -> bool {
        let growing = self.growing.lock();
        let open = self.open.load(Ordering::Relaxed);
        if len <= open {
            return true;
        }
        if os::asked(Ask::Access).is_err() {
            return false;
        }
        let least = len.next_multiple_of(os::system_page());
        let reserved = self.reserved();
        let (unit, end) = match () {
            () if least <= reserved => (HUGE, reserved),
            () if self.huge.load(Ordering::Relaxed) => (HUGE, self.most),
            () => (FEW, self.most),
        };
        let step = (reserved.max(least) / STEPS).next_multiple_of(unit);
        // A step more than is wanted; but if that is refused, just what is.
        [least.next_multiple_of(step).min(end), least].into_iter().any(|end| {
            let from = self.start as usize + open;
            // SAFETY: a part of what is reserved.
            let done =
                self.extend(&growing, end).is_ok() && unsafe { os::allow_access(from, end - open) };
            if done {
                self.open.store(end, Ordering::Release);
            }
            done
        })
    }

    /// Asks for huge pages, also in what will be reserved. Returns whether the system took the
    /// advice.
    pub fn use_huge(&self) -> bool {
        let _growing = self.growing.lock();
        let agreed = self.advise(0, self.reserved(), true);
        self.huge.store(agreed, Ordering::Relaxed);
        agreed
    }

    /// Asks for huge pages, or for small ones, in what is reserved of a range. (Small ones, so that
    /// giving back a part of it gives back memory.)
    pub fn advise(&self, offset: usize, len: usize, huge: bool) -> bool {
        let end =
            (offset + len).min(if offset < self.reserved() { self.reserved() } else { offset });
        #[cfg(target_os = "linux")]
        {
            let advice = if huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
            // SAFETY: a part of what is reserved, and the advice changes no contents.
            end == offset
                || unsafe { os::advise(self.start as usize + offset, end - offset, advice) }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = end;
            !huge
        }
    }

    /// Gives the pages of an open range back to the system. They read as zeros afterwards.
    ///
    /// The caller owns the range: nobody but racing readers of atomics may look at it meanwhile.
    /// Where the system's pages are larger than [`PAGE`] (16 KiB on Apple's processors, up to 64
    /// KiB on arm64), what is a part of one only is made zero; and so is all where the system
    /// refuses, as some do for locked memory.
    pub fn decommit(&self, offset: usize, len: usize) {
        let end = offset + len.next_multiple_of(PAGE);
        assert!(offset.is_multiple_of(PAGE) && end <= self.open.load(Ordering::Relaxed));
        let page = os::system_page();
        let (first, last) = (offset.next_multiple_of(page), end / page * page);
        if first >= last {
            return self.wipe(offset, end);
        }
        self.wipe(offset, first);
        // SAFETY: an open part of this region, which the caller owns.
        if !unsafe { os::give_back(self.start as usize + first, last - first) } {
            self.wipe(first, last);
        }
        self.wipe(last, end);
    }

    /// Makes a range zero, word by word.
    fn wipe(&self, from: usize, to: usize) {
        for at in (from..to).step_by(size_of::<u64>()) {
            self.word(at).store(0, Ordering::Relaxed);
        }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the word lies in the open part of this mapping, which the callers have asserted,
        // aligned; whoever else uses it meanwhile does so as an atomic.
        unsafe { AtomicU64::from_ptr(self.start.add(at).cast()) }
    }

    /// Faults the pages of an open range in now, so that no later write has to. Nothing in it
    /// changes, whoever uses it meanwhile, as long as its first words in each page are used as
    /// atomics.
    ///
    /// By writing, not by `MADV_POPULATE_WRITE`: that holds the lock on the process's address space
    /// until a huge page is zeroed, and who calls mmap or munmap meanwhile, for a ghost or anything
    /// of the host program's, waits for 0.2 to 9 ms. A page fault locks its own mapping alone
    /// (Linux 6.4).
    pub fn touch(&self, offset: usize, len: usize) {
        assert!(offset.is_multiple_of(PAGE) && offset + len <= self.open.load(Ordering::Relaxed));
        for at in (offset..offset + len).step_by(PAGE) {
            // Not an addition of 0: of that the compiler would make a read, which gives no page of
            // our own.
            let _ = self.word(at).compare_exchange(0, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if !self.plot.is_mapped() {
            // SAFETY: the mapping is this region's, and its last owner is going away.
            unsafe { os::unmap(self.start as usize, self.reserved()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(name: &'static CStr) -> Region {
        let region = Region::alone(HUGE, name).unwrap();
        assert!(region.open(HUGE));
        region
    }

    fn resident(region: &Region, page: usize) -> bool {
        let mut state = 0u8;
        // SAFETY: one page inside the mapping, and a byte for its state.
        let done =
            unsafe { libc::mincore(region.start().add(page * PAGE).cast(), PAGE, &raw mut state) };
        assert_eq!(done, 0);
        state & 1 == 1
    }

    #[test]
    fn touching_faults_pages_in_and_changes_nothing() {
        let region = opened(c"larder: test");
        // SAFETY: inside the mapping, aligned.
        let word =
            |page: usize| unsafe { AtomicU64::from_ptr(region.start().add(page * PAGE).cast()) };
        word(1).store(7, Ordering::Relaxed);
        assert!(resident(&region, 1) && !resident(&region, 0) && !resident(&region, 2));
        region.touch(0, 3 * PAGE);
        assert!((0..3).all(|page| resident(&region, page)) && !resident(&region, 3));
        assert_eq!([0, 1, 2].map(|page| word(page).load(Ordering::Relaxed)), [0, 7, 0]);
    }

    #[test]
    fn what_is_given_back_reads_as_zeros_even_if_it_is_locked() {
        let region = opened(c"larder: test");
        // SAFETY: inside the mapping, aligned.
        let word =
            |page: usize| unsafe { AtomicU64::from_ptr(region.start().add(page * PAGE).cast()) };
        (0..4).for_each(|page| word(page).store(7, Ordering::Relaxed));
        // SAFETY: it changes no byte. Locked memory isn't given back: MADV_DONTNEED is refused.
        let locked = unsafe { libc::mlock(region.start().add(PAGE).cast(), PAGE) } == 0;
        region.decommit(PAGE, 2 * PAGE);
        assert_eq!(
            [0, 1, 2, 3].map(|page| word(page).load(Ordering::Relaxed)),
            [7, 0, 0, 7],
            "locked: {locked}"
        );
    }

    #[test]
    fn a_mapping_says_what_it_is_where_the_system_can() {
        let region = opened(c"larder: a test's");
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps
            .lines()
            .find(|line| line.starts_with(&format!("{:x}-", region.start() as usize)))
            .unwrap();
        // Older kernels give no names.
        assert!(!line.contains("[anon:") || line.ends_with("[anon:larder: a test's]"), "{line}");
    }
}
