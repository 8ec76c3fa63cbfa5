//! Turns: what makes a transaction one step for everybody else.
//!
//! Single operations are atomic in the cache. What touches several keys as one step (EXEC, MSET,
//! RENAME) must not interleave with others: it takes an *exclusive* turn, everything else a shared
//! one. Shared turns are far more frequent, so each thread has a lock of its own for them, on a
//! line of its own: taking it costs no traffic between processors. An exclusive turn takes all of
//! them, in order. (A "big reader" lock.)

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Locks. More threads than that share them.
const SLOTS: usize = 32;

#[derive(Default)]
#[repr(align(128))]
struct Slot(RwLock<()>);

/// Who may go on.
#[derive(Default)]
pub struct Turns {
    slots: [Slot; SLOTS],
}

/// A shared turn, until it is dropped.
pub struct Shared<'a>(#[expect(dead_code, reason = "held")] RwLockReadGuard<'a, ()>);

/// An exclusive turn, until it is dropped.
pub struct Exclusive<'a>(#[expect(dead_code, reason = "held")] Vec<RwLockWriteGuard<'a, ()>>);

fn slot() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS);
        }
        own.get()
    })
}

impl Turns {
    /// A shared turn. A thread that has one must drop it before it takes another, of either kind.
    #[inline]
    pub fn shared(&self) -> Shared<'_> {
        Shared(self.slots[slot()].0.read())
    }

    /// An exclusive turn: nobody else has one meanwhile.
    pub fn exclusive(&self) -> Exclusive<'_> {
        Exclusive(self.slots.iter().map(|slot| slot.0.write()).collect())
    }
}
