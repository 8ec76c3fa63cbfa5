//! The epoch: a copy of `src/sync/epoch.rs` with two slots, and fences wherever the real one may
//! have `membarrier`.
//!
//! `membarrier` is outside of every memory model. What it promises is what the fences promise that
//! stand in for it here: either the scan sees the reader's slot, or the reader sees what was
//! unlinked before the scan. The code takes these fences itself where the system has no
//! `membarrier`, and while there are many scans (`src/sync/asymmetric_fence.rs`). Who pays when,
//! and what becomes of readers when that changes, is modelled in `tests/barrier.rs`; so is
//! `membarrier`.

use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

/// What is left out, to see that loom notices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing: this is what `src/sync/epoch.rs` does.
    None,
    /// The reader's fence between its slot and its first look.
    ReaderFence,
    /// The scanner's fence between the unlinking and its look at the slots.
    ScanFence,
    /// The order of unlinking and stamping.
    StampFirst,
    /// The rule that an inner guard leaves the pin to the outer one.
    InnerUnpins,
    /// The release ordering of a slot's new epoch, which carries what the thread read under its
    /// last pin.
    RelaxedPin,
    /// The release ordering of leaving.
    RelaxedUnpin,
    /// What makes a scan look at a new slot: the mark is raised only after the reader's fence, and
    /// orders nothing.
    LateHighWater,
    /// The release ordering of a slot that a thread gives back.
    RelaxedRelease,
}

/// A thread's place: `Slot`.
pub struct Slot {
    epoch: AtomicU64,
    claimed: AtomicBool,
}

/// `GLOBAL`, `DIRECTORY` and `HIGH_WATER`.
pub struct Epoch {
    global: AtomicU64,
    slots: [Slot; 2],
    high_water: AtomicUsize,
    fault: Fault,
}

/// `Guard`. Goes by [`Epoch::unpin`].
pub struct Guard {
    slot: usize,
    stay: bool,
}

impl Epoch {
    /// Epoch 1, and nobody pinned.
    pub fn new(fault: Fault) -> Epoch {
        let slot = || Slot { epoch: AtomicU64::new(0), claimed: AtomicBool::new(false) };
        Epoch {
            global: AtomicU64::new(1),
            slots: [slot(), slot()],
            high_water: AtomicUsize::new(0),
            fault,
        }
    }

    /// `claim`, without the growth of the directory.
    pub fn claim(&self) -> usize {
        for (id, slot) in self.slots.iter().enumerate() {
            if !slot.claimed.load(Ordering::Relaxed)
                && slot
                    .claimed
                    .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                if self.fault != Fault::LateHighWater {
                    self.high_water.fetch_max(id + 1, Ordering::SeqCst);
                }
                return id;
            }
        }
        panic!("the model has more threads than slots");
    }

    /// `Owner::drop`: the thread ends.
    pub fn release(&self, slot: usize) {
        let ordering =
            if self.fault == Fault::RelaxedRelease { Ordering::Relaxed } else { Ordering::Release };
        self.slots[slot].claimed.store(false, ordering);
    }

    /// `pin_slot`.
    pub fn pin(&self, id: usize) -> Guard {
        let slot = &self.slots[id];
        if slot.epoch.load(Ordering::Relaxed) != 0 {
            return Guard { slot: id, stay: true };
        }
        let epoch = self.global.load(Ordering::Acquire);
        let ordering =
            if self.fault == Fault::RelaxedPin { Ordering::Relaxed } else { Ordering::Release };
        slot.epoch.store(epoch, ordering);
        if self.fault != Fault::ReaderFence {
            fence(Ordering::SeqCst);
        }
        if self.fault == Fault::LateHighWater {
            self.high_water.fetch_max(id + 1, Ordering::Relaxed);
        }
        Guard { slot: id, stay: false }
    }

    /// `Guard::drop`.
    pub fn unpin(&self, guard: Guard) {
        if guard.stay && self.fault != Fault::InnerUnpins {
            return;
        }
        let ordering =
            if self.fault == Fault::RelaxedUnpin { Ordering::Relaxed } else { Ordering::Release };
        self.slots[guard.slot].epoch.store(0, ordering);
    }

    /// `retire`.
    pub fn retire(&self) -> u64 {
        self.global.fetch_add(1, Ordering::SeqCst)
    }

    /// `safe_before`.
    pub fn safe_before(&self) -> u64 {
        let now = self.global.load(Ordering::SeqCst);
        if self.fault != Fault::ScanFence {
            fence(Ordering::SeqCst);
        }
        let mut oldest = now;
        let high = self.high_water.fetch_max(0, Ordering::SeqCst);
        for slot in &self.slots[..high] {
            let epoch = slot.epoch.load(Ordering::Acquire);
            if epoch != 0 {
                oldest = oldest.min(epoch);
            }
        }
        oldest
    }

    /// `synchronize`.
    pub fn synchronize(&self) {
        let stamp = self.retire();
        while self.safe_before() <= stamp {
            loom::thread::yield_now();
        }
    }

    /// What is left out.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

/// The lines that this file copies.
///
/// # Panics
/// If `src/sync/epoch.rs` has changed, or the fences in `src/sync/asymmetric_fence.rs`.
pub fn mirrored() {
    crate::mirrors(
        "sync/epoch.rs",
        &[
            "let epoch = GLOBAL.epoch.load(Ordering::Acquire);",
            "slot.epoch.store(epoch, Ordering::Release);",
            "self.slot.epoch.store(0, Ordering::Release);",
            "slot.claimed.store(false, Ordering::Release);",
            "slot.claimed.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)",
            "HIGH_WATER.fetch_max(slot.id + 1, Ordering::SeqCst);",
            "GLOBAL.epoch.fetch_add(1, Ordering::SeqCst)",
            "let now = now(); GLOBAL.barrier.scan(); oldest(now)",
            "let now = now(); GLOBAL.barrier.try_scan().then(|| oldest(now))",
            "GLOBAL.epoch.load(Ordering::SeqCst)",
            "HIGH_WATER.fetch_max(0, Ordering::SeqCst)",
            "slot.epoch.load(Ordering::Acquire)",
            "GLOBAL.barrier.enter();",
        ],
    );
    crate::mirrors(
        "sync/asymmetric_fence.rs",
        &[
            "if self.fences.load(Ordering::Acquire) { fence(Ordering::SeqCst);",
            "return fence(Ordering::SeqCst);",
        ],
    );
}
