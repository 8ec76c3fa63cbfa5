//! The asymmetric fence between a reader's pin and its first index load. Normally the reclaimer
//! issues `membarrier`; while reclamation is frequent, each reader executes a full fence instead.
//!
//! Either the scanner does, by `membarrier` (see `sync::epoch`): it makes every running thread pass
//! a barrier. That takes some ten microseconds while another thread runs, which is stopped as well.
//! Or each reader does, by a fence of its own: some 20 cycles. The first is right as long as there
//! are thousands of reads to a scan. When two threads replace large entries as fast as they can
//! there is a scan every fifty sets, and much of their time would go there (docs/performance.md).
//!
//! So readers are told by a flag. It may change at any time, by these rules:
//!
//! 1. A reader looks at the flag *after* it has stored its slot.
//! 2. On: the flag, then `membarrier`, then `scans` says that scanners may do without. A reader
//!    that saw the flag unset before it passed that barrier had stored its slot before, so the
//!    barrier made it visible to every scan that comes later.
//! 3. Off: `scans` first, then the flag. A scanner asks by a read-modify-write. If that still says
//!    that it may do without, the switch comes after it, and whoever reads the flag unset from then
//!    on also sees what the scanner had unlinked.
//!
//! tests/loom/tests/barrier.rs tries every order of these. Where the system has no `membarrier`
//! readers pay, and nothing changes.
//!
//! A program may also forbid it later, by a filter that it puts on when it has made its caches and
//! drops its privileges. Whoever finds that out makes the running threads pass a barrier by other
//! means (`os::interrupt_all`), slowly, and has readers pay from then on for good, by rule 2.

use crate::sync::waker;
use crate::sys::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence, fence};
use crate::sys::os;

/// Barriers within one window of time from which on readers pay: two thousand a second.
const BUSY: u64 = 16;
/// The logarithm of the milliseconds of a window.
const WINDOW_BITS: u32 = 3;
/// Scans between two visits of the maintenance thread (300 to 600 ms) below which the scanner pays
/// again.
const CALM: u64 = 300;
/// Readers have begun to pay since that visit.
const FRESH: u64 = u64::MAX;

/// What readers and scanners agree on.
pub struct AsymmetricFence {
    /// Readers pass a fence.
    fences: AtomicBool,
    scanners: Scanners,
}

/// What only scanners write and read. Apart from what all readers read.
#[repr(align(128))]
struct Scanners {
    /// The lowest bit: all readers pass a fence, and scanners may rely on it. The others count
    /// scans.
    scans: AtomicU64,
    /// A window of time (the upper 48 bits) and the barriers that scanners have issued in it.
    recent: AtomicU64,
    /// `scans` at the maintenance thread's last visit.
    seen: AtomicU64,
    /// Somebody is changing who pays; for ever, where there is no `membarrier`.
    switching: AtomicBool,
}

impl AsymmetricFence {
    /// Readers pay, until it is known that they needn't.
    pub const fn new() -> AsymmetricFence {
        AsymmetricFence {
            fences: AtomicBool::new(true),
            scanners: Scanners {
                scans: AtomicU64::new(1),
                recent: AtomicU64::new(0),
                seen: AtomicU64::new(0),
                switching: AtomicBool::new(true),
            },
        }
    }

    /// Finds out whether there is `membarrier`. Once.
    pub fn start(&self) {
        // ThreadSanitizer knows no fences, and no barriers either.
        if !cfg!(larder_tsan) && os::membarrier_register() {
            self.scanners.switching.store(false, Ordering::Release);
            self.fence_scanners();
        }
    }

    /// For a reader, between the store to its slot and its first look.
    #[inline(always)]
    pub fn enter(&self) {
        compiler_fence(Ordering::SeqCst);
        if self.fences.load(Ordering::Acquire) {
            fence(Ordering::SeqCst);
        } else {
            compiler_fence(Ordering::SeqCst);
        }
    }

    /// For a scanner, between the unlinking and its look at the slots.
    pub fn scan(&self) {
        if self.scanners.scans.fetch_add(2, Ordering::AcqRel) & 1 == 1 {
            return fence(Ordering::SeqCst);
        }
        membarrier();
        if FORBIDDEN.load(Ordering::Relaxed) {
            return self.fence_readers_for_good();
        }
        let window = os::coarse_millis() >> WINDOW_BITS << 16;
        let recent = self.scanners.recent.load(Ordering::Relaxed);
        // Two at once may count as one.
        self.scanners.recent.store(
            if recent & !0xffff == window { recent + 1 } else { window + 1 },
            Ordering::Relaxed,
        );
    }

    /// As [`AsymmetricFence::scan`], if readers pay. False if not, and nothing was done.
    #[inline]
    pub fn try_scan(&self) -> bool {
        // Looked at first, so that what isn't done isn't counted.
        let pays = self.scanners.scans.load(Ordering::Relaxed) & 1 == 1
            && self.scanners.scans.fetch_add(2, Ordering::AcqRel) & 1 == 1;
        if pays {
            fence(Ordering::SeqCst);
        }
        pays
    }

    /// Has readers pay, if scanners issue many barriers. Not to be called with a lock held.
    #[inline]
    pub fn relieve(&self) {
        if self.scanners.recent.load(Ordering::Relaxed) & 0xffff >= BUSY {
            self.fence_readers();
        }
    }

    /// Has scanners pay again, if they are few. For the maintenance thread.
    pub fn calm(&self) {
        let scans = self.scanners.scans.load(Ordering::Relaxed);
        let seen = self.scanners.seen.swap(scans, Ordering::Relaxed);
        if scans & 1 == 1 && seen != FRESH && (scans - seen) / 2 < CALM {
            self.fence_scanners();
        }
    }

    #[cold]
    fn fence_readers(&self) {
        self.scanners.recent.store(0, Ordering::Relaxed);
        if self.scanners.switching.swap(true, Ordering::Acquire) {
            return;
        }
        if self.scanners.scans.load(Ordering::Relaxed) & 1 == 0 {
            self.fences.store(true, Ordering::SeqCst);
            membarrier();
            self.scanners.scans.fetch_or(1, Ordering::AcqRel);
            // The thread's next visit may be now.
            self.scanners.seen.store(FRESH, Ordering::Relaxed);
        }
        if FORBIDDEN.load(Ordering::Relaxed) {
            // For good: there is nothing that it could be undone with.
            return;
        }
        self.scanners.switching.store(false, Ordering::Release);
        // It will have to be undone.
        waker::wake();
    }

    /// As [`AsymmetricFence::fence_readers`], never to be undone. May be called with locks held.
    #[cold]
    fn fence_readers_for_good(&self) {
        if !self.scanners.switching.swap(true, Ordering::Acquire)
            && self.scanners.scans.load(Ordering::Relaxed) & 1 == 0
        {
            self.fences.store(true, Ordering::SeqCst);
            membarrier();
            self.scanners.scans.fetch_or(1, Ordering::AcqRel);
        }
        // Somebody else is at it; and who finds the flag unset comes here again.
    }

    fn fence_scanners(&self) {
        if self.scanners.switching.swap(true, Ordering::Acquire) {
            return;
        }
        self.scanners.scans.fetch_and(!1, Ordering::AcqRel);
        self.fences.store(false, Ordering::Release);
        self.scanners.switching.store(false, Ordering::Release);
    }
}

/// `membarrier` was there, and is forbidden.
static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Makes every running thread pass a barrier.
fn membarrier() {
    // A child after fork may have lost the registration.
    if !(os::membarrier() || os::membarrier_register() && os::membarrier()) {
        FORBIDDEN.store(true, Ordering::Relaxed);
        os::interrupt_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether readers pay. Scanners must agree, when nobody is switching.
    fn readers_pay(barrier: &AsymmetricFence) -> bool {
        let fences = barrier.fences.load(Ordering::Relaxed);
        assert_eq!(barrier.scanners.scans.load(Ordering::Relaxed) & 1 == 1, fences);
        fences
    }

    /// None where there is no `membarrier`: then there is nothing to switch.
    fn started() -> Option<AsymmetricFence> {
        let barrier = AsymmetricFence::new();
        barrier.start();
        (!readers_pay(&barrier)).then_some(barrier)
    }

    /// As if scanners had issued so many barriers in this window, or in the one before.
    fn issued(barrier: &AsymmetricFence, barriers: u64, before: bool) {
        let window = (os::coarse_millis() >> WINDOW_BITS) - u64::from(before);
        barrier.scanners.recent.store(window << 16 | barriers, Ordering::Relaxed);
    }

    #[test]
    fn many_barriers_switch_on_and_few_scans_off() {
        let Some(barrier) = started() else { return };
        // So many within a window: a busy machine may not get there at once.
        let mut barriers = 0;
        while !readers_pay(&barrier) {
            barrier.scan();
            barrier.relieve();
            barriers += 1;
            assert!(barriers < 1_000_000, "readers never pay");
        }
        assert!(barriers >= BUSY);
        // Scans are counted all the same.
        (0..CALM).for_each(|_| barrier.scan());
        assert_eq!(barrier.scanners.recent.load(Ordering::Relaxed), 0, "a barrier was issued");
        barrier.calm();
        assert!(readers_pay(&barrier), "there were many scans");
        (1..CALM).for_each(|_| barrier.scan());
        barrier.calm();
        assert!(!readers_pay(&barrier), "there were few scans");
    }

    #[test]
    fn barriers_of_another_window_do_not_count() {
        let Some(barrier) = started() else { return };
        issued(&barrier, BUSY - 1, true);
        barrier.scan();
        barrier.relieve();
        assert!(!readers_pay(&barrier));
    }

    #[test]
    fn one_at_a_time_switches() {
        let Some(barrier) = started() else { return };
        barrier.scanners.switching.store(true, Ordering::Relaxed);
        issued(&barrier, BUSY, false);
        barrier.relieve();
        assert!(!readers_pay(&barrier), "another is at it");
        barrier.scanners.switching.store(false, Ordering::Relaxed);
        issued(&barrier, BUSY, false);
        barrier.relieve();
        assert!(readers_pay(&barrier));
        barrier.scanners.switching.store(true, Ordering::Relaxed);
        barrier.calm();
        assert!(readers_pay(&barrier), "another is at it");
        barrier.scanners.switching.store(false, Ordering::Relaxed);
        barrier.calm();
        assert!(!readers_pay(&barrier));
    }

    #[test]
    fn without_membarrier_readers_pay_for_ever() {
        // Not started, or in vain.
        let barrier = AsymmetricFence::new();
        barrier.scan();
        issued(&barrier, BUSY, false);
        barrier.relieve();
        barrier.calm();
        assert!(readers_pay(&barrier));
    }
}
