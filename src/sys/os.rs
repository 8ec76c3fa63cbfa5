//! What larder asks of the operating system: address space, pages, a fence for the others.
//!
//! All of the cache's memory is one anonymous private mapping per purpose, reserved at once and
//! touched as needed. Reserved pages cost nothing until they are written; a page given back with
//! [`Region::decommit`] reads as zeros again, so a reader that races with it sees an empty bucket,
//! never a fault.

use std::ffi::CStr;
use std::io;
use std::ptr::NonNull;
// Not by `crate::sync`: bench/policysim builds this file alone.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The size of a huge page, and the unit in which large caches take memory.
pub const HUGE: usize = 2 << 20;
/// The size of a page, as larder counts them: the system's may be larger.
pub const PAGE: usize = 4096;

/// The size of the system's pages: [`PAGE`], or a multiple of it.
fn system_page() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: it asks for a number. What can't be found out is as small as it can be.
            let size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })
                .unwrap_or(PAGE)
                .max(PAGE);
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// What may be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// A mapping: address space, or a table.
    Mapping,
    /// Memory of the allocator's, of a size that may be more than it has.
    Heap,
    /// Bytes of a cache's budget.
    Budget,
    /// A thread.
    Thread,
}

/// Whether a test wants what is asked for now to be refused.
#[inline(always)]
pub fn refused(ask: Ask) -> bool {
    #[cfg(test)]
    return refusals::refuses(ask);
    #[cfg(not(test))]
    {
        let _ = ask;
        false
    }
}

/// As [`refused`], as the error of a system that has no address space.
fn asked() -> io::Result<()> {
    if refused(Ask::Mapping) { Err(io::Error::from_raw_os_error(libc::ENOMEM)) } else { Ok(()) }
}

/// Refusals, for tests.
#[cfg(test)]
pub mod refusals {
    use super::Ask;
    use std::cell::RefCell;

    type Plan = Box<dyn FnMut(Ask, u64) -> bool>;

    thread_local! {
        static PLAN: RefCell<Option<(u64, Plan)>> = const { RefCell::new(None) };
    }

    /// Runs `f`; of what it asks of the system on this thread that is refused of which `plan`,
    /// given its number, says so. Returns how often it has asked too.
    pub fn with<T>(
        plan: impl FnMut(Ask, u64) -> bool + 'static,
        f: impl FnOnce() -> T,
    ) -> (T, u64) {
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                PLAN.set(None);
            }
        }
        PLAN.set(Some((0, Box::new(plan))));
        let _off = Off;
        let done = f();
        let asked = PLAN.with_borrow(|plan| plan.as_ref().map_or(0, |plan| plan.0));
        (done, asked)
    }

    pub(super) fn refuses(ask: Ask) -> bool {
        PLAN.with_borrow_mut(|plan| {
            plan.as_mut().is_some_and(|(asked, plan)| {
                *asked += 1;
                plan(ask, *asked - 1)
            })
        })
    }
}

/// A reserved range of address space, readable and writable, zero until written.
pub struct Region {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a Region is only an address range; every access through it is made by the modules that
// own parts of it.
unsafe impl Send for Region {}
// SAFETY: as above: `start` and `len` never change.
unsafe impl Sync for Region {}

/// Names a mapping, for whoever wonders what takes the program's memory. (Linux 5.17; before,
/// nothing comes of it.)
#[cfg(not(target_os = "linux"))]
fn say_what_it_is(_: *mut libc::c_void, _: usize, _: &CStr) {}
#[cfg(target_os = "linux")]
fn say_what_it_is(start: *mut libc::c_void, len: usize, name: &CStr) {
    const PR_SET_VMA: libc::c_int = 0x5356_4d41;
    const PR_SET_VMA_ANON_NAME: libc::c_ulong = 0;
    // SAFETY: it changes what is said of the mapping, not the mapping. The name is copied.
    unsafe { libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, len, name.as_ptr()) };
}

impl Region {
    /// Reserves `len` bytes (rounded up to whole huge pages), aligned to a huge page. `name` is
    /// what /proc/PID/maps shows.
    ///
    /// # Errors
    /// What the system says when it refuses, for example under a limit on address space.
    pub fn reserve(len: usize, name: &CStr) -> io::Result<Region> {
        asked()?;
        let len = len.next_multiple_of(HUGE);
        let padded = len + HUGE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches no memory
        // of ours.
        let raw = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                padded,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let skip = raw.cast::<u8>().align_offset(HUGE);
        // SAFETY: `skip <= HUGE`, so head and tail lie inside the mapping made above, and nobody
        // uses them yet.
        let start = unsafe {
            if skip > 0 {
                libc::munmap(raw, skip);
            }
            let start = raw.cast::<u8>().add(skip);
            if skip < HUGE {
                libc::munmap(start.add(len).cast(), HUGE - skip);
            }
            start
        };
        let region = Region { start: NonNull::new(start).expect("mmap returned a null page"), len };
        // Without this a system set to `always` would give huge pages where the budget counted
        // small ones.
        region.advise_small(0, len);
        say_what_it_is(region.start().cast(), len, name);
        Ok(region)
    }

    /// The first byte.
    #[inline]
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes of address space.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Asks for huge pages in a range. Returns whether the system took the advice.
    pub fn advise_huge(&self, offset: usize, len: usize) -> bool {
        #[cfg(target_os = "linux")]
        return self.advise(offset, len, libc::MADV_HUGEPAGE);
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (offset, len);
            false
        }
    }

    /// Asks for small pages in a range, so that giving back a part of it gives back memory.
    pub fn advise_small(&self, offset: usize, len: usize) {
        #[cfg(target_os = "linux")]
        self.advise(offset, len, libc::MADV_NOHUGEPAGE);
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, len);
    }

    /// Gives the pages of a range back to the system. They read as zeros afterwards.
    ///
    /// The caller owns the range: nobody but racing readers of atomics may look at it meanwhile.
    /// Where the system's pages are larger than [`PAGE`] (16 KiB on Apple's processors, up to 64
    /// KiB on arm64), what is a part of one only is made zero; and so is all where the system
    /// refuses, as it does for locked memory.
    pub fn decommit(&self, offset: usize, len: usize) {
        let end = offset + len.next_multiple_of(PAGE);
        assert!(offset.is_multiple_of(PAGE) && end <= self.len);
        let page = system_page();
        let (first, last) = (offset.next_multiple_of(page), end / page * page);
        if first >= last {
            return self.wipe(offset, end);
        }
        self.wipe(offset, first);
        if !self.give_back(first, last - first) {
            self.wipe(first, last);
        }
        self.wipe(last, end);
    }

    #[cfg(target_os = "linux")]
    fn give_back(&self, offset: usize, len: usize) -> bool {
        self.advise(offset, len, libc::MADV_DONTNEED)
    }

    /// Elsewhere that advice keeps what was written. Fresh pages in place of the old ones are zero,
    /// and no address is without a page between.
    #[cfg(not(target_os = "linux"))]
    fn give_back(&self, offset: usize, len: usize) -> bool {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: the range lies inside this mapping, whose pages it replaces, as the caller, who
        // owns it, asks for.
        let fresh = unsafe {
            libc::mmap(
                self.start().add(offset).cast(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        fresh != libc::MAP_FAILED
    }

    /// Makes a range zero, word by word.
    fn wipe(&self, from: usize, to: usize) {
        for at in (from..to).step_by(size_of::<u64>()) {
            // SAFETY: the word lies inside this mapping, aligned; readers that race with it read
            // atomics.
            unsafe { AtomicU64::from_ptr(self.start().add(at).cast()) }.store(0, Ordering::Relaxed);
        }
    }

    /// Faults the pages of a range in now, so that no later write has to. Nothing in it changes,
    /// whoever uses it meanwhile, as long as its first words in each page are used as atomics.
    ///
    /// By writing, not by `MADV_POPULATE_WRITE`: that holds the lock on the process's address space
    /// until a huge page is zeroed, and who calls mmap or munmap meanwhile, for a ghost or anything
    /// of the host program's, waits for 0.2 to 9 ms. A page fault locks its own mapping alone
    /// (Linux 6.4).
    pub fn touch(&self, offset: usize, len: usize) {
        assert!(offset.is_multiple_of(PAGE) && offset + len <= self.len);
        for at in (offset..offset + len).step_by(PAGE) {
            // SAFETY: the word lies inside this mapping, aligned, and is accessed as an atomic by
            // all.
            let word = unsafe { AtomicU64::from_ptr(self.start().add(at).cast()) };
            // Not an addition of 0: of that the compiler would make a read, which gives no page of
            // our own.
            let _ = word.compare_exchange(0, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    #[cfg(target_os = "linux")]
    fn advise(&self, offset: usize, len: usize, advice: libc::c_int) -> bool {
        if len == 0 {
            return true;
        }
        assert!(offset.is_multiple_of(PAGE) && offset + len <= self.len);
        // SAFETY: the range lies inside this mapping. The advice used here changes page sizes or
        // drops contents, which is what the callers, who own the range, ask for.
        unsafe {
            libc::madvise(self.start().add(offset).cast(), len.next_multiple_of(PAGE), advice) == 0
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and its last owner is going away.
        unsafe { libc::munmap(self.start().cast(), self.len) };
    }
}

/// An array of plain numbers, zero at first, that goes back to the system when it is dropped.
/// (malloc keeps what was freed, and a cache whose ghosts grow and shrink would see twice their
/// size in its resident memory.)
pub struct Zeroed<T> {
    start: NonNull<T>,
    len: usize,
}

/// Types for which all zero bytes are a value, and which need no dropping.
///
/// # Safety
/// Exactly that.
pub unsafe trait Plain: Copy {}
// SAFETY: integers.
unsafe impl Plain for u8 {}
// SAFETY: integers.
unsafe impl Plain for u16 {}
// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: an array of such.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

// SAFETY: it owns its memory, like a Box.
unsafe impl<T: Plain + Send> Send for Zeroed<T> {}

impl<T: Plain> Zeroed<T> {
    /// No numbers, which takes no memory.
    pub fn none() -> Zeroed<T> {
        Zeroed { start: NonNull::dangling(), len: 0 }
    }

    /// `len` zeros (at least one).
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn try_new(len: usize) -> io::Result<Zeroed<T>> {
        asked()?;
        let len = len.max(1);
        // SAFETY: a fresh anonymous mapping touches no memory of ours.
        let raw = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len * size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        say_what_it_is(raw, len * size_of::<T>(), c"larder: table");
        Ok(Zeroed { start: NonNull::new(raw.cast()).expect("mmap returned a null page"), len })
    }
}

impl<T: Plain> Zeroed<T> {
    /// Makes all of them zero, and gives their pages back to the system.
    pub fn clear(&mut self) {
        // SAFETY: the mapping is ours, and nobody else looks at it. Its pages read as zeros
        // afterwards, on Linux.
        let done = self.len == 0
            || cfg!(target_os = "linux")
                && unsafe {
                    libc::madvise(
                        self.start.as_ptr().cast(),
                        self.len * size_of::<T>(),
                        libc::MADV_DONTNEED,
                    ) == 0
                };
        if !done {
            // SAFETY: zero bytes are a value of `T`.
            self.iter_mut().for_each(|it| *it = unsafe { std::mem::zeroed() });
        }
    }
}

impl<T> Drop for Zeroed<T> {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        // SAFETY: the mapping is ours.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len * size_of::<T>()) };
    }
}

impl<T: Plain> std::ops::Deref for Zeroed<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` plain values, zero or written through `deref_mut`; pages are aligned to
        // anything.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> std::ops::DerefMut for Zeroed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// Two words of randomness for hash seeds.
pub fn random_words<const N: usize>() -> [u64; N] {
    let mut words = [0u64; N];
    let len = std::mem::size_of_val(&words);
    #[cfg(target_os = "linux")]
    // SAFETY: the buffer is `len` bytes of plain integers.
    let got = unsafe { libc::getrandom(words.as_mut_ptr().cast(), len, 0) } == len as isize;
    #[cfg(not(target_os = "linux"))]
    // SAFETY: as above. It takes 256 bytes at most, more than anybody here asks for.
    let got = unsafe { libc::getentropy(words.as_mut_ptr().cast(), len) } == 0;
    if !got {
        // Only kernels older than 3.17 get here. std's own per-process keys are random there too.
        use std::hash::{BuildHasher, RandomState};
        for (i, word) in words.iter_mut().enumerate() {
            *word = RandomState::new().hash_one(i);
        }
    }
    words
}

/// The clock that is read: the cheapest that only goes forward.
#[cfg(target_os = "linux")]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(target_os = "linux"))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// Milliseconds of a monotonic clock. Linux's coarse one costs 3 ns through the vDSO, and moves in
/// steps of 1 to 4 ms.
#[inline]
pub fn coarse_millis() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec, and the clock exists on every Linux since 2.6.32, on macOS
    // since 10.12.
    unsafe { libc::clock_gettime(CLOCK, &mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Registers the process for [`membarrier`]. False where the kernel lacks it or a filter forbids
/// it.
#[cfg(target_os = "linux")]
pub fn membarrier_register() -> bool {
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    // SAFETY: this command touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 }
}

/// Makes every running thread of the process pass a full memory barrier. Costs one to three
/// microseconds.
#[cfg(target_os = "linux")]
pub fn membarrier() -> bool {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    // SAFETY: this command touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0 }
}

/// There is none: readers pay.
#[cfg(not(target_os = "linux"))]
pub fn membarrier_register() -> bool {
    false
}

/// There is none.
#[cfg(not(target_os = "linux"))]
pub fn membarrier() -> bool {
    false
}

/// Makes every running thread of the process pass a barrier where [`membarrier`] may not be called:
/// by taking a right away from a page that was just written to. Whichever processor runs a thread
/// of the process is interrupted, to forget what it knew of the page, and an interrupt is a
/// barrier. (As liburcu and folly do it.) Processors that are told so without an interrupt pass
/// none; for them, and where that is forbidden too, it then sleeps for a thousand times as long as
/// a store waits to become visible.
pub fn interrupt_all() {
    // SAFETY: a fresh mapping, used by nobody else, and gone again at the end.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(
            std::ptr::null_mut(),
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        );
        if page != libc::MAP_FAILED {
            libc::mlock(page, PAGE);
            AtomicU64::from_ptr(page.cast()).store(1, Ordering::SeqCst);
            libc::mprotect(page, PAGE, libc::PROT_READ);
            libc::munmap(page, PAGE);
        }
    }
    std::sync::atomic::fence(Ordering::SeqCst);
    std::thread::sleep(std::time::Duration::from_millis(2));
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// Blocks all signals on this thread while it lives: threads started meanwhile inherit that.
pub struct BlockSignals(libc::sigset_t);

impl BlockSignals {
    /// Blocks them.
    pub fn new() -> BlockSignals {
        // SAFETY: sigset_t is plain data; both sets are valid for the calls.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            BlockSignals(before)
        }
    }
}

impl Drop for BlockSignals {
    fn drop(&mut self) {
        // SAFETY: restores the mask that `new` saved on this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let region = Region::reserve(HUGE, c"larder: test").unwrap();
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
        let region = Region::reserve(HUGE, c"larder: test").unwrap();
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
        let region = Region::reserve(HUGE, c"larder: a test's").unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps
            .lines()
            .find(|line| line.starts_with(&format!("{:x}-", region.start() as usize)))
            .unwrap();
        // Older kernels give no names.
        assert!(!line.contains("[anon:") || line.ends_with("[anon:larder: a test's]"), "{line}");
    }
}
