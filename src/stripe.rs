//! A stripe: a lock for writers, an index, logs of segments and a policy, for its part of the hashes.
//!
//! Writers append an entry to a log and swing the index to it. When memory is short they also *drain*: they take the oldest
//! entries of the log that the policy names, one by one, and keep (append again) or drop each as the policy says. Work is
//! paid as it comes: under pressure a writer drains as many bytes as were appended, and no more than [`MAX_DRAIN`] entries
//! at a time, so that no set pays for a whole segment. What a small entry owes is paid by the stripe's next set, before it
//! looks for its own key: the cache misses of that look-up, begun before, are over when the drain is done.
//!
//! A small value that is set again is overwritten where it lies, if it takes the same room (`sequence`): nothing is appended,
//! and nothing owed.
//!
//! Everything here is under the stripe's lock. What readers see of it: the index (atomics), entry headers and small values
//! (atomics), and the rest of the entries, which is immutable until their segment has been unlinked, retired and waited for
//! (`epoch`, `space`).

use crate::bytes;
use crate::cache::Shared;
use crate::compaction::Need;
use crate::entry::{self, Entry, Header, Shape};
use crate::events::{Queue, Reason};
use crate::extra::{self, Extra};
use crate::freshness;
use crate::index::{Index, IndexState, Place, Slot, tag_of};
use crate::loads::Loads;
use crate::log::Log;
use crate::policy::{self, AnyPolicy, Clock, Placement, Policy, Sizes, Tails, Verdict, each};
use crate::ruling::Ruling;
use crate::space::{NONE, PART};
use crate::sweep::Sweep;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

/// Entries that one call drains at most while it pays what it owes.
pub const MAX_DRAIN: usize = 64;
/// Entries that are drained for each time the lock is taken when room is needed at once: some 100 microseconds.
const MAX_HOLD: usize = 1024;
/// Entries, of these, that it drains beyond what it owes (see `Space::lead`).
const MAX_EXTRA: usize = 4;
/// As [`MAX_DRAIN`], on the fast door.
const MAX_FAST_DRAIN: usize = 16;
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
/// Segments that the fast door may leave to be given up.
const DEFERRED: usize = 16;
/// Entries that may be kept before one goes in any case, when a single place is needed (`max_entries`).
const MAX_KEEPS: usize = 512;

/// One of the parts that the hashes are divided among.
#[repr(align(128))]
pub struct Stripe {
    /// What readers use. Its cache line holds nothing else.
    pub index: Index,
    /// What writers use.
    pub state: Mutex<State>,
    /// No entry expires before this.
    pub next_deadline: AtomicU64,
    /// Bytes of the stripe's segments: who must give when memory is short.
    pub footprint: AtomicU64,
}

/// What the lock protects. In this order: what every set looks at lies in the line of the lock itself.
#[repr(C)]
pub struct State {
    /// Does.
    pub core: Core,
    /// Decides.
    pub policy: AnyPolicy,
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
    deferred_len: usize,
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
    /// The segment that is being compacted, and how far; NONE when the drain evicts.
    pub source: (u32, u64),
    /// Whether it is time to choose between compacting and evicting.
    pub choose: bool,
    /// What the policy was last told it may hold.
    told_entries: u64,
    /// Count of sets at which it is time to look whether that has changed.
    inform_at: u64,
    /// Count of sets at which the policy is told of hits again.
    served_at: u64,
    /// The entry that is being paid for: the drain stops before it.
    pub newest: u64,
    /// The last entry that was appended by a set.
    last: u64,
    /// Bytes that had been appended when memory was nearly used up last.
    pressed_at: u64,
    /// The cache has become nearly full, and the stripe hasn't drained yet what it is to drain then.
    entering: bool,
    /// What the policy said about a hash before the fast door found no room for it.
    said: Option<(u64, Placement)>,
    policy_bytes: u64,
    /// Where the maintenance thread goes on.
    pub sweep: Sweep,
    /// Segments without live entries that the fast door left to be given up.
    deferred: [u32; DEFERRED],
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
}

/// What an attempt to give room came to.
#[derive(PartialEq, Eq)]
pub enum Given {
    /// A segment, after a grace period.
    Some,
    /// Nothing yet: it takes more of the same.
    More,
    /// Nothing yet: it takes a segment whose grace period isn't over.
    Waits,
    /// Nothing: there is nothing left to drain.
    Nothing,
}

/// What draining an entry came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drained {
    /// It stays.
    Kept,
    /// It is gone.
    Dropped,
    /// There was none.
    Nothing,
    /// It is to be moved, to a segment whose grace period isn't over.
    Waits,
}

/// An entry at the old end of a log.
#[derive(Clone, Copy)]
pub struct Tail<'a> {
    id: u32,
    /// Where it lies.
    pub offset: u64,
    entry: Entry<'a>,
    header: Header,
    /// Of its key.
    pub hash: u64,
    /// When it was appended, by the policy's clock.
    stamp: u32,
    /// Its size in what the policy weighs by.
    weight: u32,
}

impl<'a> Store<'a> {
    fn shape(&self) -> Shape<'a> {
        let extra = self.extra.filter(|extra| extra.word() != 0);
        Shape { key_len: self.key.len(), value_len: self.value.len(), deadline: self.deadline, run: None, extra }
    }
}

impl Tail<'_> {
    /// As the policy sees it.
    fn seen(&self) -> policy::Entry {
        policy::Entry { hash: self.hash, bits: self.header.policy_bits(), size: self.weight, stamp: self.stamp }
    }
}

/// The old ends of the logs, as the policy sees them.
struct PolicyTails<'w, 'a, const FAST: bool> {
    writer: &'w mut Writer<'a, FAST>,
    clock: Clock,
}

impl<const FAST: bool> Tails for PolicyTails<'_, '_, FAST> {
    fn peek(&mut self, log: usize) -> Option<policy::Entry> {
        self.writer.tail(log, self.clock.step_bits).map(|tail| tail.seen())
    }

    fn rotate(&mut self, log: usize, bits: u8) -> bool {
        match self.writer.tail(log, self.clock.step_bits) {
            Some(tail) if FAST && !self.writer.has_room(log, tail.header.size() as u64, self.clock) => {
                self.writer.leave(log, &tail, Placement { log, bits });
                false
            }
            Some(tail) => self.writer.keep(self.clock, &tail, log, Placement { log, bits }),
            None => false,
        }
    }
}

impl Stripe {
    /// An empty stripe.
    pub fn new(index: Index, state: IndexState, policy: AnyPolicy, events: Queue) -> Stripe {
        Stripe {
            index,
            state: Mutex::new(State {
                policy,
                core: Core {
                    index: state,
                    logs: [Log::new(), Log::new()],
                    tally: Tally::default(),
                    events,
                    debt: 0,
                    source: (NONE, 0),
                    patience: usize::MAX,
                    choose: true,
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
            }),
            next_deadline: AtomicU64::new(u64::MAX),
            footprint: AtomicU64::new(0),
        }
    }

    /// The lock, if nobody has it for much longer than a set takes: some 20 microseconds.
    #[inline]
    pub fn try_state(&self) -> Option<MutexGuard<'_, State>> {
        self.state.try_lock().or_else(|| self.contend(SPINS))
    }

    #[cold]
    #[inline(never)]
    fn contend(&self, spins: usize) -> Option<MutexGuard<'_, State>> {
        for _ in 0..spins {
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            if let Some(state) = self.state.try_lock() {
                return Some(state);
            }
        }
        None
    }

    /// The lock. Spins a little before it parks; less than the fast door, which mostly was there before: if the lock's holder has
    /// lost the CPU, spinning is in vain.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.try_lock().or_else(|| self.contend(SPINS / 4));
        state.unwrap_or_else(|| self.state.lock())
    }
}

impl State {
    /// Takes the stripe in hand. `self` is what `stripe`'s lock protects.
    pub fn writer<'a>(&'a mut self, shared: &'a Shared, stripe: &'a Stripe) -> (Writer<'a, false>, &'a mut AnyPolicy) {
        self.core.patience = usize::MAX;
        let mut writer = Writer { shared, stripe, core: &mut self.core };
        writer.flush();
        writer.carry_out(self.policy.clock());
        (writer, &mut self.policy)
    }

    /// As [`State::writer`], for the fast door. None if there is something to do that it can't.
    #[inline]
    pub fn fast_writer<'a>(
        &'a mut self,
        shared: &'a Shared,
        stripe: &'a Stripe,
    ) -> Option<(Writer<'a, true>, &'a mut AnyPolicy)> {
        if self.core.deferred_len > 0 || self.core.ruled.is_some() || stripe.index.wants_steps(&self.core.index) {
            return None;
        }
        self.core.patience = 4 * MAX_FAST_DRAIN;
        Some((Writer { shared, stripe, core: &mut self.core }, &mut self.policy))
    }
}

impl<'a, const FAST: bool> Writer<'a, FAST> {
    /// The entry at an offset.
    #[inline]
    pub fn entry(&self, offset: u64) -> Entry<'a> {
        // SAFETY: offsets come from the index or from a walk over a segment's used bytes: an entry was written there. The
        // stripe's lock is held, and segments of this stripe are given up only under it; 'a ends with the lock.
        unsafe { Entry::at(self.shared.space.base().add(offset as usize)) }
    }

    /// The offset of an entry.
    #[inline]
    fn offset(&self, entry: Entry<'a>) -> u64 {
        entry.address() as u64 - self.shared.space.base() as u64
    }

    /// The value of an entry.
    #[inline]
    pub(crate) fn value(&self, entry: Entry<'a>, header: Header) -> &'a [u8] {
        // SAFETY: the stripe's lock is held, and only `overwrite` changes a value, which is called by sets that hold none.
        unsafe { entry.value_bytes(header) }
    }

    #[inline(always)]
    fn find(&self, hash: u64, key: &[u8]) -> Option<(Place, u64, Entry<'a>, Header)> {
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

    fn segment_of(&self, offset: u64, entry: Entry<'_>, header: Header) -> u32 {
        entry.run(header).unwrap_or_else(|| self.shared.space.segment_at(offset))
    }

    pub fn expired(&self, entry: Entry<'_>, header: Header) -> bool {
        self.gone(entry, header).is_some()
    }

    /// Why an entry that is still in the index must not be served any more, if so.
    #[inline]
    pub fn gone(&self, entry: Entry<'_>, header: Header) -> Option<Cause> {
        if entry.deadline(header).is_some_and(|deadline| deadline <= self.shared.clock.now()) {
            Some(Cause::Expired)
        } else if header.has_extra() && self.shared.is_invalidated(entry, header) {
            Some(Cause::Invalidated)
        } else {
            None
        }
    }

    /// The size of an entry in what the policy weighs by: bytes, or entries under a bound on entries.
    #[inline]
    fn weight(&self, size: usize) -> u32 {
        if self.shared.max_entries > 0 { 1 } else { size as u32 }
    }

    /// What the policy weighs by.
    fn sizes(&self) -> Sizes {
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

    /// Gives up the segments that the fast door left.
    fn flush(&mut self) {
        while self.core.deferred_len > 0 {
            self.core.deferred_len -= 1;
            self.give_up(self.core.deferred[self.core.deferred_len]);
        }
    }

    /// Whether an entry of this size can be appended without taking a segment.
    #[inline]
    fn has_room(&self, log: usize, size: u64, clock: Clock) -> bool {
        !self.shared.space.wants_run(size) && self.takes(self.core.logs[log & 1].open, size, clock)
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
    ///
    /// The policy is told apart only where it is asked: code for each policy is then small, and an overwrite in place meets none
    /// of it.
    pub fn try_set(&mut self, policy: &mut AnyPolicy, store: &Store<'_>) -> bool {
        debug_assert_eq!(store.condition, Condition::Always);
        let hash = store.hash;
        if self.core.loads.has(hash) {
            return false;
        }
        if self.owes() {
            each!(policy, policy => self.pay(policy));
        }
        if self.core.deferred_len > 0 || self.core.ruled.is_some() {
            // That comes first, and only the slow door can do it.
            return false;
        }
        let Some(found) = self.find(hash, store.key) else {
            return each!(policy, policy => self.try_insert(policy, store));
        };
        let (place, offset, entry, header) = found;
        if self.expired(entry, header) {
            return false;
        }
        self.overwrite(store, offset, entry, header)
            || each!(policy, policy => self.try_replace(policy, store, (place, entry)))
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

    /// Stores the value of a key that wasn't found.
    #[inline(never)]
    fn try_insert<P: Policy>(&mut self, policy: &mut P, store: &Store<'_>) -> bool {
        if !self.make_place(policy) {
            return false;
        }
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
    pub fn try_delete(&mut self, hash: u64, key: &[u8]) -> Option<bool> {
        if self.core.loads.has(hash) {
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
        if let Some((place, offset, entry, header)) = found
            && let Some(cause) = self.gone(entry, header)
        {
            self.stripe.index.remove(&mut self.core.index, place);
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
                self.core.loads.supersede(hash);
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
            self.core.loads.supersede(hash);
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
        // SeqCst: acquire, for what was read through views that are gone; the rest is said at `begin`.
        if !sequence.begin(|| segment.pins.load(Ordering::SeqCst) > 0) {
            return false;
        }
        // SAFETY: the lock is held, the header was read under it and differs by counted hits at most; it fits; the sequence is odd and nobody has
        // pinned the segment; nothing in this call has a slice of the value.
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
        if pressed || self.core.entering {
            self.core.last = offset;
            if !FAST {
                if self.core.debt > MAX_OWED {
                    self.pay(policy);
                }
                self.choose();
            }
            self.look_ahead(policy);
        } else {
            self.core.debt = self.core.debt.min(0);
        }
    }

    /// Removes a key. False if it wasn't there.
    pub fn delete(&mut self, hash: u64, key: &[u8]) -> bool {
        self.core.loads.supersede(hash);
        let Some((place, offset, entry, header)) = self.find(hash, key) else { return false };
        let gone = self.gone(entry, header);
        let absent = header.extra() & extra::ABSENT != 0;
        self.stripe.index.remove(&mut self.core.index, place);
        self.kill(offset, entry, header, gone.unwrap_or(Cause::Deleted));
        if self.stripe.index.wants_steps(&self.core.index) {
            self.stripe.index.steps(&mut self.core.index, &self.shared.space, &self.shared.index_space);
        }
        gone.is_none() && !absent
    }

    /// Makes sure that one more entry may come: the cache's bound on entries, where it has one.
    fn make_place<P: Policy>(&mut self, policy: &mut P) -> bool {
        let max = self.shared.max_entries;
        if max == 0 {
            return true;
        }
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

    fn give_place_back(&self) {
        if self.shared.max_entries > 0 {
            self.shared.entries.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Writes an entry at the young end of a log. None if there is no room.
    fn append<P: Policy>(&mut self, policy: &P, to: Placement, store: &Store<'_>) -> Option<u64> {
        let clock = policy.clock();
        let mut shape = store.shape();
        let size = shape.size() as u64;
        let id = if self.shared.space.wants_run(size) {
            if FAST {
                return None;
            }
            let id = self.shared.space.take_run(size + 8)?;
            shape.run = Some(id);
            self.adopt(id, to.log, clock.time);
            id
        } else {
            self.room(clock, to.log, size, false)?
        };
        let steps = self.steps(id, clock);
        let size = shape.size() as u64;
        let start = self.start(id, size);
        // SAFETY: `start` has found `size` aligned bytes that belong to this stripe's log and that no published entry reaches.
        unsafe { entry::write(start, &shape, to.bits, steps, store.key, store.value) };
        Some(self.account(id, size, shape.run.is_some(), shape.deadline))
    }

    /// Writes a copy of an entry, which is not a run, at the young end of a log. None if there is no room.
    fn append_copy(&mut self, clock: Clock, to: Placement, entry: Entry<'_>, header: Header) -> Option<u64> {
        let id = self.room(clock, to.log, header.size() as u64, true)?;
        Some(self.copy_to(id, entry, header, to.bits, self.steps(id, clock)))
    }

    /// Writes a copy of an entry, which is not a run, behind what a segment holds, which must have room.
    pub fn copy_to(&mut self, id: u32, entry: Entry<'_>, header: Header, bits: u8, steps: u32) -> u64 {
        let size = header.size() as u64;
        let start = self.start(id, size);
        // SAFETY: `start` has found `size` aligned bytes that belong to this stripe's log and that no published entry reaches.
        unsafe { entry::write_copy(start, entry, header, bits, steps) };
        self.account(id, size, false, entry.deadline(header))
    }

    /// The segment at the young end of a log, with room for so many bytes.
    fn room(&mut self, clock: Clock, log: usize, size: u64, for_keep: bool) -> Option<u32> {
        let open = self.core.logs[log & 1].open;
        if self.takes(open, size, clock) {
            return Some(open);
        }
        if FAST {
            return None;
        }
        let fresh = self.shared.space.take_segment(for_keep)?;
        self.close(log);
        self.adopt(fresh, log, clock.time);
        self.core.logs[log & 1].open = fresh;
        Some(fresh)
    }

    /// Steps of the policy's clock since a segment was opened.
    #[inline]
    fn steps(&self, id: u32, clock: Clock) -> u32 {
        clock.time.wrapping_sub(self.shared.space.segment(id).stamp.load(Ordering::Relaxed)) >> clock.step_bits
    }

    /// Whether an open segment has room for so many bytes, and isn't too old to say when they came.
    #[inline]
    fn takes(&self, id: u32, size: u64, clock: Clock) -> bool {
        self.fits(id, size) && self.steps(id, clock) <= entry::MAX_STEPS
    }

    /// Whether so many bytes fit behind what a segment holds.
    #[inline]
    pub fn fits(&self, id: u32, size: u64) -> bool {
        id != NONE && {
            let segment = self.shared.space.segment(id);
            segment.used.load(Ordering::Relaxed) + size <= segment.capacity()
        }
    }

    /// Where the next entry of a segment goes, which must have room for it.
    #[inline]
    fn start(&self, id: u32, size: u64) -> *mut u8 {
        let space = &self.shared.space;
        let segment = space.segment(id);
        let used = segment.used.load(Ordering::Relaxed);
        debug_assert!(used + size <= segment.capacity());
        space.base().wrapping_add((segment.start() + used) as usize)
    }

    /// Accounts for an entry that was written where [`Writer::start`] said, and returns its offset.
    #[inline]
    fn account(&mut self, id: u32, size: u64, run: bool, deadline: Option<u64>) -> u64 {
        let segment = self.shared.space.segment(id);
        let used = segment.used.load(Ordering::Relaxed);
        segment.used.store(used + size, Ordering::Relaxed);
        segment.live.store(segment.live.load(Ordering::Relaxed) + size, Ordering::Relaxed);
        if let Some(deadline) = deadline {
            self.due(id, used, deadline);
        }
        let log = &mut self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1];
        log.live += size;
        log.entries += 1;
        self.core.debt += if run { segment.capacity() as i64 } else { size as i64 };
        segment.start() + used
    }

    /// Notes that the entry at a byte of a segment expires at a time.
    #[inline]
    fn due(&mut self, id: u32, at: u64, deadline: u64) {
        let segment = self.shared.space.segment(id);
        if deadline < segment.min_deadline.load(Ordering::Relaxed) {
            segment.min_deadline.store(deadline, Ordering::Relaxed);
        }
        if !self.shared.space.is_run(id) {
            self.shared.space.part(id, at).note(segment.base.load(Ordering::Relaxed), deadline, at);
        }
        self.core.sweep.note(deadline);
        if deadline < self.stripe.next_deadline.load(Ordering::Relaxed) {
            self.stripe.next_deadline.store(deadline, Ordering::Release);
        }
    }

    fn adopt(&mut self, id: u32, log: usize, stamp: u32) {
        let segment = self.shared.space.segment(id);
        segment.log.store(log as u32, Ordering::Relaxed);
        segment.stamp.store(stamp, Ordering::Relaxed);
        self.shared.space.set_base(id, self.shared.clock.now());
        self.core.logs[log & 1].push(&self.shared.space, id);
        self.stripe.footprint.fetch_add(segment.capacity(), Ordering::Relaxed);
    }

    /// Closes the open segment of a log. What is left of it is lost until it is drained.
    fn close(&mut self, log: usize) {
        let id = std::mem::replace(&mut self.core.logs[log & 1].open, NONE);
        self.closed(id);
    }

    /// As [`Writer::close`], for the segment that a compaction fills.
    pub fn close_filling(&mut self, log: usize) {
        let id = std::mem::replace(&mut self.core.logs[log & 1].filling, NONE);
        self.closed(id);
    }

    fn closed(&mut self, id: u32) {
        if id != NONE {
            let segment = self.shared.space.segment(id);
            if segment.live.load(Ordering::Relaxed) == 0 {
                self.give_up(id);
            } else {
                self.core.debt += (segment.capacity() - segment.used.load(Ordering::Relaxed)) as i64;
            }
        }
    }

    /// Accounts for an entry that the index no longer points at (or never will again).
    #[inline]
    pub fn kill(&mut self, offset: u64, entry: Entry<'_>, header: Header, cause: Cause) {
        let size = header.size() as u64;
        let id = self.segment_of(offset, entry, header);
        entry.mark_dead();
        let segment = self.shared.space.segment(id);
        let live = segment.live.load(Ordering::Relaxed) - size;
        segment.live.store(live, Ordering::Relaxed);
        let log = &mut self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1];
        log.live -= size;
        log.entries -= 1;
        let open = log.is_open(id);
        let tally = &mut self.core.tally;
        match cause {
            Cause::Overwritten | Cause::Moved => {}
            Cause::Deleted => tally.deletes += 1,
            Cause::Expired => tally.expirations += 1,
            Cause::Invalidated => tally.invalidations += 1,
            Cause::Evicted => tally.evictions += 1,
        }
        if !matches!(cause, Cause::Overwritten | Cause::Moved) {
            self.give_place_back();
        }
        if self.core.events.wants(cause as u8) {
            self.tell(entry, header, cause);
        }
        if live == 0 && !open {
            if FAST {
                // A call leaves at most one by its set or delete, and stops draining at the first; rotations add up to four.
                debug_assert!(self.core.deferred_len < DEFERRED);
                self.core.deferred[self.core.deferred_len % DEFERRED] = id;
                self.core.deferred_len += 1;
            } else {
                self.give_up(id);
            }
        }
    }

    /// Notes what became of an entry, for whoever wants to hear of it. Apart, so that `kill` stays small enough to be inlined
    /// in an overwriting set, where a call costs 49 instructions of 840.
    #[cold]
    #[inline(never)]
    fn tell(&mut self, entry: Entry<'_>, header: Header, cause: Cause) {
        self.core.events.push(cause as u8, entry.key(header), header.value_len());
    }

    /// Unlinks a segment without live entries: it is free after a grace period.
    fn give_up(&mut self, id: u32) {
        let segment = self.shared.space.segment(id);
        debug_assert_eq!(segment.live.load(Ordering::Relaxed), 0);
        let log = &mut self.core.logs[segment.log.load(Ordering::Relaxed) as usize & 1];
        // What was passed of it has been counted, but for runs, whose size is the whole segment's.
        let passed = if self.core.source.0 == id {
            self.core.source.1
        } else if log.tail == id && !self.shared.space.is_run(id) {
            log.cursor
        } else {
            0
        };
        self.core.debt -= segment.capacity().saturating_sub(passed) as i64;
        let newer = segment.newer.load(Ordering::Relaxed);
        log.unlink(&self.shared.space, id);
        if self.core.source.0 == id {
            self.core.source = (NONE, 0);
        }
        self.core.choose = true;
        self.core.sweep.leaves(id, newer);
        self.stripe.footprint.fetch_sub(segment.capacity(), Ordering::Relaxed);
        self.shared.space.retire(id);
    }

    /// The oldest live entry of a log. Dead ones before it are passed; expired ones are removed.
    pub fn tail(&mut self, log: usize, step_bits: u32) -> Option<Tail<'a>> {
        loop {
            let id = self.core.logs[log & 1].tail;
            if id == NONE {
                return None;
            }
            if id == self.core.logs[log & 1].filling && !FAST {
                self.close_filling(log);
                continue;
            }
            let segment = self.shared.space.segment(id);
            let cursor = self.core.logs[log & 1].cursor;
            if cursor >= segment.used.load(Ordering::Relaxed) {
                // Only an open segment can be passed to its end: a closed one would have been given up, or will be.
                debug_assert!(self.core.logs[log & 1].is_open(id) || FAST);
                return None;
            }
            let offset = segment.start() + cursor;
            if offset == self.core.newest {
                return None;
            }
            let entry = self.entry(offset);
            let header = entry.header();
            if header.is_dead() {
                if self.core.patience == 0 {
                    return None;
                }
                self.core.patience -= 1;
                self.core.logs[log & 1].cursor += header.size() as u64;
                self.core.debt -= header.size() as i64;
                continue;
            }
            let ahead = self.core.logs[log & 1].ahead;
            let hash = if ahead.0 == offset { ahead.1 } else { self.shared.hasher.hash(entry.key(header)) };
            if let Some(cause) = self.gone(entry, header) {
                self.pass(log, header, entry);
                self.unindex(hash, offset);
                self.kill(offset, entry, header, cause);
                continue;
            }
            let stamp = segment.stamp.load(Ordering::Relaxed).wrapping_add(header.steps() << step_bits);
            let weight = self.weight(header.size());
            return Some(Tail { id, offset, entry, header, hash, stamp, weight });
        }
    }

    /// Moves the drain past the entry it stands at.
    fn pass(&mut self, log: usize, header: Header, entry: Entry<'_>) {
        let log = &mut self.core.logs[log & 1];
        log.cursor += header.size() as u64;
        if entry.run(header).is_none() {
            self.core.debt -= header.size() as i64;
        }
    }

    pub fn unindex(&mut self, hash: u64, offset: u64) {
        if let Some((place, _)) = self.stripe.index.find_place(&self.core.index, hash, |slot| slot.offset() == offset) {
            self.stripe.index.remove(&mut self.core.index, place);
        }
    }

    /// Drains one entry as the policy says, or drops it in any case.
    pub fn drain_one<P: Policy>(&mut self, policy: &mut P, drop: bool) -> Drained {
        let sizes = self.sizes();
        let first = policy.victim(&sizes);
        let step_bits = policy.clock().step_bits;
        let (log, tail) = match self.tail(first, step_bits) {
            Some(tail) => (first, tail),
            // There may be more behind the dead ones: the other log isn't to pay for it.
            None if self.core.patience == 0 => return Drained::Nothing,
            None => match self.tail(1 - first, step_bits) {
                Some(tail) => (1 - first, tail),
                None => return Drained::Nothing,
            },
        };
        let size = tail.header.size() as u64;
        let verdict = if drop { Verdict::Drop } else { policy.tail(log, &tail.seen(), &sizes) };
        if let Verdict::Keep { log: to, bits } = verdict {
            if FAST && !self.has_room(to, size, policy.clock()) {
                self.leave(log, &tail, Placement { log: to, bits });
                return Drained::Nothing;
            }
            if self.keep(policy.clock(), &tail, log, Placement { log: to, bits }) {
                return Drained::Kept;
            }
        }
        self.pass(log, tail.header, tail.entry);
        self.unindex(tail.hash, tail.offset);
        self.kill(tail.offset, tail.entry, tail.header, Cause::Evicted);
        Drained::Dropped
    }

    /// Moves the oldest entry of a log to the young end of one. False if there is no room for the copy.
    pub fn keep(&mut self, clock: Clock, tail: &Tail<'a>, log: usize, to: Placement) -> bool {
        let &Tail { id, offset, entry, header, hash, .. } = tail;
        if header.is_run() {
            // Nothing to copy: the run itself goes to the other end.
            let space = &self.shared.space;
            let size = header.size() as u64;
            // Where it goes the sweep may have been.
            self.core.sweep.leaves(id, space.segment(id).newer.load(Ordering::Relaxed));
            self.core.sweep.note(space.segment(id).min_deadline.load(Ordering::Relaxed));
            let from = &mut self.core.logs[log & 1];
            from.unlink(space, id);
            from.live -= size;
            from.entries -= 1;
            space.segment(id).log.store(to.log as u32, Ordering::Relaxed);
            space.segment(id).stamp.store(clock.time, Ordering::Relaxed);
            let target = &mut self.core.logs[to.log & 1];
            target.push(space, id);
            target.live += size;
            target.entries += 1;
            entry.set_policy_bits(to.bits);
            return true;
        }
        let Some((place, _)) = self.stripe.index.find_place(&self.core.index, hash, |slot| slot.offset() == offset)
        else {
            // Lost from the index (see `Index::step`): it can only be dropped.
            return false;
        };
        let Some(new) = self.append_copy(clock, to, entry, header) else { return false };
        self.stripe.index.replace(&mut self.core.index, place, Slot::new(tag_of(hash), new));
        self.pass(log, header, entry);
        self.core.tally.copied += header.size() as u64;
        self.kill(offset, entry, header, Cause::Moved);
        true
    }

    /// Whether what the last set left is to be paid still.
    #[inline]
    fn owes(&self) -> bool {
        self.core.debt > -self.shared.space.lead() && (self.core.entering || self.shared.must_drain())
    }

    /// Drains what is owed, a bounded number of entries.
    #[inline(never)]
    fn pay<P: Policy>(&mut self, policy: &mut P) {
        self.core.newest = self.core.last;
        let most = if FAST { MAX_FAST_DRAIN } else { MAX_DRAIN };
        self.core.patience = 4 * most;
        let mut extra = MAX_EXTRA;
        for _ in 0..most {
            if self.core.debt <= 0 {
                if extra == 0 || self.core.debt <= -self.shared.space.lead() {
                    break;
                }
                extra -= 1;
            }
            if self.core.deferred_len > 0
                || self.core.patience == 0
                || matches!(self.make_some_room(policy, Need::Later), Drained::Nothing | Drained::Waits)
            {
                break;
            }
        }
        self.core.newest = 0;
        self.core.patience = if FAST { 4 * MAX_FAST_DRAIN } else { usize::MAX };
    }

    /// Starts loading what the next drains will want: the entries at the logs' old ends, their index buckets, what the
    /// policy knows of them. Without it each set of a full cache waits for two or three cache misses more. The hash that it takes
    /// is kept for the drain, and each entry is looked at once.
    fn look_ahead<P: Policy>(&mut self, policy: &P) {
        for log in 0..2 {
            let (tail, cursor) = (self.core.logs[log].tail, self.core.logs[log].cursor);
            if tail == NONE {
                continue;
            }
            let segment = self.shared.space.segment(tail);
            let offset = segment.start() + cursor;
            if offset == self.core.logs[log].ahead.0 || cursor + 8 >= segment.used.load(Ordering::Relaxed) {
                continue;
            }
            let entry = self.entry(offset);
            let header = entry.header();
            entry::prefetch(entry.address().wrapping_add(header.size()));
            entry::prefetch(entry.address().wrapping_add(header.size() + 64));
            if !header.is_dead() {
                let hash = self.shared.hasher.hash(entry.key(header));
                self.core.logs[log].ahead = (offset, hash);
                self.stripe.index.prefetch(hash);
                policy.prefetch(hash);
            }
        }
    }

    /// Drains until a segment has been given up, but not for long: the lock is wanted by others. `keeps` counts entries that
    /// were kept instead, over the calls of one attempt.
    pub fn give_room<P: Policy>(&mut self, policy: &mut P, keeps: &mut usize) -> Given {
        let before = self.stripe.footprint.load(Ordering::Relaxed);
        // Enough to compact a few segments of small entries; then they go without being asked about.
        let most_keeps = (self.shared.space.segment_size() / 16) as usize;
        for _ in 0..MAX_HOLD {
            match self.make_some_room(policy, if *keeps > most_keeps { Need::Drop } else { Need::Now }) {
                Drained::Kept => *keeps += 1,
                Drained::Dropped => {}
                Drained::Waits => return Given::Waits,
                Drained::Nothing => {
                    // Only open segments are left, drained to their ends.
                    for log in 0..2 {
                        self.close(log);
                        self.close_filling(log);
                    }
                    let less = self.stripe.footprint.load(Ordering::Relaxed) < before;
                    return if less { Given::Some } else { Given::Nothing };
                }
            }
            if self.stripe.footprint.load(Ordering::Relaxed) < before {
                self.core.debt = 0;
                return Given::Some;
            }
        }
        Given::More
    }

    /// Forgets everything.
    pub fn clear<P: Policy>(&mut self, policy: &mut P) {
        self.stripe.index.clear(&mut self.core.index, &self.shared.space, &self.shared.index_space);
        for log in 0..2 {
            self.core.logs[log & 1].open = NONE;
            self.core.logs[log & 1].filling = NONE;
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
        self.core.loads.clear();
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
        let sizes = self.sizes();
        // By the mean size so far; nothing is known of an empty stripe.
        let count = logs[0].entries + logs[1].entries;
        let live = logs[0].live + logs[1].live;
        let bytes = self.shared.capacity() / self.shared.stripes.len() as u64;
        let mean = if count < 16 { 64.0 } else { live as f64 / count as f64 };
        let fit = (bytes as f64 / mean) as u64;
        let entries = match self.shared.max_entries {
            0 if count < 16 => 16,
            0 => fit,
            _ => sizes.capacity.min(fit),
        };
        self.core.inform_at = self.core.tally.sets + 16 + self.core.told_entries / 8;
        if entries.abs_diff(self.core.told_entries) <= self.core.told_entries / 4 {
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
            let header = entry.header();
            if !self.expired(entry, header) && header.extra() & extra::ABSENT == 0 {
                visit(entry.key(header), self.value(entry, header));
            }
        })
    }

    /// Checks everything that should be true of the stripe. For tests.
    pub fn check(&self) {
        let space = &self.shared.space;
        self.stripe.index.check(&self.core.index);
        let (mut entries, mut footprint) = (0, 0);
        for (number, log) in self.core.logs.iter().enumerate() {
            let (mut live_entries, mut live_bytes, mut log_footprint) = (0, 0, 0);
            for id in log.segments(space) {
                let segment = space.segment(id);
                assert_eq!(segment.log.load(Ordering::Relaxed) as usize, number);
                assert!(segment.used.load(Ordering::Relaxed) <= segment.capacity());
                log_footprint += segment.capacity();
                let mut at = segment.first();
                let mut live = 0;
                while at < segment.used.load(Ordering::Relaxed) {
                    let offset = segment.start() + at;
                    let entry = self.entry(offset);
                    let header = entry.header();
                    at += header.size() as u64;
                    if header.is_dead() {
                        continue;
                    }
                    assert!(id != log.tail || at > log.cursor, "a live entry that the drain has passed");
                    live += header.size() as u64;
                    live_entries += 1;
                    let key = entry.key(header);
                    let found = self.find(self.shared.hasher.hash(key), key);
                    assert!(found.is_some_and(|found| found.1 == offset), "a live entry that the index doesn't know");
                    let earliest = segment.min_deadline.load(Ordering::Relaxed);
                    assert!(self.core.sweep.is_at(id) || entry.deadline(header).is_none_or(|d| d >= earliest));
                    if let (false, false, Some(d)) =
                        (self.core.sweep.is_at(id), space.is_run(id), entry.deadline(header))
                    {
                        let at = offset - segment.start();
                        let part = space.part(id, at).get(segment.base.load(Ordering::Relaxed));
                        assert!(part.is_some_and(|(earliest, first)| earliest <= d && first <= at % PART));
                    }
                }
                assert_eq!(live, segment.live.load(Ordering::Relaxed));
                let deferred = self.core.deferred[..self.core.deferred_len].contains(&id);
                assert!(live > 0 || log.is_open(id) || deferred, "a closed segment without live entries");
                live_bytes += live;
            }
            assert_eq!((live_entries, live_bytes, log_footprint), (log.entries, log.live, log.footprint));
            entries += live_entries;
            footprint += log_footprint;
        }
        assert_eq!(entries, self.core.index.entries() as u64);
        assert_eq!(footprint, self.stripe.footprint.load(Ordering::Relaxed));
    }
}
