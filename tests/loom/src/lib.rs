//! Models of larder's protocols between threads, small enough for [loom] to try every order in which they can run and
//! every value that the memory model lets a load return.
//!
//! Each file in `tests/` models one protocol and says which functions of `src/` it mirrors, with the same operations in
//! the same order with the same memory orderings. What can't be modelled is named where it is left out. Each protocol
//! also comes with *faults*: a barrier or a step left out. Those tests expect loom to find what goes wrong, so a model
//! that can't see a mistake doesn't pass. [`mirrors`] fails when a line that a model copies is no longer in the source.
//!
//! loom treats accesses that are `SeqCst` as `AcqRel`; `SeqCst` fences are modelled in full. What holds here therefore
//! holds by fences and acquire/release alone.
//!
//! [loom]: https://docs.rs/loom

pub mod epoch;

/// Tests of a model with a fault, `name: model(Fault), "what it panics with";` each: loom must find what goes wrong.
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

/// Runs a model in all orders with at most so many preemptions (switches away from a thread that could go on; switches
/// at blocking operations and at the ends of threads are not counted). Most bugs of weak memory need one or two.
pub fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Checks that each of these lines is in `src/<file>`, whatever its indentation: a model is worth something only as
/// long as it is a copy.
///
/// # Panics
/// If one isn't.
pub fn mirrors(file: &str, lines: &[&str]) {
    let path = format!("{}/../../src/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(&path).expect("the source of the cache");
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let source = squeeze(&source);
    for line in lines {
        assert!(source.contains(&squeeze(line)), "src/{file} no longer has `{line}`: bring the model up to date");
    }
}
