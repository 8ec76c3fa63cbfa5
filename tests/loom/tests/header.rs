//! The header word of an entry (`src/entry/mod.rs`): readers count hits in it while the holder of
//! the stripe's lock marks the entry dead or sets the policy's bits. Lengths and flags survive, and
//! the counter stays in its two bits.

use larder_loom::explore;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

const POLICY_SHIFT: u32 = 49;
const POLICY_MASK: u64 = 0xf << POLICY_SHIFT;
const DEAD: u64 = 1 << 55;
/// A key of 3 bytes, a value of 5, a deadline, 7 steps.
const REST: u64 = 3 | 5 << 17 | 1 << 53 | 7 << 56;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A hit is stored, not exchanged.
    HitStores,
    /// A hit is added to whatever is there.
    HitAdds,
    /// The policy's bits are stored, not exchanged.
    BitsStore,
}

struct World {
    word: AtomicU64,
    fault: Fault,
}

impl World {
    fn counter(&self) -> u64 {
        self.word.load(Ordering::Relaxed) >> POLICY_SHIFT & 3
    }

    /// `Entry::header`, then `Entry::mark_hit`.
    fn hit(&self, max: u64) {
        let header = self.word.load(Ordering::Relaxed);
        if (header >> POLICY_SHIFT & 3) < max {
            let raised = header + (1 << POLICY_SHIFT);
            match self.fault {
                Fault::HitStores => self.word.store(raised, Ordering::Relaxed),
                Fault::HitAdds => {
                    self.word.fetch_add(1 << POLICY_SHIFT, Ordering::Relaxed);
                }
                _ => {
                    let _ = self.word.compare_exchange(
                        header,
                        raised,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                }
            }
        }
    }

    /// `Entry::mark_dead`.
    fn mark_dead(&self) {
        self.word.fetch_or(DEAD, Ordering::Relaxed);
    }

    /// `Entry::set_policy_bits`.
    fn set_policy_bits(&self, bits: u64) {
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            let new = now & !POLICY_MASK | (bits << POLICY_SHIFT) & POLICY_MASK;
            if self.fault == Fault::BitsStore {
                self.word.store(new, Ordering::Relaxed);
                return;
            }
            match self.word.compare_exchange_weak(now, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }
}

fn new(fault: Fault, counter: u64) -> Arc<World> {
    Arc::new(World { word: AtomicU64::new(REST | counter << POLICY_SHIFT), fault })
}

/// Two readers hit an entry that the writer kills.
fn hits_and_death(fault: Fault, max: u64) {
    explore(5, move || {
        let world = new(fault, max - 1);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let world = world.clone();
                thread::spawn(move || world.hit(max))
            })
            .collect();
        world.mark_dead();
        for reader in readers {
            reader.join().unwrap();
        }
        let word = world.word.load(Ordering::Relaxed);
        assert_eq!(word & DEAD, DEAD, "a hit brought it back to life");
        assert!(world.counter() <= max, "the counter went past its end");
        assert_eq!(word & !DEAD & !(3 << POLICY_SHIFT), REST, "lengths or flags changed");
    });
}

/// A reader hits an entry to which the writer gives new bits (with the counter at 0) and which it
/// then kills.
fn hits_and_bits(fault: Fault) {
    explore(5, move || {
        let world = new(fault, 1);
        let reader = thread::spawn({
            let world = world.clone();
            move || {
                world.hit(3);
                world.hit(3);
            }
        });
        world.set_policy_bits(0b1100);
        let before = world.counter();
        world.mark_dead();
        reader.join().unwrap();
        let word = world.word.load(Ordering::Relaxed);
        assert!(before <= world.counter(), "a hit took the counter down");
        assert_eq!(
            word & !(3 << POLICY_SHIFT),
            REST | DEAD | 0b1100 << POLICY_SHIFT,
            "bits were lost"
        );
    });
}

/// The writer gives new bits while a hit comes: only the policy's bits may change.
fn bits_keep_the_rest(fault: Fault) {
    explore(5, move || {
        let world = new(fault, 0);
        let killer = thread::spawn({
            let world = world.clone();
            // Not a thing that happens (both are under the stripe's lock), but a flag that a reader
            // sets would be such a bit.
            move || world.mark_dead()
        });
        world.set_policy_bits(0b100);
        killer.join().unwrap();
        assert_eq!(
            world.word.load(Ordering::Relaxed),
            REST | DEAD | 0b100 << POLICY_SHIFT,
            "a flag was lost"
        );
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "entry/mod.rs",
        &[
            "compare_exchange(header.word, raised, Ordering::Relaxed, Ordering::Relaxed)",
            "self.word(0).fetch_or(DEAD, Ordering::Relaxed);",
            "word.compare_exchange_weak(now, new, Ordering::Relaxed, Ordering::Relaxed)",
            "const POLICY_SHIFT: u32 = 49;",
            "const POLICY_MASK: u64 = 0xf << POLICY_SHIFT;",
            "const DEAD: u64 = 1 << 55;",
        ],
    );
}

#[test]
fn the_dead_stay_dead() {
    hits_and_death(Fault::None, 1);
    hits_and_death(Fault::None, 3);
}

#[test]
fn new_bits_stand() {
    hits_and_bits(Fault::None);
    bits_keep_the_rest(Fault::None);
}

#[test]
#[should_panic(expected = "back to life")]
fn fails_when_hits_are_stored() {
    hits_and_death(Fault::HitStores, 1);
}

#[test]
#[should_panic(expected = "lengths or flags changed")]
fn fails_when_hits_are_added() {
    hits_and_death(Fault::HitAdds, 3);
}

#[test]
#[should_panic(expected = "a flag was lost")]
fn fails_when_bits_are_stored() {
    bits_keep_the_rest(Fault::BitsStore);
}
