//! How the one background thread of the process is woken, and by whom. What it does is not known
//! here: who has work for it says so by a flag, and the thread is started by a function that was
//! [registered](register), at the first call that has work.
//!
//! A thread that is awake looks at everything again before it sleeps, so whoever finds it awake
//! need not wake it: that is one load, which is all that the fast path does. [`wake`] and
//! [`begin_look`] each write, pass a fence, and read what the other writes: either the one sees
//! that the thread is going to sleep, or the thread sees the work
//! (tests/loom/tests/maintenance.rs).

use crate::sys::atomic::{AtomicBool, Ordering, fence};
use std::sync::OnceLock;
use std::thread::Thread;
use std::time::Duration;

/// There may be work that can wait for the thread's next visit: deadlines, mostly.
static WORK: AtomicBool = AtomicBool::new(false);
/// There is work that can't wait: memory to fault ahead.
static HURRY: AtomicBool = AtomicBool::new(false);
static WORKER: OnceLock<Worker> = OnceLock::new();
static THREAD: OnceLock<Thread> = OnceLock::new();

/// What is known here of the thread.
pub struct Worker {
    /// Starts it, unless it was started. Whether it is there.
    pub start: fn() -> bool,
    /// Does what can't wait for it while the system refuses to start it.
    pub stand_in: fn(),
}

/// Says how the thread is started. The first call counts.
pub fn register(worker: Worker) {
    let _ = WORKER.set(worker);
}

/// Says that there is work for the thread's next visit, which was published before.
#[inline]
pub fn wake() {
    // Either this sees that the thread is going to sleep, or the thread sees the work before it
    // does.
    fence(Ordering::SeqCst);
    if !WORK.load(Ordering::Relaxed) {
        rouse();
    }
}

/// Whether [`wake`] would have something to do, which the fast path can't.
#[inline]
pub fn asleep() -> bool {
    !WORK.load(Ordering::Relaxed)
}

/// Says that there is work that can't wait.
#[cold]
pub fn wake_now() {
    HURRY.store(true, Ordering::SeqCst);
    rouse();
}

#[cold]
fn rouse() {
    WORK.store(true, Ordering::SeqCst);
    if let Some(worker) = WORKER.get()
        && !(worker.start)()
    {
        WORK.store(false, Ordering::SeqCst);
        return (worker.stand_in)();
    }
    if let Some(thread) = THREAD.get() {
        thread.unpark();
    }
}

/// For the thread: it is this one.
pub fn attach() {
    let _ = THREAD.set(std::thread::current());
}

/// For the thread: whether there is work that can't wait, which it takes on.
pub fn take_hurry() -> bool {
    HURRY.swap(false, Ordering::SeqCst)
}

/// For the thread: there is more work that can't wait.
pub fn hurry_on() {
    HURRY.store(true, Ordering::SeqCst);
}

/// For the thread: whether there is work that can't wait.
pub fn hurries() -> bool {
    HURRY.load(Ordering::SeqCst)
}

/// For the thread, before it looks for work: what is found from here on needs no waking.
pub fn begin_look() {
    WORK.store(false, Ordering::SeqCst);
    fence(Ordering::SeqCst);
}

/// For the thread: it will look again soon.
pub fn stay_awake() {
    WORK.store(true, Ordering::Relaxed);
}

/// For the thread: sleeps, at most so long if there is work for the next visit, and else until
/// then.
pub fn sleep(tick: Duration, idle: Duration, since: Duration) {
    let most = if WORK.load(Ordering::SeqCst) { tick } else { idle };
    std::thread::park_timeout(most.saturating_sub(since).max(Duration::from_millis(1)));
}
