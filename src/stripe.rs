//! A stripe: a lock for writers, an index, logs of segments and a policy, for its part of the hashes.
//!
//! Writers append an entry to a log and swing the index to it. When memory is short they also *drain*: they take the oldest
//! entries of the log that the policy names, one by one, and keep (append again) or drop each as the policy says. Work is
//! paid as it comes: under pressure a writer drains as many bytes as were appended, and no more than [`MAX_DRAIN`] entries
//! at a time, so that no set pays for a whole segment. What a small entry owes is paid by the stripe's next set, before it
//! looks for its own key: the cache misses of that look-up, begun before, are over when the drain is done.
//!
//! A small value that is set again is overwritten where it lies, if it takes the same room (`sequence`): nothing is appended,
//! and nothing owed. In a small cache the fast door does that without the lock (`overwrite`), so what is here holds the key's sequence,
//! or closes it, where `sequence` says so.
//!
//! Everything here is under the stripe's lock. What readers see of it: the index (atomics), entry headers and small values
//! (atomics), and the rest of the entries, which is immutable until their segment has been unlinked, retired and waited for
//! (`epoch`, `space`).

use crate::bytes;
use crate::cache::Shared;
use crate::drain::{Drained, MAX_FAST_DRAIN, PolicyTails};
use crate::entry::{self, Entry, Header, Shape};
use crate::events::{Queue, Reason};
use crate::extra::{self, Extra};
use crate::freshness;
use crate::index::{Index, IndexState, Place, Slot, candidate, tag_of};
use crate::loads::Loads;
use crate::log::Log;
use crate::mailbox::Mailbox;
use crate::pending::{Marks, Pending};
use crate::policy::{AnyPolicy, Placement, Policy, Sizes, each};
use crate::ruling::Ruling;
use crate::sequence::Sequence;
use crate::space::NONE;
use crate::sweep::Sweep;
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};

/// Bytes that a set by the slow door may leave to be drained by the next one. (The fast door appends 64 KiB at most.)
const MAX_OWED: i64 = 2 << 10;
/// How often a set looks for a lock that another has, before it gives up (the fast door: a crossing by cgo) or parks.
const SPINS: usize = 32;
/// Pauses between two looks: half a microsecond, so that the other does a few sets in a row. When the lock changes hands at each
/// set, all that a set touches goes from one core's cache to the other's, which takes longer than the set.
const PAUSES: usize = 24;
/// Segments that a stripe has appended while there was room, after which it drains one more than it appends as soon as the
/// cache is nearly full. A cache becomes full in all stripes at once; each then needs an open segment more, as what is new goes
/// into another log from then on, and has a segment to drain before one is free. Without this there would not be so many free
/// ones, and who finds none drains two thousand entries on the spot.
const CALM: u64 = 4;
/// Bytes of index for an entry, about.
const INDEX_BYTES: f64 = 10.6;
/// Segments that the fast door may leave to be given up.
pub const DEFERRED: usize = 16;
/// Entries that may be kept before one goes in any case, when a single place is needed (`max_entries`).
const MAX_KEEPS: usize = 512;

/// One of the parts that the hashes are divided among.
#[repr(align(128))]
pub struct Stripe {
    /// What readers use. Its cache line holds nothing else.
    pub index: Index,
    /// Which sets wait.
    pub marks: Marks,
    /// What writers use.
    pub state: Mutex<State>,
    /// No entry expires before this.
    pub next_deadline: AtomicU64,
    /// Bytes of the stripe's segments: who must give when memory is short.
    pub footprint: AtomicU64,
    /// Whether loads are under way. Changes under the lock.
    pub loading: AtomicBool,
    /// Sets that found the lock taken, in small caches.
    mailbox: Option<Mailbox>,
}

/// What the lock protects. In this order: what every set looks at lies in the line of the lock itself.
#[repr(C)]
pub struct State {
    /// Does.
    pub core: Core,
    /// Decides.
    pub policy: AnyPolicy,
    /// Sets that wait, in large caches.
    pending: Option<Box<Pending>>,
}

/// Counts of what a stripe did. Only ever grow.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Tally {
    /// Values stored.
    pub sets: u64,
    /// Bytes that the caller's sets appended.
    pub appended: u64,
    /// Entries dropped to make room.
    pub evictions: u64,
    /// Entries deleted by the caller.
    pub deletes: u64,
    /// Entries removed because their time had come.
    pub expirations: u64,
    /// Bytes that drains appended again.
    pub copied: u64,
    /// Entries removed because a tag of theirs was invalidated.
    pub invalidations: u64,
}

/// The stripe without its policy. In this order, so that overwriting in place touches two lines of it and writes to one: when
/// several cores write, each line that it touches has to come from another core's cache.
#[repr(C)]
pub struct Core {
    /// Bytes appended but not drained since memory became short.
    pub debt: i64,
    /// Dead entries that the drain may still pass before it stops for this time.
    pub patience: usize,
    pub deferred_len: usize,
    /// Counts.
    pub tally: Tally,
    /// The writers' side of the index.
    pub index: IndexState,
    /// An entry that the policy keeps, but the fast door found no room for.
    pub ruled: Option<Ruling>,
    /// Loads that are under way.
    pub loads: Loads,
    /// What became of entries, where somebody wants to hear of it.
    pub events: Queue,
    /// At most two logs.
    pub logs: [Log; 2],
    /// See [`Policy::in_order`].
    pub in_order: bool,
    /// The segment that is being compacted, and how far; NONE when the drain evicts.
    pub source: (u32, u64),
    /// Whether it is time to choose between compacting and evicting.
    pub choose: bool,
    /// Bytes of segments that were given up since it last was.
    pub given_up: u64,
    /// Bytes of entries that died elsewhere than at a log's old end.
    pub died: u64,
    /// How many of them there must be before a segment can be sparse enough to be compacted.
    pub sparse_at: u64,
    /// What the policy was last told it may hold.
    pub told_entries: u64,
    /// Count of sets at which it is time to look whether that has changed.
    pub inform_at: u64,
    /// Count of sets at which the policy is told of hits again.
    pub served_at: u64,
    /// The entry that is being paid for: the drain stops before it.
    pub newest: u64,
    /// The last entry that was appended by a set.
    pub last: u64,
    /// Bytes that had been appended when memory was nearly used up last.
    pub pressed_at: u64,
    /// The cache has become nearly full, and the stripe hasn't drained yet what it is to drain then.
    pub entering: bool,
    /// What the policy said about a hash before the fast door found no room for it.
    pub said: Option<(u64, Placement)>,
    pub policy_bytes: u64,
    /// Where the maintenance thread goes on.
    pub sweep: Sweep,
    /// Segments without live entries that the fast door left to be given up.
    pub deferred: [u32; DEFERRED],
    /// The last version given.
    pub versions: u64,
}

/// What came of an attempt to store.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// Done.
    Done,
    /// Nothing was stored: memory is short. If the policy had its say already, it must not be asked again.
    NoRoom(Option<Placement>),
    /// Nothing was stored: the condition wasn't met, and there was an entry (true) or none.
    Refused(bool),
}

/// What a set by the fast door has reached of its stripe.
pub enum Reached<'a> {
    /// The lock.
    Lock(MutexGuard<'a, State>),
    /// Whoever has the lock does the set too: it is as good as done.
    Left,
    /// Nothing, for some time.
    Nothing,
}

/// What is to be stored, and when.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    /// The hash of the key.
    pub hash: u64,
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// When it expires.
    pub deadline: Option<u64>,
    /// What few entries have.
    pub extra: Option<&'a Extra<'a>>,
    /// What must be true of the key's entry.
    pub condition: Condition,
}

/// What must be true of a key's entry for a store to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Nothing.
    Always,
    /// There is none.
    Absent,
    /// It has this version.
    Version(u64),
    /// Nothing has been stored under the key, nor was it deleted, since the load with this token began.
    Loaded(u64),
    /// It is there, and is being written again as it is: that isn't a set.
    Again,
}

/// Why an entry goes: the reason of an event, but for those that only move.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// By a set.
    Overwritten = Reason::Overwritten as u8,
    /// By a delete.
    Deleted = Reason::Deleted as u8,
    /// By its deadline.
    Expired = Reason::Expired as u8,
    /// A tag of it was invalidated.
    Invalidated = Reason::Invalidated as u8,
    /// To make room.
    Evicted = Reason::Evicted as u8,
    /// It lives on elsewhere.
    Moved = 0,
}

/// A stripe in the hands of whoever holds its lock.
pub struct Writer<'a, const FAST: bool> {
    pub shared: &'a Shared,
    pub stripe: &'a Stripe,
    pub core: &'a mut Core,
    /// Sets that wait. None also while one is completed.
    pub pending: Option<&'a mut Pending>,
    /// The time when the stripe was taken in hand, if anything in it has a deadline.
    now: u64,
}

impl<'a> Store<'a> {
    pub fn shape(&self) -> Shape<'a> {
        let extra = self.extra.filter(|extra| extra.word() != 0);
        Shape { key_len: self.key.len(), value_len: self.value.len(), deadline: self.deadline, run: None, extra }
    }
}

impl Stripe {
    /// An empty stripe.
    pub fn new(
        index: Index,
        state: IndexState,
        policy: AnyPolicy,
        events: Queue,
        pending: Option<Box<Pending>>,
        mailbox: Option<Mailbox>,
    ) -> Stripe {
        Stripe {
            index,
            marks: Marks::new(),
            state: Mutex::new(State {
                core: Core {
                    in_order: policy.in_order(),
                    index: state,
                    logs: [Log::new(), Log::new()],
                    tally: Tally::default(),
                    events,
                    debt: 0,
                    source: (NONE, 0),
                    patience: usize::MAX,
                    choose: true,
                    given_up: 0,
                    died: 0,
                    sparse_at: 0,
                    told_entries: 0,
                    inform_at: 0,
                    served_at: 0,
                    newest: 0,
                    last: 0,
                    pressed_at: 0,
                    entering: false,
                    policy_bytes: 0,
                    sweep: Sweep::new(),
                    deferred: [NONE; DEFERRED],
                    deferred_len: 0,
                    said: None,
                    loads: Loads::new(),
                    versions: 0,
                    ruled: None,
                },
                policy,
                pending,
            }),
            next_deadline: AtomicU64::new(u64::MAX),
            footprint: AtomicU64::new(0),
            loading: AtomicBool::new(false),
            mailbox,
        }
    }

    /// Notes that something in the stripe expires at a time.
    #[inline]
    pub fn due(&self, deadline: u64) {
        if deadline < self.next_deadline.load(Ordering::Relaxed) {
            self.next_deadline.store(deadline, Ordering::Release);
        }
    }

    /// The lock, if nobody has it for much longer than a set takes: some 20 microseconds.
    #[inline]
    pub fn try_state(&self) -> Option<MutexGuard<'_, State>> {
        self.state.try_lock().or_else(|| self.contend(SPINS, || None))
    }

    /// As [`Stripe::try_state`], unless a set may be left to whoever has the lock.
    #[inline]
    pub fn try_state_or_leave(&self, store: &Store<'_>) -> Reached<'_> {
        match self.state.try_lock() {
            Some(state) => Reached::Lock(state),
            None => self.leave_or_contend(store),
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_or_contend(&self, store: &Store<'_>) -> Reached<'_> {
        let mailbox = self.mailbox.as_ref();
        // Loads are told under the lock. One that begins from here on can't know of this set yet.
        let leaves = || {
            let mailbox = mailbox?;
            (!self.loading.load(Ordering::Relaxed) && mailbox.leave(&self.marks, store)).then_some(())
        };
        if leaves().is_some() {
            return Reached::Left;
        }
        let mut left = false;
        let state = self.contend(SPINS, || {
            left = leaves().is_some();
            left.then_some(())
        });
        match state {
            Some(state) => Reached::Lock(state),
            None if left => Reached::Left,
            None => Reached::Nothing,
        }
    }

    /// Looks for the lock again and again. Gives up as soon as `other` has done what it was wanted for.
    #[cold]
    fn contend(&self, spins: usize, mut other: impl FnMut() -> Option<()>) -> Option<MutexGuard<'_, State>> {
        for _ in 0..spins {
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            if let Some(state) = self.state.try_lock() {
                return Some(state);
            }
            if other().is_some() {
                return None;
            }
        }
        None
    }

    /// The lock. Spins a little before it parks; less than the fast door, which mostly was there before: if the lock's holder has
    /// lost the CPU, spinning is in vain.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.try_lock().or_else(|| self.contend(SPINS / 4, || None));
        state.unwrap_or_else(|| self.state.lock())
    }
}

impl State {
    /// Takes the stripe in hand. `self` is what `stripe`'s lock protects.
    pub fn writer<'a>(&'a mut self, shared: &'a Shared, stripe: &'a Stripe) -> (Writer<'a, false>, &'a mut AnyPolicy) {
        self.core.patience = usize::MAX;
        let mut writer = Writer::of(shared, stripe, &mut self.core, &mut self.pending);
        writer.flush();
        writer.carry_out(self.policy.clock());
        (writer, &mut self.policy)
    }

    /// Whether the fast door may have the stripe: not if there is something to do before that it can't. (Apart from
    /// [`State::fast_writer`]: to take a writer out of an Option is a copy, a tenth of an overwriting set.)
    #[inline(always)]
    pub fn admits_fast(&mut self, shared: &Shared, stripe: &Stripe) -> bool {
        self.core.ruled.is_none()
            && (!stripe.index.wants_steps(&self.core.index)
                || stripe.index.grow_on(&mut self.core.index, &shared.index_space))
            && (self.core.deferred_len == 0 || self.flush(shared, stripe))
    }

    /// As [`State::writer`], for the fast door, which must be [admitted](State::admits_fast).
    #[inline]
    pub fn fast_writer<'a>(
        &'a mut self,
        shared: &'a Shared,
        stripe: &'a Stripe,
    ) -> (Writer<'a, true>, &'a mut AnyPolicy) {
        self.core.patience = 4 * MAX_FAST_DRAIN;
        (Writer::of(shared, stripe, &mut self.core, &mut self.pending), &mut self.policy)
    }

    /// Gives up what the fast door has left, as the fast door does.
    #[cold]
    #[inline(never)]
    fn flush(&mut self, shared: &Shared, stripe: &Stripe) -> bool {
        Writer::<true>::of(shared, stripe, &mut self.core, &mut self.pending).flush()
    }
}

impl Writer<'_, false> {
    /// Completes all sets that wait, for someone who wants to know of all entries.
    pub fn finish(&mut self, policy: &mut AnyPolicy) {
        while !self.complete_all(policy) {
            self.evict_first();
        }
    }

    /// As [`Writer::finish`], for someone who wants to know of one key. False if there is no room for what waits, and it isn't to be
    /// dropped.
    #[inline]
    pub fn finish_key(&mut self, policy: &mut AnyPolicy, hash: u64, drops: bool) -> bool {
        if !self.stripe.marks.has(hash) || self.complete_all(policy) {
            return true;
        }
        if drops {
            self.finish(policy);
        }
        drops
    }

    /// How many sets wait.
    pub fn waiting(&self) -> u64 {
        match &self.pending {
            Some(pending) => pending.len() as u64,
            None => self.stripe.marks.lanes().count() as u64,
        }
    }

    /// Drops a set that has waited, the one that has waited longest where that is known, as there is no room for it, and the value that it
    /// was to replace.
    #[cold]
    fn evict_first(&mut self) {
        if let Some(mailbox) = &self.stripe.mailbox {
            if let Some(lane) = self.stripe.marks.lanes().next() {
                // SAFETY: it is marked, and the stripe's lock is held.
                let store = unsafe { mailbox.letter(lane) };
                self.evict_instead(&store);
                self.stripe.marks.free(1 << lane);
            }
            return;
        }
        let Some(pending) = self.pending.take() else { return };
        if let Some(store) = pending.first() {
            self.evict_instead(&store);
        }
        pending.pop();
        self.stripe.marks.set(pending.marks());
        self.pending = Some(pending);
    }

    fn evict_instead(&mut self, store: &Store<'_>) {
        if let Some((place, offset, entry, header)) = self.find(store.hash, store.key) {
            self.stripe.index.remove(&mut self.core.index, place);
            self.kill(offset, entry, header, Cause::Evicted);
        } else {
            self.core.tally.evictions += 1;
        }
        self.core.tally.sets += 1;
    }
}

impl<'a, const FAST: bool> Writer<'a, FAST> {
    #[inline(always)]
    fn of(
        shared: &'a Shared,
        stripe: &'a Stripe,
        core: &'a mut Core,
        pending: &'a mut Option<Box<Pending>>,
    ) -> Writer<'a, FAST> {
        let timeless = stripe.next_deadline.load(Ordering::Relaxed) == u64::MAX;
        let now = if timeless { 0 } else { shared.clock.now() };
        Writer { shared, stripe, core, pending: pending.as_deref_mut(), now }
    }

    /// The entry at an offset.
    #[inline]
    pub fn entry(&self, offset: u64) -> Entry<'a> {
        // SAFETY: offsets come from the index or from a walk over a segment's used bytes: an entry was written there. The
        // stripe's lock is held, and segments of this stripe are given up only under it; 'a ends with the lock.
        unsafe { Entry::at(self.shared.space.base().add(offset as usize)) }
    }

    /// The offset of an entry.
    #[inline]
    pub fn offset(&self, entry: Entry<'a>) -> u64 {
        entry.address() as u64 - self.shared.space.base() as u64
    }

    /// The value of an entry.
    ///
    /// # Safety
    /// The key's sequence is closed, and neither that nor the lock is let go while the slice is in use.
    #[inline]
    pub(crate) unsafe fn value(&self, entry: Entry<'a>, header: Header) -> &'a [u8] {
        // SAFETY: the stripe's lock is held and the sequence closed, so only `overwrite` may change a value, which is called by sets
        // with a slice of their own.
        unsafe { entry.value_bytes(header) }
    }

    /// Makes the sequence of a key odd. None where that would be to wait for an overwriter and the fast door is not to.
    #[inline]
    pub fn hold(&self, hash: u64) -> Option<Sequence<'a>> {
        let sequence = self.shared.sequences.of(hash);
        if FAST {
            return sequence.try_begin().then_some(sequence);
        }
        sequence.begin();
        Some(sequence)
    }

    /// The key with this hash was changed: its load is overtaken.
    #[inline]
    fn supersede(&mut self, hash: u64) {
        self.core.loads.supersede(hash, &self.stripe.loading);
    }

    /// Takes an entry that must not be served any more out of the index, to be [killed](Writer::kill) for that cause. None if it
    /// was overwritten with a later deadline just now, and stays; or if the fast door would have to wait.
    pub fn take_gone(&mut self, hash: u64, offset: u64, entry: Entry<'a>) -> Option<Cause> {
        let sequence = self.hold(hash)?;
        let cause = self.gone(entry, entry.header());
        if cause.is_some() {
            self.unindex(hash, offset);
        }
        sequence.end();
        cause
    }

    #[inline(always)]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<(Place, u64, Entry<'a>, Header)> {
        let mut found = None;
        let place = self.stripe.index.find_place(&self.core.index, hash, |slot| {
            let entry = self.entry(slot.offset());
            let header = entry.header();
            if bytes::equal(entry.key(header), key) {
                found = Some((entry, header));
                return true;
            }
            false
        });
        let ((place, slot), (entry, header)) = (place?, found?);
        Some((place, slot.offset(), entry, header))
    }

    pub fn segment_of(&self, offset: u64, entry: Entry<'_>, header: Header) -> u32 {
        entry.run(header).unwrap_or_else(|| self.shared.space.segment_at(offset))
    }

    pub fn expired(&self, entry: Entry<'_>, header: Header) -> bool {
        self.gone(entry, header).is_some()
    }

    /// Why an entry that is still in the index must not be served any more, if so.
    #[inline]
    pub fn gone(&self, entry: Entry<'_>, header: Header) -> Option<Cause> {
        if entry.deadline(header).is_some_and(|deadline| deadline <= self.now) {
            Some(Cause::Expired)
        } else if header.has_extra() && self.shared.is_invalidated(entry, header) {
            Some(Cause::Invalidated)
        } else {
            None
        }
    }

    /// The size of an entry in what the policy weighs by: bytes, or entries under a bound on entries.
    #[inline]
    pub fn weight(&self, size: usize) -> u32 {
        if self.shared.max_entries > 0 { 1 } else { size as u32 }
    }

    /// What the policy weighs by.
    pub fn sizes(&self) -> Sizes {
        let logs = &self.core.logs;
        let max_entries = self.shared.max_entries;
        if max_entries > 0 {
            let share = ((max_entries - 1) >> self.shared.stripe_bits) + 1;
            Sizes { used: [logs[0].entries, logs[1].entries], capacity: share }
        } else {
            let share = self.shared.capacity() >> self.shared.stripe_bits;
            Sizes { used: [logs[0].live, logs[1].live], capacity: share }
        }
    }

    /// Whether an entry is the last live one of a closed segment.
    #[inline]
    fn is_last(&self, offset: u64, entry: Entry<'_>, header: Header) -> bool {
        let id = self.segment_of(offset, entry, header);
        let segment = self.shared.space.segment(id);
        segment.live.load(Ordering::Relaxed) == header.size() as u64
            && !self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1].is_open(id)
    }

    /// As [`Writer::set`], without a condition, on the fast door. False if it must be repeated by the slow one.
    #[inline]
    pub fn try_set(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        debug_assert_eq!(store.condition, Condition::Always);
        if self.pending.is_some() {
            if Pending::takes(store) {
                return self.put_off(policy, store);
            }
            if !self.complete_all(policy) {
                return false;
            }
        } else if self.stripe.marks.has(store.hash) && !self.complete_all(policy) {
            return false;
        }
        let done = self.try_set_now(policy, store);
        if done && self.stripe.mailbox.is_some() {
            // What isn't done now is done by the next who comes.
            let _ = self.complete_all(policy);
        }
        done
    }

    /// Leaves a small set to be completed later, and completes one that has waited.
    #[inline]
    fn put_off(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        if self.core.loads.has(store.hash)
            || self.pending.as_ref().is_some_and(|pending| pending.is_full()) && !self.complete(policy, 1)
        {
            return false;
        }
        let Some(pending) = &mut self.pending else { return false };
        if let Some(hash) = pending.unasked()
            && let Some(slot) = candidate(self.stripe.index.prefetch(hash), hash)
        {
            let start = self.shared.space.base().wrapping_add(slot.offset() as usize);
            entry::prefetch(start);
            entry::prefetch(start.wrapping_add(64));
        }
        pending.push(store);
        self.stripe.marks.set(pending.marks());
        if let Some(deadline) = store.deadline {
            self.stripe.due(deadline);
        }
        true
    }

    /// Completes the sets that have waited longest. False if there is one left of them, for which only the slow door can do
    /// something, or which has no room.
    #[inline(never)]
    fn complete(&mut self, policy: &mut AnyPolicy, most: usize) -> bool {
        if let Some(mailbox) = &self.stripe.mailbox {
            return self.collect(policy, mailbox);
        }
        // Taken out meanwhile, as a set has the whole stripe in hand.
        let Some(pending) = self.pending.take() else { return true };
        let mut done = true;
        for _ in 0..most {
            let Some(store) = pending.first() else { break };
            done = self.complete_one(policy, &store);
            if !done {
                break;
            }
            pending.pop();
            self.stripe.marks.set(pending.marks());
        }
        self.pending = Some(pending);
        done
    }

    /// Does what others have left in the mailbox. False as [`Writer::complete`] says.
    fn collect(&mut self, policy: &mut AnyPolicy, mailbox: &Mailbox) -> bool {
        let lanes = self.stripe.marks.lanes();
        lanes.clone().for_each(|lane| mailbox.prefetch(lane));
        let mut all = true;
        let mut done = 0;
        for lane in lanes {
            // SAFETY: it is marked, and the stripe's lock is held.
            let store = unsafe { mailbox.letter(lane) };
            if store.deadline.is_some() && self.now == 0 {
                // Nothing else has a deadline; this one may have passed while it waited.
                self.now = self.shared.clock.now();
            }
            all = self.complete_one(policy, &store);
            if !all {
                break;
            }
            done |= 1 << lane;
        }
        if done != 0 {
            self.stripe.marks.free(done);
        }
        all
    }

    #[inline]
    fn complete_one(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        if FAST {
            return self.try_set_now(policy, store);
        }
        match self.set(policy, store, None) {
            Stored::NoRoom(said) => {
                self.core.said = said.map(|to| (store.hash, to));
                false
            }
            Stored::Done | Stored::Refused(_) => true,
        }
    }

    /// Completes all sets that wait. False as [`Writer::complete`] says.
    #[inline]
    pub fn complete_all(&mut self, policy: &mut AnyPolicy) -> bool {
        self.stripe.marks.is_empty() || self.complete(policy, usize::MAX)
    }

    /// As [`Writer::try_set`], at once.
    ///
    /// The policy is told apart only where it is asked: code for each policy is then small, and an overwrite in place meets none
    /// of it.
    fn try_set_now(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        let hash = store.hash;
        if self.core.loads.has(hash) {
            return false;
        }
        if self.owes() && (self.must_choose() || !each!(policy, policy => self.pay(policy))) {
            return false;
        }
        if !self.flush() || self.core.ruled.is_some() {
            // That comes first, and only the slow door can do it.
            return false;
        }
        let Some(found) = self.find(hash, store.key) else {
            if self.core.tally.sets >= self.core.inform_at {
                // It is time to tell the policy what it may hold, which may take memory.
                return false;
            }
            self.prepare(policy.clock(), store.shape().size() as u64);
            // One after the other, not one in the other: the frames of both together are more than the fast door's stack has.
            return each!(policy, policy => self.make_place(policy) && self.try_insert(policy, store));
        };
        let (place, offset, entry, header) = found;
        if self.expired(entry, header) {
            return false;
        }
        if self.overwrite(store, offset, entry, header) {
            return true;
        }
        self.prepare(policy.clock(), store.shape().size() as u64);
        each!(policy, policy => self.try_replace(policy, store, (place, entry)))
    }

    /// Appends a new value of a key that was found.
    #[inline(never)]
    fn try_replace<P: Policy>(
        &mut self,
        policy: &mut P,
        store: &Store<'_>,
        (place, entry): (Place, Entry<'a>),
    ) -> bool {
        let (offset, header) = (self.offset(entry), entry.header());
        let size = store.shape().size() as u64;
        if self.is_last(offset, entry, header) {
            return false;
        }
        let to = self.placed_again(policy, offset, entry, header);
        if !self.has_room(to.log, size, policy.clock()) {
            return false;
        }
        let Some(new) = self.append(policy, to, store) else { return false };
        self.stripe.index.replace(&mut self.core.index, place, Slot::new(tag_of(store.hash), new));
        self.kill(offset, entry, header, Cause::Overwritten);
        self.stored(policy, new, size);
        true
    }

    /// Stores the value of a key that wasn't found, for which a place was made.
    #[inline(never)]
    fn try_insert<P: Policy>(&mut self, policy: &mut P, store: &Store<'_>) -> bool {
        let hash = store.hash;
        let size = store.shape().size() as u64;
        let to = match self.core.said.take() {
            Some((said_of, to)) if said_of == hash => to,
            _ => {
                let (sizes, clock) = (self.sizes(), policy.clock());
                policy.insert(hash, self.weight(size as usize), &sizes, &mut PolicyTails { writer: self, clock })
            }
        };
        let new = if self.has_room(to.log, size, policy.clock()) { self.append(policy, to, store) } else { None };
        let Some(new) = new else {
            self.give_place_back();
            self.core.said = Some((hash, to));
            return false;
        };
        self.publish(hash, new);
        self.stored(policy, new, size);
        true
    }

    /// Where the policy wants an entry that is written again.
    #[inline]
    fn placed_again<P: Policy>(&self, policy: &mut P, offset: u64, entry: Entry<'_>, header: Header) -> Placement {
        let id = self.segment_of(offset, entry, header);
        let log = self.shared.space.segment(id).log.load(Ordering::Relaxed) as usize;
        policy.update(log, header.policy_bits())
    }

    /// As [`Writer::delete`], on the fast door. None if it must be repeated by the slow one.
    pub fn try_delete(&mut self, policy: &mut AnyPolicy, hash: u64, key: &[u8]) -> Option<bool> {
        if self.core.loads.has(hash) || self.stripe.marks.has(hash) && !self.complete_all(policy) {
            return None;
        }
        let Some((place, offset, entry, header)) = self.find(hash, key) else { return Some(false) };
        if self.is_last(offset, entry, header) || self.expired(entry, header) {
            return None;
        }
        self.stripe.index.remove(&mut self.core.index, place);
        self.kill(offset, entry, header, Cause::Deleted);
        // A negative entry says that there was nothing to delete.
        Some(header.extra() & extra::ABSENT == 0)
    }

    /// Puts a new entry into the index.
    fn publish(&mut self, hash: u64, offset: u64) {
        let slot = Slot::new(tag_of(hash), offset);
        if !self.stripe.index.insert(&mut self.core.index, slot) {
            let other = self.stripe.index.insert_instead(&mut self.core.index, slot).offset();
            let entry = self.entry(other);
            self.kill(other, entry, entry.header(), Cause::Evicted);
        }
    }

    /// Stores a value. `placed` is the policy's word of an earlier attempt.
    pub fn set<P: Policy>(&mut self, policy: &mut P, store: &Store<'_>, placed: Option<Placement>) -> Stored {
        let hash = store.hash;
        let placed = placed.or(match self.core.said.take() {
            Some((said_of, to)) if said_of == hash => Some(to),
            _ => None,
        });
        if self.stripe.index.wants_steps(&self.core.index)
            && !self.stripe.index.steps(&mut self.core.index, &self.shared.space, &self.shared.index_space)
        {
            return Stored::NoRoom(placed);
        }
        if self.owes() {
            self.pay(policy);
        }
        let mut found = self.find(hash, store.key);
        if let Some((_, offset, entry, header)) = found
            && self.expired(entry, header)
            && let Some(cause) = self.take_gone(hash, offset, entry)
        {
            self.kill(offset, entry, header, cause);
            found = None;
        }
        if !self.meets(store, found.map(|(_, _, entry, header)| (entry, header))) {
            return Stored::Refused(found.is_some());
        }
        let again = store.condition == Condition::Again;
        let size = store.shape().size() as u64;
        if let Some((place, offset, entry, header)) = found {
            if !again && self.overwrite(store, offset, entry, header) {
                self.supersede(hash);
                return Stored::Done;
            }
            let to = self.placed_again(policy, offset, entry, header);
            let Some(new) = self.append(policy, to, store) else { return Stored::NoRoom(placed) };
            self.stripe.index.replace(&mut self.core.index, place, Slot::new(tag_of(hash), new));
            // What is written again as it is has not been replaced.
            self.kill(offset, entry, header, if again { Cause::Moved } else { Cause::Overwritten });
            self.done(policy, hash, new, size, again);
            return Stored::Done;
        }
        if !self.make_place(policy) {
            return Stored::NoRoom(placed);
        }
        let to = placed.unwrap_or_else(|| {
            let (sizes, clock) = (self.sizes(), policy.clock());
            policy.insert(hash, self.weight(size as usize), &sizes, &mut PolicyTails { writer: self, clock })
        });
        let Some(new) = self.append(policy, to, store) else {
            self.give_place_back();
            return Stored::NoRoom(Some(to));
        };
        self.publish(hash, new);
        self.done(policy, hash, new, size, again);
        Stored::Done
    }

    /// Whether the condition of a store is met by what was found.
    fn meets(&self, store: &Store<'_>, found: Option<(Entry<'_>, Header)>) -> bool {
        match store.condition {
            Condition::Always => true,
            // A negative entry says that there is no value.
            Condition::Absent => found.is_none_or(|(_, header)| header.extra() & extra::ABSENT != 0),
            Condition::Version(version) => found.is_some_and(|(entry, header)| entry.version(header) == Some(version)),
            Condition::Loaded(token) => self.core.loads.is(store.hash, token),
            Condition::Again => found.is_some(),
        }
    }

    fn done<P: Policy>(&mut self, policy: &mut P, hash: u64, offset: u64, size: u64, again: bool) {
        if again {
            // `stored` counts a set.
            self.core.tally.sets = self.core.tally.sets.wrapping_sub(1);
        } else {
            self.supersede(hash);
        }
        self.stored(policy, offset, size);
    }

    /// The entry of a key that may be served.
    pub fn peek(&self, hash: u64, key: &[u8]) -> Option<(u64, Entry<'a>, Header)> {
        let (_, offset, entry, header) = self.find(hash, key)?;
        self.gone(entry, header).is_none().then_some((offset, entry, header))
    }

    /// A version that was never given before.
    pub fn next_version(&mut self) -> u64 {
        self.core.versions += 1;
        self.core.versions
    }

    /// Removes the entries of one home bucket that are invalid by their tags, makes those stale that were invalidated softly,
    /// and gives the others a stamp: they are valid as of then. Returns the tag of the index to go on with.
    pub fn settle(&mut self, tag: u32, stamp: u64) -> u32 {
        let mut invalid = [0; 64];
        let mut count = 0;
        let next = self.stripe.index.visit_home(&self.core.index, tag, |slot| {
            let entry = self.entry(slot.offset());
            let header = entry.header();
            if entry.tags(header).is_none() {
                return;
            }
            if self.shared.is_invalidated(entry, header) {
                // More than one bucket is ever home to; what is left over stays invalid by its old stamp.
                if let Some(place) = invalid.get_mut(count) {
                    *place = slot.offset();
                    count += 1;
                }
                return;
            }
            if self.shared.is_soft(entry, header)
                && let Some(word) = entry.stale_word(header)
                && word.load(Ordering::Relaxed) >> 63 == 0
            {
                freshness::expire(word);
            }
            if entry.tags(header).is_some_and(|tags| tags.stamp < stamp) {
                entry.restamp(header, stamp);
            }
        });
        for &offset in &invalid[..count] {
            let entry = self.entry(offset);
            let header = entry.header();
            self.unindex(self.shared.hasher.hash(entry.key(header)), offset);
            self.kill(offset, entry, header, Cause::Invalidated);
        }
        next
    }

    /// Makes an entry expire at another time. False if it has no room for a deadline.
    pub fn redate(&mut self, offset: u64, entry: Entry<'_>, header: Header, deadline: u64) -> bool {
        if !header.has_deadline() {
            return false;
        }
        entry.set_deadline(header, deadline);
        let id = self.segment_of(offset, entry, header);
        self.due(id, offset - self.shared.space.segment(id).start(), deadline);
        true
    }

    /// Puts a value in the place of an older one of the same key, if it fits there and nobody has a view of the segment.
    /// The entry stays where it is in its log; that it was written counts as a hit does.
    #[inline]
    fn overwrite(&mut self, store: &Store<'_>, offset: u64, entry: Entry<'_>, header: Header) -> bool {
        let shape = store.shape();
        if !shape.fits_over(header) {
            return false;
        }
        let segment = self.shared.space.segment(self.shared.space.segment_at(offset));
        let sequence = self.shared.sequences.of(store.hash);
        if !sequence.try_begin() {
            return false;
        }
        // SeqCst: acquire, for what was read through views that are gone; the rest is said at `fence_after_swap`.
        if segment.pins.load(Ordering::SeqCst) > 0 {
            sequence.end();
            return false;
        }
        // Another may have come while the sequence was free; it fits as well.
        let header = entry.header();
        // SAFETY: the sequence is odd, and the header was read since; it fits; nobody has pinned the segment; nothing in this call has a
        // slice of the value.
        unsafe { entry.overwrite(header, &shape, store.value, self.shared.hit_max) };
        sequence.end();
        if let Some(deadline) = shape.deadline {
            let id = self.shared.space.segment_at(offset);
            self.due(id, offset - self.shared.space.segment(id).start(), deadline);
        }
        self.core.tally.sets += 1;
        self.core.tally.appended += header.size() as u64;
        if self.core.events.wants(Cause::Overwritten as u8) {
            self.tell(entry, header, Cause::Overwritten);
        }
        true
    }

    fn stored<P: Policy>(&mut self, policy: &mut P, offset: u64, size: u64) {
        self.core.tally.sets += 1;
        self.core.tally.appended += size;
        if self.core.tally.sets >= self.core.served_at {
            // A policy that must notice when nothing hits any more has to hear of it well within a cache of misses.
            self.core.served_at = self.core.tally.sets + 64 + self.core.told_entries / 64;
            policy.served(self.shared.hits() >> self.shared.stripe_bits);
        }
        let pressed = self.shared.must_drain();
        if pressed || self.shared.is_nearly_full() {
            let segment = self.shared.space.segment_size();
            if self.core.tally.appended.wrapping_sub(self.core.pressed_at) > CALM * segment {
                self.core.entering = true;
                self.core.debt = segment as i64;
            }
            self.core.pressed_at = self.core.tally.appended;
        }
        self.core.entering &= self.core.debt > 0;
        if self.core.entering {
            // Calm begins when that is over: else the stripes would never get to the end of the memory, but enter again and again.
            self.core.pressed_at = self.core.tally.appended;
        }
        if pressed || self.core.entering {
            self.core.last = offset;
            if !FAST {
                if self.core.debt > MAX_OWED {
                    self.pay(policy);
                }
                self.choose();
            }
            if self.shared.far {
                self.look_ahead(policy);
            }
        } else {
            self.core.debt = self.core.debt.min(0);
        }
    }

    /// Removes a key. False if it wasn't there.
    pub fn delete(&mut self, hash: u64, key: &[u8]) -> bool {
        self.supersede(hash);
        let Some((place, offset, entry, header)) = self.find(hash, key) else { return false };
        let gone = if self.expired(entry, header) { self.take_gone(hash, offset, entry) } else { None };
        if gone.is_none() {
            self.stripe.index.remove(&mut self.core.index, place);
        }
        self.kill(offset, entry, header, gone.unwrap_or(Cause::Deleted));
        if self.stripe.index.wants_steps(&self.core.index) {
            self.stripe.index.steps(&mut self.core.index, &self.shared.space, &self.shared.index_space);
        }
        // A negative entry says that there was nothing to delete.
        gone.is_none() && header.extra() & extra::ABSENT == 0
    }

    /// Makes sure that one more entry may come: the cache's bound on entries, where it has one.
    #[inline]
    fn make_place<P: Policy>(&mut self, policy: &mut P) -> bool {
        let max = self.shared.max_entries;
        max == 0 || self.make_place_below(policy, max)
    }

    #[inline(never)]
    fn make_place_below<P: Policy>(&mut self, policy: &mut P, max: u64) -> bool {
        let mut keeps = 0;
        loop {
            if FAST && (keeps > MAX_FAST_DRAIN || self.core.deferred_len > 0) {
                return false;
            }
            if self.shared.entries.fetch_add(1, Ordering::AcqRel) < max {
                return true;
            }
            self.give_place_back();
            match self.drain_one(policy, keeps >= MAX_KEEPS) {
                Drained::Nothing | Drained::Waits => return false,
                Drained::Kept => keeps += 1,
                Drained::Dropped => {}
            }
        }
    }

    pub fn give_place_back(&self) {
        if self.shared.max_entries > 0 {
            self.shared.entries.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Forgets everything.
    pub fn clear<P: Policy>(&mut self, policy: &mut P) {
        self.stripe.index.clear(&mut self.core.index, &self.shared.space, &self.shared.index_space);
        // Only now: who finds no mark any more must not find what a set that has waited was to replace.
        if let Some(pending) = &mut self.pending {
            self.core.tally.sets += pending.forget() as u64;
            self.stripe.marks.set(0);
        }
        if self.stripe.mailbox.is_some() {
            let lanes = self.stripe.marks.lanes().fold(0u32, |lanes, lane| lanes | 1 << lane);
            self.core.tally.sets += u64::from(lanes.count_ones());
            self.stripe.marks.free(lanes);
        }
        for log in 0..2 {
            let gone = self.core.logs[log & 1].entries;
            if self.shared.max_entries > 0 {
                self.shared.entries.fetch_sub(gone, Ordering::AcqRel);
            }
            let ids: Vec<u32> = self.core.logs[log & 1].segments(&self.shared.space).collect();
            for id in ids {
                self.shared.space.segment(id).live.store(0, Ordering::Relaxed);
                self.give_up(id);
            }
            self.core.logs[log & 1] = Log::new();
        }
        self.core.debt = 0;
        self.core.loads.clear(&self.stripe.loading);
        self.core.ruled = None;
        self.stripe.next_deadline.store(u64::MAX, Ordering::Release);
        policy.clear();
    }

    /// Tells the policy what the stripe may hold, if that has changed much, and accounts for its memory. False if there is
    /// no room for that; the policy then goes on as it is.
    #[inline]
    pub fn inform<P: Policy>(&mut self, policy: &mut P) -> bool {
        self.core.tally.sets < self.core.inform_at || self.inform_now(policy)
    }

    /// As [`Writer::inform`], without asking whether it is time.
    pub fn inform_now<P: Policy>(&mut self, policy: &mut P) -> bool {
        let logs = &self.core.logs;
        // By the mean size so far; nothing is known of an empty stripe.
        let count = logs[0].entries + logs[1].entries;
        let live = logs[0].live + logs[1].live;
        let mean = if count < 16 { 64.0 } else { live as f64 / count as f64 };
        // Index and policy take more of the stripe's part as it fills: an estimate without them is an eighth too high.
        let bytes = self.shared.capacity() / self.shared.stripes.len() as u64;
        let part = (bytes + self.core.index.bytes() + self.core.policy_bytes) as f64;
        let most = (part / mean).max(1.0) as u64;
        let beside = INDEX_BYTES + policy.bytes_for(most) as f64 / most as f64;
        let fit = (part / (mean + beside)) as u64;
        let entries = match self.shared.max_entries {
            0 if count < 16 => 16,
            0 => fit,
            _ => self.sizes().capacity.min(fit),
        };
        let told = self.core.told_entries;
        self.core.inform_at = self.core.tally.sets + 16 + told / 8;
        // Before the first eviction the ghosts are empty, and the policy loses nothing by another size.
        let tolerance = if self.core.tally.evictions == 0 { told / 16 } else { told / 4 };
        if entries.abs_diff(told) <= tolerance {
            return true;
        }
        let space = &self.shared.space;
        let bytes = policy.bytes_for(entries);
        if bytes > self.core.policy_bytes {
            if !space.reserve_bookkeeping(bytes - self.core.policy_bytes) {
                return false;
            }
        } else {
            space.unreserve_bookkeeping(self.core.policy_bytes - bytes);
        }
        policy.resize(entries);
        self.core.told_entries = entries;
        self.core.policy_bytes = bytes;
        true
    }

    /// Visits the live entries of one home bucket from `tag` on, and returns the tag to go on with.
    pub fn visit(&self, tag: u32, mut visit: impl FnMut(&[u8], &[u8])) -> u32 {
        self.stripe.index.visit_home(&self.core.index, tag, |slot| {
            let entry = self.entry(slot.offset());
            let key = entry.key(entry.header());
            let _closed = self.shared.sequences.of(self.shared.hasher.hash(key)).close();
            let header = entry.header();
            if !self.expired(entry, header) && header.extra() & extra::ABSENT == 0 {
                // SAFETY: it is closed until the visit is over.
                visit(key, unsafe { self.value(entry, header) });
            }
        })
    }
}
