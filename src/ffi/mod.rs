//! The C ABI. Nothing here decides anything: arguments are checked, the crate is called, results
//! become statuses.
//!
//! Every function goes through [`boundary`], which turns a panic into [`Status::LARDER_PANIC`].
//! `types` has what crosses; `cache`, `conditional`, `events`, `loads`, `tags`, `namespaces` and
//! `clock` what C programs use, `batch` many keys at a time, and `go` the same operations with one
//! pointer to a struct of words, for the Go package; `layout` tells which headers it was built
//! with.

mod batch;
mod cache;
mod clock;
mod conditional;
#[cfg(test)]
mod defects;
mod events;
mod go;
mod invalid_option;
mod layout;
mod layout_of;
mod loads;
mod namespaces;
mod tags;
mod types;

pub use types::*;

use crate::cache::handle::Cache;
use crate::entry::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A handle for C.
fn into_handle(cache: Arc<Cache>) -> *mut LarderCache {
    // A LarderCache is a Cache and nothing else.
    Arc::into_raw(cache).cast_mut().cast()
}

/// Bytes that one crossing of the fast path copies at most: at 10 GB/s they take 6 microseconds,
/// during which the goroutine can't be stopped for the garbage collector. The slow path copies what
/// is longer. A value that is overwritten while it is copied is copied again, and that counts: the
/// largest for which this happens has four tries.
const FAST_COPY: usize = 64 << 10;

/// Runs `f`, and makes sure that no panic leaves it. After a panic nothing is known of the stripe
/// that was being written, so the cache closes: later calls get [`Status::LARDER_CLOSED`] instead
/// of wrong answers.
fn boundary(cache: Option<&LarderCache>, f: impl FnOnce() -> Result<(), Status>) -> Status {
    let guarded = || {
        #[cfg(test)]
        defects::strike();
        f()
    };
    match catch_unwind(AssertUnwindSafe(guarded)) {
        Ok(Ok(())) => Status::LARDER_OK,
        Ok(Err(status)) => status,
        Err(_) => {
            if let Some(cache) = cache {
                let _ = catch_unwind(AssertUnwindSafe(|| cache.0.close()));
            }
            Status::LARDER_PANIC
        }
    }
}

/// Where a value goes that a C program asks for, and where its length is told (or NULL).
struct Out {
    buf: *mut u8,
    room: usize,
    len: *mut usize,
}

impl Out {
    /// Tells a length.
    fn tell(&self, len: usize) {
        if !self.len.is_null() {
            // SAFETY: not null, so valid, as whoever passed it promises.
            unsafe { self.len.write(len) };
        }
    }

    /// Copies a value if there is room for it, and tells its length in any case.
    ///
    /// # Safety
    /// `buf` is valid for `room` bytes, or NULL with no room.
    unsafe fn take(&self, value: Value<'_>) -> Result<(), Status> {
        self.tell(value.len());
        if value.len() > self.room {
            return Err(Status::LARDER_BUFFER_TOO_SMALL);
        }
        // SAFETY: there is room, of the caller's own, apart from the cache's memory.
        unsafe { value.copy_to(self.buf) };
        Ok(())
    }
}

/// The cache behind a handle.
///
/// # Safety
/// Not null means: from [`into_handle`], and not freed.
unsafe fn handle<'a>(cache: *const LarderCache) -> Result<&'a LarderCache, Status> {
    // SAFETY: as the caller promises.
    unsafe { cache.as_ref() }.ok_or(Status::LARDER_INVALID_ARGUMENT)
}

/// Bytes from C. NULL is fine for no bytes.
///
/// # Safety
/// Not null means: `len` readable bytes that nobody changes during the call.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    if len == 0 {
        Ok(&[])
    } else if data.is_null() || len > isize::MAX as usize {
        Err(Status::LARDER_INVALID_ARGUMENT)
    } else {
        // SAFETY: as the caller promises; the length was checked.
        Ok(unsafe { std::slice::from_raw_parts(data, len) })
    }
}

/// As [`bytes`], for a key: lengths over the limit have a status of their own, whatever the
/// pointer.
///
/// # Safety
/// As [`bytes`].
unsafe fn key_bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    if len > crate::entry::MAX_KEY {
        return Err(if data.is_null() {
            Status::LARDER_INVALID_ARGUMENT
        } else {
            Status::LARDER_KEY_TOO_LARGE
        });
    }
    // SAFETY: as the caller promises.
    unsafe { bytes(data, len) }
}

/// As [`bytes`], for a value.
///
/// # Safety
/// As [`bytes`].
unsafe fn value_bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    if len as u64 > crate::entry::MAX_VALUE && !data.is_null() {
        return Err(Status::LARDER_VALUE_TOO_LARGE);
    }
    // SAFETY: as the caller promises.
    unsafe { bytes(data, len) }
}
