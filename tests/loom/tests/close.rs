//! `Cache::shared` and `Cache::close` of `src/cache/mod.rs`: what a call found open stays until the
//! call has left, closing twice frees once, and a view keeps what it needs beyond that.

use larder_loom::epoch::{Epoch, Fault as EpochFault};
use larder_loom::explore;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Close doesn't wait for those inside.
    NoWait,
    /// Close waits before it takes the pointer away.
    WaitFirst,
    /// Close reads and clears the pointer in two steps.
    TwoSteps,
    /// A call looks at the pointer before it pins.
    LookFirst,
}

struct World {
    epoch: Epoch,
    /// `Cache::shared`: 1 while the cache is open.
    shared: AtomicUsize,
    /// The Arc's count: the cache's own, and one for each view.
    count: AtomicUsize,
    /// `Shared`: 7 while it is there.
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
            shared: AtomicUsize::new(1),
            count: AtomicUsize::new(1),
            memory: UnsafeCell::new(7),
            fault,
        })
    }

    fn use_it(&self) {
        // SAFETY: what the model is about. loom fails the model if it isn't so.
        assert_eq!(self.memory.with(|memory| unsafe { *memory }), 7, "used after it was freed");
    }

    /// `Cache::with`, and `Cache::view` with `Arc::increment_strong_count` where a view is wanted.
    fn call(&self, slot: usize, view: bool) -> bool {
        if self.fault == Fault::LookFirst {
            let open = self.shared.load(Ordering::Acquire) == 1;
            let guard = self.epoch.pin(slot);
            if open {
                self.use_it();
            }
            self.epoch.unpin(guard);
            return open;
        }
        let guard = self.epoch.pin(slot);
        let open = self.shared.load(Ordering::Acquire) == 1;
        if open {
            self.use_it();
            if view {
                self.count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.epoch.unpin(guard);
        open
    }

    /// `Arc::drop`.
    fn drop_count(&self) {
        let before = self.count.fetch_sub(1, Ordering::Release);
        assert!(before > 0, "freed twice");
        if before == 1 {
            fence(Ordering::Acquire);
            // SAFETY: as in `use_it`.
            self.memory.with_mut(|memory| unsafe { *memory = 0 });
        }
    }

    /// `Cache::close`.
    fn close(&self) {
        if self.fault == Fault::WaitFirst {
            self.epoch.synchronize();
        }
        let shared = if self.fault == Fault::TwoSteps {
            let shared = self.shared.load(Ordering::Acquire);
            self.shared.store(0, Ordering::Release);
            shared
        } else {
            self.shared.swap(0, Ordering::AcqRel)
        };
        if shared != 0 {
            if !matches!(self.fault, Fault::NoWait | Fault::WaitFirst) {
                self.epoch.synchronize();
            }
            self.drop_count();
        }
    }
}

fn close_while_called(fault: Fault) {
    explore(5, move || {
        let world = World::new(fault);
        let slot = world.epoch.claim();
        let caller = thread::spawn({
            let world = world.clone();
            move || {
                world.call(slot, false);
            }
        });
        world.close();
        assert!(!world.call(world.epoch.claim(), false), "open after close");
        caller.join().unwrap();
    });
}

fn close_twice(fault: Fault) {
    explore(5, move || {
        let world = World::new(fault);
        let other = thread::spawn({
            let world = world.clone();
            move || world.close()
        });
        world.close();
        other.join().unwrap();
        // SAFETY: alone again.
        assert_eq!(world.memory.with(|memory| unsafe { *memory }), 0, "never freed");
    });
}

fn view_beyond_close(fault: Fault) {
    explore(4, move || {
        let world = World::new(fault);
        let slot = world.epoch.claim();
        let caller = thread::spawn({
            let world = world.clone();
            move || {
                if world.call(slot, true) {
                    world.use_it();
                    world.drop_count();
                }
            }
        });
        world.close();
        caller.join().unwrap();
        // SAFETY: alone again.
        assert_eq!(world.memory.with(|memory| unsafe { *memory }), 0, "never freed");
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "cache/handle.rs",
        &[
            "let shared = self.shared.load(Ordering::Acquire);",
            "let guard = epoch::pin(); Ok(f(self.shared(&guard)?))",
        ],
    );
    larder_loom::mirrors(
        "cache/mod.rs",
        &[
            "let shared = self.shared.swap(ptr::null_mut(), Ordering::AcqRel); if !shared.is_null() { epoch::synchronize();",
        ],
    );
}

#[test]
fn a_call_under_way_keeps_the_cache() {
    close_while_called(Fault::None);
}

#[test]
fn closing_twice_frees_once() {
    close_twice(Fault::None);
}

#[test]
fn a_view_outlives_the_cache() {
    view_beyond_close(Fault::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_close_does_not_wait() {
    close_while_called(Fault::NoWait);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_close_waits_too_early() {
    close_while_called(Fault::WaitFirst);
}

#[test]
#[should_panic(expected = "used after it was freed")]
fn fails_when_a_call_looks_before_it_pins() {
    close_while_called(Fault::LookFirst);
}

#[test]
#[should_panic(expected = "freed twice")]
fn fails_when_closing_takes_two_steps() {
    close_twice(Fault::TwoSteps);
}
