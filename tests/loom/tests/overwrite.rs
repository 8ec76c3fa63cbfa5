//! `src/cache/in_place.rs`: sets that overwrite in place without the stripe's lock
//! (`Shared::overwrite`), against those who have it: a move of the entry (`Writer::keep`), a change
//! that depends on what is there (`Cache::increment`), a deadline that is brought forward
//! (`Writer::redate`), a set that replaces the entry (`Writer::try_replace`), the beginning of a
//! load (`Cache::load_begin`), a reader who keeps writers out (`Shared::patiently`). No set that
//! was acknowledged is lost, no copy is torn or older than one before, and no load goes on with a
//! value older than a set that has left it its token.
//!
//! The index is one slot, which names one of two entries; an entry is a header and a value of two
//! words. The first stands for the deadline too: an overwriter only raises it. The stripe's lock is
//! left out, as one thread stands for whoever has it; so is the epoch, as entries aren't used
//! again. Who has to wait for an overwriter gives up after a few looks.

use larder_loom::seqlock::Seqlocks;
use larder_loom::{explore, fails};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use loom::thread;

const CLOSED: u64 = 1 << 63;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// An overwriter takes the word with whatever even number it has by now.
    AnyNumber,
    /// An overwriter takes the word although it is closed.
    IgnoresClosed,
    /// An overwriter's compare-and-swap is a store.
    Stores,
    /// No fence behind the compare-and-swap.
    NoFence,
    /// An overwriter looks for loads before it reads the number.
    LooksEarly,
    /// An overwriter's header is a plain store.
    StoresHeader,
    /// A move doesn't hold the word.
    MovesFreely,
    /// A move copies what was there before it held the word.
    CopiesEarly,
    /// Who closes doesn't wait for the overwriter.
    ClosesAtOnce,
    /// A word is opened with the number that it had.
    SameNumber,
    /// An overwriter ends by a store, which undoes a closing that comes just before it.
    EndStores,
}

struct Entry {
    /// Bit 0: dead. The others: what an overwriter changes.
    header: AtomicU64,
    value: [AtomicU64; 2],
}

struct World {
    /// The product's; its twin is used where there is a fault.
    product: Seqlocks,
    sequence: AtomicU64,
    slot: AtomicU64,
    entries: [Entry; 2],
    loading: AtomicBool,
    fault: Fault,
}

impl World {
    fn new(fault: Fault) -> Arc<World> {
        let entry = || Entry { header: AtomicU64::new(0), value: [0, 0].map(AtomicU64::new) };
        Arc::new(World {
            product: Seqlocks::of_words(1).unwrap(),
            sequence: AtomicU64::new(0),
            slot: AtomicU64::new(0),
            entries: [entry(), entry()],
            loading: AtomicBool::new(false),
            fault,
        })
    }

    /// `Shared::lookup_any`.
    fn find(&self) -> &Entry {
        &self.entries[self.slot.load(Ordering::Acquire) as usize]
    }

    fn copy(entry: &Entry) -> [u64; 2] {
        [0, 1].map(|i| entry.value[i].load(Ordering::Relaxed))
    }

    fn write(entry: &Entry, value: u64) {
        entry.value[0].store(value, Ordering::Relaxed);
        entry.value[1].store(value, Ordering::Relaxed);
    }

    /// `Sequence::number`.
    fn number(&self) -> u64 {
        if self.fault == Fault::None {
            self.product.of(0).number()
        } else {
            self.sequence.load(Ordering::Acquire)
        }
    }

    /// `Sequence::is_still`.
    fn is_still(&self, number: u64) -> bool {
        if self.fault == Fault::None {
            return self.product.of(0).is_still(number);
        }
        fence(Ordering::Acquire);
        number.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == number
    }

    fn fence_after_swap(&self) {
        if self.fault != Fault::NoFence {
            fence(Ordering::SeqCst);
        }
    }

    /// `Sequence::begin_at`.
    fn begin_at(&self, number: u64) -> bool {
        if self.fault == Fault::None {
            return self.product.of(0).begin_at(number);
        }
        let number = match self.fault {
            Fault::AnyNumber => self.sequence.load(Ordering::Acquire),
            Fault::IgnoresClosed => {
                number & !CLOSED | self.sequence.load(Ordering::Acquire) & CLOSED
            }
            _ if number & CLOSED != 0 => return false,
            _ => number,
        };
        if number & 1 != 0 {
            return false;
        }
        if self.fault == Fault::Stores {
            self.sequence.store(number + 1, Ordering::Release);
        } else if self
            .sequence
            .compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        self.fence_after_swap();
        true
    }

    /// `Sequence::try_begin`, once. False: somebody has it.
    fn try_begin(&self) -> bool {
        if self.fault == Fault::None {
            return self.product.of(0).try_begin();
        }
        let number = self.sequence.load(Ordering::Relaxed);
        let done = number.is_multiple_of(2)
            && self
                .sequence
                .compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok();
        if done {
            self.fence_after_swap();
        }
        done
    }

    /// `Sequence::end`.
    fn end(&self) {
        if self.fault == Fault::None {
            return self.product.of(0).end();
        }
        self.sequence.store(self.sequence.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// `Sequence::end_alone`.
    fn end_alone(&self) {
        if self.fault == Fault::None {
            self.product.of(0).end_alone();
        } else if self.fault == Fault::EndStores {
            self.end();
        } else {
            self.sequence.fetch_add(1, Ordering::Release);
        }
    }

    /// `Sequence::close`, what is done while it is closed, and `Closed::drop`. False: it has looked
    /// often enough.
    fn closed(&self, act: impl FnOnce()) -> bool {
        if self.fault == Fault::None {
            let _closed = self.product.of(0).close();
            act();
            return true;
        }
        self.sequence.fetch_or(CLOSED, Ordering::Relaxed);
        let mut looks = 0;
        while self.sequence.load(Ordering::Acquire) % 2 == 1 && self.fault != Fault::ClosesAtOnce {
            looks += 1;
            if looks == 3 {
                return false;
            }
            thread::yield_now();
        }
        act();
        assert!(self.sequence.load(Ordering::Relaxed) & CLOSED != 0, "not closed");
        self.open();
        true
    }

    /// `Closed::drop`.
    fn open(&self) {
        let number = self.sequence.load(Ordering::Relaxed) & !CLOSED;
        self.sequence.store(
            if self.fault == Fault::SameNumber { number } else { number + 2 },
            Ordering::Release,
        );
    }

    /// `Shared::overwrite`. False: it takes the lock instead.
    fn overwrite(&self, value: u64) -> bool {
        let early = self.loading.load(Ordering::Relaxed);
        let number = self.number();
        let loading = if self.fault == Fault::LooksEarly {
            early
        } else {
            self.loading.load(Ordering::Relaxed)
        };
        if loading {
            return false;
        }
        let entry = self.find();
        let header = entry.header.load(Ordering::Relaxed);
        if entry.value[0].load(Ordering::Relaxed) > value || !self.begin_at(number) {
            return false;
        }
        // `Entry::overwrite`.
        if self.fault == Fault::StoresHeader {
            entry.header.store(header + 2, Ordering::Relaxed);
        } else {
            let mut word = header;
            while let Err(other) =
                entry.header.compare_exchange(word, word + 2, Ordering::Relaxed, Ordering::Relaxed)
            {
                word = other;
            }
        }
        World::write(entry, value);
        self.end_alone();
        true
    }

    /// `Shared::try_find`, once. None: overtaken.
    fn read(&self) -> Option<u64> {
        let number = self.number();
        let [first, second] = World::copy(self.find());
        self.is_still(number).then(|| {
            assert_eq!(first, second, "torn");
            first
        })
    }

    /// The value at rest.
    fn at_rest(&self) -> u64 {
        let [first, second] = World::copy(self.find());
        assert_eq!(first, second, "torn");
        first
    }

    /// `Writer::keep`: the entry is copied to the other one.
    fn keep(&self) -> bool {
        let early = World::copy(&self.entries[0]);
        if self.fault != Fault::MovesFreely && !self.try_begin() {
            return false;
        }
        let value =
            if self.fault == Fault::CopiesEarly { early } else { World::copy(&self.entries[0]) };
        for (to, value) in self.entries[1].value.iter().zip(value) {
            to.store(value, Ordering::Relaxed);
        }
        self.slot.store(1, Ordering::Release);
        if self.fault != Fault::MovesFreely {
            self.end();
        }
        self.kill();
        true
    }

    /// `Writer::kill`, of the first entry.
    fn kill(&self) {
        self.entries[0].header.fetch_or(1, Ordering::Relaxed);
    }
}

/// An overwriter against who has the lock. `check` is told whether the first was done, if the
/// second was.
fn against(fault: Fault, locked: fn(&World) -> bool, check: fn(&World, bool)) {
    explore(3, move || {
        let world = World::new(fault);
        let holder = thread::spawn({
            let world = world.clone();
            move || locked(&world)
        });
        let done = world.overwrite(100);
        if holder.join().unwrap() {
            check(&world, done);
        }
    });
}

/// A move: an acknowledged set is there afterwards.
fn moves(fault: Fault) {
    against(fault, World::keep, |world, done| {
        assert_eq!(world.at_rest(), if done { 100 } else { 0 }, "lost");
    });
}

/// An increment, which overwrites in place what it has read plus one: before the set, or after it.
fn increments(fault: Fault) {
    against(
        fault,
        |world| {
            world.closed(|| {
                let [first, second] = World::copy(&world.entries[0]);
                assert_eq!(first, second, "torn");
                // `Writer::overwrite`, which finds the word free.
                if world.try_begin() {
                    World::write(&world.entries[0], first + 1);
                    world.end();
                }
            })
        },
        |world, done| {
            let value = world.at_rest();
            assert!(if done { value == 100 || value == 101 } else { value == 1 }, "lost");
        },
    );
}

/// A set that replaces the entry and neither holds nor closes the word. A reader looks twice.
fn replaces(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault);
        let holder = thread::spawn({
            let world = world.clone();
            move || {
                World::write(&world.entries[1], 7);
                world.slot.store(1, Ordering::Release);
                world.kill();
            }
        });
        let reader = thread::spawn({
            let world = world.clone();
            move || (world.read(), world.read())
        });
        let done = world.overwrite(100);
        holder.join().unwrap();
        let seen = reader.join().unwrap();
        let last = world.at_rest();
        assert!(last == 7 || done && last == 100, "lost");
        assert_eq!(world.entries[0].header.load(Ordering::Relaxed) & 1, 1, "alive again");
        let (Some(first), Some(second)) = seen else { return };
        // Either 0, 100, 7 or 0, 7, 100.
        let order = if last == 7 { [0, 100, 7] } else { [0, 7, 100] };
        let place = |value| order.iter().position(|&other| other == value);
        assert!(place(first).unwrap() <= place(second).unwrap(), "out of order");
    });
}

/// A load: it begins after the set, and fetches nothing older; or the set takes the lock, and with
/// it the token.
fn loads(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault);
        let loader = thread::spawn({
            let world = world.clone();
            move || {
                world.loading.store(true, Ordering::Relaxed);
                world.closed(|| ()).then(|| world.read())
            }
        });
        let done = world.overwrite(100);
        if let Some(fetched) = loader.join().unwrap() {
            assert!(!done || fetched == Some(100), "older than a set that left the token");
        }
    });
}

/// A deadline is brought forward, or put off further than the overwriter would: what is noted of it
/// then stays true.
fn redates(fault: Fault) {
    against(
        fault,
        |world| world.closed(|| World::write(&world.entries[0], 500)),
        |world, _| assert_eq!(world.at_rest(), 500, "earlier than noted"),
    );
}

/// A reader who keeps writers out is not overtaken, and one who doesn't sees nothing torn.
fn reads(fault: Fault) {
    explore(3, move || {
        let world = World::new(fault);
        let patient = thread::spawn({
            let world = world.clone();
            move || {
                world.closed(|| assert!(world.read().is_some(), "overtaken"));
            }
        });
        let reader = thread::spawn({
            let world = world.clone();
            move || world.read()
        });
        world.overwrite(100);
        patient.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "cache/in_place.rs",
        &[
            "let number = sequence.number();",
            "self.stripe(hash).loading.load(Ordering::Relaxed)",
            "self.lookup_any(guard, hash, key)",
            "deadline < entry.deadline(header)",
            "if !sequence.begin_at(number)",
            "entry.overwrite(header, &shape, value, self.env.hit_max)",
            "sequence.end_alone();",
        ],
    );
    larder_loom::mirrors(
        "entry/mod.rs",
        &["self.word(0).compare_exchange_weak(word, after, Ordering::Relaxed, Ordering::Relaxed)"],
    );
    larder_loom::mirrors(
        "stripe/evict.rs",
        &[
            "let Some(sequence) = self.hold(hash)",
            "let new = self.append_copy(clock, to, entry, entry.header());",
            "sequence.end();",
        ],
    );
    larder_loom::mirrors(
        "cache/loads.rs",
        &[
            "stripe.loading.store(true, Ordering::Relaxed);",
            "drop(shared.env.seqlocks.of(hash).close());",
        ],
    );
    larder_loom::mirrors(
        "cache/conditional.rs",
        &["let _closed = shared.env.seqlocks.of(hash).close();"],
    );
    larder_loom::mirrors("cache/read.rs", &["(self.env.seqlocks.of(hash).close(), state)"]);
}

#[test]
fn nothing_is_lost_to_a_move() {
    moves(Fault::None);
}

#[test]
fn nothing_is_lost_to_an_increment() {
    increments(Fault::None);
}

#[test]
fn a_replacing_set_needs_no_word() {
    replaces(Fault::None);
}

#[test]
fn a_load_knows_of_sets() {
    loads(Fault::None);
}

#[test]
fn deadlines_are_only_put_off() {
    redates(Fault::None);
}

#[test]
fn readers_are_not_kept_waiting() {
    reads(Fault::None);
}

fails! {
    fails_when_an_overwriter_takes_any_number: moves(AnyNumber), "lost";
    fails_when_an_overwriter_stores: moves(Stores), "lost";
    fails_when_a_move_holds_nothing: moves(MovesFreely), "lost";
    fails_when_a_move_copies_early: moves(CopiesEarly), "lost";
    fails_when_a_closed_word_is_taken: increments(IgnoresClosed), "lost";
    fails_when_closing_waits_for_nobody: increments(ClosesAtOnce), "lost";
    fails_when_the_dead_come_back: replaces(StoresHeader), "alive again";
    fails_when_loads_are_looked_for_early: loads(LooksEarly), "older than a set that left the token";
    fails_when_a_load_does_not_wait: loads(ClosesAtOnce), "older than a set that left the token";
    fails_when_a_word_is_opened_as_it_was: redates(SameNumber), "earlier than noted";
    fails_without_the_fence: reads(NoFence), "torn";
    fails_when_a_patient_reader_does_not_wait: reads(ClosesAtOnce), "overtaken";
    fails_when_an_overwriter_ends_by_a_store: increments(EndStores), "not closed";
}
