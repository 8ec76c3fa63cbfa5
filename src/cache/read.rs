//! How a get finds its entry, and what it does while writers move or overwrite it.
//!
//! A read pins the epoch, so that nothing it can still see is reused; looks the key up; and takes
//! the value, all without a lock. Where a writer was at work it may have to begin anew: because
//! slots of the index moved, or because the value was overwritten while it was copied
//! (`sync::seqlock`). The slow path waits for the writers after a while, the fast path gives up.
//!
//! Most gets need none of that: the first slot with the key's tag is the right one, its entry has
//! no extension, and nobody writes; or there is none with that tag. That much is a *glance*: no
//! second try, no closure, no call, so that it is compiled to one line of few instructions. What it
//! can't answer is looked up anew, out of line. Instructions count in large caches as well: while a
//! get waits for its entry's line, the CPU runs ahead, and reaches the key of the next get only if
//! no more than some 300 instructions lie between (docs/performance.md).

use crate::cache::handle::Cache;
use crate::cache::info::{Told, inform};
use crate::cache::shared::Shared;
use crate::entry::extension;
use crate::entry::freshness::{self, State};
use crate::entry::{Entry, Header, Value};
use crate::error::Error;
use crate::index::{self, Moving, Slot};
use crate::stripe::Stripe;
use crate::stripe::tags::Judged;
use crate::sync::epoch::{self, Guard};
use crate::sync::seqlock::Seqlock;
use crate::sys::bytes;
use std::convert::Infallible;

/// How often a reader begins anew before it waits for the writers.
const PATIENCE: usize = 64;
/// As [`PATIENCE`], on the fast path: then it gives up.
const FAST_PATIENCE: usize = 16;

/// Who takes a value that was found.
pub(crate) trait Take {
    /// Told of a value's length: whether there is room.
    fn fits(&mut self, len: usize) -> bool;
    /// Copies a value that fits. May be called again, when it was overwritten meanwhile: the last
    /// one counts.
    fn take(&mut self, value: Value<'_>);
}

/// What came of a get by the fast path.
pub(crate) enum Tried {
    /// The value was taken, and is this fresh.
    Hit(State),
    /// There is no room for the value.
    NoRoom,
    /// There is none.
    Miss,
    /// To be repeated the slow way.
    Busy,
    /// The cache is closed.
    Closed,
}

/// What a glance at a key came to.
pub(crate) enum Probe<'g> {
    /// Its entry.
    Hit(Candidate<'g>),
    /// There is none.
    Miss,
    /// It can't be said: the key is to be looked up.
    Unclear,
}

/// An entry that may be returned, has no extension and no pages of its own, and whose value may be
/// about to change.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'g> {
    pub(crate) entry: Entry<'g>,
    pub(crate) header: Header,
    sequence: Seqlock<'g>,
    number: u64,
}

impl<'g> Candidate<'g> {
    /// The value, to be copied.
    #[inline(always)]
    pub(crate) fn value(&self) -> Value<'g> {
        self.entry.value(self.header)
    }

    /// Whether the copy is whole. Else it is worth nothing. (Of a value that can't change it may be
    /// said in vain that it isn't.)
    #[inline(always)]
    pub(crate) fn is_whole(&self) -> bool {
        self.sequence.is_still(self.number)
    }
}

impl Shared {
    /// Notes a hit: for the policy, and for a deadline that slides.
    #[inline]
    pub(crate) fn mark(&self, entry: Entry<'_>, header: Header) {
        self.mark_hit_only(entry, header);
        if header.extra() & extension::SLIDING != 0 {
            freshness::slide(entry, header, self.env.clock.now());
        }
    }

    /// Notes a hit for the policy.
    #[inline]
    pub(crate) fn mark_hit_only(&self, entry: Entry<'_>, header: Header) {
        entry.mark_hit(header, self.env.hit_max);
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
            || header.extra() & extension::ABSENT == 0
                && self.env.judge(guard, entry, header) != Judged::Invalid
    }

    /// Whether an entry hasn't expired.
    #[inline(always)]
    fn is_alive(&self, entry: Entry<'_>, header: Header) -> bool {
        entry.deadline(header).is_none_or(|deadline| self.env.clock.now() < deadline)
    }

    /// The entry that a slot points at.
    ///
    /// # Safety
    /// The slot was read from this cache's index since the guard was pinned.
    #[inline(always)]
    pub(crate) unsafe fn entry_at<'g>(&'g self, _guard: &'g Guard, slot: Slot) -> Entry<'g> {
        // SAFETY: a slot that is in the index points at an entry that was published with release
        // ordering and read with acquire. The guard was pinned before the index was read, so the
        // segment isn't reused while 'g lasts.
        unsafe { Entry::at(self.env.space.base().add(slot.offset() as usize)) }
    }

    /// The entry of a key that has not expired. It may be absent or invalidated.
    #[inline(always)]
    pub(crate) fn lookup_any<'g>(
        &'g self,
        guard: &'g Guard,
        hash: u64,
        key: &[u8],
    ) -> Result<Option<(Entry<'g>, Header)>, Moving> {
        let Stripe { index, filter, .. } = self.stripe(hash);
        if filter.has(hash) {
            return Err(Moving);
        }
        let found = index.find(hash, |slot| {
            // SAFETY: `find` reads the index now.
            let entry = unsafe { self.entry_at(guard, slot) };
            let header = entry.header();
            bytes::equal(entry.key(header), key).then_some((entry, header))
        })?;
        Ok(found.filter(|&(entry, header)| self.is_alive(entry, header)))
    }

    /// If a set of this hash waits, completes it, provided that nobody has the stripe's lock and
    /// that the fast path can.
    #[cold]
    #[inline(never)]
    fn complete_pending(&self, hash: u64) {
        let stripe = self.stripe(hash);
        if stripe.filter.has(hash)
            && let Some(mut state) = stripe.state.try_lock()
            && state.admits_fast(&self.env, stripe)
        {
            let (mut writer, policy) = state.fast_writer(&self.env, stripe);
            writer.apply_all(policy);
        }
    }

    /// Looks a key up and has `f` take its value, once. `ANY`: negative and invalidated entries
    /// too. Moving: the slot was being moved, or the value overwritten, so what `f` took is worth
    /// nothing.
    #[inline(always)]
    pub(crate) fn try_find<'g, const ANY: bool, T>(
        &'g self,
        guard: &'g Guard,
        hash: u64,
        key: &[u8],
        f: impl FnOnce(Entry<'g>, Header) -> T,
    ) -> Result<Option<(T, Entry<'g>, Header)>, Moving> {
        let sequence = self.env.seqlocks.of(hash);
        let number = sequence.number();
        let found =
            if ANY { self.lookup_any(guard, hash, key) } else { self.lookup(guard, hash, key) };
        let Some((entry, header)) = found? else { return Ok(None) };
        let taken = f(entry, header);
        if header.may_change() && !sequence.is_still(number) {
            return Err(Moving);
        }
        Ok(Some((taken, entry, header)))
    }

    /// Looks at the entry that a key probably has.
    #[inline(always)]
    pub(crate) fn probe<'g>(&'g self, guard: &'g Guard, hash: u64, key: &[u8]) -> Probe<'g> {
        let sequence = self.env.seqlocks.of(hash);
        let number = sequence.number();
        let Stripe { index, filter, .. } = self.stripe(hash);
        if filter.has(hash) {
            return Probe::Unclear;
        }
        let slot = match index.glance(hash) {
            index::Glance::Likely(slot) => slot,
            index::Glance::Absent => return Probe::Miss,
            index::Glance::Unclear => return Probe::Unclear,
        };
        // SAFETY: the index was read just now.
        let entry = unsafe { self.entry_at(guard, slot) };
        self.candidate(sequence, number, key, entry).map_or(Probe::Unclear, Probe::Hit)
    }

    /// An entry that the index had under this hash since the guard was pinned, if it is the key's.
    /// None says nothing about the key. (If the entry was replaced since, its value was the key's
    /// just before that, so during the call.)
    #[inline(always)]
    pub(crate) fn verify<'g>(
        &'g self,
        hash: u64,
        key: &[u8],
        entry: Entry<'g>,
    ) -> Option<Candidate<'g>> {
        let sequence = self.env.seqlocks.of(hash);
        self.candidate(sequence, sequence.number(), key, entry)
    }

    #[inline(always)]
    fn candidate<'g>(
        &self,
        sequence: Seqlock<'g>,
        number: u64,
        key: &[u8],
        entry: Entry<'g>,
    ) -> Option<Candidate<'g>> {
        let header = entry.plain_header()?;
        let is_it = bytes::equal(entry.key(header), key) && self.is_alive(entry, header);
        is_it.then_some(Candidate { entry, header, sequence, number })
    }

    /// Tries until nobody has interfered. Who has been overtaken often waits for the writers, and
    /// keeps them out: by the lock those who need it, by the sequence those who don't.
    ///
    /// None if a set that waits wants room, unless `drops` says that it is to be dropped.
    #[inline(always)]
    pub(crate) fn retry_until_stable<T>(
        &self,
        hash: u64,
        drops: bool,
        mut attempt: impl FnMut() -> Result<T, Moving>,
    ) -> Option<T> {
        let stripe = self.stripe(hash);
        let mut tries = 0;
        loop {
            let mut alone = None;
            if tries >= PATIENCE || stripe.filter.has(hash) {
                let mut state = stripe.lock();
                let (mut writer, policy) = state.writer(&self.env, stripe);
                if !writer.apply_key(policy, hash, drops) {
                    return None;
                }
                // Opened before the lock is let go, as it comes first.
                alone = Some((self.env.seqlocks.of(hash).close(), state));
            }
            if let Ok(done) = attempt() {
                return Some(done);
            }
            drop(alone);
            tries += 1;
        }
    }
}

/// Tries a few times, as the fast path does.
#[inline(always)]
pub(crate) fn retry_bounded<T>(
    mut attempt: impl FnMut() -> Result<T, Moving>,
) -> Result<T, Moving> {
    for _ in 0..FAST_PATIENCE {
        if let Ok(done) = attempt() {
            return Ok(done);
        }
        std::hint::spin_loop();
    }
    Err(Moving)
}

impl Cache {
    /// Calls `f` with the value of a key. `f` runs inside the cache: it must be short and must not
    /// call the cache. It counts as a hit unless `f` fails to take the value.
    ///
    /// `f` is called again if the value was overwritten while it ran: what the last call did is
    /// what counts.
    #[inline]
    pub(crate) fn read<T, E>(
        &self,
        key: &[u8],
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Option<Result<T, E>>, Error> {
        let guard = epoch::pin();
        let shared = self.shared(&guard)?;
        let hash = shared.env.hasher.hash(key);
        let line = shared.line(&guard);
        match shared.probe(&guard, hash, key) {
            Probe::Hit(found) => {
                let taken = f(found.value());
                if found.is_whole() {
                    if taken.is_ok() {
                        shared.mark_hit_only(found.entry, found.header);
                        line.hit(1);
                    }
                    return Ok(Some(taken));
                }
            }
            Probe::Miss => {
                line.miss(1);
                return Ok(None);
            }
            Probe::Unclear => {}
        }
        drop(guard);
        self.read_patiently(key, f)
    }

    #[cold]
    #[inline(never)]
    fn read_patiently<T, E>(
        &self,
        key: &[u8],
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Option<Result<T, E>>, Error> {
        self.with_applied(key, |guard, shared, hash, drops| {
            let line = shared.line(guard);
            let found = shared.retry_until_stable(hash, drops, || {
                let take = |entry: Entry<'_>, header| f(entry.value(header));
                shared.try_find::<false, _>(guard, hash, key, take)
            })?;
            let Some((taken, entry, header)) = found else {
                line.miss(1);
                return Some(None);
            };
            if taken.is_ok() {
                shared.mark(entry, header);
                line.hit(1);
            }
            Some(Some(taken))
        })
    }

    /// As [`Cache::read`], for negative entries too, and tells of the entry; takes its lease if
    /// `lease` says so and it is free. Unless it `counts`, it is no read: neither statistics nor
    /// policy hear of it, and no deadline slides.
    pub(crate) fn read_any<T, E>(
        &self,
        key: &[u8],
        lease: bool,
        counts: bool,
        mut f: impl FnMut(Value<'_>) -> Result<T, E>,
    ) -> Result<Told<T, E>, Error> {
        self.with_applied(key, |guard, shared, hash, drops| {
            let line = shared.line(guard);
            let found = shared.retry_until_stable(hash, drops, || {
                shared.try_find::<true, _>(guard, hash, key, |entry, header| {
                    let judged = shared.env.judge(guard, entry, header);
                    (judged != Judged::Invalid).then(|| (judged, f(entry.value(header))))
                })
            })?;
            let Some((Some((judged, taken)), entry, header)) = found else {
                if counts {
                    line.miss(1);
                }
                return Some(None);
            };
            let lease = lease && taken.is_ok();
            let info =
                inform(entry, header, shared.env.clock.now(), lease, judged == Judged::Stale);
            if counts && taken.is_ok() {
                shared.mark(entry, header);
                line.hit(1);
            }
            Some(Some((taken, info)))
        })
    }

    /// As [`Cache::read`], but gives up where that would have to wait, allocate or call the system,
    /// or copy more than `most` bytes, in all its tries together. This is what the fast path runs.
    /// `stateful`: negative entries too, and it tells how fresh the entry is, and takes a free
    /// lease.
    #[inline(always)]
    pub(crate) fn try_read(
        &self,
        key: &[u8],
        mut most: usize,
        stateful: bool,
        taker: &mut impl Take,
    ) -> Tried {
        let Some(guard) = epoch::try_enter() else { return Tried::Busy };
        let Ok(shared) = self.shared(&guard) else { return Tried::Closed };
        let hash = shared.env.hasher.hash(key);
        let Some(line) = shared.own_line(&guard) else {
            return self.try_read_on(guard, hash, key, most, stateful, taker);
        };
        match shared.probe(&guard, hash, key) {
            Probe::Hit(found) => {
                let value = found.value();
                if !taker.fits(value.len()) {
                    return Tried::NoRoom;
                }
                if value.len() > most {
                    return Tried::Busy;
                }
                taker.take(value);
                if found.is_whole() {
                    shared.mark_hit_only(found.entry, found.header);
                    line.hit(1);
                    return Tried::Hit(State::Fresh);
                }
                most -= value.len();
            }
            Probe::Miss => {
                line.miss(1);
                return Tried::Miss;
            }
            Probe::Unclear => {}
        }
        // Here, because the stack is shallow.
        shared.complete_pending(hash);
        self.try_read_on(guard, hash, key, most, stateful, taker)
    }

    /// Goes on with a [`Cache::try_read`] that a glance didn't answer.
    #[cold]
    #[inline(never)]
    fn try_read_on(
        &self,
        guard: Guard,
        hash: u64,
        key: &[u8],
        most: usize,
        stateful: bool,
        taker: &mut impl Take,
    ) -> Tried {
        let Ok(shared) = self.shared(&guard) else { return Tried::Closed };
        let Some(line) = shared.try_line(&guard) else { return Tried::Busy };
        let mut copied = 0;
        let found = retry_bounded(|| {
            shared.try_find::<true, _>(&guard, hash, key, |entry, header| {
                let judged = if header.has_extra() {
                    shared.env.judge(&guard, entry, header)
                } else {
                    Judged::Valid
                };
                let hidden = header.extra() & extension::ABSENT != 0 && !stateful;
                if judged == Judged::Invalid || hidden {
                    return None;
                }
                let value = entry.value(header);
                let fits = taker.fits(value.len());
                copied += value.len();
                if fits && copied <= most {
                    taker.take(value);
                }
                Some((judged, fits))
            })
        });
        match found {
            Ok(Some((Some((_, false)), ..))) => Tried::NoRoom,
            Ok(Some((Some(_), ..))) if copied > most => Tried::Busy,
            Ok(Some((Some((judged, true)), entry, header))) => {
                let mut state = State::Fresh;
                if stateful && header.has_extra() {
                    state = inform(
                        entry,
                        header,
                        shared.env.clock.now(),
                        true,
                        judged == Judged::Stale,
                    )
                    .state;
                }
                shared.mark(entry, header);
                line.hit(1);
                Tried::Hit(state)
            }
            Ok(Some((None, ..)) | None) => {
                line.miss(1);
                Tried::Miss
            }
            Err(Moving) => Tried::Busy,
        }
    }

    /// A copy of the value of a key. A closed cache has none.
    #[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::batch::{Answers, Keys};
    use crate::cache::options::Options;
    use crate::cache::shared::TryError;

    /// A cache with one value, and a stand-in for a writer that overwrites it whenever it is
    /// called.
    fn overtaken(len: usize) -> (Cache, impl Fn()) {
        let cache = Cache::new(Options::new(64 << 20)).unwrap();
        cache.set(b"key", &vec![1; len]).unwrap();
        let shared = cache.hold().unwrap();
        let writer = move || {
            let sequence = shared.env.seqlocks.of(shared.env.hasher.hash(b"key"));
            sequence.begin();
            sequence.end();
        };
        (cache, writer)
    }

    struct Taker<F> {
        overtake: F,
        takes: usize,
    }

    impl<F: Fn()> Take for Taker<F> {
        fn fits(&mut self, _: usize) -> bool {
            true
        }
        fn take(&mut self, _: Value<'_>) {
            (self.overtake)();
            self.takes += 1;
        }
    }

    /// How often the fast path tries to get a value of so many bytes that is overwritten under each
    /// of its tries.
    fn tries(len: usize, most: usize) -> usize {
        let (cache, overtake) = overtaken(len);
        let [plain, stateful] = [false, true].map(|stateful| {
            let mut taker = Taker { overtake: &overtake, takes: 0 };
            assert!(matches!(cache.try_read(b"key", most, stateful, &mut taker), Tried::Busy));
            taker.takes
        });
        assert_eq!(plain, stateful);
        plain
    }

    #[test]
    fn who_is_overtaken_on_the_fast_door_gives_up() {
        // A probe, and then some.
        assert_eq!(tries(10, 64 << 10), 1 + FAST_PATIENCE);
        assert_eq!(tries(4000, 64 << 10), FAST_PATIENCE);
        assert_eq!(tries(4000, 17_000), 4);
        assert_eq!(tries(4000, 4000), 1);
        assert_eq!(tries(4000, 3999), 0);
    }

    struct Overtaken<F> {
        overtake: F,
        takes: usize,
        answers: usize,
    }

    impl<F: Fn()> Answers for Overtaken<F> {
        fn take(&mut self, _: Value<'_>) -> bool {
            (self.overtake)();
            self.takes += 1;
            true
        }
        fn answer(&mut self, _: usize, _: Option<usize>) {
            self.answers += 1;
        }
    }

    #[test]
    fn who_is_overtaken_on_the_fast_door_with_many_keys_gives_up() {
        let (cache, overtake) = overtaken(1000);
        let mut answers = Overtaken { overtake, takes: 0, answers: 0 };
        let keys = Keys { bytes: b"nonekey", ends: &[4, 7] };
        // The first key is a miss, so the call has done something.
        assert!(matches!(cache.try_read_many(&keys, 0..2, 3500, &mut answers), Ok(1)));
        assert_eq!((answers.takes, answers.answers), (3, 1));
        assert!(matches!(
            cache.try_read_many(&keys, 1..2, 3500, &mut answers),
            Err(TryError::Busy)
        ));
        assert_eq!((answers.takes, answers.answers), (6, 1));
    }
}
