//! Another Rust static library, whose standard library is whole: a program links it beside larder's. It panics, and
//! catches that, as the core may have to: each needs its own personality and unwinder.

/// Returns 7, by way of a panic.
#[unsafe(no_mangle)]
pub extern "C" fn other_seven() -> i32 {
    std::panic::set_hook(Box::new(|_| ()));
    std::panic::catch_unwind(|| -> i32 { panic!("{}", "seven".len() + 2) })
        .map_or_else(|what| what.downcast_ref::<String>().map_or(0, |it| it.parse().unwrap_or(0)), |it| it)
}
