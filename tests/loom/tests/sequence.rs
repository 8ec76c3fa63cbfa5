//! `src/sync/seqlock.rs`: a writer that overwrites a small value in place (`Writer::overwrite`,
//! `Entry::overwrite`), readers that copy it (`Shared::try_find`), and a view of it
//! (`Cache::view`). No copy that is believed is torn or older than a set that had returned before,
//! and a value doesn't change under a view.
//!
//! The sequence is the product's own, compiled under loom; a twin of it stands in where it has a
//! fault. Two words stand for the value's bytes; the header and the deadline are two more of their
//! kind.

use larder_loom::seqlock::Seqlocks;
use larder_loom::{explore, fails};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The sequence stays even while the value changes.
    NeverOdd,
    /// A reader believes an odd number that stays the same.
    OddIsFine,
    /// No fence between the odd number and the change (and none between it and the look at the
    /// pins).
    WriterFence,
    /// The even number is stored without release.
    RelaxedEnd,
    /// No fence between a reader's copy and its second look.
    ReaderFence,
    /// The first look is without acquire.
    RelaxedNumber,
    /// The writer looks at the pins before the number is odd.
    EarlyPins,
    /// No fence between a view's pin and its second look.
    ViewFence,
    /// A view doesn't look again.
    ViewBelieves,
    /// A view is released without release.
    RelaxedRelease,
}

struct World {
    /// The product's; its twin is used where there is a fault.
    product: Seqlocks,
    sequence: AtomicU64,
    value: [AtomicU64; 2],
    pins: AtomicU32,
    /// Goes up when a set has returned.
    returned: AtomicU64,
    fault: Fault,
}

impl World {
    fn new(fault: Fault) -> Arc<World> {
        Arc::new(World {
            product: Seqlocks::of_words(1).unwrap(),
            sequence: AtomicU64::new(0),
            value: [0, 0].map(AtomicU64::new),
            pins: AtomicU32::new(0),
            returned: AtomicU64::new(0),
            fault,
        })
    }

    /// `Sequence::number`.
    fn number(&self) -> u64 {
        if self.fault == Fault::None {
            return self.product.of(0).number();
        }
        let ordering =
            if self.fault == Fault::RelaxedNumber { Ordering::Relaxed } else { Ordering::Acquire };
        self.sequence.load(ordering)
    }

    fn even(&self, number: u64) -> bool {
        number.is_multiple_of(2) || self.fault == Fault::OddIsFine
    }

    /// `Sequence::is_still`.
    fn is_still(&self, number: u64) -> bool {
        if self.fault == Fault::None {
            return self.product.of(0).is_still(number);
        }
        if self.fault != Fault::ReaderFence {
            fence(Ordering::Acquire);
        }
        self.even(number) && self.sequence.load(Ordering::Relaxed) == number
    }

    /// `Sequence::is_still_pinned`.
    fn is_still_pinned(&self, number: u64) -> bool {
        if self.fault == Fault::None {
            return self.product.of(0).is_still_pinned(number);
        }
        if self.fault != Fault::ViewFence {
            fence(Ordering::SeqCst);
        }
        self.even(number) && self.sequence.load(Ordering::Relaxed) == number
    }

    fn copy(&self) -> [u64; 2] {
        [0, 1].map(|i| self.value[i].load(Ordering::Relaxed))
    }

    /// `Shared::glance` and `Glimpse::is_whole`, or `Shared::try_find`, once. None: overtaken.
    fn read(&self) -> Option<u64> {
        let returned = self.returned.load(Ordering::Acquire);
        let number = self.number();
        let [first, second] = self.copy();
        self.is_still(number).then(|| {
            assert_eq!(first, second, "torn");
            assert!(first >= returned, "out of date");
            first
        })
    }

    /// `Writer::overwrite`. False: the segment is pinned, so the value is appended instead.
    fn overwrite(&self, value: u64) -> bool {
        if self.fault == Fault::None {
            let sequence = self.product.of(0);
            sequence.begin();
            let pins = self.pins.load(Ordering::SeqCst);
            if pins == 0 {
                self.value.iter().for_each(|word| word.store(value, Ordering::Relaxed));
            }
            sequence.end();
            if pins == 0 {
                self.returned.store(value, Ordering::Release);
            }
            return pins == 0;
        }
        let early = self.pins.load(Ordering::SeqCst);
        let number = self.sequence.load(Ordering::Relaxed);
        if self.fault != Fault::NeverOdd {
            // Here nobody else makes it odd; tests/overwrite.rs has those who do.
            self.sequence
                .compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::Relaxed)
                .unwrap();
        }
        if self.fault != Fault::WriterFence {
            fence(Ordering::SeqCst);
        }
        let pins =
            if self.fault == Fault::EarlyPins { early } else { self.pins.load(Ordering::SeqCst) };
        if pins == 0 {
            self.value[0].store(value, Ordering::Relaxed);
            self.value[1].store(value, Ordering::Relaxed);
        }
        let ordering =
            if self.fault == Fault::RelaxedEnd { Ordering::Relaxed } else { Ordering::Release };
        self.sequence.store(number + 2, ordering);
        if pins == 0 {
            self.returned.store(value, Ordering::Release);
        }
        pins == 0
    }

    /// `Cache::view`, once: takes one, looks at it twice, and releases it.
    fn view(&self) {
        let number = self.number();
        self.pins.fetch_add(1, Ordering::SeqCst);
        if self.is_still_pinned(number) || self.fault == Fault::ViewBelieves {
            let before = self.copy();
            assert_eq!(before[0], before[1], "a torn view");
            thread::yield_now();
            assert_eq!(self.copy(), before, "a view has changed");
        }
        let ordering =
            if self.fault == Fault::RelaxedRelease { Ordering::Relaxed } else { Ordering::Release };
        self.pins.fetch_sub(1, ordering);
    }
}

/// A reader against a writer that writes twice.
fn reader(fault: Fault) {
    explore(4, move || {
        let world = World::new(fault);
        let writer = thread::spawn({
            let world = world.clone();
            move || {
                world.overwrite(1);
                world.overwrite(2);
            }
        });
        world.read();
        world.read();
        writer.join().unwrap();
        assert_eq!(world.read(), Some(2));
    });
}

/// A view against a writer that writes twice.
fn view(fault: Fault) {
    explore(4, move || {
        let world = World::new(fault);
        let writer = thread::spawn({
            let world = world.clone();
            move || {
                world.overwrite(1);
                world.overwrite(2);
            }
        });
        world.view();
        writer.join().unwrap();
    });
}

/// What was read through a view was read before the writer that finds no pin any more writes: here
/// the reading is a plain one, of memory that loom watches.
fn release(fault: Fault) {
    explore(4, move || {
        let world = World::new(fault);
        let memory = Arc::new(loom::cell::UnsafeCell::new(7));
        world.pins.fetch_add(1, Ordering::SeqCst);
        let viewer = thread::spawn({
            let (world, memory) = (world.clone(), memory.clone());
            move || {
                // SAFETY: what the model is about. loom fails the model if it isn't so.
                memory.with(|memory| unsafe { assert_eq!(*memory, 7) });
                let ordering = if fault == Fault::RelaxedRelease {
                    Ordering::Relaxed
                } else {
                    Ordering::Release
                };
                world.pins.fetch_sub(1, ordering);
            }
        });
        if world.overwrite(1) {
            // SAFETY: as above.
            memory.with_mut(|memory| unsafe { *memory = 8 });
        }
        viewer.join().unwrap();
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "stripe/set.rs",
        &["if segment.pins.load(Ordering::SeqCst) > 0 { sequence.end();"],
    );
    larder_loom::mirrors(
        "cache/in_place.rs",
        &["if segment.pins.load(Ordering::SeqCst) > 0 { sequence.end_alone();"],
    );
    larder_loom::mirrors(
        "cache/view.rs",
        &[
            "pins.fetch_add(1, Ordering::SeqCst);",
            "!sequence.is_still_pinned(number)",
            "pins.fetch_sub(1, Ordering::Release);",
        ],
    );
}

#[test]
fn readers_notice() {
    reader(Fault::None);
}

#[test]
fn views_stay() {
    view(Fault::None);
    release(Fault::None);
}

fails! {
    fails_when_never_odd: reader(NeverOdd), "torn";
    fails_when_odd_is_fine: reader(OddIsFine), "torn";
    fails_without_the_writers_fence: reader(WriterFence), "torn";
    fails_when_the_end_orders_nothing: reader(RelaxedEnd), "torn";
    fails_without_the_readers_fence: reader(ReaderFence), "torn";
    fails_when_the_first_look_orders_nothing: reader(RelaxedNumber), "torn";
    fails_when_pins_are_looked_at_too_early: view(EarlyPins), "a view has changed";
    fails_without_the_writers_fence_under_a_view: view(WriterFence), "view";
    fails_without_the_views_fence: view(ViewFence), "view";
    fails_when_a_view_believes: view(ViewBelieves), "view";
    fails_when_a_release_orders_nothing: release(RelaxedRelease), "Causality violation";
}
