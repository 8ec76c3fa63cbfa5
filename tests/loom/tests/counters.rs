//! `src/sync/counters.rs`: a line has one writer at a time, so loads and stores count exactly, also
//! when the line goes from a thread that ends to one that begins. Threads beyond the lines share
//! one and count with read-modify-writes.

use larder_loom::epoch::{Epoch, Fault as EpochFault};
use larder_loom::explore;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

struct World {
    epoch: Epoch,
    lines: [AtomicU64; 2],
    shared: AtomicU64,
}

fn new(fault: EpochFault) -> Arc<World> {
    Arc::new(World {
        epoch: Epoch::new(fault),
        lines: [AtomicU64::new(0), AtomicU64::new(0)],
        shared: AtomicU64::new(0),
    })
}

impl World {
    /// `Handle::add` on a line of the thread's own.
    fn add(&self, slot: usize) {
        let line = &self.lines[slot];
        line.store(line.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// `Handle::add` on the shared line.
    fn add_shared(&self, broken: bool) {
        if broken {
            self.shared.store(self.shared.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        } else {
            self.shared.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `Counters::sum`.
    fn sum(&self) -> u64 {
        self.lines.iter().map(|line| line.load(Ordering::Relaxed)).sum::<u64>()
            + self.shared.load(Ordering::Relaxed)
    }
}

/// Two threads, each of which claims a slot, counts, and ends: they may get one line, one after the
/// other, or two.
fn lines(fault: EpochFault) {
    explore(5, move || {
        let world = new(fault);
        let run = |world: Arc<World>| {
            let slot = world.epoch.claim();
            let guard = world.epoch.pin(slot);
            world.add(slot);
            world.epoch.unpin(guard);
            world.epoch.release(slot);
        };
        let other = thread::spawn({
            let world = world.clone();
            move || run(world)
        });
        run(world.clone());
        assert!(world.sum() <= 2);
        other.join().unwrap();
        assert_eq!(world.sum(), 2, "a count was lost");
    });
}

fn shared_line(broken: bool) {
    explore(5, move || {
        let world = new(EpochFault::None);
        let other = thread::spawn({
            let world = world.clone();
            move || world.add_shared(broken)
        });
        world.add_shared(broken);
        other.join().unwrap();
        assert_eq!(world.sum(), 2, "a count was lost");
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "sync/counters.rs",
        &[
            "counter.fetch_add(n, Ordering::Relaxed);",
            "counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);",
        ],
    );
}

#[test]
fn every_hit_counts() {
    lines(EpochFault::None);
    shared_line(false);
}

#[test]
#[should_panic(expected = "a count was lost")]
fn fails_when_a_slot_is_handed_on_without_release() {
    lines(EpochFault::RelaxedRelease);
}

#[test]
#[should_panic(expected = "a count was lost")]
fn fails_when_a_shared_line_is_only_stored_to() {
    shared_line(true);
}
