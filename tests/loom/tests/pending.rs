//! `src/stripe/deferred/write_buffer.rs`: sets that wait (`Writer::put_off`), whoever completes
//! them (`Writer::complete`), and readers, who look at the marks first and then at the index
//! (`Shared::lookup_any`). Who looks for a key finds what a set stored that had returned before he
//! began, or something newer.
//!
//! One key, one stripe; the index is one word, the queue a list under the lock.

use larder_loom::pending_filter::{LANE_BITS, PendingFilter, mark};
use larder_loom::{explore, fails};
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A mark goes before the index has changed.
    EarlyUnmark,
    /// A mark goes without release.
    RelaxedUnmark,
    /// A reader looks at the marks without acquire.
    RelaxedLook,
    /// A reader looks at the marks when he has looked at the index.
    LateLook,
    /// A set returns before it is marked.
    LateMark,
    /// The younger of two sets is completed first.
    Backwards,
    /// A clear takes the marks away before it clears the index.
    ClearUnmarksFirst,
}

/// The hash of the one key.
const HASH: u64 = 0x1234_5678_9abc_def0;

/// What is found after a clear: newer than any set.
const CLEARED: u64 = u64::MAX;

struct World {
    /// The product's; its twin is used where there is a fault.
    product: PendingFilter,
    marks: AtomicU32,
    index: AtomicU64,
    queue: Mutex<Vec<u64>>,
    /// The value of the last set that has returned.
    returned: AtomicU64,
    fault: Fault,
}

impl World {
    fn new(fault: Fault) -> Arc<World> {
        Arc::new(World {
            product: PendingFilter::new(),
            marks: AtomicU32::new(0),
            index: AtomicU64::new(0),
            queue: Mutex::new(Vec::new()),
            returned: AtomicU64::new(0),
            fault,
        })
    }

    fn mark(&self, queue: &[u64]) {
        if self.fault == Fault::None {
            let lane = |i: usize| mark(HASH) << (i * LANE_BITS);
            return self.product.set((0..queue.len()).fold(0, |marks, i| marks | lane(i)));
        }
        let ordering =
            if self.fault == Fault::RelaxedUnmark { Ordering::Relaxed } else { Ordering::Release };
        self.marks.store(queue.len() as u32, ordering);
    }

    fn complete_first(&self, queue: &mut Vec<u64>) {
        if queue.is_empty() {
            return;
        }
        let value =
            if self.fault == Fault::Backwards { queue.pop().unwrap() } else { queue.remove(0) };
        if self.fault == Fault::EarlyUnmark {
            self.mark(queue);
        }
        // An overwrite in place or a swung slot: both are published with release.
        self.index.store(value, Ordering::Release);
        if self.fault != Fault::EarlyUnmark {
            self.mark(queue);
        }
    }

    fn set(&self, value: u64) {
        if self.fault == Fault::LateMark {
            self.returned.store(value, Ordering::Release);
        }
        let mut queue = self.queue.lock().unwrap();
        if queue.len() == 2 {
            self.complete_first(&mut queue);
        }
        queue.push(value);
        self.mark(&queue);
        drop(queue);
        self.returned.store(value, Ordering::Release);
    }

    /// A set of another key, or a drain's, that completes one of those that wait.
    fn complete_one(&self) {
        let mut queue = self.queue.lock().unwrap();
        self.complete_first(&mut queue);
    }

    /// `Writer::clear`.
    fn clear(&self) {
        let mut queue = self.queue.lock().unwrap();
        queue.clear();
        if self.fault == Fault::ClearUnmarksFirst {
            self.mark(&queue);
        }
        self.index.store(CLEARED, Ordering::Release);
        if self.fault != Fault::ClearUnmarksFirst {
            self.mark(&queue);
        }
    }

    fn get(&self) {
        let least = self.returned.load(Ordering::Acquire);
        let early = self.index.load(Ordering::Acquire);
        let ordering =
            if self.fault == Fault::RelaxedLook { Ordering::Relaxed } else { Ordering::Acquire };
        let twin = self.fault != Fault::None;
        let marked = if twin { self.marks.load(ordering) != 0 } else { self.product.has(HASH) };
        if marked {
            let mut queue = self.queue.lock().unwrap();
            while !queue.is_empty() {
                self.complete_first(&mut queue);
            }
        }
        let late = self.fault == Fault::LateLook && !marked;
        let found = if late { early } else { self.index.load(Ordering::Acquire) };
        assert!(found >= least, "an old value");
    }
}

/// Two sets, somebody who completes, and a reader.
fn model(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault);
        let threads = [
            thread::spawn({
                let world = world.clone();
                move || {
                    world.set(1);
                    world.set(2);
                }
            }),
            thread::spawn({
                let world = world.clone();
                move || {
                    world.complete_one();
                    world.complete_one();
                }
            }),
        ];
        world.get();
        world.get();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.get();
    });
}

/// Two sets, a clear, and a reader.
fn clears(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault);
        let threads = [
            thread::spawn({
                let world = world.clone();
                move || {
                    world.set(1);
                    world.set(2);
                }
            }),
            thread::spawn({
                let world = world.clone();
                move || world.clear()
            }),
        ];
        world.get();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.get();
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "stripe/complete.rs",
        &[
            "pending.push(store); self.stripe.filter.set(pending.marks());",
            "pending.pop(); self.stripe.filter.set(pending.marks());",
        ],
    );
    larder_loom::mirrors(
        "stripe/tune.rs",
        &[
            "if let Some(pending) = &mut self.pending { self.core.tally.sets += pending.forget() as u64; self.stripe.filter.set(0); }",
        ],
    );
    larder_loom::mirrors(
        "cache/read.rs",
        &[
            "if filter.has(hash) { return Err(Moving); } let found = index.find(",
            "if filter.has(hash) { return Probe::Unclear; } let slot = match index.glance(hash)",
        ],
    );
    larder_loom::mirrors(
        "cache/batch.rs",
        &["(!filter.has(*hash)).then(|| index.prefetch(*hash))"],
    );
}

#[test]
fn what_has_returned_is_found() {
    model(Fault::None);
    clears(Fault::None);
}

fails! {
    fails_when_a_mark_goes_early: model(EarlyUnmark), "an old value";
    fails_when_the_end_of_a_mark_orders_nothing: model(RelaxedUnmark), "an old value";
    fails_when_a_look_orders_nothing: model(RelaxedLook), "an old value";
    fails_when_the_marks_are_looked_at_late: model(LateLook), "an old value";
    fails_when_a_mark_comes_late: model(LateMark), "an old value";
    fails_when_the_younger_comes_first: model(Backwards), "an old value";
    fails_when_a_clear_unmarks_first: clears(ClearUnmarksFirst), "an old value";
}
