//! Gives back what has expired.
//!
//! Readers never return an expired entry, and drains pass it; this is for the memory. One thread serves the process. It is
//! started when the first entry with a deadline is stored, has all signals blocked (so that none meant for the host
//! program, Go's for example, is delivered on it), and sleeps while no cache has a deadline. It looks at each stripe whose
//! earliest deadline has passed, at those of its segments whose earliest deadline has passed, and removes what has expired
//! there, a bounded number of entries for each time it takes the lock.

use crate::cache::Shared;
use crate::sync::{AtomicBool, Mutex, Ordering, fence};
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

/// How often the thread looks. What has expired is free after at most twice this.
const TICK: Duration = Duration::from_millis(200);
/// How long the thread sleeps when there are no deadlines, if nobody wakes it.
const IDLE: Duration = Duration::from_millis(800);
/// Entries visited for each time the stripe's lock is taken: 30 to 50 microseconds when they come from memory.
const BATCH: usize = 256;

static CACHES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
static STARTED: Once = Once::new();
static WORK: AtomicBool = AtomicBool::new(false);

/// Makes a cache known to the thread.
pub fn register(shared: &Arc<Shared>) {
    let mut caches = CACHES.lock();
    caches.retain(|cache| cache.strong_count() > 0);
    caches.push(Arc::downgrade(shared));
}

/// Says that an entry with a deadline has been stored.
#[inline]
pub fn wake() {
    // Either this sees that the thread is going to sleep, or the thread sees the deadline before it does.
    fence(Ordering::SeqCst);
    if !WORK.load(Ordering::Relaxed) {
        start();
    }
}

/// Whether [`wake`] would have something to do, which the fast door can't.
#[inline]
pub fn asleep() -> bool {
    !WORK.load(Ordering::Relaxed)
}

#[cold]
fn start() {
    WORK.store(true, Ordering::Relaxed);
    STARTED.call_once(|| {
        let _blocked = crate::os::BlockSignals::new();
        let spawned = std::thread::Builder::new().name("larder-expiry".into()).stack_size(128 << 10).spawn(run);
        // Without the thread everything still works; expired bytes are then found by drains only.
        drop(spawned);
    });
    if let Some(thread) = THREAD.get() {
        thread.unpark();
    }
}

static THREAD: std::sync::OnceLock<std::thread::Thread> = std::sync::OnceLock::new();

fn run() {
    let _ = THREAD.set(std::thread::current());
    loop {
        std::thread::sleep(TICK);
        WORK.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let caches: Vec<Arc<Shared>> = CACHES.lock().iter().filter_map(Weak::upgrade).collect();
        let mut pending = false;
        for cache in &caches {
            pending |= sweep(cache);
        }
        drop(caches);
        if pending {
            WORK.store(true, Ordering::Relaxed);
        }
        while !WORK.load(Ordering::SeqCst) {
            // A set by the fast door may have seen the thread awake and published its deadline just after the sweep.
            // That is why the sleep has an end.
            std::thread::park_timeout(IDLE);
            WORK.store(true, Ordering::Relaxed);
        }
    }
}

/// Removes what has expired in a cache. Returns whether there are deadlines left.
pub fn sweep(shared: &Shared) -> bool {
    let now = shared.clock.now();
    let mut pending = false;
    for stripe in &shared.stripes {
        while stripe.next_deadline.load(Ordering::Acquire) <= now {
            if stripe.state.lock().writer(shared, stripe).0.sweep(now, BATCH) {
                break;
            }
        }
        pending |= stripe.next_deadline.load(Ordering::Relaxed) != u64::MAX;
    }
    shared.space.reclaim();
    pending
}
