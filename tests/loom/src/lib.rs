//! Models of larder's protocols between threads, small enough for [loom] to try every order in
//! which they can run and every value that the memory model lets a load return.
//!
//! Where the layers allow it the product's own file is what runs ([`seqlock`], [`filter`]): it
//! finds loom's atomics under the names of `src/sys/atomic.rs`. The rest are copies, for these
//! reasons: the epoch stands on `membarrier`, which no memory model has, and on thread-local slots;
//! the index, entries and segments are raw memory, whose every word would be an object of loom's;
//! the waker's flags are statics, which loom would have to make anew for each run; combining's
//! records are memory that only the lock's holder reads, which its model watches by loom's own
//! cell.
//!
//! Each file in `tests/` models one protocol and says which functions of `src/` it mirrors, with
//! the same operations in the same order with the same memory orderings. What can't be modelled is
//! named where it is left out. Each protocol also comes with *faults*: a barrier or a step left
//! out. Those tests expect loom to find what goes wrong, so a model that can't see a mistake
//! doesn't pass. [`mirrors`] fails when a line that a model copies is no longer in the source.
//!
//! loom treats accesses that are `SeqCst` as `AcqRel`; `SeqCst` fences are modelled in full. What
//! holds here therefore holds by fences and acquire/release alone.
//!
//! [loom]: https://docs.rs/loom

#![allow(clippy::new_without_default, reason = "as in the product, some of whose files these are")]

pub mod epoch;
#[path = "../../../src/stripe/deferred/pending_filter.rs"]
pub mod pending_filter;
#[path = "../../../src/sync/seqlock.rs"]
pub mod seqlock;

/// What the product's files find here instead of `src/sys`.
pub mod sys {
    /// loom's atomics.
    pub mod atomic {
        pub use loom::hint::spin_loop;
        pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
        pub use loom::thread::yield_now;

        /// Where the product has one, the processor's instruction before it is a fence already.
        pub fn compiler_fence(ordering: Ordering) {
            fence(ordering);
        }
    }

    /// No system that refuses anything.
    pub mod os {
        /// What is asked for.
        pub enum Ask {
            /// Memory of the heap.
            Heap,
        }

        /// Never.
        pub fn refused(_: Ask) -> bool {
            false
        }
    }
}

/// Tests of a model with a fault, `name: model(Fault), "what it panics with";` each: loom must find
/// what goes wrong.
#[macro_export]
macro_rules! fails {
    ($($name:ident: $model:ident($fault:ident), $what:literal;)*) => {$(
        #[test]
        #[should_panic(expected = $what)]
        fn $name() {
            $model(Fault::$fault);
        }
    )*};
}

/// Runs a model in all orders with at most so many preemptions (switches away from a thread that
/// could go on; switches at blocking operations and at the ends of threads are not counted). Most
/// bugs of weak memory need one or two.
pub fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Checks that each of these lines is in `src/<file>`, whatever its indentation: a model is worth
/// something only as long as it is a copy.
///
/// # Panics
/// If one isn't.
pub fn mirrors(file: &str, lines: &[&str]) {
    let path = format!("{}/../../src/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(&path).expect("the source of the cache");
    // How lines are broken, and what comments say, doesn't matter.
    let squeeze = |text: &str| {
        let code: String = text.lines().filter_map(|line| line.split("//").next()).collect();
        code.split_whitespace().collect::<String>().replace(",)", ")")
    };
    let source = squeeze(&source);
    for line in lines {
        assert!(
            source.contains(&squeeze(line)),
            "src/{file} no longer has `{line}`: bring the model up to date"
        );
    }
}
