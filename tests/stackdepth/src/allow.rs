//! What a fast-door function may call outside the library, and how much stack each is granted.
//!
//! The check cannot see into the C library, so every entry is a fixed, generous allowance. Anything
//! that is not listed here fails the check: adding a line is a decision, with its reason beside it.

/// One external function and the bytes of stack it is granted, return address excluded.
pub struct Allowance {
    pub name: &'static str,
    pub bytes: u64,
    pub reason: &'static str,
}

pub const ALLOWED: &[Allowance] = &[
    // glibc's memory functions are hand-written leaf routines: at most a few saved registers.
    Allowance { name: "memcpy", bytes: 256, reason: "leaf routine in assembly" },
    Allowance { name: "memmove", bytes: 256, reason: "leaf routine in assembly" },
    Allowance { name: "memset", bytes: 256, reason: "leaf routine in assembly" },
    Allowance { name: "memcmp", bytes: 256, reason: "leaf routine in assembly" },
    Allowance { name: "bcmp", bytes: 256, reason: "alias of memcmp" },
    // The C library's wrapper plus the kernel's vDSO function. On a machine whose clock source the
    // vDSO does not serve, the system call behind it runs on the kernel's stack.
    Allowance { name: "clock_gettime", bytes: 512, reason: "wrapper and vDSO" },
    // Only its fast path: a thread's first use of the library, which may allocate, goes through the
    // slow door. In an executable the linker replaces the call by a load from the thread's own
    // segment.
    Allowance { name: "__tls_get_addr", bytes: 256, reason: "fast path, thread already known" },
];

/// The allowance of an external function, if it has one.
pub fn allowance(name: &str) -> Option<&'static Allowance> {
    // Versioned names as a shared library's symbol table may carry them: memcpy@GLIBC_2.14.
    let bare = name.split('@').next().unwrap_or(name);
    ALLOWED.iter().find(|a| a.name == bare)
}

/// Functions inside the library that are granted a fixed allowance and not looked into, as if they
/// were external.
pub const TRUSTED: &[Allowance] = &[
    // Entered only when a thread began to wait in the few hundred nanoseconds during which the fast
    // door held the lock. It takes the thread from parking_lot's table, which that thread has made
    // (so nothing is allocated), and wakes it: one futex call that doesn't block. Looked into, it
    // needs 550 bytes.
    Allowance {
        name: "parking_lot::raw_mutex::RawMutex::unlock_slow",
        bytes: 768,
        reason: "wakes a waiter; its panics and allocations belong to a table that exists by then",
    },
];

/// The allowance of a function inside the library, by its demangled name.
pub fn trusted(demangled: &str) -> Option<&'static Allowance> {
    TRUSTED.iter().find(|a| a.name == demangled)
}

/// Whether a (demangled) function belongs to Rust's machinery for panics, unwinding and failed
/// allocations.
///
/// Such a function diverges, formats a message and runs code of the host program on the way: on a
/// goroutine's stack there is no room for that, and no unwinder that knows the way. So a fast-door
/// function must not reach one at all.
pub fn is_panic_path(demangled: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "core::panicking::",
        "std::panicking::",
        "core::option::unwrap_failed",
        "core::option::expect_failed",
        "core::result::unwrap_failed",
        "core::slice::index::slice_",
        "core::slice::copy_from_slice_impl::len_mismatch_fail",
        "core::str::slice_error_fail",
        "core::cell::panic_already",
        "alloc::alloc::handle_alloc_error",
        "alloc::raw_vec::handle_error",
        "alloc::raw_vec::capacity_overflow",
        "std::process::abort",
        "std::thread::local::panic_access_error",
        "rust_begin_unwind",
        "__rust_start_panic",
        "_Unwind_",
    ];
    PREFIXES.iter().any(|p| demangled.starts_with(p))
}
