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
use crate::drain::{Drained, MAX_FAST_DRAIN};
use crate::entry::{Entry, Header, Shape};
use crate::events::{Queue, Reason};
use crate::extra::{self, Extra};
use crate::freshness;
use crate::index::{Index, IndexState, Place};
use crate::loads::Loads;
use crate::log::Log;
use crate::mailbox::Mailbox;
use crate::os;
use crate::pending::{Marks, Pending};
use crate::policy::{AnyPolicy, Placement, Policy, Sizes};
use crate::ruling::Ruling;
use crate::sequence::Sequence;
use crate::space::NONE;
use crate::sweep::Sweep;
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};

/// How often a set looks for a lock that another has, before it gives up (the fast door: a crossing by cgo) or parks.
const SPINS: usize = 32;
/// Pauses between two looks: half a microsecond, so that the other does a few sets in a row. When the lock changes hands at each
/// set, all that a set touches goes from one core's cache to the other's, which takes longer than the set.
const PAUSES: usize = 24;
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
    pub mailbox: Option<Mailbox>,
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
    /// The last version given. See [`first_version`].
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
    pub now: u64,
}

/// The number from which a stripe counts versions and tokens: at random, since a namespace that is closed and made again must not give
/// one that somebody may still have from before. Such that what comes after is exact in a number of 53 bits.
fn first_version() -> u64 {
    os::random_words::<1>()[0] >> 12
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
                    versions: first_version(),
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
        self.state.try_lock().or_else(|| self.contend(SPINS, || false))
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
        // Loads are told under the lock. One that begins from here on can't know of this set yet.
        let leaves = || {
            let free = |mailbox: &Mailbox| !self.loading.load(Ordering::Relaxed) && mailbox.leave(&self.marks, store);
            self.mailbox.as_ref().is_some_and(free)
        };
        if leaves() {
            return Reached::Left;
        }
        let mut left = false;
        let state = self.contend(SPINS, || {
            left = leaves();
            left
        });
        match state {
            Some(state) => Reached::Lock(state),
            None if left => Reached::Left,
            None => Reached::Nothing,
        }
    }

    /// Looks for the lock again and again. Gives up as soon as `other` has done what it was wanted for.
    #[cold]
    fn contend(&self, spins: usize, mut other: impl FnMut() -> bool) -> Option<MutexGuard<'_, State>> {
        for _ in 0..spins {
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            if let Some(state) = self.state.try_lock() {
                return Some(state);
            }
            if other() {
                return None;
            }
        }
        None
    }

    /// The lock. Spins a little before it parks; less than the fast door, which mostly was there before: if the lock's holder has
    /// lost the CPU, spinning is in vain.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.try_lock().or_else(|| self.contend(SPINS / 4, || false));
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
    pub fn supersede(&mut self, hash: u64) {
        self.core.loads.supersede(hash, &self.stripe.loading);
        let bytes = self.core.loads.release();
        if bytes > 0 {
            self.shared.space.unreserve_bookkeeping(bytes);
        }
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

    /// Makes sure that one more entry may come: the cache's bound on entries, where it has one.
    #[inline]
    pub fn make_place<P: Policy>(&mut self, policy: &mut P) -> bool {
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
        self.shared.space.unreserve_bookkeeping(self.core.loads.release());
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
        let entries = entries.min(self.most_told());
        let told = self.core.told_entries;
        self.core.inform_at = self.core.tally.sets + 16 + told / 8;
        // Before the first eviction the ghosts are empty, and the policy loses nothing by another size.
        let tolerance = if self.core.tally.evictions == 0 { told / 16 } else { told / 4 };
        if entries.abs_diff(told) <= tolerance {
            return true;
        }
        self.tell_policy(policy, entries)
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
