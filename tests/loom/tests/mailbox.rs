//! `src/stripe/deferred/combining.rs`: sets that found their stripe locked and leave a letter
//! (`PendingFilter::take`, `Letters::leave`), whoever has the lock and does what it says
//! (`Writer::collect`, `Writer::try_set`), readers, who look at the marks first and then at the
//! index (`Shared::lookup_any`, `Shared::patiently`), sets that overwrite without the lock
//! (`Shared::overwrite`), and a clear (`Writer::clear`). Who looks for a key finds what was set
//! before he began, or something newer; a letter is read whole; each is applied once.
//!
//! Two keys, one stripe, two lanes; an entry is one word. A writer sets its key to one number after
//! the other, so what is older is less: of sets of one key by two writers, who overlap, either may
//! come last, but neither writer's may go back. A reader doesn't look at the sequence, as a word
//! isn't torn (tests/sequence.rs does). Whether a set finds the lock taken is not left to loom,
//! which doesn't try a `try_lock` at each moment of another's hold, but said: it may have been
//! taken just then by somebody who does nothing else. Whoever waits for the lock waits; the fast
//! door's giving up is left out.

use larder_loom::pending_filter::{self, PendingFilter};
use larder_loom::{explore, fails};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

const LANES: usize = 2;
const LANE_BITS: usize = 16;
const LANE: u64 = 0xffff;
const TAKEN: u64 = 2;

/// The key that is asked for, and another.
const KEY: usize = 0;
const OTHER: usize = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A letter is marked before it is written.
    EarlyPut,
    /// A mark comes without release.
    RelaxedPut,
    /// A mark is put by a store.
    PutStores,
    /// Who collects looks at the marks without acquire.
    RelaxedLanes,
    /// A lane that is taken is looked at as if it were marked.
    TakenIsMarked,
    /// A lane is freed before its letter is applied.
    EarlyFree,
    /// A lane is freed without release.
    RelaxedFree,
    /// Lanes are freed by a store.
    FreeStores,
    /// All lanes are freed, not those alone that are done.
    FreesAll,
    /// A lane is taken without acquire.
    RelaxedTake,
    /// A lane is taken by a store.
    TakeStores,
    /// A second letter of the same key may be left.
    Second,
    /// A set under the lock doesn't collect first.
    NoCollect,
    /// A reader looks at the marks without acquire.
    RelaxedLook,
    /// A reader looks at the marks when he has looked at the index.
    LateLook,
    /// Who overwrites without the lock doesn't look at the marks.
    OverwriteNoLook,
    /// A clear frees the lanes before it clears the index.
    ClearFreesFirst,
}

/// A key's place in the index, and the two entries that it may name.
struct Place {
    slot: AtomicUsize,
    entries: [AtomicU64; 2],
    sequence: AtomicU64,
}

/// What a set finds the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Free,
    Taken,
}

/// A set: its key, and `writer` times 16 plus the number.
type Letter = (usize, u64);

struct World {
    /// The product's; its twin is used where there is a fault.
    product: PendingFilter,
    marks: AtomicU64,
    letters: [UnsafeCell<Letter>; pending_filter::LANES],
    index: [Place; 2],
    /// The lock, and what was applied under it.
    state: Mutex<Vec<u64>>,
    /// The number of the last set that has returned, by writer.
    returned: [AtomicU64; 2],
    /// Whether letters and sets under the lock replace the entry, instead of overwriting it.
    replaces: bool,
    /// Whether sets try to overwrite without the lock.
    alone: bool,
    fault: Fault,
}

// SAFETY: this is what the model is about: loom reports accesses to a letter that aren't ordered.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

fn mark(key: usize) -> u64 {
    key as u64 * 8 + 1
}

/// A hash with that mark.
fn hash(key: usize) -> u64 {
    mark(key) << 20
}

fn lane_of(marks: u64, lane: usize) -> u64 {
    marks >> (lane * LANE_BITS) & LANE
}

impl World {
    fn new(fault: Fault, alone: bool, replaces: bool) -> Arc<World> {
        let place = || Place {
            slot: AtomicUsize::new(0),
            entries: [0, 0].map(AtomicU64::new),
            sequence: AtomicU64::new(0),
        };
        Arc::new(World {
            product: PendingFilter::new(),
            marks: AtomicU64::new(0),
            letters: [(); pending_filter::LANES].map(|()| UnsafeCell::new((0, 0))),
            index: [place(), place()],
            state: Mutex::new(Vec::new()),
            returned: [0, 0].map(AtomicU64::new),
            replaces,
            alone,
            fault,
        })
    }

    fn or_relaxed(&self, ordering: Ordering, fault: Fault) -> Ordering {
        if self.fault == fault { Ordering::Relaxed } else { ordering }
    }

    /// `PendingFilter::has`.
    fn has(&self, key: usize) -> bool {
        if self.fault == Fault::None {
            return self.product.has(hash(key));
        }
        let marks = self.marks.load(self.or_relaxed(Ordering::Acquire, Fault::RelaxedLook));
        (0..LANES).any(|lane| lane_of(marks, lane) == mark(key))
    }

    /// `PendingFilter::is_empty`.
    fn is_empty(&self) -> bool {
        if self.fault == Fault::None {
            self.product.is_empty()
        } else {
            self.marks.load(Ordering::Relaxed) == 0
        }
    }

    /// `PendingFilter::take`.
    fn take(&self, key: usize) -> Option<usize> {
        if self.fault == Fault::None {
            return self.product.take(hash(key));
        }
        let acquire = self.or_relaxed(Ordering::Acquire, Fault::RelaxedTake);
        let mut marks = self.marks.load(acquire);
        loop {
            let lane = (0..LANES).find(|lane| lane_of(marks, *lane) == 0)?;
            if self.fault != Fault::Second
                && (0..LANES).any(|lane| lane_of(marks, lane) == mark(key))
            {
                return None;
            }
            let taken = marks | TAKEN << (lane * LANE_BITS);
            if self.fault == Fault::TakeStores {
                self.marks.store(taken, Ordering::Release);
                return Some(lane);
            }
            match self.marks.compare_exchange(marks, taken, acquire, acquire) {
                Ok(_) => return Some(lane),
                Err(now) => marks = now,
            }
        }
    }

    /// `PendingFilter::put`.
    fn put(&self, lane: usize, key: usize) {
        if self.fault == Fault::None {
            return self.product.put(lane, hash(key));
        }
        let change = (mark(key) ^ TAKEN) << (lane * LANE_BITS);
        let release = self.or_relaxed(Ordering::Release, Fault::RelaxedPut);
        if self.fault == Fault::PutStores {
            self.marks.store(self.marks.load(Ordering::Acquire) ^ change, release);
        } else {
            self.marks.fetch_xor(change, release);
        }
    }

    /// `PendingFilter::free`.
    fn free(&self, lanes: usize) {
        if self.fault == Fault::None {
            return self.product.free(lanes as u32);
        }
        let mut marks = (0..LANES)
            .filter(|lane| lanes >> lane & 1 == 1)
            .fold(0, |m, lane| m | LANE << (lane * LANE_BITS));
        if self.fault == Fault::FreesAll {
            marks = u64::MAX;
        }
        let release = self.or_relaxed(Ordering::Release, Fault::RelaxedFree);
        if self.fault == Fault::FreeStores {
            self.marks.store(self.marks.load(Ordering::Acquire) & !marks, release);
        } else {
            self.marks.fetch_and(!marks, release);
        }
    }

    /// `PendingFilter::lanes`.
    fn lanes(&self) -> Vec<usize> {
        if self.fault == Fault::None {
            return self.product.lanes().collect();
        }
        let marks = self.marks.load(self.or_relaxed(Ordering::Acquire, Fault::RelaxedLanes));
        let least = if self.fault == Fault::TakenIsMarked { 3 } else { 1 };
        (0..LANES).filter(|lane| lane_of(marks, *lane) & least != 0).collect()
    }

    /// `Letters::leave`.
    fn leave(&self, key: usize, value: u64) -> bool {
        let Some(lane) = self.take(key) else { return false };
        if self.fault == Fault::EarlyPut {
            self.put(lane, key);
        }
        // SAFETY: see above.
        self.letters[lane].with_mut(|letter| unsafe { *letter = (key, value) });
        if self.fault != Fault::EarlyPut {
            self.put(lane, key);
        }
        true
    }

    /// `Writer::complete_all` and `Writer::collect`.
    fn complete_all(&self, applied: &mut Vec<u64>) {
        if self.is_empty() {
            return;
        }
        let mut done = 0;
        for lane in self.lanes() {
            // SAFETY: see above.
            let (key, value) = self.letters[lane].with(|letter| unsafe { *letter });
            if self.fault == Fault::EarlyFree {
                self.free(1 << lane);
            }
            self.apply(applied, key, value);
            done |= 1 << lane;
        }
        if done != 0 && self.fault != Fault::EarlyFree {
            self.free(done);
        }
    }

    /// `Sequence::begin`.
    fn begin(sequence: &AtomicU64) {
        loop {
            let number = sequence.load(Ordering::Relaxed);
            if number.is_multiple_of(2)
                && sequence
                    .compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
            thread::yield_now();
        }
    }

    /// `Writer::try_set_now`.
    fn apply(&self, applied: &mut Vec<u64>, key: usize, value: u64) {
        assert!(value != 0 && !applied.contains(&value), "applied twice");
        applied.push(value);
        let Place { slot, entries, sequence } = &self.index[key];
        if self.replaces {
            let next = 1 - slot.load(Ordering::Relaxed);
            entries[next].store(value, Ordering::Relaxed);
            slot.store(next, Ordering::Release);
            return;
        }
        let entry = &entries[slot.load(Ordering::Relaxed)];
        // A model without overwriters needs no sequence.
        if self.alone {
            World::begin(sequence);
        }
        entry.store(value, Ordering::Relaxed);
        if self.alone {
            sequence.store(sequence.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    /// `Writer::try_set`.
    fn set_locked(&self, applied: &mut Vec<u64>, key: usize, value: u64) {
        if self.fault != Fault::NoCollect && self.has(key) {
            self.complete_all(applied);
        }
        self.apply(applied, key, value);
        self.complete_all(applied);
    }

    /// `Shared::overwrite`. (It may look at the marks at any time during the call: a letter that
    /// comes later is left by a set that overlaps it.)
    fn overwrite(&self, key: usize, value: u64) -> bool {
        let Place { slot, entries, sequence } = &self.index[key];
        let number = sequence.load(Ordering::Acquire);
        if self.fault != Fault::OverwriteNoLook && self.has(key) {
            return false;
        }
        let entry = &entries[slot.load(Ordering::Acquire)];
        if !number.is_multiple_of(2)
            || sequence
                .compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        entry.store(value, Ordering::Relaxed);
        sequence.fetch_add(1, Ordering::Release);
        true
    }

    /// `Cache::try_store`, and the slow door where that gives up. Returns whether it was by the
    /// lock, or by a letter.
    fn set(&self, key: usize, writer: usize, number: u64, way: Way) -> bool {
        let value = writer as u64 * 16 + number;
        let alone = self.alone && self.overwrite(key, value);
        let left = !alone && way == Way::Taken && self.leave(key, value);
        if !alone && !left {
            self.set_locked(&mut self.state.lock().unwrap(), key, value);
        }
        if key == KEY {
            self.returned[writer].store(number, Ordering::Release);
        }
        !alone
    }

    /// Somebody who has the lock for something else, and looks twice what was left meanwhile.
    fn hold(&self) {
        let mut applied = self.state.lock().unwrap();
        self.complete_all(&mut applied);
        self.complete_all(&mut applied);
    }

    /// `Writer::clear`.
    fn clear(&self) {
        let mut applied = self.state.lock().unwrap();
        if self.fault == Fault::ClearFreesFirst {
            self.forget(&mut applied);
        }
        let Place { slot, entries, .. } = &self.index[KEY];
        let next = 1 - slot.load(Ordering::Relaxed);
        entries[next].store(0, Ordering::Relaxed);
        slot.store(next, Ordering::Release);
        if self.fault != Fault::ClearFreesFirst {
            self.forget(&mut applied);
        }
    }

    fn forget(&self, applied: &mut Vec<u64>) {
        let lanes = self.lanes();
        for &lane in &lanes {
            // The model alone looks at what it is, to have it counted. SAFETY: see above.
            applied.push(self.letters[lane].with(|letter| unsafe { (*letter).1 }));
        }
        self.free(lanes.iter().fold(0, |lanes, lane| lanes | 1 << lane));
    }

    fn find(&self, key: usize) -> u64 {
        let Place { slot, entries, .. } = &self.index[key];
        entries[slot.load(Ordering::Acquire)].load(Ordering::Relaxed)
    }

    /// `Cache::read`. `none`: that there is none may be, too.
    fn get(&self, none: bool) -> u64 {
        let least = [0, 1].map(|writer| self.returned[writer].load(Ordering::Acquire));
        let early = if self.fault == Fault::LateLook { self.find(KEY) } else { 0 };
        let found = if self.has(KEY) {
            let mut applied = self.state.lock().unwrap();
            if self.has(KEY) {
                self.complete_all(&mut applied);
            }
            self.find(KEY)
        } else if self.fault == Fault::LateLook {
            early
        } else {
            self.find(KEY)
        };
        if found == 0 {
            assert!(none || least == [0, 0], "an old value");
        } else {
            assert!(found % 16 >= least[found as usize / 16], "an old value");
        }
        found
    }

    /// When all is done: each letter was applied once, and what has been set is there.
    fn at_rest(&self, mut expected: Vec<u64>, none: bool) {
        let mut applied = self.state.lock().unwrap();
        self.complete_all(&mut applied);
        assert!(self.is_empty(), "lost");
        applied.sort_unstable();
        expected.sort_unstable();
        assert_eq!(*applied, expected, "lost");
        drop(applied);
        self.get(none);
    }
}

/// Two sets of a writer, one after the other: which of them weren't done alone.
fn sets(world: &World, writer: usize, way: Way) -> Vec<u64> {
    let value = |number| writer as u64 * 16 + number;
    (1..=2).filter(|&number| world.set(KEY, writer, number, way)).map(value).collect()
}

fn spawn<T: 'static>(
    world: &Arc<World>,
    f: impl FnOnce(&World) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || f(&world))
}

/// A writer who leaves letters, somebody who has the lock, and a reader.
fn one_writer(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault, false, false);
        let writer = spawn(&world, |world| sets(world, 0, Way::Taken));
        let holder = spawn(&world, World::hold);
        world.get(false);
        holder.join().unwrap();
        let expected = writer.join().unwrap();
        world.at_rest(expected, false);
    });
}

/// Two writers of one key who leave letters, and somebody who has the lock.
fn two_writers(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault, false, false);
        let threads =
            [0, 1].map(|writer| spawn(&world, move |world| sets(world, writer, Way::Taken)));
        world.hold();
        world.get(false);
        let expected = threads.map(|thread| thread.join().unwrap()).concat();
        world.at_rest(expected, false);
    });
}

/// A writer who leaves letters, another who has the lock, and a reader.
fn two_ways(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault, false, false);
        let ways = [(0, Way::Taken), (1, Way::Free)];
        let threads =
            ways.map(|(writer, way)| spawn(&world, move |world| sets(world, writer, way)));
        world.get(false);
        let expected = threads.map(|thread| thread.join().unwrap()).concat();
        world.at_rest(expected, false);
    });
}

/// A writer and a holder, who find a letter of another key in the first lane.
fn beside_another(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault, false, false);
        assert!(world.leave(OTHER, 16 + 15));
        let writer = spawn(&world, |world| sets(world, 0, Way::Taken));
        let holder = spawn(&world, World::hold);
        holder.join().unwrap();
        let mut expected = writer.join().unwrap();
        expected.push(16 + 15);
        world.get(false);
        world.at_rest(expected, false);
    });
}

/// A writer who overwrites without the lock if he can, another who leaves a letter and then has the
/// lock, and a reader.
fn alone(fault: Fault, replaces: bool) {
    explore(2, move || {
        let world = World::new(fault, true, replaces);
        let writer = spawn(&world, |world| sets(world, 0, Way::Taken));
        let other = spawn(&world, |world| {
            let left = world.leave(KEY, 16 + 1);
            if left {
                world.returned[1].store(1, Ordering::Release);
            }
            world.hold();
            if left { vec![16 + 1] } else { Vec::new() }
        });
        world.get(false);
        let expected = [writer, other].map(|thread| thread.join().unwrap()).concat();
        world.at_rest(expected, false);
    });
}

/// One writer who leaves a letter, and then overwrites without the lock if he can; and somebody who
/// has the lock.
fn alone_after_a_letter(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault, true, false);
        let writer = spawn(&world, |world| {
            assert!(world.leave(KEY, 1));
            world.returned[0].store(1, Ordering::Release);
            if world.set(KEY, 0, 2, Way::Taken) { vec![1, 2] } else { vec![1] }
        });
        world.hold();
        world.get(false);
        let expected = writer.join().unwrap();
        world.at_rest(expected, false);
    });
}

fn alone_in_place(fault: Fault) {
    alone(fault, false);
}

fn alone_with_replacers(fault: Fault) {
    alone(fault, true);
}

/// A clear, which takes letters with it.
fn clears(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault, false, false);
        assert!(world.set(KEY, 0, 1, Way::Free));
        let writer = spawn(&world, |world| world.set(KEY, 0, 2, Way::Taken));
        let clearing = spawn(&world, World::clear);
        world.get(true);
        clearing.join().unwrap();
        assert!(writer.join().unwrap());
        world.at_rest(vec![1, 2], true);
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "stripe/deferred/combining.rs",
        &[
            "let Some(lane) = marks.take(store.hash) else { return false };",
            "unsafe { (*self.0[lane % LANES].0.get()).fill(store) }; marks.put(lane, store.hash); true",
        ],
    );
    larder_loom::mirrors(
        "stripe/complete.rs",
        &[
            "self.stripe.filter.is_empty() || self.complete(policy, usize::MAX)",
            "let lanes = self.stripe.filter.lanes();",
            "for lane in lanes { // SAFETY: it is marked, and the stripe's lock is held. let store = unsafe { mailbox.published(lane) };",
            "all = self.complete_one(policy, &store); if !all { break; } done |= 1 << lane; } if done != 0 { self.stripe.filter.free(done); }",
            "self.evict_instead(&store); self.stripe.filter.free(1 << lane);",
        ],
    );
    larder_loom::mirrors(
        "stripe/complete.rs",
        &[
            "} else if self.stripe.filter.has(store.hash) && !self.apply_all(policy) { return false; }",
        ],
    );
    larder_loom::mirrors(
        "stripe/tune.rs",
        &[
            "let lanes = self.stripe.filter.lanes().fold(0u32, |lanes, lane| lanes | 1 << lane);",
            "self.stripe.index.clear(&mut self.core.index, &self.env.space, &self.env.index_space); // Only now: who finds no mark any more must not find what a set that has waited was to replace. if let Some(pending) = &mut self.pending {",
        ],
    );
    larder_loom::mirrors(
        "cache/read.rs",
        &[
            "if filter.has(hash) { return Err(Moving); } let found = index.find(",
            "if filter.has(hash) { return Probe::Unclear; } let slot = match index.glance(hash)",
            "let mut state = stripe.lock(); let (mut writer, policy) = state.writer(&self.env, stripe); if !writer.apply_key(policy, hash, drops) { return None; }",
        ],
    );
    larder_loom::mirrors(
        "cache/batch.rs",
        &["(!filter.has(*hash)).then(|| index.prefetch(*hash))"],
    );
    larder_loom::mirrors(
        "cache/in_place.rs",
        &[
            "let number = sequence.number();",
            "self.lookup_any(guard, hash, key)",
            "if !sequence.begin_at(number)",
        ],
    );
}

macro_rules! holds {
    ($($name:ident: $model:ident;)*) => {$(
        #[test]
        fn $name() {
            $model(Fault::None);
        }
    )*};
}

holds! {
    what_has_returned_is_found: one_writer;
    no_writer_goes_back: two_writers;
    nor_do_those_who_have_the_lock: two_ways;
    who_overwrites_after_a_letter_finds_it: alone_after_a_letter;
    a_later_letter_does_not_come_first: beside_another;
    who_overwrites_in_place_knows_of_letters: alone_in_place;
    who_overwrites_what_is_replaced_knows_of_letters: alone_with_replacers;
    a_clear_takes_letters_with_it: clears;
}

fails! {
    fails_when_a_letter_is_marked_early: one_writer(EarlyPut), "Causality violation";
    fails_when_a_mark_orders_nothing: one_writer(RelaxedPut), "Causality violation";
    fails_when_a_mark_is_stored: two_writers(PutStores), "lost";
    fails_when_who_collects_acquires_nothing: one_writer(RelaxedLanes), "Causality violation";
    fails_when_taken_is_marked: one_writer(TakenIsMarked), "Causality violation";
    fails_when_a_lane_is_freed_early: one_writer(EarlyFree), "an old value";
    fails_when_the_end_of_a_mark_orders_nothing: one_writer(RelaxedFree), "an old value";
    fails_when_lanes_are_freed_by_a_store: two_writers(FreeStores), "applied twice";
    fails_when_all_lanes_are_freed: two_writers(FreesAll), "lost";
    fails_when_a_lane_is_taken_and_acquires_nothing: one_writer(RelaxedTake), "Causality violation";
    fails_when_a_lane_is_taken_by_a_store: two_writers(TakeStores), "Causality violation";
    fails_when_there_are_two_letters_of_a_key: beside_another(Second), "an old value";
    fails_when_a_set_does_not_collect: one_writer(NoCollect), "an old value";
    fails_when_a_look_orders_nothing: one_writer(RelaxedLook), "an old value";
    fails_when_the_marks_are_looked_at_late: one_writer(LateLook), "an old value";
    fails_when_an_overwriter_does_not_look: alone_after_a_letter(OverwriteNoLook), "an old value";
    fails_when_a_clear_frees_first: clears(ClearFreesFirst), "an old value";
}
