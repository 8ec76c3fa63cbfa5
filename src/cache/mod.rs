//! The cache: picks the stripe by the hash of the key, and sees to it that what it hands out stays
//! alive.

pub mod background;
pub mod batch;
pub mod conditional;
mod debug;
pub mod events;
#[cfg(test)]
mod expire_model;
pub mod family;
pub mod flights;
pub mod handle;
pub mod in_place;
pub mod info;
pub mod iter;
pub mod lend;
pub mod loading;
pub mod loads;
pub mod names;
pub mod namespaces;
pub mod options;
pub mod read;
#[cfg(test)]
mod refused;
pub mod room;
pub mod scan;
pub mod shared;
pub mod stats;
pub mod tags;
#[cfg(any(test, feature = "test-hooks"))]
pub mod test_hooks;
pub mod ttl;
pub mod update;
pub mod view;
pub mod write;

pub use handle::Cache;

use crate::cache::family::Member;
use crate::cache::flights::Flights;
use crate::cache::names::Names;
use crate::cache::options::Options;
use crate::cache::room::Effort;
use crate::cache::shared::Shared;
use crate::cache::stats::Stats;
use crate::error::Error;
use crate::memory::quota::UNBOUNDED;
use crate::memory::{MIN_BUDGET, least_segments};
use crate::sync::{epoch, waker};
use crate::sys::atomic::{AtomicPtr, Ordering};
use crate::sys::bytes::avx;
use std::ptr;
use std::sync::{Arc, Weak};

impl Cache {
    /// An empty cache.
    ///
    /// # Errors
    /// [`Error::InvalidOptions`], or [`Error::OutOfMemory`] where the system refuses address space.
    /// Memory is taken as the cache fills; with a budget of 64 MiB or more, 4 to 18 MiB (a segment
    /// for each stripe) at once, in about as many tenths of a millisecond.
    pub fn new(options: Options) -> Result<Cache, Error> {
        epoch::start();
        avx::prepare();
        let shared = Arc::new(Shared::new(&options)?);
        shared.family.join(Arc::downgrade(&shared) as Weak<dyn Member>);
        Ok(Cache::of(shared, Arc::new(Names::new())))
    }

    /// A handle of a new cache or namespace.
    pub(crate) fn of(shared: Arc<Shared>, names: Arc<Names<Cache>>) -> Cache {
        {
            // The first threads' counters are paid for while there is room for sure.
            let guard = epoch::pin();
            shared.line(&guard);
        }
        background::register(&shared);
        if shared.env.space.is_large() {
            // The first set would want the thread; to start it would cost that 100 microseconds.
            waker::wake_now();
        }
        Cache {
            shared: AtomicPtr::new(Arc::into_raw(shared).cast_mut()),
            names,
            flights: Flights::new(),
        }
    }

    /// Removes everything, and gives the memory back to the system as soon as nobody reads it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn clear(&self) -> Result<(), Error> {
        self.with(|shared| {
            shared.each_stripe(|stripe, state| {
                let (mut writer, policy) = state.writer(&shared.env, stripe);
                writer.clear(policy);
                // Of a namespace: the others have use for what its ghosts took.
                writer.follow(policy);
            });
        })?;
        // With a fresh pin, else this thread would hold back what it has just given up.
        self.with(|shared| shared.env.space.give_back_free())
    }

    /// Changes the budget, while in use. When it shrinks, entries are evicted until the rest fits.
    /// Of a namespace: gives it a bound, or another one.
    ///
    /// # Errors
    /// [`Error::InvalidOptions`] below 256 KiB or a 64th of the first budget (more with more than 8
    /// stripes: two segments to a stripe, and six; with events: four times their memory; and with
    /// namespaces: what they hold for good), or above the larger of 16 GiB and four times the first
    /// budget (less where address space is limited); [`Error::Closed`], or [`Error::Full`] when
    /// readers or views hold what would have to go; the new budget is in force even then, and
    /// following sets shrink further.
    pub fn resize(&self, max_bytes: u64) -> Result<(), Error> {
        self.with(|shared| {
            if shared.is_namespace {
                let segments = least_segments(shared.stripes.len() as u64);
                let least =
                    (segments * shared.env.space.segment_size()).max(4 * shared.fixed_bytes);
                if !(least..UNBOUNDED).contains(&max_bytes) {
                    return Err(Error::InvalidOptions("max_bytes is too small for this namespace"));
                }
                shared.env.space.set_bound(max_bytes);
                return Ok(());
            }
            // What all of its caches hold for good must leave them room to live.
            if max_bytes < MIN_BUDGET.max(4 * shared.fixed_bytes)
                || !shared.env.space.try_set_max(max_bytes)
            {
                return Err(Error::InvalidOptions(
                    "max_bytes is out of the range that this cache can be resized to",
                ));
            }
            Ok(())
        })??;
        let mut effort = Effort::default();
        loop {
            let fits = self.with(|shared| {
                let fits = || {
                    let share = &shared.env.space;
                    if shared.is_namespace {
                        share.held() <= share.bound()
                    } else {
                        share.trim_to_budget()
                    }
                };
                if fits() {
                    return true;
                }
                if shared.is_namespace {
                    shared.settle()
                } else {
                    shared.settle_family()
                }
                fits()
            })?;
            if fits {
                return self.with(|shared| {
                    if shared.is_namespace { shared.settle() } else { shared.settle_family() }
                });
            }
            self.make_room(None, 0, &mut effort)?;
        }
    }

    /// Entries now. Expired ones count until they are found.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.with(|shared| {
            let mut entries = 0;
            shared.each_stripe(|stripe, state| {
                let (mut writer, policy) = state.writer(&shared.env, stripe);
                // What there is no room for goes on waiting: to count is no reason to drop it.
                let _ = writer.apply_all(policy);
                entries += state.core.index.entries() as u64;
            });
            entries
        })
        .unwrap_or(0)
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it did and holds.
    ///
    /// ```
    /// # use larder::{Cache, Options};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// cache.set(b"key", b"value")?;
    /// let _ = cache.get(b"key");
    /// let stats = cache.stats()?;
    /// assert_eq!((stats.hits, stats.misses, stats.entries), (1, 0, 1));
    /// assert!(stats.bytes <= stats.max_bytes);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn stats(&self) -> Result<Stats, Error> {
        self.with(Shared::stats)
    }

    /// Gives all memory back and fails every later call with [`Error::Closed`] (a get finds
    /// nothing). Calls that are under way are waited for; memory that views hold goes with the last
    /// of them. Closing twice is fine. Its namespaces are closed with it; a namespace that is
    /// closed gives its memory to the others.
    pub fn close(&self) {
        assert!(!epoch::is_pinned(), "close was called from inside the cache");
        let shared = self.shared.swap(ptr::null_mut(), Ordering::AcqRel);
        if !shared.is_null() {
            epoch::synchronize();
            // SAFETY: the pointer came from Arc::into_raw in `of`, was taken by this call alone,
            // and nobody who read it is still inside.
            let shared = unsafe { Arc::from_raw(shared) };
            if shared.is_namespace {
                self.names.remove(self);
                shared.family.leave(Arc::as_ptr(&shared) as *const dyn Member);
                // Back to the pool now, even if views or the background thread hold the rest for a
                // while.
                shared.each_stripe(|stripe, state| {
                    let (mut writer, policy) = state.writer(&shared.env, stripe);
                    writer.clear(policy);
                });
            } else {
                self.names.close().iter().for_each(|namespace| namespace.close());
            }
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::shared::TryError;
    use crate::cache::ttl::Ttl;

    #[test]
    fn the_fast_door_gives_up_on_a_lock_that_is_held_and_changes_nothing() {
        let cache = Cache::new(Options { stripes: 1, ..Options::new(1 << 20) }).unwrap();
        cache.set(b"key", b"before").unwrap();
        cache
            .with(|shared| {
                let state = shared.stripes[0].state.lock();
                assert_eq!(cache.try_store(b"key", b"after", Ttl::Default), Err(TryError::Busy));
                assert_eq!(cache.try_delete(b"key"), Err(TryError::Busy));
                drop(state);
            })
            .unwrap();
        assert_eq!(cache.get(b"key").as_deref(), Some(b"before".as_slice()));
        cache.try_store(b"key", b"after", Ttl::Default).unwrap();
        assert_eq!(cache.get(b"key").as_deref(), Some(b"after".as_slice()));
        assert_eq!(cache.try_delete(b"key"), Ok(true));
        cache.check();
        let stats = cache.stats().unwrap();
        assert_eq!((stats.sets, stats.deletes, stats.entries), (2, 1, 0));
    }
}
