//! Which clients listen to which prefixes (CLIENT TRACKING with BCAST).
//!
//! Every write reads the list, and it changes when a client comes or goes: so readers pin an epoch
//! and read it as it is, and who changes it puts another in its place, under a lock. The old one is
//! freed when nobody reads it any more.

use super::Tracker;
use crossbeam_epoch::{self as epoch, Atomic, Owned};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A prefix, and who listens to it.
#[derive(Clone)]
struct Prefix {
    bytes: Arc<[u8]>,
    trackers: Vec<Arc<Tracker>>,
}

/// The list.
pub(super) struct Prefixes {
    list: Atomic<Vec<Prefix>>,
    len: AtomicUsize,
    changing: Mutex<()>,
}

impl Prefixes {
    pub(super) fn new() -> Prefixes {
        Prefixes {
            list: Atomic::new(Vec::new()),
            len: AtomicUsize::new(0),
            changing: Mutex::default(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Calls `tell` for each prefix of a key with each client that listens to it.
    pub(super) fn each(&self, key: &[u8], mut tell: impl FnMut(&Arc<[u8]>, &Tracker)) {
        if self.len() == 0 {
            return;
        }
        let guard = epoch::pin();
        // SAFETY: the list is never null; a list that was replaced is freed only when the guards
        // are gone that were there then.
        let list = unsafe { self.list.load(Ordering::Acquire, &guard).deref() };
        for prefix in list.iter().filter(|prefix| key.starts_with(&prefix.bytes)) {
            prefix.trackers.iter().for_each(|tracker| tell(&prefix.bytes, tracker));
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Prefix>)) {
        let _changing = self.changing.lock();
        let guard = epoch::pin();
        // SAFETY: as in `each`.
        let mut list = unsafe { self.list.load(Ordering::Acquire, &guard).deref() }.clone();
        change(&mut list);
        self.len.store(list.len(), Ordering::Relaxed);
        let old = self.list.swap(Owned::new(list), Ordering::AcqRel, &guard);
        // SAFETY: it was taken out by this call alone; who reads it is pinned.
        unsafe { guard.defer_destroy(old) };
    }

    /// A client listens to some prefixes from now on.
    pub(super) fn add(&self, tracker: &Arc<Tracker>, prefixes: &[Arc<[u8]>]) {
        self.change(|list| {
            for bytes in prefixes {
                match list.iter_mut().find(|prefix| prefix.bytes == *bytes) {
                    Some(prefix) => prefix.trackers.push(Arc::clone(tracker)),
                    None => list.push(Prefix {
                        bytes: Arc::clone(bytes),
                        trackers: vec![Arc::clone(tracker)],
                    }),
                }
            }
        });
    }

    /// A client listens no more.
    pub(super) fn remove(&self, id: u64) {
        self.change(|list| {
            for prefix in list.iter_mut() {
                prefix.trackers.retain(|tracker| tracker.id != id);
            }
            list.retain(|prefix| !prefix.trackers.is_empty());
        });
    }
}

impl Drop for Prefixes {
    fn drop(&mut self) {
        // SAFETY: nobody else has it any more.
        let guard = unsafe { epoch::unprotected() };
        let list = self.list.swap(epoch::Shared::null(), Ordering::AcqRel, guard);
        // SAFETY: as above; it is never null before.
        drop(unsafe { list.into_owned() });
    }
}
