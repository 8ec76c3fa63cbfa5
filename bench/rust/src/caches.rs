//! The caches behind one interface: bytes to bytes, copied in and copied out.

use std::sync::Arc;
use std::time::Duration;

/// What each of them can do.
pub trait Cache: Send + Sync {
    /// Replaces `out` by the value of `key`.
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> bool;
    /// Stores copies of `key` and `value`; false if the cache refuses them.
    fn set(&self, key: &[u8], value: &[u8]) -> bool;
}

/// The capacity that is asked of a cache.
#[derive(Clone, Copy)]
pub struct Capacity {
    /// Entries, for caches that are bounded by their number.
    pub entries: usize,
    /// Bytes of an entry's key and value. Caches bounded by bytes get `OVERHEAD` more for each entry.
    pub entry_bytes: usize,
}

/// What a cache bounded by bytes is granted for an entry over its key and value.
pub const OVERHEAD: usize = 32;

impl Capacity {
    fn bytes(self) -> usize {
        self.entries * (self.entry_bytes + OVERHEAD)
    }
}

/// The names of all caches, larder first.
pub const NAMES: [&str; 4] = ["larder", "quick_cache", "moka", "segcache"];

/// Makes the cache of that name.
pub fn make(name: &str, capacity: Capacity) -> Result<Box<dyn Cache>, String> {
    Ok(match name {
        "larder" => {
            let options = larder::Options::new(capacity.bytes() as u64);
            Box::new(Larder(larder::Cache::new(options).map_err(|e| format!("{e:?}"))?))
        }
        "quick_cache" => Box::new(Quick(quick_cache::sync::Cache::new(capacity.entries))),
        "moka" => Box::new(Moka(moka::sync::Cache::new(capacity.entries as u64))),
        "segcache" => Box::new(Seg::new(capacity)?),
        _ => return Err(format!("no cache is called {name:?}")),
    })
}

struct Larder(larder::Cache);

impl Cache for Larder {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        self.0.get_into(key, out)
    }

    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.set(key, value).is_ok()
    }
}

struct Quick(quick_cache::sync::Cache<Box<[u8]>, Arc<[u8]>>);

impl Cache for Quick {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(value) = self.0.get(key) else { return false };
        out.extend_from_slice(&value);
        true
    }

    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.insert(key.into(), value.into());
        true
    }
}

struct Moka(moka::sync::Cache<Box<[u8]>, Arc<[u8]>>);

impl Cache for Moka {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(value) = self.0.get(key) else { return false };
        out.extend_from_slice(&value);
        true
    }

    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.insert(key.into(), value.into());
        true
    }
}

struct Seg(segcache::Segcache);

impl Seg {
    /// The policy of the Segcache paper; segments of 1 MiB as the crate's default, smaller in small caches so that there
    /// are 64 of them; and twice as many places in its hash table, which doesn't grow, as there will be entries.
    fn new(capacity: Capacity) -> Result<Seg, String> {
        let segment = (capacity.bytes() / 64).next_power_of_two().clamp(16 << 10, 1 << 20);
        segcache::Segcache::builder()
            .heap_size(capacity.bytes().next_multiple_of(segment))
            .segment_size(segment as i32)
            .hash_power((2 * capacity.entries).next_power_of_two().ilog2() as u8)
            .eviction(segcache::Policy::Merge { max: 8, merge: 4, compact: 2 })
            .build()
            .map(Seg)
            .map_err(|e| e.to_string())
    }
}

impl Cache for Seg {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(item) = self.0.get(key) else { return false };
        if let segcache::Value::Bytes(value) = item.value() {
            out.extend_from_slice(value);
        }
        true
    }

    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.insert(key, value, None, Duration::ZERO).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    #[test]
    fn adapters_return_what_was_set() {
        for name in NAMES {
            let cache = make(name, Capacity { entries: 20_000, entry_bytes: 124 }).unwrap();
            let mut out = Vec::new();
            let mut value = vec![7; 100];
            for round in 0..2 {
                for id in 0..1000 {
                    let key = keys::key(id);
                    keys::stamp(&mut value, &key);
                    value[99] = round;
                    assert!(cache.set(&key, &value), "{name}");
                    assert!(cache.get(&key, &mut out) && out == value, "{name}");
                }
            }
            for id in 0..1000 {
                let key = keys::key(id);
                assert!(
                    cache.get(&key, &mut out) && keys::is_value(&out, &key, 100),
                    "{name} lost key {id}"
                );
                assert_eq!(out[99], 1, "{name} has an old value");
                assert!(
                    !cache.get(&keys::key(id + 1_000_000), &mut out),
                    "{name} found a key that was never set"
                );
            }
        }
    }
}
