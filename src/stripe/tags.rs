//! Tags: names that entries carry, by which all that carry one are invalidated at once.
//!
//! Nothing lists the entries of a tag. An entry keeps the hashes of its tags and a *stamp*: the
//! count of invalidations when its value was obtained. Invalidating a tag raises the count and
//! notes it beside the tag's hash in a table: O(1), and in effect when it returns, since whoever
//! reads an entry with tags looks there whether one of them was invalidated after the entry's
//! stamp. While nothing was invalidated, that look is one load.
//!
//! The table would grow with each tag that was ever invalidated. So a pass over the entries
//! (`Cache::settle_tags`, by the background thread or when the table is full) removes those that
//! are invalid, makes those stale that were invalidated softly, and then forgets all invalidations
//! up to the count at which it began: whatever is still there is younger, or valid. A value
//! obtained before that (`as_of` in the options of a set) can't be judged any more, and counts as
//! invalidated.
//!
//! A pass is invisible but for two things. A get that has found an entry, while a drain moves it, a
//! pass gives the copy its new stamp, and the floor is raised, judges the old stamp twice and is
//! told of a miss: of an entry that is there, once. And a set whose stamp was taken before a pass
//! began, and that waits for room until it is over, may store what counts as invalidated. Both are
//! misses; a value that was invalidated is never served.
//!
//! Hashes are 64 bits under the cache's own seed: that two of a million tags share one has a chance
//! of 1 in 40 million.

use crate::entry::extension::Tags;
use crate::sync::epoch::{self, Guard};
use crate::sys::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::sys::os;
use std::ptr;

/// Tags in the first table.
const FIRST: usize = 64;

/// What an invalidation made of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judged {
    /// No tag of it was invalidated.
    Valid,
    /// It is stale.
    Stale,
    /// It is gone.
    Invalid,
}

/// A tag in the table: its hash (0: none), and the counts at which it was last invalidated, hard
/// and softly.
#[derive(Default)]
struct TagRecord {
    hash: AtomicU64,
    hard: AtomicU64,
    soft: AtomicU64,
}

type Table = Vec<TagRecord>;

/// The invalidated tags of a cache.
pub struct Invalidations {
    /// Counts invalidations; also the stamp of new entries.
    clock: AtomicU64,
    /// Entries with an older stamp can't be judged: what was invalidated up to then is forgotten.
    floor: AtomicU64,
    /// Tags in the table. Written under `writer`.
    used: AtomicUsize,
    /// There was no memory for a tag.
    pub short: AtomicBool,
    table: AtomicPtr<Table>,
    /// Tables that readers may still look at, with the epoch's stamp.
    writer: Mutex<Vec<(u64, Box<Table>)>>,
}

/// An empty table. None if the system refuses memory.
fn fresh(len: usize) -> Option<Box<Table>> {
    let mut table = Table::new();
    if os::refused(os::Ask::Heap) || table.try_reserve_exact(len).is_err() {
        return None;
    }
    table.resize_with(len, TagRecord::default);
    Some(Box::new(table))
}

/// An empty table that is paid for.
fn bought(len: usize, pay: &mut impl FnMut(i64) -> bool) -> Option<Box<Table>> {
    let bytes = (len * size_of::<TagRecord>()) as i64;
    if !pay(bytes) {
        return None;
    }
    fresh(len).or_else(|| {
        pay(-bytes);
        None
    })
}

/// A hash that isn't the mark of an empty slot.
#[inline]
fn proper(hash: u64) -> u64 {
    hash.max(1)
}

/// The slot of a hash, or the empty one where it would be. Tables are at most half full.
fn seek(table: &Table, hash: u64) -> Option<&TagRecord> {
    let mask = table.len() - 1;
    (0..table.len()).filter_map(|i| table.get((hash as usize).wrapping_add(i) & mask)).find(
        |slot| {
            let found = slot.hash.load(Ordering::Acquire);
            found == hash || found == 0
        },
    )
}

impl Invalidations {
    /// None yet. Takes memory at the first.
    pub fn new() -> Invalidations {
        Invalidations {
            clock: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            used: AtomicUsize::new(0),
            short: AtomicBool::new(false),
            table: AtomicPtr::new(ptr::null_mut()),
            writer: Mutex::new(Vec::new()),
        }
    }

    /// The stamp for a value that is obtained from now on.
    #[inline]
    pub fn stamp(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Tags that are remembered.
    pub fn len(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What became of an entry with these tags.
    pub fn judge(&self, _guard: &Guard, tags: Tags<'_>) -> Judged {
        if self.clock.load(Ordering::SeqCst) == tags.stamp {
            return Judged::Valid;
        }
        if tags.stamp < self.floor.load(Ordering::Acquire) {
            return Judged::Invalid;
        }
        let table = self.table.load(Ordering::Acquire);
        if table.is_null() {
            return Judged::Valid;
        }
        // SAFETY: tables are freed when a grace period has passed after they were replaced, and the
        // guard was pinned before the pointer was read.
        let table = unsafe { &*table };
        let mut judged = Judged::Valid;
        for &hash in tags.hashes {
            let hash = proper(hash);
            let Some(slot) = seek(table, hash) else { continue };
            if slot.hash.load(Ordering::Acquire) != hash {
                continue;
            }
            if slot.hard.load(Ordering::Acquire) > tags.stamp {
                return Judged::Invalid;
            }
            if slot.soft.load(Ordering::Acquire) > tags.stamp {
                judged = Judged::Stale;
            }
        }
        // A pass may have forgotten, meanwhile, what this table didn't have any more.
        if tags.stamp < self.floor.load(Ordering::Acquire) { Judged::Invalid } else { judged }
    }

    /// Invalidates a tag. `pay` agrees to (or, negative, is given back) bytes of memory. False if
    /// there is no memory: then nothing is done, unless `must` says so; then everything with tags
    /// is invalidated, which is more than was asked for but never less.
    pub fn invalidate(
        &self,
        hash: u64,
        soft: bool,
        must: bool,
        mut pay: impl FnMut(i64) -> bool,
    ) -> bool {
        let mut old = self.writer.lock();
        self.free_old(&mut old, &mut pay);
        let hash = proper(hash);
        let at = self.clock.load(Ordering::Relaxed) + 1;
        let note = |slot: &TagRecord| {
            let which = if soft { &slot.soft } else { &slot.hard };
            which.store(at, Ordering::Release);
            slot.hash.store(hash, Ordering::Release);
        };
        let mut table = self.table.load(Ordering::Relaxed);
        // SAFETY: only the holder of the lock replaces tables, and frees only replaced ones.
        let known = unsafe { table.as_ref() }
            .and_then(|table| seek(table, hash))
            .map(|slot| slot.hash.load(Ordering::Relaxed));
        let ok = known == Some(hash) || self.grow(&mut table, &mut old, &mut pay);
        if ok {
            // SAFETY: as above; `grow` has made one if there was none.
            if let Some(slot) = seek(unsafe { &*table }, hash) {
                if slot.hash.load(Ordering::Relaxed) == 0 {
                    self.used.fetch_add(1, Ordering::Relaxed);
                }
                note(slot);
            }
        } else if must {
            self.floor.store(at, Ordering::Release);
            self.short.store(true, Ordering::Relaxed);
        } else {
            return false;
        }
        // The tag is in the table before anyone can get the new stamp.
        self.clock.store(at, Ordering::SeqCst);
        ok
    }

    /// Makes sure that one more tag has room.
    fn grow(
        &self,
        table: &mut *mut Table,
        old: &mut Vec<(u64, Box<Table>)>,
        pay: &mut impl FnMut(i64) -> bool,
    ) -> bool {
        // SAFETY: as in `invalidate`.
        let len = unsafe { table.as_ref() }.map_or(0, Vec::len);
        if (self.len() + 1) * 2 <= len {
            return true;
        }
        let wanted = (len * 2).max(FIRST);
        let Some(next) = bought(wanted, pay) else { return false };
        // SAFETY: as above.
        for slot in unsafe { table.as_ref() }.into_iter().flatten() {
            copy(slot, &next);
        }
        self.replace(next, old);
        *table = self.table.load(Ordering::Relaxed);
        true
    }

    fn replace(&self, next: Box<Table>, old: &mut Vec<(u64, Box<Table>)>) {
        let before = self.table.swap(Box::into_raw(next), Ordering::AcqRel);
        if !before.is_null() {
            // SAFETY: made by Box::into_raw, and taken away by this call alone.
            old.push((epoch::retire(), unsafe { Box::from_raw(before) }));
        }
    }

    fn free_old(&self, old: &mut Vec<(u64, Box<Table>)>, pay: &mut impl FnMut(i64) -> bool) {
        if !old.is_empty() {
            let safe = epoch::safe_before();
            old.retain(|(stamp, table)| {
                let keep = *stamp >= safe;
                if !keep {
                    pay(-((table.len() * size_of::<TagRecord>()) as i64));
                }
                keep
            });
        }
    }

    /// Forgets what was invalidated up to `stamp`: no entry is left with an older one that isn't
    /// valid.
    pub fn forget(&self, stamp: u64, mut pay: impl FnMut(i64) -> bool) {
        let mut old = self.writer.lock();
        self.free_old(&mut old, &mut pay);
        let table = self.table.load(Ordering::Relaxed);
        // SAFETY: as in `invalidate`.
        let Some(table) = (unsafe { table.as_ref() }) else { return };
        let later = |slot: &&TagRecord| {
            slot.hard.load(Ordering::Relaxed).max(slot.soft.load(Ordering::Relaxed)) > stamp
        };
        let keep = table.iter().filter(later).count();
        let wanted = ((keep + 1) * 2).next_power_of_two().max(FIRST);
        let Some(next) = bought(wanted, &mut pay) else { return };
        table.iter().filter(later).for_each(|slot| copy(slot, &next));
        // Whoever sees the smaller table sees the floor.
        self.floor.fetch_max(stamp, Ordering::SeqCst);
        self.used.store(keep, Ordering::Relaxed);
        self.short.store(false, Ordering::Relaxed);
        self.replace(next, &mut old);
    }
}

fn copy(slot: &TagRecord, to: &Table) {
    let hash = slot.hash.load(Ordering::Relaxed);
    if hash == 0 {
        return;
    }
    if let Some(target) = seek(to, hash) {
        target.hard.store(slot.hard.load(Ordering::Relaxed), Ordering::Relaxed);
        target.soft.store(slot.soft.load(Ordering::Relaxed), Ordering::Relaxed);
        target.hash.store(hash, Ordering::Release);
    }
}

impl Drop for Invalidations {
    fn drop(&mut self) {
        let table = *self.table.get_mut();
        if !table.is_null() {
            // SAFETY: made by Box::into_raw, and nobody looks at a cache that is being dropped.
            drop(unsafe { Box::from_raw(table) });
        }
    }
}
