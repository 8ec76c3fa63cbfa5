//! `src/sync/waker.rs`, `src/cache/background.rs`: whoever stores a deadline either sees that the
//! background thread sleeps and wakes it, or the thread sees the deadline before it sleeps; and
//! whoever has memory faulted ahead is heard. loom reports a deadlock when the thread sleeps for
//! ever.
//!
//! Left out: the ends that the real sleeps have. The end of the short one, while there are
//! deadlines, is the next tick: here the thread just goes on. The end of the long one is for sets
//! through the fast door, which must not wake anybody: they give up when the thread sleeps, and one
//! that overtakes the check is found when the sleep ends. Here nothing but a wake ends it.

use larder_loom::explore;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use loom::thread;
// loom's own Arc can't be dropped by a thread that is torn down in a deadlock.
use std::sync::Arc;

const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// No fence between the deadline and the look at whether the thread is awake.
    WakeFence,
    /// No fence between saying "asleep" and the look at the deadlines.
    SleepFence,
    /// The thread says "asleep" after its look at the deadlines.
    LookFirst,
    /// The waker says that there is work, and doesn't wake.
    NoUnpark,
    /// The thread forgets what it was asked for while it was at work.
    HurryForgotten,
}

struct World {
    /// `WORK`: there may be deadlines.
    work: AtomicBool,
    /// `HURRY`: there is memory to fault ahead.
    hurry: AtomicBool,
    /// `Stripe::next_deadline`.
    next_deadline: AtomicU64,
    fault: Fault,
}

impl World {
    fn new(fault: Fault) -> Arc<World> {
        Arc::new(World {
            work: AtomicBool::new(true),
            hurry: AtomicBool::new(false),
            next_deadline: AtomicU64::new(NEVER),
            fault,
        })
    }

    /// `start`, when the thread runs already.
    fn start(&self, worker: &thread::Thread) {
        self.work.store(true, Ordering::SeqCst);
        if self.fault != Fault::NoUnpark {
            worker.unpark();
        }
    }

    /// `Writer::write`, then `wake`.
    fn set(&self, deadline: u64, worker: &thread::Thread) {
        self.next_deadline.store(deadline, Ordering::Release);
        if self.fault != Fault::WakeFence {
            fence(Ordering::SeqCst);
        }
        if !self.work.load(Ordering::Relaxed) {
            self.start(worker);
        }
    }

    /// `wake_now`.
    fn ask_for_memory(&self, worker: &thread::Thread) {
        // The real one stores. loom would let that store come between the read and the write of an
        // earlier swap, which no memory model allows; between two swaps it doesn't.
        self.hurry.swap(true, Ordering::SeqCst);
        self.start(worker);
    }

    /// `run` at ticks, until it has seen a deadline (`sweep` of the real one goes on under the
    /// stripe's lock) and, if `memory`, was asked for memory.
    fn run(&self, memory: bool) {
        let (mut swept, mut faulted) = (false, !memory);
        loop {
            let hurry = self.hurry.swap(false, Ordering::SeqCst);
            faulted |= hurry;
            if self.fault == Fault::LookFirst {
                swept |= self.next_deadline.load(Ordering::Relaxed) != NEVER;
            }
            self.work.store(false, Ordering::SeqCst);
            if self.fault != Fault::SleepFence {
                fence(Ordering::SeqCst);
            }
            if self.fault != Fault::LookFirst {
                swept |= self.next_deadline.load(Ordering::Relaxed) != NEVER;
            }
            if self.fault == Fault::HurryForgotten {
                self.hurry.store(false, Ordering::SeqCst);
            }
            if swept && faulted {
                return;
            }
            if self.hurry.load(Ordering::SeqCst) || self.work.load(Ordering::SeqCst) {
                continue;
            }
            thread::park();
        }
    }
}

fn sleeps_and_wakes(fault: Fault, setters: usize) {
    explore(5, move || {
        let world = World::new(fault);
        let worker = thread::spawn({
            let world = world.clone();
            move || world.run(false)
        });
        let handle = worker.thread().clone();
        let others: Vec<_> = (1..setters)
            .map(|_| {
                let (world, handle) = (world.clone(), handle.clone());
                thread::spawn(move || world.set(2, &handle))
            })
            .collect();
        world.set(1, &handle);
        for other in others {
            other.join().unwrap();
        }
        worker.join().unwrap();
    });
}

fn is_heard(fault: Fault) {
    explore(5, move || {
        let world = World::new(fault);
        let worker = thread::spawn({
            let world = world.clone();
            move || world.run(true)
        });
        let handle = worker.thread().clone();
        let other = thread::spawn({
            let (world, handle) = (world.clone(), handle.clone());
            move || world.set(2, &handle)
        });
        world.ask_for_memory(&handle);
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "sync/waker.rs",
        &[
            "fence(Ordering::SeqCst); if !WORK.load(Ordering::Relaxed) { rouse(); }",
            "HURRY.store(true, Ordering::SeqCst); rouse();",
            "WORK.store(true, Ordering::SeqCst); if let Some(worker) = WORKER.get() && !(worker.start)() {",
            "HURRY.swap(false, Ordering::SeqCst)",
            "WORK.store(false, Ordering::SeqCst); fence(Ordering::SeqCst);",
            "HURRY.load(Ordering::SeqCst)",
            "if WORK.load(Ordering::SeqCst) { tick } else { idle }",
        ],
    );
    larder_loom::mirrors(
        "cache/background.rs",
        &[
            "let hurry = waker::take_hurry();",
            "waker::begin_look();",
            "pending |= stripe.next_deadline.load(Ordering::Relaxed) != u64::MAX;",
            "if waker::hurries() { continue; }",
        ],
    );
    larder_loom::mirrors(
        "stripe/mod.rs",
        &["self.next_deadline.store(deadline, Ordering::Release);"],
    );
}

#[test]
fn no_deadline_is_slept_through() {
    sleeps_and_wakes(Fault::None, 1);
}

#[test]
fn nor_with_two_setters() {
    sleeps_and_wakes(Fault::None, 2);
}

#[test]
#[should_panic(expected = "deadlock")]
fn fails_without_the_wakers_fence() {
    sleeps_and_wakes(Fault::WakeFence, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn fails_without_the_sleepers_fence() {
    sleeps_and_wakes(Fault::SleepFence, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn fails_when_the_sleeper_looks_first() {
    sleeps_and_wakes(Fault::LookFirst, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn fails_when_nobody_is_woken() {
    sleeps_and_wakes(Fault::NoUnpark, 1);
}

#[test]
fn who_asks_for_memory_is_heard() {
    is_heard(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn fails_when_a_request_is_forgotten() {
    is_heard(Fault::HurryForgotten);
}
