//! What larder asks of the operating system: address space, pages, a fence for the others.
//!
//! What caches make of address space is in `region` and `plots`.

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
pub fn system_page() -> usize {
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
    /// Access to what is mapped, which the system may have no memory for.
    Access,
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
pub fn asked(ask: Ask) -> io::Result<()> {
    if refused(ask) { Err(io::Error::from_raw_os_error(libc::ENOMEM)) } else { Ok(()) }
}

/// Names a mapping, for whoever wonders what takes the program's memory. (Linux 5.17; before,
/// nothing comes of it.)
#[cfg(not(target_os = "linux"))]
pub fn say_what_it_is(_: *mut libc::c_void, _: usize, _: &CStr) {}
#[cfg(target_os = "linux")]
pub fn say_what_it_is(start: *mut libc::c_void, len: usize, name: &CStr) {
    const PR_SET_VMA: libc::c_int = 0x5356_4d41;
    const PR_SET_VMA_ANON_NAME: libc::c_ulong = 0;
    // SAFETY: it changes what is said of the mapping, not the mapping. The name is copied.
    unsafe { libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, len, name.as_ptr()) };
}

/// Maps addresses without access: at `wanted`, if nothing lies there, else (and for 0) where the
/// system likes. Whoever maps them unmaps them.
///
/// # Errors
/// What the system says when it refuses, for example under a limit on address space.
pub fn map_no_access(wanted: usize, len: usize) -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh anonymous mapping replaces none: its address is a wish.
    let raw = unsafe { libc::mmap(wanted as *mut _, len, libc::PROT_NONE, flags, -1, 0) };
    if raw == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(raw as usize) }
}

/// Ends a mapping of [`map_no_access`], or a part of it.
///
/// # Safety
/// It is the caller's, and nobody uses it any more.
pub unsafe fn unmap(start: usize, len: usize) {
    if len > 0 {
        // SAFETY: the caller promises it.
        unsafe { libc::munmap(start as *mut _, len) };
    }
}

/// Lets a range of [`map_no_access`] be read and written. False if the system refuses, for it has
/// promised no more memory than it has.
///
/// # Safety
/// It is the caller's.
pub unsafe fn allow_access(start: usize, len: usize) -> bool {
    // SAFETY: the caller promises it; nobody relies on having no access.
    unsafe { libc::mprotect(start as *mut _, len, libc::PROT_READ | libc::PROT_WRITE) == 0 }
}

/// Gives whole pages back to the system, which read as zeros afterwards. False if it refuses.
///
/// # Safety
/// They are the caller's, and nobody but racing readers of atomics looks at them meanwhile.
#[cfg(target_os = "linux")]
pub unsafe fn give_back(start: usize, len: usize) -> bool {
    /// As `MADV_DONTNEED`, for locked memory too (Linux 5.18).
    const MADV_DONTNEED_LOCKED: libc::c_int = 24;
    // SAFETY: the caller promises it.
    unsafe { advise(start, len, libc::MADV_DONTNEED) || advise(start, len, MADV_DONTNEED_LOCKED) }
}

/// Elsewhere that advice keeps what was written. Fresh pages in place of the old ones are zero, and
/// no address is without a page between.
///
/// # Safety
/// As above.
#[cfg(not(target_os = "linux"))]
pub unsafe fn give_back(start: usize, len: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: it replaces pages of the caller's, as the caller, who owns them, asks for.
    unsafe { libc::mmap(start as *mut _, len, access, flags, -1, 0) != libc::MAP_FAILED }
}

/// Gives advice on a range. False if the system doesn't take it.
///
/// # Safety
/// The range is the caller's, and so is what the advice says of its contents.
#[cfg(target_os = "linux")]
pub unsafe fn advise(start: usize, len: usize, advice: libc::c_int) -> bool {
    // SAFETY: the caller promises it.
    unsafe { libc::madvise(start as *mut _, len.next_multiple_of(PAGE), advice) == 0 }
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
        asked(Ask::Mapping)?;
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
    millis(CLOCK)
}

/// The same, to the millisecond: the clock that the coarse one is a step behind of.
pub fn precise_millis() -> u64 {
    millis(libc::CLOCK_MONOTONIC)
}

#[inline]
fn millis(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec, and both clocks exist on every Linux since 2.6.32, on
    // macOS since 10.12.
    unsafe { libc::clock_gettime(clock, &mut now) };
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
