//! Client-side caching: who is to be told when a key changes.
//!
//! By default the [table](table) remembers which client has read which key; a change of the key
//! tells each of them once. With BCAST a client hears of every key that begins with a
//! [prefix](prefixes), read or not. What is to be told goes to the client's [`Mailbox`], which its
//! connection empties after the reply to the command at hand, so that an invalidation never stands
//! before the reply that it is about.
//!
//! A client is noted before it reads, so that no change is missed. A change is told after it was
//! made: who reads again on hearing of it sees the new value.

mod mailbox;
mod prefixes;
mod table;

pub use mailbox::{Item, Mailbox};

use crate::store::Author;
use hashbrown::HashMap;
use parking_lot::RwLock;
use prefixes::Prefixes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use table::Table;

/// From so many tracked keys on, an invalidation by tag tells everybody to drop everything instead
/// of asking for each key whether it was concerned.
const ASK_EACH: usize = 100_000;

/// A client that tracks.
pub struct Tracker {
    /// The client's id.
    pub id: u64,
    /// It isn't told of its own changes.
    pub noloop: bool,
    /// It listens to prefixes.
    pub broadcast: bool,
    /// Its own mailbox.
    pub own: Arc<Mailbox>,
    /// The mailbox that its invalidations go to, with the id of its owner, if that is another.
    pub redirect: Option<(u64, Arc<Mailbox>)>,
}

impl Tracker {
    /// The mailbox that is told. One whose owner is gone is reported to the client.
    fn target(&self) -> Option<&Mailbox> {
        match &self.redirect {
            Some((id, target)) if target.is_closed() => {
                self.own.put(Item::Broken(*id));
                None
            }
            Some((_, target)) => Some(target),
            None => Some(&self.own),
        }
    }
}

/// Who tracks what.
pub struct Tracking {
    trackers: RwLock<HashMap<u64, Arc<Tracker>>>,
    on: AtomicUsize,
    table: Table,
    prefixes: Prefixes,
    turn: AtomicUsize,
}

impl Tracking {
    /// Nobody tracks. The table remembers at most so many keys; 0: no bound.
    pub fn new(max_keys: usize) -> Tracking {
        Tracking {
            trackers: RwLock::default(),
            on: AtomicUsize::new(0),
            table: Table::new(max_keys),
            prefixes: Prefixes::new(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Whether anybody tracks: asked by every write.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed) > 0
    }

    /// Clients that track.
    pub fn clients(&self) -> usize {
        self.on.load(Ordering::Relaxed)
    }

    /// Keys in the table, readers of all of them, prefixes.
    pub fn len(&self) -> (usize, usize, usize) {
        let (keys, items) = self.table.len();
        (keys, items, self.prefixes.len())
    }

    /// Whether nothing is tracked.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0, 0)
    }

    /// How many keys the table may remember; 0: no bound.
    pub fn max_keys(&self) -> usize {
        self.table.max()
    }

    /// Sets that.
    pub fn set_max_keys(&self, max: usize) {
        self.table.set_max(max);
        self.trim();
    }

    /// A client tracks from now on, listening to these prefixes if it is to.
    pub fn start(&self, tracker: Tracker, prefixes: &[Arc<[u8]>]) {
        let tracker = Arc::new(tracker);
        if tracker.broadcast {
            self.prefixes.add(&tracker, prefixes);
        }
        let mut trackers = self.trackers.write();
        if trackers.insert(tracker.id, tracker).is_none() {
            self.on.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A client tracks no more.
    pub fn stop(&self, id: u64) {
        let tracker = self.trackers.write().remove(&id);
        let Some(tracker) = tracker else { return };
        if tracker.broadcast {
            self.prefixes.remove(id);
        }
        if self.on.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.table.clear();
        }
    }

    /// A client is about to read a key.
    pub fn reads(&self, id: u64, key: &[u8]) {
        self.table.add(key, id);
        if self.table.is_over() {
            self.trim();
        }
    }

    /// A key that a client was about to read was there.
    pub fn found(&self, key: &[u8]) {
        self.table.found(key);
    }

    /// A key was changed, or removed by a command.
    #[cold]
    pub fn changed(&self, by: Author, key: &[u8]) {
        self.tell(by, key, false);
        self.tell_prefixes(by, key);
    }

    /// A key isn't there any more, if it ever was.
    #[cold]
    pub fn gone(&self, key: &[u8]) {
        self.tell(0, key, true);
        // Who listens to a prefix is told by the event, of which there is one for each key.
    }

    /// A key has expired, or was evicted.
    pub fn lost(&self, key: &[u8]) {
        self.tell(0, key, true);
        self.tell_prefixes(0, key);
    }

    fn tell(&self, by: Author, key: &[u8], gone: bool) {
        if !self.table.is_empty() {
            self.table.take(key, gone, |id| self.tell_reader(by, id, key));
        }
    }

    fn tell_prefixes(&self, by: Author, key: &[u8]) {
        self.prefixes.each(key, |prefix, tracker| {
            if (!tracker.noloop || tracker.id != by)
                && let Some(target) = tracker.target()
            {
                target.put_prefixed(prefix, key);
            }
        });
    }

    fn tell_reader(&self, by: Author, id: u64, key: &[u8]) {
        let trackers = self.trackers.read();
        // One that listens to prefixes now has no use for what it read before.
        let Some(tracker) = trackers.get(&id).filter(|tracker| !tracker.broadcast) else { return };
        if tracker.noloop && id == by {
            return;
        }
        if let Some(target) = tracker.target() {
            target.put(Item::Key(key.into()));
        }
    }

    /// All keys are gone, or nobody knows which.
    pub fn flushed(&self, _by: Author) {
        if !self.is_on() {
            return;
        }
        self.table.clear();
        self.tell_all(|_| true);
    }

    fn tell_all(&self, which: impl Fn(&Tracker) -> bool) {
        for tracker in self.trackers.read().values().filter(|tracker| which(tracker)) {
            if let Some(target) = tracker.target() {
                target.put(Item::Everything);
            }
        }
    }

    /// Some keys were invalidated, of which `concerned` knows whether they are among them.
    pub fn invalidated(&self, by: Author, concerned: impl Fn(&[u8]) -> bool) {
        if !self.is_on() {
            return;
        }
        if self.table.len().0 > ASK_EACH {
            return self.flushed(by);
        }
        self.table.retain(
            |key, present| !present || !concerned(key),
            |key, id| self.tell_reader(by, id, key),
        );
        self.tell_all(|tracker| tracker.broadcast);
    }

    fn trim(&self) {
        let random = self.turn.fetch_add(1, Ordering::Relaxed);
        self.table.trim(random, |key, id| self.tell_reader(0, id, key));
    }
}
