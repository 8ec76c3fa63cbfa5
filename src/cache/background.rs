//! The one thread of the process that works in the background.
//!
//! It is started when there is something for it to do, has all signals blocked (so that none meant
//! for the host program, Go's for example, is delivered on it), and sleeps otherwise. Three things
//! are done here.
//!
//! * *Expiry.* Readers never return an expired entry, and drains pass it; this is for the memory.
//!   Each stripe whose earliest deadline has passed is visited, in it the segments whose earliest
//!   deadline has passed, a bounded number of entries for each time the lock is taken.
//! * *Faulting ahead.* The kernel zeroes a huge page at its first touch, which takes 200
//!   microseconds, or 9 milliseconds where a host has to find small pages for it. While a cache
//!   fills, this thread touches what it will need next, so that no set has to.
//! * *Calm.* Readers that pay for fences of their own, since there were many scans, are told to
//!   stop when there are few (`asymmetric_fence`).

use crate::cache::shared::Shared;
use crate::cache::tags::Pass;
use crate::stripe::expire::DEFER;
use crate::sync::epoch;
use crate::sync::waker::{self, Worker};
use crate::sys::atomic::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::sys::os;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often the thread looks for what has expired. It is free after at most this and [`DEFER`],
/// and what the sweep takes. Rarely rather than deferred for long: a part is walked once for all
/// that expires between two looks, and looking for parts that are due costs a third of a
/// millisecond for five million entries.
const TICK: Duration = Duration::from_millis(300);
/// How long the thread sleeps when there are no deadlines, if nobody wakes it.
const IDLE: Duration = Duration::from_millis(600);
/// Work done for each time a stripe's lock is taken, in the units of `sweep`: some 10 microseconds,
/// less than the fast door spins for it.
const BATCH: usize = 700;
/// Pauses between two holds of a lock, some 0.8 microseconds: who spins for it, looks every half
/// (see `Stripe::try_state`).
const PAUSES: usize = 40;
/// Holds after which the thread offers its processor, while it holds no lock. Else it would be
/// taken from it when its time is over, which is likely to be in the middle of a hold, and whoever
/// wants that stripe would wait until the thread has its turn again.
const HOLDS: u32 = 32;

static CACHES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
static STARTED: AtomicBool = AtomicBool::new(false);
/// When the system refused to start the thread, in milliseconds of its clock.
static REFUSED_AT: Mutex<Option<u64>> = Mutex::new(None);
/// When somebody did its work instead.
static STOOD_IN: AtomicU64 = AtomicU64::new(0);
/// Milliseconds until it is tried again.
const RETRY: u64 = 500;

/// Makes a cache known to the thread.
pub fn register(shared: &Arc<Shared>) {
    waker::register(Worker { start, stand_in });
    let mut caches = CACHES.lock();
    caches.retain(|cache| cache.strong_count() > 0);
    caches.push(Arc::downgrade(shared));
}

/// Starts the thread, if it isn't there. Whether it is.
fn start() -> bool {
    STARTED.load(Ordering::Acquire) || spawn()
}

/// Starts the thread, unless the system has refused that a moment ago. Whether it is there.
fn spawn() -> bool {
    let mut refused_at = REFUSED_AT.lock();
    if STARTED.load(Ordering::Relaxed) {
        return true;
    }
    let now = os::coarse_millis();
    if refused_at.is_some_and(|at| now < at + RETRY) {
        return false;
    }
    let _blocked = os::BlockSignals::new();
    let builder = std::thread::Builder::new().name("larder".into()).stack_size(128 << 10);
    let spawned = !os::refused(os::Ask::Thread) && builder.spawn(run).is_ok();
    *refused_at = (!spawned).then_some(now);
    STARTED.store(spawned, Ordering::Release);
    spawned
}

/// Whether the thread was started.
#[cfg(test)]
pub fn is_running() -> bool {
    STARTED.load(Ordering::Relaxed)
}

/// What can't wait for the thread, done by who wanted it while the system refuses to start one (a
/// limit on processes, say): memory is touched when it is asked for, and readers are told when they
/// needn't pay any more. What has expired is found by drains.
fn stand_in() {
    if waker::take_hurry() {
        let caches: Vec<Arc<Shared>> = CACHES.lock().iter().filter_map(Weak::upgrade).collect();
        caches.iter().filter(|cache| cache.wants_ahead()).for_each(|cache| {
            cache.fault_ahead();
        });
    }
    let now = os::coarse_millis();
    let before = STOOD_IN.load(Ordering::Relaxed);
    let due = now >= before + TICK.as_millis() as u64;
    if due && STOOD_IN.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        epoch::calm();
    }
}

fn run() {
    waker::attach();
    let mut last = Instant::now();
    loop {
        let hurry = waker::take_hurry();
        let sweep_due = last.elapsed() >= TICK;
        if hurry || sweep_due {
            if sweep_due {
                last = Instant::now();
                waker::begin_look();
                epoch::calm();
            }
            let caches: Vec<Arc<Shared>> = CACHES.lock().iter().filter_map(Weak::upgrade).collect();
            let mut more = false;
            for cache in &caches {
                // One that was closed meanwhile is held by this list alone.
                if hurry && Arc::strong_count(cache) > 1 {
                    more |= cache.fault_ahead();
                }
                if sweep_due && cache.wants_settling() {
                    let mut pass = Pass::default();
                    // Its memory should go when it is closed, not when all of it has been looked
                    // at.
                    while Arc::strong_count(cache) > 1 && !cache.settle_tags(&mut pass) {}
                }
                if sweep_due && sweep(cache) {
                    waker::stay_awake();
                }
            }
            if more {
                // A little at a time: what has expired is looked for all the same, and no cache
                // waits until another is full.
                waker::hurry_on();
            }
        }
        if waker::hurries() {
            continue;
        }
        // A set by the fast path may have seen the thread awake and published its deadline just
        // after the sweep. That is why the long sleep has an end too.
        waker::sleep(TICK, IDLE, last.elapsed());
    }
}

/// Removes what has expired in a cache. Returns whether there are deadlines left.
pub fn sweep(shared: &Shared) -> bool {
    let now = shared.env.clock.now();
    let mut pending = false;
    let mut held = 0u32;
    for stripe in &shared.stripes {
        if stripe.next_deadline.load(Ordering::Acquire) <= now.saturating_sub(DEFER) {
            loop {
                let mut state = stripe.state.lock();
                let (mut writer, policy) = state.writer(&shared.env, stripe);
                // Else what waits, and has expired, would keep this stripe due. What has no room
                // goes on waiting.
                let _ = writer.apply_all(policy);
                let done = writer.sweep(now, BATCH);
                if done {
                    writer.follow(policy);
                }
                // To whoever waits for it: else this thread would have it again before they have
                // woken up.
                MutexGuard::unlock_fair(state);
                if done {
                    break;
                }
                held += 1;
                if held.is_multiple_of(HOLDS) {
                    std::thread::yield_now();
                }
                for _ in 0..PAUSES {
                    std::hint::spin_loop();
                }
            }
        }
        pending |= stripe.next_deadline.load(Ordering::Relaxed) != u64::MAX;
    }
    shared.env.space.reclaim();
    pending
}
