//! Which clients have read which keys: a table in shards by the hash of the key, with a bound.

use ahash::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A power of two.
const SHARDS: usize = 64;

/// Who has read a key.
#[derive(Debug)]
enum Readers {
    One(u64),
    Many(Vec<u64>),
}

impl Readers {
    fn as_slice(&self) -> &[u64] {
        match self {
            Readers::One(id) => std::slice::from_ref(id),
            Readers::Many(ids) => ids,
        }
    }

    /// False if it is there.
    fn add(&mut self, id: u64) -> bool {
        if self.as_slice().contains(&id) {
            return false;
        }
        match self {
            Readers::One(first) => *self = Readers::Many(vec![*first, id]),
            Readers::Many(ids) => ids.push(id),
        }
        true
    }
}

#[derive(Debug)]
struct Record {
    readers: Readers,
    /// Whether the key was there when it was last read. One that wasn't is not told gone.
    present: bool,
}

type Shard = HashMap<Box<[u8]>, Record, RandomState>;

/// The table. Each key is in it once, until it is changed.
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    keys: AtomicUsize,
    items: AtomicUsize,
    max: AtomicUsize,
}

impl Table {
    pub(super) fn new(max: usize) -> Table {
        let hasher = RandomState::new();
        let shard = || Mutex::new(Shard::with_hasher(hasher.clone()));
        Table {
            shards: std::array::from_fn(|_| shard()),
            hasher,
            keys: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
            max: AtomicUsize::new(max),
        }
    }

    /// Keys, and readers of all of them.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.keys.load(Ordering::Relaxed), self.items.load(Ordering::Relaxed))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.load(Ordering::Relaxed) == 0
    }

    pub(super) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    pub(super) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &[u8]) -> usize {
        (self.hasher.hash_one(key) >> 32) as usize % SHARDS
    }

    /// Notes that a client reads a key. Before it reads: what is changed between the two is told.
    pub(super) fn add(&self, key: &[u8], id: u64) {
        let mut shard = self.shards[self.shard(key)].lock();
        if let Some(record) = shard.get_mut(key) {
            if record.readers.add(id) {
                self.items.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        shard.insert(key.into(), Record { readers: Readers::One(id), present: false });
        self.keys.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the key is there.
    pub(super) fn found(&self, key: &[u8]) {
        if let Some(record) = self.shards[self.shard(key)].lock().get_mut(key) {
            record.present = true;
        }
    }

    /// Forgets a key, and tells who had read it. `gone`: only if it was there when it was read.
    pub(super) fn take(&self, key: &[u8], gone: bool, mut tell: impl FnMut(u64)) {
        let record = {
            let mut shard = self.shards[self.shard(key)].lock();
            if gone && shard.get(key).is_none_or(|record| !record.present) {
                return;
            }
            shard.remove(key)
        };
        if let Some(record) = record {
            self.forgot(1, record.readers.as_slice().len());
            record.readers.as_slice().iter().for_each(|&id| tell(id));
        }
    }

    fn forgot(&self, keys: usize, items: usize) {
        self.keys.fetch_sub(keys, Ordering::Relaxed);
        self.items.fetch_sub(items, Ordering::Relaxed);
    }

    /// Whether there are more keys than there may be.
    pub(super) fn is_over(&self) -> bool {
        let max = self.max();
        max > 0 && self.keys.load(Ordering::Relaxed) > max
    }

    /// Forgets keys until there are no more than there may be, those first that come first in the
    /// order of hashes, which is a random one, from a shard chosen by `random`.
    pub(super) fn trim(&self, random: usize, mut tell: impl FnMut(&[u8], u64)) {
        for i in 0..SHARDS {
            while self.is_over() {
                let mut shard = self.shards[(random + i) % SHARDS].lock();
                let Some(key) = shard.keys().next().cloned() else { break };
                let Some(record) = shard.remove(&key) else { break };
                drop(shard);
                self.forgot(1, record.readers.as_slice().len());
                record.readers.as_slice().iter().for_each(|&id| tell(&key, id));
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.retain(|_, _| false, |_, _| {});
    }

    /// Forgets the keys that `keep` doesn't want, and tells who had read them.
    pub(super) fn retain(
        &self,
        mut keep: impl FnMut(&[u8], bool) -> bool,
        mut tell: impl FnMut(&[u8], u64),
    ) {
        for shard in &self.shards {
            let mut gone = Vec::new();
            shard.lock().retain(|key, record| {
                let keeps = keep(key, record.present);
                if !keeps {
                    let readers = std::mem::replace(&mut record.readers, Readers::One(0));
                    gone.push((key.clone(), readers));
                }
                keeps
            });
            for (key, readers) in gone {
                self.forgot(1, readers.as_slice().len());
                readers.as_slice().iter().for_each(|&id| tell(&key, id));
            }
        }
    }
}
