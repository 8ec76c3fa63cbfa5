//! `src/index/`: readers without a lock against the writer of a stripe that inserts, overwrites,
//! removes, moves, grows, shrinks and clears. A key that is there all the time is never missed, and
//! what a set has replaced before it returned is never found after that.
//!
//! The table is a copy with one slot to a bucket, eight tags and a reach of two buckets. Entries
//! are words of memory that are written before they are published.

use larder_loom::explore;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;

const TAG_END: u64 = 8;
const REACH: usize = 2;
const BUCKETS: usize = 2 + REACH;
/// How often a reader tries, the glance included. The real one tries 64 times more and then says
/// `Moving`, as this one does.
const TRIES: usize = 2;

/// A neighbour whose home is the first bucket, at any size.
const NEIGHBOUR: Slot = Slot(1 << 8 | 9);
/// The tag of the key that readers look for: home in the first bucket of one, in the second of two.
const TAG: u64 = 7;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Moves don't touch the version.
    NoVersion,
    /// A reader that finds nothing believes it.
    NoCheck,
    /// A reader believes an odd version that stays the same.
    OddIsFine,
    /// No fence between the odd version and the moves.
    ReleaseFence,
    /// No fence between a reader's looks and its second look at the version.
    AcquireFence,
    /// An entry is published without release.
    RelaxedPublish,
    /// The word that is followed is read without acquire.
    RelaxedRead,
}

/// A tag (above) and the number of an entry (the low eight bits); 0 is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot(u64);

impl Slot {
    fn new(tag: u64, entry: u64) -> Slot {
        Slot(tag << 8 | entry)
    }
    fn tag(self) -> u64 {
        self.0 >> 8
    }
    fn entry(self) -> u64 {
        self.0 & 0xff
    }
}

fn home(tag: u64, buckets: u32) -> usize {
    (tag * u64::from(buckets) / TAG_END) as usize
}

fn first_tag(bucket: usize, buckets: u32) -> u64 {
    (bucket as u64 * TAG_END).div_ceil(u64::from(buckets))
}

struct Index {
    version: AtomicU64,
    lo: AtomicU32,
    hi: AtomicU32,
    split: AtomicU64,
    slots: [AtomicU64; BUCKETS],
    entries: [UnsafeCell<u64>; 3],
    /// Goes up when a set (or a clear) has returned.
    returned: AtomicU64,
    fault: Fault,
}

// SAFETY: the entries are what publication protects; loom checks each access.
unsafe impl Sync for Index {}
// SAFETY: as above.
unsafe impl Send for Index {}

#[derive(Debug, PartialEq)]
struct Moving;

impl Index {
    /// A table of `buckets` buckets that holds these slots.
    fn new(fault: Fault, buckets: u32, slots: &[(usize, Slot)]) -> Arc<Index> {
        let index = Index {
            version: AtomicU64::new(0),
            lo: AtomicU32::new(buckets),
            hi: AtomicU32::new(buckets),
            split: AtomicU64::new(0),
            slots: std::array::from_fn(|_| AtomicU64::new(0)),
            entries: [0u64, 101, 0].map(UnsafeCell::new),
            returned: AtomicU64::new(0),
            fault,
        };
        for &(bucket, slot) in slots {
            index.slots[bucket].store(slot.0, Ordering::Relaxed);
        }
        Arc::new(index)
    }

    /// `Index::home`.
    fn home(&self, tag: u64) -> usize {
        let (lo, hi) = (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed));
        home(tag, if tag < self.split.load(Ordering::Relaxed) { lo } else { hi })
    }

    /// A get: the content of the entry of `TAG`. `Index::glance`, and where that is unclear
    /// `Index::find`.
    fn find(&self) -> Result<Option<u64>, Moving> {
        for attempt in 0..TRIES {
            if let Some(answer) = self.look_once(attempt == 0) {
                return Ok(answer);
            }
            loom::thread::yield_now();
        }
        Err(Moving)
    }

    /// `Index::glance` with the comparison of `Shared::glimpse`, or once around the loop of
    /// `Index::find`, with `candidates` and the comparison of `Shared::lookup_any`; and
    /// `unmoved_since`. None: it is unclear. `look` reads a bucket's words once to compare tags;
    /// what matched is read again.
    fn look_once(&self, glance: bool) -> Option<Option<u64>> {
        let version = self.version.load(Ordering::Acquire);
        let start = self.home(TAG);
        for bucket in start..start + REACH {
            let seen = self.slots[bucket].load(Ordering::Acquire);
            if Slot(seen).tag() == TAG {
                let ordering = if self.fault == Fault::RelaxedRead {
                    Ordering::Relaxed
                } else {
                    Ordering::Acquire
                };
                let word = self.slots[bucket].load(ordering);
                // The tag stands for the whole key here.
                if word != 0 && Slot(word).tag() == TAG {
                    // SAFETY: what the model is about. loom fails the model if it isn't so.
                    return Some(Some(
                        self.entries[Slot(word).entry() as usize].with(|entry| unsafe { *entry }),
                    ));
                }
                if glance {
                    return None;
                }
            }
            if seen == 0 {
                break;
            }
        }
        if self.fault == Fault::NoCheck {
            return Some(None);
        }
        if self.fault != Fault::AcquireFence {
            fence(Ordering::Acquire);
        }
        let even = version.is_multiple_of(2) || self.fault == Fault::OddIsFine;
        (even && self.version.load(Ordering::Relaxed) == version).then_some(None)
    }

    /// `entry::write`, then `Index::replace` of the slot in this bucket, or `Index::put` where it
    /// is empty.
    fn publish(&self, bucket: usize, entry: u64) {
        // SAFETY: nobody can see the entry before the store below.
        self.entries[entry as usize].with_mut(|memory| unsafe { *memory = 100 + entry });
        let ordering =
            if self.fault == Fault::RelaxedPublish { Ordering::Relaxed } else { Ordering::Release };
        self.slots[bucket].store(Slot::new(TAG, entry).0, ordering);
    }

    /// `Index::take_out` and `Index::pull_into`.
    fn take_out(&self, place: usize, in_move: bool) {
        let mut hole = place;
        let mut moving = in_move;
        for bucket in hole + 1..hole + REACH {
            let word = self.slots[bucket].load(Ordering::Relaxed);
            if word == 0 {
                break;
            }
            if self.home(Slot(word).tag()) <= hole {
                if !moving {
                    self.begin_move();
                    moving = true;
                }
                self.slots[hole].store(word, Ordering::Release);
                hole = bucket;
            }
        }
        self.slots[hole].store(0, Ordering::Release);
        if moving && !in_move {
            self.end_move();
        }
    }

    /// `Index::begin_move`.
    fn begin_move(&self) {
        if self.fault == Fault::NoVersion {
            return;
        }
        self.version.store(self.version.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if self.fault != Fault::ReleaseFence {
            fence(Ordering::Release);
        }
    }

    /// `Index::end_move`.
    fn end_move(&self) {
        if self.fault == Fault::NoVersion {
            return;
        }
        self.version.store(self.version.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// `Index::put`.
    fn put(&self, slot: Slot) {
        let start = self.home(slot.tag());
        for bucket in &self.slots[start..start + REACH] {
            if bucket.load(Ordering::Relaxed) == 0 {
                bucket.store(slot.0, Ordering::Release);
                return;
            }
        }
        panic!("the model's table is too small");
    }

    /// `Index::begin_growth`.
    fn begin_growth(&self, more: u32) {
        self.begin_move();
        self.hi.store(more, Ordering::Relaxed);
        self.split.store(TAG_END, Ordering::Relaxed);
        self.end_move();
    }

    /// `Index::steps`, where it begins to shrink.
    fn begin_shrink(&self, fewer: u32) {
        self.begin_move();
        self.lo.store(fewer, Ordering::Relaxed);
        self.split.store(0, Ordering::Relaxed);
        self.end_move();
    }

    /// `Index::step`.
    fn step(&self, growing: bool) {
        let (lo, hi) = (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed));
        let split = self.split.load(Ordering::Relaxed);
        let (bucket, from, to) = if growing {
            let bucket = home(split - 1, lo);
            (bucket, first_tag(bucket, lo), split)
        } else {
            let bucket = home(split, hi);
            (bucket, split, first_tag(bucket + 1, hi).min(TAG_END))
        };
        self.begin_move();
        let mut movers = Vec::new();
        for at in bucket..bucket + REACH {
            loop {
                let word = self.slots[at].load(Ordering::Relaxed);
                if word == 0 || !(from..to).contains(&Slot(word).tag()) {
                    break;
                }
                movers.push(Slot(word));
                self.take_out(at, true);
            }
            if self.slots[at].load(Ordering::Relaxed) == 0 {
                break;
            }
        }
        self.split.store(if growing { from } else { to }, Ordering::Relaxed);
        for mover in movers {
            self.put(mover);
        }
        self.end_move();
        if growing && from == 0 {
            self.lo.store(hi, Ordering::Release);
        } else if !growing && to == TAG_END {
            self.hi.store(lo, Ordering::Release);
        }
    }

    /// `Index::clear`. The kernel clears the real slots.
    fn clear(&self) {
        self.begin_move();
        for slot in &self.slots {
            slot.store(0, Ordering::Relaxed);
        }
        self.lo.store(1, Ordering::Relaxed);
        self.hi.store(1, Ordering::Relaxed);
        self.end_move();
    }

    /// A call returns: whoever sees this came later.
    fn says_done(&self) {
        self.returned.store(1, Ordering::Release);
    }

    fn is_done(&self) -> bool {
        self.returned.load(Ordering::Acquire) == 1
    }
}

/// The key is there all the time while a writer does something: no reader misses it.
fn always_found(
    fault: Fault,
    preemptions: usize,
    buckets: u32,
    slots: &'static [(usize, Slot)],
    write: fn(&Index),
) {
    explore(preemptions, move || {
        let index = Index::new(fault, buckets, slots);
        let reader = thread::spawn({
            let index = index.clone();
            move || {
                let found = index.find();
                assert!(matches!(found, Ok(Some(101)) | Err(Moving)), "missed: {found:?}");
            }
        });
        write(&index);
        reader.join().unwrap();
        assert_eq!(index.find(), Ok(Some(101)), "missed at rest");
    });
}

const KEY: Slot = Slot(TAG << 8 | 1);

/// The neighbour goes, and the key is pulled into its place.
fn pull(fault: Fault) {
    always_found(fault, 5, 1, &[(0, NEIGHBOUR), (1, KEY)], |index| index.take_out(0, false));
}

/// One bucket becomes two: the key moves from behind its neighbour to a home of its own.
fn growth(fault: Fault) {
    always_found(fault, 5, 1, &[(0, NEIGHBOUR), (1, KEY)], |index| {
        index.begin_growth(2);
        index.step(true);
    });
}

/// One bucket is about to become two, and the key waits in its old home, the first. Nothing but the
/// layout changes.
fn growth_begins(fault: Fault) {
    always_found(fault, 5, 1, &[(0, KEY)], |index| index.begin_growth(2));
}

/// Two buckets become one.
fn shrinking(fault: Fault) {
    always_found(fault, 4, 2, &[(0, NEIGHBOUR), (1, KEY)], |index| {
        index.begin_shrink(1);
        index.step(false);
        index.step(false);
    });
}

/// The key is overwritten, and its new slot is pulled elsewhere: who comes after the set finds the
/// new value.
fn overwritten(fault: Fault) {
    explore(5, move || {
        let index = Index::new(fault, 1, &[(0, NEIGHBOUR), (1, KEY)]);
        let reader = thread::spawn({
            let index = index.clone();
            move || {
                let after = index.is_done();
                match index.find() {
                    Ok(Some(101)) => assert!(!after, "an old value after the set returned"),
                    Ok(Some(102)) | Err(Moving) => {}
                    other => panic!("missed: {other:?}"),
                }
            }
        });
        index.publish(1, 2);
        index.says_done();
        index.take_out(0, false);
        reader.join().unwrap();
    });
}

/// A key that was not there is set: found whole, and by everyone who comes after the set.
fn inserted(fault: Fault) {
    explore(5, move || {
        let index = Index::new(fault, 1, &[(0, NEIGHBOUR)]);
        let reader = thread::spawn({
            let index = index.clone();
            move || {
                let after = index.is_done();
                match index.find() {
                    Ok(Some(value)) => assert_eq!(value, 102, "half an entry"),
                    Ok(None) => assert!(!after, "missed after the set returned"),
                    Err(Moving) => {}
                }
            }
        });
        index.publish(1, 2);
        index.says_done();
        reader.join().unwrap();
    });
}

/// Everything goes: who comes after finds nothing.
fn cleared(fault: Fault) {
    explore(5, move || {
        let index = Index::new(fault, 2, &[(0, NEIGHBOUR), (1, KEY)]);
        let reader = thread::spawn({
            let index = index.clone();
            move || {
                let after = index.is_done();
                if let Ok(Some(_)) = index.find() {
                    assert!(!after, "found after the clear returned");
                }
            }
        });
        index.clear();
        index.says_done();
        reader.join().unwrap();
        assert_eq!(index.find(), Ok(None));
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "index/table.rs",
        &[
            "let version = self.version.load(Ordering::Acquire);",
            "let (lo, hi) = (self.lo.load(Ordering::Relaxed), self.hi.load(Ordering::Relaxed));",
            "home(tag, if tag < self.split.load(Ordering::Relaxed) { lo } else { hi })",
            "return if word == 0 { Glance::Unclear } else { Glance::Likely(Slot(word)) };",
            "if self.unmoved_since(version) { Glance::Absent } else { Glance::Unclear }",
            "fence(Ordering::Acquire); version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version",
            "self.slot(place).store(slot.0, Ordering::Release);",
            "self.version.store(version + 1, Ordering::Relaxed);",
            "fence(Ordering::Release);",
            "self.version.store(version + 1, Ordering::Release);",
            "self.slot(place).store(0, Ordering::Release);",
            "self.slot(hole).store(slots[slot].load(Ordering::Relaxed), Ordering::Release);",
            "self.slot(hole).store(0, Ordering::Release);",
            "slots[empty].store(slot.0, Ordering::Release);",
        ],
    );
    larder_loom::mirrors(
        "index/bucket.rs",
        &["let word = slots[slot].load(Ordering::Acquire); // It may"],
    );
    larder_loom::mirrors(
        "index/resize.rs",
        &[
            "self.hi.store(more, Ordering::Relaxed); self.split.store(TAG_END, Ordering::Relaxed);",
            "self.split.store(from, Ordering::Relaxed);",
            "self.split.store(to, Ordering::Relaxed);",
            "self.lo.store(hi, Ordering::Release);",
            "self.hi.store(lo, Ordering::Release);",
        ],
    );
}

#[test]
fn a_key_that_is_pulled_is_found() {
    pull(Fault::None);
}

#[test]
fn a_key_is_found_while_the_table_grows() {
    growth_begins(Fault::None);
    growth(Fault::None);
}

#[test]
fn a_key_is_found_while_the_table_shrinks() {
    shrinking(Fault::None);
}

#[test]
fn an_overwritten_value_is_gone() {
    overwritten(Fault::None);
}

#[test]
fn a_new_entry_is_whole() {
    inserted(Fault::None);
}

#[test]
fn what_is_cleared_is_gone() {
    cleared(Fault::None);
}

#[test]
#[should_panic(expected = "missed")]
fn fails_when_moves_have_no_version() {
    pull(Fault::NoVersion);
}

#[test]
#[should_panic(expected = "missed")]
fn fails_when_misses_are_not_checked() {
    pull(Fault::NoCheck);
}

#[test]
#[should_panic(expected = "missed")]
fn fails_when_odd_versions_are_believed() {
    growth(Fault::OddIsFine);
}

#[test]
#[should_panic(expected = "missed")]
fn fails_without_the_movers_fence() {
    growth_begins(Fault::ReleaseFence);
}

#[test]
#[should_panic(expected = "missed")]
fn fails_without_the_readers_fence() {
    growth_begins(Fault::AcquireFence);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_published_without_release() {
    inserted(Fault::RelaxedPublish);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn fails_when_followed_without_acquire() {
    overwritten(Fault::RelaxedRead);
}
