//! `Space::reserve` of `src/memory/mod.rs` against `Cache::resize`: when a resize has said that all
//! fits, nobody commits beyond the new budget any more. (Segments and runs are taken under the
//! pool's lock; pages of the index and bookkeeping are not.)

use larder_loom::explore;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The budget is not looked at again after the bytes were added.
    NoSecondLook,
    /// The resize only looks at what is committed, and adds nothing to it.
    LookOnly,
}

struct Space {
    max: AtomicU64,
    committed: AtomicU64,
    fault: Fault,
}

impl Space {
    fn new(fault: Fault) -> Arc<Space> {
        Arc::new(Space { max: AtomicU64::new(10), committed: AtomicU64::new(5), fault })
    }

    /// `Space::reserve`.
    fn reserve(&self, bytes: u64) -> bool {
        let max = || self.max.load(Ordering::SeqCst);
        let fits = |now: u64| (now + bytes <= max()).then_some(now + bytes);
        if self.committed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_err() {
            return false;
        }
        if self.fault != Fault::NoSecondLook && self.committed.load(Ordering::SeqCst) > max() {
            self.committed.fetch_sub(bytes, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// `Space::set_max`, then `trim_to_budget` with nothing to give back.
    fn resize(&self, max: u64) -> bool {
        self.max.store(max, Ordering::SeqCst);
        let fits = self.committed.load(Ordering::Relaxed) <= self.max.load(Ordering::Relaxed);
        if self.fault == Fault::LookOnly { fits } else { fits && self.reserve(0) }
    }
}

fn shrink_while_reserving(fault: Fault) {
    explore(5, move || {
        let space = Space::new(fault);
        let other = thread::spawn({
            let space = space.clone();
            move || space.reserve(4)
        });
        let fits = space.resize(6);
        let reserved = other.join().unwrap();
        let committed = space.committed.load(Ordering::Relaxed);
        assert_eq!(committed, if reserved { 9 } else { 5 });
        assert!(!fits || committed <= 6, "beyond the budget after the resize");
    });
}

/// Two who reserve at once never both get what is there once.
fn reserve_twice(fault: Fault) {
    explore(5, move || {
        let space = Space::new(fault);
        let other = thread::spawn({
            let space = space.clone();
            move || space.reserve(4)
        });
        let mine = space.reserve(4);
        let others = other.join().unwrap();
        assert!(!(mine && others), "beyond the budget");
        assert_eq!(
            space.committed.load(Ordering::Relaxed),
            5 + 4 * (u64::from(mine) + u64::from(others))
        );
    });
}

#[test]
fn the_model_is_a_copy() {
    larder_loom::mirrors(
        "memory/budget.rs",
        &[
            "let fits = |now: u64| (now + bytes <= max()).then_some(now + bytes);",
            "self.committed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_err()",
            "if self.committed.load(Ordering::SeqCst) > max() { self.unreserve(bytes); return false; }",
            "self.committed.fetch_sub(bytes, Ordering::SeqCst);",
            "self.signals.max.store(max, Ordering::SeqCst);",
            "if self.committed() + bytes <= self.max() && self.reserve(bytes) {",
        ],
    );
}

#[test]
fn a_resize_that_fits_stays_fit() {
    shrink_while_reserving(Fault::None);
}

#[test]
fn bytes_are_reserved_once() {
    reserve_twice(Fault::None);
}

#[test]
#[should_panic(expected = "beyond the budget")]
fn fails_without_a_second_look_at_the_budget() {
    shrink_while_reserving(Fault::NoSecondLook);
}

#[test]
#[should_panic(expected = "beyond the budget")]
fn fails_when_the_resize_only_looks() {
    shrink_while_reserving(Fault::LookOnly);
}
