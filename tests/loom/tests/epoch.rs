//! `src/sync/epoch.rs`: what readers may be looking at is not used again.
//!
//! One word of memory stands for a segment. Readers find it through `link` (a slot of the index) as
//! `Shared::lookup` does; the writer unlinks it (`Index::replace`, `Index::remove`), stamps it
//! (`Space::retire`) and writes to it again once `safe_before` says so (`Space::reclaim_locked`,
//! `Space::take_segment`). loom complains when the write is not ordered after every read.

use larder_loom::epoch::{Epoch, Fault, mirrored};
use larder_loom::explore;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

struct World {
    epoch: Epoch,
    /// 1 while the index points at the memory.
    link: AtomicUsize,
    memory: UnsafeCell<u64>,
}

// SAFETY: `memory` is what the epoch protects; loom checks each access.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    fn new(fault: Fault) -> Arc<World> {
        Arc::new(World {
            epoch: Epoch::new(fault),
            link: AtomicUsize::new(1),
            memory: UnsafeCell::new(7),
        })
    }

    fn look(&self) {
        if self.link.load(Ordering::Acquire) == 1 {
            // SAFETY: what the model is about. loom fails the model if it isn't so.
            let there = self.memory.with(|memory| unsafe { *memory });
            assert_eq!(there, 7, "the memory was used again under a reader");
        }
    }

    /// Unlinks the memory; returns its stamp.
    fn give_up(&self) -> u64 {
        if self.epoch.fault() == Fault::StampFirst {
            let stamp = self.epoch.retire();
            self.link.store(0, Ordering::Release);
            return stamp;
        }
        self.link.store(0, Ordering::Release);
        self.epoch.retire()
    }

    /// Uses the memory again if that is allowed.
    fn reuse(&self, stamp: u64) {
        if stamp < self.epoch.safe_before() {
            // SAFETY: as in `look`.
            self.memory.with_mut(|memory| unsafe { *memory = 8 });
        }
    }
}

/// A reader, pinned again and again, against a writer.
fn readers(fault: Fault, pins: usize) {
    explore(5, move || {
        let world = World::new(fault);
        let slot = world.epoch.claim();
        let reader = thread::spawn({
            let world = world.clone();
            move || {
                for _ in 0..pins {
                    let guard = world.epoch.pin(slot);
                    world.look();
                    world.epoch.unpin(guard);
                }
            }
        });
        let stamp = world.give_up();
        world.reuse(stamp);
        reader.join().unwrap();
    });
}

/// A thread that enters for the first time while the writer scans.
fn newcomers(fault: Fault) {
    explore(5, move || {
        let world = World::new(fault);
        let reader = thread::spawn({
            let world = world.clone();
            move || {
                let slot = world.epoch.claim();
                let guard = world.epoch.pin(slot);
                world.look();
                world.epoch.unpin(guard);
                world.epoch.release(slot);
            }
        });
        let stamp = world.give_up();
        world.reuse(stamp);
        reader.join().unwrap();
    });
}

/// A guard inside a guard, both of them looking.
fn nested(fault: Fault) {
    explore(5, move || {
        let world = World::new(fault);
        let slot = world.epoch.claim();
        let reader = thread::spawn({
            let world = world.clone();
            move || {
                let outer = world.epoch.pin(slot);
                let inner = world.epoch.pin(slot);
                world.epoch.unpin(inner);
                world.look();
                world.epoch.unpin(outer);
            }
        });
        let stamp = world.give_up();
        world.reuse(stamp);
        reader.join().unwrap();
    });
}

/// Two readers with slots of their own.
fn two_readers(fault: Fault) {
    explore(4, move || {
        let world = World::new(fault);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let world = world.clone();
                thread::spawn(move || {
                    let slot = world.epoch.claim();
                    let guard = world.epoch.pin(slot);
                    world.look();
                    world.epoch.unpin(guard);
                })
            })
            .collect();
        let stamp = world.give_up();
        world.reuse(stamp);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn the_model_is_a_copy() {
    mirrored();
    larder_loom::mirrors("memory/limbo.rs", &["let stamp = epoch::retire();", "stamp < safe"]);
}

#[test]
fn a_pinned_reader_keeps_the_memory() {
    readers(Fault::None, 1);
}

#[test]
fn a_reader_that_pins_again_has_left_before() {
    readers(Fault::None, 2);
}

#[test]
fn a_newcomer_is_seen_or_sees() {
    newcomers(Fault::None);
}

#[test]
fn an_inner_guard_does_not_unpin() {
    nested(Fault::None);
}

#[test]
fn two_readers_keep_the_memory() {
    two_readers(Fault::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_without_the_readers_fence() {
    readers(Fault::ReaderFence, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_without_the_scanners_fence() {
    readers(Fault::ScanFence, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_stamped_before_unlinked() {
    readers(Fault::StampFirst, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_leaving_releases_nothing() {
    readers(Fault::RelaxedUnpin, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_pinning_again_releases_nothing() {
    readers(Fault::RelaxedPin, 2);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_a_newcomer_is_counted_late() {
    newcomers(Fault::LateHighWater);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_an_inner_guard_unpins() {
    nested(Fault::InnerUnpins);
}
