//! How a get finds its entry, and what it does while writers move or overwrite it.
//!
//! A read pins the epoch, so that nothing it can still see is reused; looks the key up; and takes the value, all without a
//! lock. Where a writer was at work it may have to begin anew: because slots of the index moved, or because the value was
//! overwritten while it was copied (`sequence`). The slow door waits for the writers after a while, the fast door gives up.

use crate::bytes;
use crate::cache::{Cache, Shared, TryError};
use crate::conditional::{Told, inform};
use crate::entry::{Entry, Header, Value};
use crate::epoch::{self, Guard};
use crate::error::Error;
use crate::extra;
use crate::freshness::{self, State};
use crate::index::{Moving, Slot};
use crate::tags::Judged;
use std::convert::Infallible;

/// How often a reader begins anew before it waits for the writers.
const PATIENCE: usize = 64;
/// As [`PATIENCE`], on the fast door: then it gives up.
const FAST_PATIENCE: usize = 16;

impl Shared {
    /// Notes a hit: for the policy, and for a deadline that slides.
    #[inline]
    pub(crate) fn mark(&self, entry: Entry<'_>, header: Header) {
        self.mark_hit_only(entry, header);
        if header.extra() & extra::SLIDING != 0 {
            freshness::slide(entry, header, self.clock.now());
        }
    }

    /// Notes a hit for the policy.
    #[inline]
    pub(crate) fn mark_hit_only(&self, entry: Entry<'_>, header: Header) {
        entry.mark_hit(header, self.hit_max);
    }

    /// The entry of a key that a get may return.
    #[inline(always)]
    pub(crate) fn lookup<'g>(
        &'g self,
        guard: &'g Guard,
        hash: u64,
        key: &[u8],
    ) -> Result<Option<(Entry<'g>, Header)>, Moving> {
        let found = self.lookup_any(guard, hash, key)?;
        Ok(found.filter(|&(entry, header)| self.may_return(guard, entry, header)))
    }

    /// Whether an entry that hasn't expired is neither negative nor invalidated.
    #[inline(always)]
    fn may_return(&self, guard: &Guard, entry: Entry<'_>, header: Header) -> bool {
        !header.has_extra()
            || header.extra() & extra::ABSENT == 0 && self.judge(guard, entry, header) != Judged::Invalid
    }

    /// Whether an entry hasn't expired.
    #[inline(always)]
    fn is_alive(&self, entry: Entry<'_>, header: Header) -> bool {
        entry.deadline(header).is_none_or(|deadline| self.clock.now() < deadline)
    }

    /// The entry that a slot points at.
    ///
    /// # Safety
    /// The slot was read from this cache's index since the guard was pinned.
    #[inline(always)]
    pub(crate) unsafe fn entry_at<'g>(&'g self, _guard: &'g Guard, slot: Slot) -> Entry<'g> {
        // SAFETY: a slot that is in the index points at an entry that was published with release ordering and read with
        // acquire. The guard was pinned before the index was read, so the segment isn't reused while 'g lasts.
        unsafe { Entry::at(self.space.base().add(slot.offset() as usize)) }
    }

    /// The entry that a slot points at, if it has this key.
    ///
    /// # Safety
    /// As [`Shared::entry_at`].
    #[inline(always)]
    unsafe fn entry_of<'g>(&'g self, guard: &'g Guard, slot: Slot, key: &[u8]) -> Option<Entry<'g>> {
        // SAFETY: passed on to the caller.
        let entry = unsafe { self.entry_at(guard, slot) };
        bytes::equal(entry.key(entry.header()), key).then_some(entry)
    }

    /// The entry of a key that has not expired. It may be absent or invalidated.
    #[inline(always)]
    pub(crate) fn lookup_any<'g>(
        &'g self,
        guard: &'g Guard,
        hash: u64,
        key: &[u8],
    ) -> Result<Option<(Entry<'g>, Header)>, Moving> {
        // SAFETY: `find` reads the index now.
        let matching = |slot| unsafe { self.entry_of(guard, slot, key) };
        // SAFETY: as above.
        let further = |slot| unsafe { self.entry_of(guard, slot, key) };
        let found = self.stripe(hash).index.find(hash, matching, further)?;
        // The header is read again rather than returned: what the closure returns then fits two registers, where the pair
        // came through memory, written in halves and read whole, which cost a hit of a small set 12 ns of 74.
        let found = found.map(|entry| (entry, entry.header()));
        Ok(found.filter(|&(entry, header)| self.is_alive(entry, header)))
    }

    /// Looks a key up and has `f` take its value, once. `ANY`: negative and invalidated entries too. Moving: the slot was being
    /// moved, or the value overwritten, so what `f` took is worth nothing.
    #[inline(always)]
    pub(crate) fn try_find<'g, const ANY: bool, T>(
        &'g self,
        guard: &'g Guard,
        hash: u64,
        key: &[u8],
        f: impl FnOnce(Entry<'g>, Header) -> T,
    ) -> Result<Option<(T, Entry<'g>, Header)>, Moving> {
        let sequence = self.sequences.of(hash);
        let number = sequence.number();
        let found = if ANY { self.lookup_any(guard, hash, key) } else { self.lookup(guard, hash, key) };
        let Some((entry, header)) = found? else { return Ok(None) };
        let taken = f(entry, header);
        if header.may_change() && !sequence.is_still(number) {
            return Err(Moving);
        }
        Ok(Some((taken, entry, header)))
    }

    /// As [`Shared::try_find`], for an entry that the index had under this hash since the guard was pinned: has `f` take its
    /// value, if it has this key, may be returned, and wasn't overwritten meanwhile. None says nothing about the key. (If
    /// the entry was replaced since, its value was the key's just before that, so during the call.)
    #[inline(always)]
    pub(crate) fn try_take<'g, T>(
        &'g self,
        guard: &'g Guard,
        hash: u64,
        key: &[u8],
        entry: Entry<'g>,
        f: impl FnOnce(Entry<'g>, Header) -> T,
    ) -> Option<(T, Header)> {
        let sequence = self.sequences.of(hash);
        let number = sequence.number();
        let header = entry.header();
        if !bytes::equal(entry.key(header), key)
            || !self.is_alive(entry, header)
            || !self.may_return(guard, entry, header)
        {
            return None;
        }
        let taken = f(entry, header);
        (!header.may_change() || sequence.is_still(number)).then_some((taken, header))
    }

    /// Tries until nobody has interfered. Who has been overtaken often waits for the writers, and keeps them out: by the lock
    /// those who need it, by the sequence those who don't.
    #[inline(always)]
    pub(crate) fn patiently<T>(&self, hash: u64, mut attempt: impl FnMut() -> Result<T, Moving>) -> T {
        let mut tries = 0;
        loop {
            let _alone = (tries >= PATIENCE).then(|| {
                let state = self.stripe(hash).state.lock();
                // Opened before the lock is let go, as it comes first.
                (self.sequences.of(hash).close(), state)
            });
            if let Ok(done) = attempt() {
                return done;
            }
            tries += 1;
        }
    }
}

/// Tries a few times, as the fast door does.
#[inline(always)]
pub(crate) fn briefly<T>(mut attempt: impl FnMut() -> Result<T, Moving>) -> Result<T, Moving> {
    for _ in 0..FAST_PATIENCE {
        if let Ok(done) = attempt() {
            return Ok(done);
        }
        std::hint::spin_loop();
    }
    Err(Moving)
}

impl Cache {
    /// Calls `f` with the value of a key. `f` runs inside the cache: it must be short and must not call the cache. It counts
    /// as a hit unless `f` fails to take the value.
    ///
    /// `f` is called again if the value was overwritten while it ran: what the last call did is what counts.
    #[inline]
    pub(crate) fn read<T, E>(
        &self,
        key: &[u8],
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Option<Result<T, E>>, Error> {
        let guard = epoch::pin();
        let shared = self.shared(&guard)?;
        let hash = shared.hasher.hash(key);
        let line = shared.line(&guard);
        let found = shared
            .patiently(hash, || shared.try_find::<false, _>(&guard, hash, key, |entry, header| f(entry.value(header))));
        let Some((taken, entry, header)) = found else {
            line.miss(1);
            return Ok(None);
        };
        if taken.is_ok() {
            shared.mark(entry, header);
            line.hit(1);
        }
        Ok(Some(taken))
    }

    /// As [`Cache::read`], for negative entries too, and tells of the entry; takes its lease if `lease` says so and it is free.
    pub(crate) fn read_any<T, E>(
        &self,
        key: &[u8],
        lease: bool,
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Told<T, E>, Error> {
        let guard = epoch::pin();
        let shared = self.shared(&guard)?;
        let hash = shared.hasher.hash(key);
        let line = shared.line(&guard);
        let found = shared.patiently(hash, || {
            shared.try_find::<true, _>(&guard, hash, key, |entry, header| {
                let judged = shared.judge(&guard, entry, header);
                (judged != Judged::Invalid).then(|| (judged, f(entry.value(header))))
            })
        });
        let Some((Some((judged, taken)), entry, header)) = found else {
            line.miss(1);
            return Ok(None);
        };
        let lease = lease && taken.is_ok();
        let info = inform(entry, header, shared.clock.now(), lease, judged == Judged::Stale);
        if taken.is_ok() {
            shared.mark(entry, header);
            line.hit(1);
        }
        Ok(Some((taken, info)))
    }

    /// As [`Cache::read`], but gives up where that would have to wait, allocate or call the system, or copy more than
    /// `most` bytes. This is what the fast door runs.
    #[inline]
    pub(crate) fn try_read<T, E>(
        &self,
        key: &[u8],
        most: usize,
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Option<Result<T, E>>, TryError> {
        let guard = epoch::try_pin().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        let line = shared.try_line(&guard).ok_or(TryError::Busy)?;
        let hash = shared.hasher.hash(key);
        let found = briefly(|| {
            shared.try_find::<false, _>(&guard, hash, key, |entry, header| {
                let value = entry.value(header);
                if value.len() > most { Err(None) } else { f(value).map_err(Some) }
            })
        });
        match found {
            Ok(Some((Ok(taken), entry, header))) => {
                shared.mark(entry, header);
                line.hit(1);
                Ok(Some(Ok(taken)))
            }
            Ok(Some((Err(Some(error)), ..))) => Ok(Some(Err(error))),
            Ok(None) => {
                line.miss(1);
                Ok(None)
            }
            Ok(Some((Err(None), ..))) | Err(Moving) => Err(TryError::Busy),
        }
    }

    /// As [`Cache::try_read`], for negative entries too, and takes a free lease. `tell` is told how fresh the entry is.
    #[inline]
    pub(crate) fn try_read_with<T, E>(
        &self,
        key: &[u8],
        most: usize,
        tell: &mut impl FnMut(State),
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Option<Result<T, E>>, TryError> {
        let guard = epoch::try_pin().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        let line = shared.try_line(&guard).ok_or(TryError::Busy)?;
        let hash = shared.hasher.hash(key);
        let found = briefly(|| {
            shared.try_find::<true, _>(&guard, hash, key, |entry, header| {
                let judged = if header.has_extra() { shared.judge(&guard, entry, header) } else { Judged::Valid };
                let value = entry.value(header);
                let taken = match judged {
                    Judged::Invalid => None,
                    _ if value.len() > most => Some(Err(None)),
                    _ => Some(f(value).map_err(Some)),
                };
                (judged, taken)
            })
        });
        match found {
            Ok(Some(((judged, Some(Ok(taken))), entry, header))) => {
                if header.has_extra() {
                    tell(inform(entry, header, shared.clock.now(), true, judged == Judged::Stale).state);
                }
                shared.mark(entry, header);
                line.hit(1);
                Ok(Some(Ok(taken)))
            }
            Ok(Some(((_, Some(Err(Some(error)))), ..))) => Ok(Some(Err(error))),
            Ok(Some(((_, None), ..)) | None) => {
                line.miss(1);
                Ok(None)
            }
            Ok(Some(((_, Some(Err(None))), ..))) | Err(Moving) => Err(TryError::Busy),
        }
    }

    /// A copy of the value of a key. A closed cache has none.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.get_into(key, &mut out).then_some(out)
    }

    /// Appends the value of a key to `out`. False if there is none.
    pub fn get_into(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        let len = out.len();
        self.read(key, |value| {
            out.truncate(len);
            value.append_to(out);
            Ok::<_, Infallible>(())
        })
        .is_ok_and(|found| found.is_some())
    }
}
