//! Copying hundreds of bytes that another thread may be writing or reading, as fast as memcpy.
//!
//! memcpy itself must not do it: what that does when its bytes change under it is for nobody to
//! rely on. A loop of 16-byte loads and stores (`bytes`) is as good up to some 250 bytes; beyond,
//! it takes half as long again as memcpy. One of 32 bytes takes less than memcpy
//! (docs/performance.md has the numbers, also those of `rep movsb`).
//!
//! Not every x86-64 has AVX. Which this one is, is found out when a cache is made ([`prepare`]):
//! asking the CPU, and what std does to remember the answer, has no place on the fast path's stack.
//! Until then, and elsewhere, `bytes` does without.

#[cfg(all(target_arch = "x86_64", not(larder_tsan), not(miri)))]
mod code {
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Whether [`copy`] may be called. Relaxed: nothing else is published with it, and false is
    /// always right.
    static FOUND: AtomicBool = AtomicBool::new(false);

    /// Finds out what the CPU has.
    pub fn prepare() {
        FOUND.store(is_x86_feature_detected!("avx"), Ordering::Relaxed);
    }

    /// Whether [`copy`] may be called.
    #[inline(always)]
    pub fn is_there() -> bool {
        FOUND.load(Ordering::Relaxed)
    }

    /// Copies `len` bytes. Either side may be accessed by other threads meanwhile, where they do so
    /// by atomic accesses or as this does: then each byte is a byte that was there, but the copy
    /// may be torn.
    ///
    /// # Safety
    /// [`is_there`]; `len` is at least [`super::LEAST`]; `from` is readable and `to` writable for
    /// `len` bytes, and they don't overlap.
    #[inline(never)]
    pub unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
        debug_assert!(is_there() && len >= super::LEAST);
        // SAFETY: the first 32 bytes are copied; then 128 at a time from the first multiple of 32
        // in `to`, 1 to 32 bytes on, while more than 128 are left, which is so at first, as `len`
        // is at least 256; then the last 128. So all accesses lie within the `len` bytes, and
        // `vmovdqa` has the alignment it needs. In assembly, because another thread may be
        // accessing the bytes: a vector load or store accesses each of its bytes once, whole, and
        // in the order of the program like any other, which is what 32 relaxed atomic accesses may
        // do. (A byte that two of them cover is copied twice, and the later copy counts.) The
        // compiler takes the block for one that may access any memory. All vector registers are in
        // `clobber_abi`; `vzeroupper` clears their upper halves, without which SSE code that
        // follows is slow.
        unsafe {
            std::arch::asm!(
                "vmovdqu ymm0, [rdi]",
                "vmovdqu [rsi], ymm0",
                "2:",
                "vmovdqu ymm0, [rdi + rax]",
                "vmovdqu ymm1, [rdi + rax + 32]",
                "vmovdqu ymm2, [rdi + rax + 64]",
                "vmovdqu ymm3, [rdi + rax + 96]",
                "vmovdqa [rsi + rax], ymm0",
                "vmovdqa [rsi + rax + 32], ymm1",
                "vmovdqa [rsi + rax + 64], ymm2",
                "vmovdqa [rsi + rax + 96], ymm3",
                "sub rax, -128",
                "cmp rax, rdx",
                "jb 2b",
                "vmovdqu ymm0, [rdi + rdx]",
                "vmovdqu ymm1, [rdi + rdx + 32]",
                "vmovdqu ymm2, [rdi + rdx + 64]",
                "vmovdqu ymm3, [rdi + rdx + 96]",
                "vmovdqu [rsi + rdx], ymm0",
                "vmovdqu [rsi + rdx + 32], ymm1",
                "vmovdqu [rsi + rdx + 64], ymm2",
                "vmovdqu [rsi + rdx + 96], ymm3",
                "vzeroupper",
                in("rdi") from,
                in("rsi") to,
                in("rdx") len - 128,
                inout("rax") 32 - to.addr() % 32 => _,
                clobber_abi("sysv64"),
                options(nostack)
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", not(larder_tsan), not(miri))))]
mod code {
    pub fn prepare() {}

    #[inline(always)]
    pub fn is_there() -> bool {
        false
    }

    /// # Safety
    /// [`is_there`], so never.
    pub unsafe fn copy(_from: *const u8, _to: *mut u8, _len: usize) {}
}

pub use code::{copy, is_there, prepare};

/// The shortest copy that is done so. From here on it is the faster one.
pub const LEAST: usize = 256;
