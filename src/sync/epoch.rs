//! When may memory that readers have seen be used again? After everyone who could still be looking
//! has left.
//!
//! One epoch counter and one slot per thread serve the whole process.
//!
//! * A reader *pins*: it copies the global epoch into its thread's slot, and writes 0 there when it
//!   leaves.
//! * A writer first unlinks (no new reader can find the thing), then *retires*: it takes the global
//!   epoch as the thing's stamp and moves the epoch on by one.
//! * A thing is free once every pinned slot holds an epoch above its stamp: those readers pinned
//!   after the unlinking.
//!
//! The classic trouble is a reader that has read the epoch but whose store to its slot isn't
//! visible yet when the writer scans the slots. It needs a full barrier between the reader's store
//! and its first look at the index. A barrier on every read costs 4 to 8 ns, so the price is moved
//! to the scan: the scanner issues `membarrier`, which makes every running thread pass a barrier. A
//! reader whose store the scan then misses makes its first look after that barrier, and the
//! unlinking came before it. While there are many scans, or no `membarrier`, the reader pays for
//! its own fence (`asymmetric_fence`).
//!
//! Compared with crossbeam-epoch: nothing is ever collected on the reader's thread, no function
//! pointer is called and no memory is allocated, so that a pin fits the fast path from Go (see
//! ARCHITECTURE.md), and a pin costs 1 ns instead of 5. The general scheme is epoch-based
//! reclamation (Fraser 2004); the asymmetric fence is folly's and liburcu's.

use crate::sync::asymmetric_fence::AsymmetricFence;
use crate::sys::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::cell::Cell;
use std::ptr;
use std::sync::Once;

const CHUNK: usize = 64;
/// Of slots: as many as Linux ever lets threads live. A slot is a thread's from its first call
/// until it ends, whether it calls again or not; so with fewer, threads that only wait could keep a
/// new one from ever coming in.
const CHUNKS: usize = (4 << 20) / CHUNK;

/// A thread's place in the epoch. Two cache lines, because adjacent lines are fetched in pairs.
#[repr(align(128))]
pub struct ThreadSlot {
    /// 0 when the thread is not inside the cache, else the epoch it pinned.
    epoch: AtomicU64,
    claimed: AtomicBool,
    id: usize,
}

/// What all threads share, in lines of its own.
#[repr(align(128))]
struct Global {
    epoch: AtomicU64,
    barrier: AsymmetricFence,
}

static GLOBAL: Global = Global { epoch: AtomicU64::new(1), barrier: AsymmetricFence::new() };
static DIRECTORY: [AtomicPtr<[ThreadSlot; CHUNK]>; CHUNKS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];
/// Slots ever handed out: the scan looks no further.
static HIGH_WATER: AtomicUsize = AtomicUsize::new(0);
static START: Once = Once::new();

thread_local! {
    // Const-initialised and without a destructor: reading it is one instruction, fit for the fast
    // path.
    static LOCAL: Cell<*const ThreadSlot> = const { Cell::new(ptr::null()) };
    static OWNER: Owner = const { Owner(Cell::new(None)) };
}

/// Returns the thread's slot when the thread ends.
struct Owner(Cell<Option<&'static ThreadSlot>>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            let _ = LOCAL.try_with(|local| local.set(ptr::null()));
            slot.claimed.store(false, Ordering::Release);
        }
    }
}

/// Keeps everything alive that was reachable when it was made. Not `Send`: it belongs to one
/// thread.
pub struct Guard {
    slot: &'static ThreadSlot,
    leave: Leave,
    _not_send: std::marker::PhantomData<*const ()>,
}

/// What a guard does when it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    Unpin,
    /// Gives the slot back too.
    Release,
    /// Nothing: an outer guard of this thread holds the pin.
    Stay,
}

impl Guard {
    #[inline]
    fn new(slot: &'static ThreadSlot, leave: Leave) -> Guard {
        Guard { slot, leave, _not_send: std::marker::PhantomData }
    }

    /// The number of the thread's slot: below 4,194,304, and no two living threads share one.
    #[inline]
    pub fn thread(&self) -> usize {
        self.slot.id
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        if self.leave == Leave::Stay {
            return;
        }
        self.slot.epoch.store(0, Ordering::Release);
        if self.leave == Leave::Release {
            let _ = LOCAL.try_with(|local| local.set(ptr::null()));
            self.slot.claimed.store(false, Ordering::Release);
        }
    }
}

/// Finds out which fences to use. To be called before there is anything to protect: readers and
/// scanners must agree.
pub fn start() {
    START.call_once(|| GLOBAL.barrier.start());
}

/// Pins the epoch. Guards of one thread nest, but must go in the reverse order of their coming.
#[inline]
pub fn pin() -> Guard {
    match try_pin() {
        Some(guard) => guard,
        None => register_and_pin(),
    }
}

/// Pins the epoch if this thread has done so before: no allocation, no lock, no system call.
#[inline]
pub fn try_pin() -> Option<Guard> {
    let slot = local()?;
    if slot.epoch.load(Ordering::Relaxed) != 0 {
        return Some(Guard::new(slot, Leave::Stay));
    }
    Some(pin_slot(slot, Leave::Unpin))
}

/// As [`try_pin`], for who comes from outside: the thread isn't pinned. (So it needn't be
/// remembered how to leave.)
#[inline]
pub fn try_enter() -> Option<Guard> {
    let slot = local().filter(|slot| slot.epoch.load(Ordering::Relaxed) == 0)?;
    Some(pin_slot(slot, Leave::Unpin))
}

/// The thread's slot, if it has one.
#[inline]
fn local() -> Option<&'static ThreadSlot> {
    let slot = LOCAL.try_with(Cell::get).ok()?;
    // SAFETY: slots live in chunks that are never freed.
    unsafe { slot.as_ref() }
}

#[inline]
fn pin_slot(slot: &'static ThreadSlot, leave: Leave) -> Guard {
    debug_assert_eq!(slot.epoch.load(Ordering::Relaxed), 0);
    let epoch = GLOBAL.epoch.load(Ordering::Acquire);
    if cfg!(larder_tsan) {
        // ThreadSanitizer knows no fences; a swap orders the same and it understands it.
        slot.epoch.swap(epoch, Ordering::SeqCst);
    } else {
        // Release, as the store of 0 when leaving: a scan that sees this pin must also be ordered
        // after what was read under the one before it. (The same instruction on x86.)
        slot.epoch.store(epoch, Ordering::Release);
        GLOBAL.barrier.enter();
    }
    Guard::new(slot, leave)
}

#[cold]
fn register_and_pin() -> Guard {
    start();
    let slot = claim();
    let owned = OWNER.try_with(|owner| owner.0.set(Some(slot))).is_ok();
    // Also where it doesn't stay: inner guards find it.
    let _ = LOCAL.try_with(|local| local.set(slot));
    // A thread that calls from its own destructors has no owner any more: it returns the slot with
    // the guard.
    pin_slot(slot, if owned { Leave::Unpin } else { Leave::Release })
}

fn claim() -> &'static ThreadSlot {
    loop {
        for (c, entry) in DIRECTORY.iter().enumerate() {
            let mut chunk = entry.load(Ordering::Acquire);
            if chunk.is_null() {
                let fresh = Box::into_raw(Box::new(std::array::from_fn(|i| ThreadSlot {
                    epoch: AtomicU64::new(0),
                    claimed: AtomicBool::new(false),
                    id: c * CHUNK + i,
                })));
                chunk = match entry.compare_exchange(
                    ptr::null_mut(),
                    fresh,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => fresh,
                    Err(other) => {
                        // SAFETY: `fresh` was made above and lost the race: nobody else has seen
                        // it.
                        drop(unsafe { Box::from_raw(fresh) });
                        other
                    }
                };
            }
            // SAFETY: published chunks are never freed.
            for slot in unsafe { &*chunk } {
                if !slot.claimed.load(Ordering::Relaxed)
                    && slot
                        .claimed
                        .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                {
                    // SeqCst, so that a scan that begins after this thread's first pin looks at
                    // this slot.
                    HIGH_WATER.fetch_max(slot.id + 1, Ordering::SeqCst);
                    return slot;
                }
            }
        }
        // More threads than there can be: one of them is about to end.
        std::thread::yield_now();
    }
}

/// Stamps a thing that was just unlinked, and moves the epoch on.
#[inline]
pub fn retire() -> u64 {
    GLOBAL.epoch.fetch_add(1, Ordering::SeqCst)
}

/// Things with a stamp below the returned one are free: nobody can be looking at them.
pub fn safe_before() -> u64 {
    let now = now();
    GLOBAL.barrier.scan();
    oldest(now)
}

/// As [`safe_before`], if that takes no system call.
pub fn try_safe_before() -> Option<u64> {
    let now = now();
    GLOBAL.barrier.try_scan().then(|| oldest(now))
}

/// Anything retired after this gets a stamp of at least as much.
fn now() -> u64 {
    GLOBAL.epoch.load(Ordering::SeqCst)
}

/// The oldest epoch that is pinned, or `now`. Between both lies a barrier.
fn oldest(now: u64) -> u64 {
    let mut oldest = now;
    // A read-modify-write, so that a thread that claims a higher slot after it also sees the
    // unlinking before it.
    let high = HIGH_WATER.fetch_max(0, Ordering::SeqCst);
    for entry in DIRECTORY.iter().take(high.div_ceil(CHUNK)) {
        let chunk = entry.load(Ordering::Acquire);
        if chunk.is_null() {
            continue;
        }
        // SAFETY: published chunks are never freed.
        for slot in unsafe { &*chunk } {
            // The tsan build pins with a SeqCst read-modify-write; reading with one pairs with it
            // there.
            let epoch = if cfg!(larder_tsan) {
                slot.epoch.fetch_add(0, Ordering::SeqCst)
            } else {
                slot.epoch.load(Ordering::Acquire)
            };
            if epoch != 0 {
                oldest = oldest.min(epoch);
            }
        }
    }
    oldest
}

/// To be called now and then by who scans, with no lock held: readers pay for the barriers from now
/// on, if there are many.
#[inline]
pub fn relieve() {
    GLOBAL.barrier.relieve();
}

/// To be called now and then by the maintenance thread: readers no longer pay, if there are few
/// scans.
pub fn calm() {
    GLOBAL.barrier.calm();
}

/// Whether this thread is inside the cache now.
pub fn is_pinned() -> bool {
    local().is_some_and(|slot| slot.epoch.load(Ordering::Relaxed) != 0)
}

/// Waits until everyone who was inside when it was called has left. The caller must not be pinned.
pub fn synchronize() {
    let stamp = retire();
    let mut spins = 0u32;
    while safe_before() <= stamp {
        spins += 1;
        if spins < 16 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_holds_back_what_was_retired_after_it() {
        let (in_tx, in_rx) = std::sync::mpsc::channel();
        let (out_tx, out_rx) = std::sync::mpsc::channel::<()>();
        let reader = std::thread::spawn(move || {
            let guard = pin();
            in_tx.send(()).unwrap();
            out_rx.recv().unwrap();
            drop(guard);
        });
        in_rx.recv().unwrap();
        let stamp = retire();
        assert!(safe_before() <= stamp);
        out_tx.send(()).unwrap();
        reader.join().unwrap();
        synchronize();
        assert!(safe_before() > stamp);
    }

    #[test]
    fn a_later_pin_does_not_hold_back() {
        let stamp = retire();
        let guard = pin();
        assert!(guard.slot.epoch.load(Ordering::Relaxed) > stamp);
        drop(guard);
    }

    #[test]
    fn slots_are_reused() {
        let before = std::thread::spawn(|| pin().thread()).join().unwrap();
        for _ in 0..200 {
            std::thread::spawn(|| drop(pin())).join().unwrap();
        }
        assert!(HIGH_WATER.load(Ordering::Relaxed) < before + 150);
    }
}
