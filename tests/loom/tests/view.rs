//! `src/cache/view.rs` against `Space::reclaim_locked` and `release`: memory that a view holds is
//! not used again until the last view of it is released, wherever that happens.

use larder_loom::epoch::{Epoch, Fault as EpochFault};
use larder_loom::explore;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The count goes up when the epoch is no longer pinned.
    LatePin,
    /// Releasing orders nothing.
    RelaxedRelease,
    /// The reclaimer looks at the count before the grace period has passed, not after.
    EarlyCount,
}

struct World {
    epoch: Epoch,
    link: AtomicUsize,
    pins: AtomicU32,
    memory: UnsafeCell<u64>,
    fault: Fault,
}

// SAFETY: `memory` is what the protocol protects; loom checks each access.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    fn new(fault: Fault) -> Arc<World> {
        Arc::new(World {
            epoch: Epoch::new(EpochFault::None),
            link: AtomicUsize::new(1),
            pins: AtomicU32::new(0),
            memory: UnsafeCell::new(7),
            fault,
        })
    }

    /// `Cache::view`.
    fn view(&self, slot: usize) -> bool {
        let guard = self.epoch.pin(slot);
        let found = self.link.load(Ordering::Acquire) == 1;
        if found && self.fault != Fault::LatePin {
            self.pins.fetch_add(1, Ordering::SeqCst);
        }
        self.epoch.unpin(guard);
        if found && self.fault == Fault::LatePin {
            self.pins.fetch_add(1, Ordering::SeqCst);
        }
        found
    }

    /// `View::deref`.
    fn look(&self) {
        // SAFETY: what the model is about. loom fails the model if it isn't so.
        let there = self.memory.with(|memory| unsafe { *memory });
        assert_eq!(there, 7, "the memory was used again under a view");
    }

    /// `View::drop`.
    fn release(&self) {
        let ordering =
            if self.fault == Fault::RelaxedRelease { Ordering::Relaxed } else { Ordering::Release };
        self.pins.fetch_sub(1, ordering);
    }

    /// `Index::remove`, then `Space::retire`.
    fn give_up(&self) -> u64 {
        self.link.store(0, Ordering::Release);
        self.epoch.retire()
    }

    /// `Space::reclaim_locked`, for a segment in limbo or, once its grace period is over, among the
    /// pinned ones.
    fn reclaim(&self, stamp: u64, graced: &mut bool) -> bool {
        let early = self.pins.load(Ordering::Acquire);
        if !*graced {
            *graced = stamp < self.epoch.safe_before();
        }
        let pins =
            if self.fault == Fault::EarlyCount { early } else { self.pins.load(Ordering::Acquire) };
        if *graced && pins == 0 {
            // SAFETY: as in `look`.
            self.memory.with_mut(|memory| unsafe { *memory = 8 });
            return true;
        }
        false
    }
}

/// A reader that takes a view and looks, against a writer that reclaims, in two attempts.
fn one_view(fault: Fault) {
    explore(5, move || {
        let world = World::new(fault);
        let slot = world.epoch.claim();
        let reader = thread::spawn({
            let world = world.clone();
            move || {
                if world.view(slot) {
                    world.look();
                    world.release();
                }
            }
        });
        let stamp = world.give_up();
        let mut graced = false;
        let _ = world.reclaim(stamp, &mut graced) || world.reclaim(stamp, &mut graced);
        reader.join().unwrap();
    });
}

/// Two views of one segment, one of them handed to another thread that looks and releases it.
fn two_views(fault: Fault) {
    explore(4, move || {
        let world = World::new(fault);
        let slot = world.epoch.claim();
        assert!(world.view(slot) && world.view(slot));
        let other = thread::spawn({
            let world = world.clone();
            move || {
                world.look();
                world.release();
            }
        });
        let writer = thread::spawn({
            let world = world.clone();
            move || {
                let stamp = world.give_up();
                world.reclaim(stamp, &mut false);
            }
        });
        world.look();
        world.release();
        other.join().unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "cache/view.rs",
        &["pins.fetch_add(1, Ordering::SeqCst);", "pins.fetch_sub(1, Ordering::Release);"],
    );
    larder_loom::mirrors(
        "memory/limbo.rs",
        &["self.segment(id).pins.load(Ordering::Acquire) == 0"],
    );
}

#[test]
fn a_view_keeps_the_memory() {
    one_view(Fault::None);
}

#[test]
fn the_last_of_two_views_lets_go() {
    two_views(Fault::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_pinned_after_the_epoch() {
    one_view(Fault::LatePin);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_releasing_orders_nothing() {
    two_views(Fault::RelaxedRelease);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_counted_before_the_grace_period() {
    one_view(Fault::EarlyCount);
}
