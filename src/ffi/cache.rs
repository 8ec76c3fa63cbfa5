//! The functions for C programs.

use super::invalid_option::note;
use super::types::FIRST_OPTIONS;
use super::{
    LarderCache, LarderCursor, LarderOptions, LarderStats, LarderView, Out, Status, boundary,
    handle, into_handle, key_bytes, value_bytes,
};
use crate::cache::handle::Cache;
use crate::cache::iter::Cursor;
use crate::cache::ttl::Ttl;
use crate::cache::view::View;
use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::ptr;
use std::sync::Arc;

/// The version of this ABI: raised when something that compiled programs rely on changes.
pub const LARDER_ABI_VERSION: u32 = 1;

/// Returns LARDER_ABI_VERSION of the library that is linked. A program may compare it with its
/// header's.
#[unsafe(no_mangle)]
pub extern "C" fn larder_abi_version() -> u32 {
    LARDER_ABI_VERSION
}

/// Returns the version of the library, "major.minor.patch". Static; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn larder_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns a sentence about a status. Static; never NULL, whatever the number.
#[unsafe(no_mangle)]
pub extern "C" fn larder_status_message(status: i32) -> *const c_char {
    let text = match status {
        0 => c"ok",
        1 => c"not found",
        2 => c"the buffer is too small",
        3 => c"busy: repeat the call by the slow door",
        4 => c"the key has a value already",
        5 => c"the entry has another version",
        6 => c"the key was changed while its value was being loaded",
        16 => c"invalid argument",
        17 => c"the key is longer than 64 KiB",
        18 => c"the value is longer than a quarter of the budget",
        19 => c"the cache is closed",
        20 => c"the system refused memory",
        21 => c"no room: everything that could be evicted is being read",
        22 => c"a defect in larder was caught, and the cache has closed itself",
        24 => c"the value is not a 64-bit number in decimal digits, or would not be",
        23 => c"not supported on this system",
        _ => c"unknown status",
    };
    text.as_ptr()
}

/// Makes a cache and stores its handle in *out. Free it with larder_free.
///
/// Status: LARDER_INVALID_ARGUMENT (NULL, a struct_size that no version of larder_options had, an
/// option out of range), LARDER_OUT_OF_MEMORY (no address space). *out is NULL then. Memory is
/// taken as the cache fills; with a budget of 64 MiB or more, 4 to 18 MiB at once.
///
/// # Safety
/// `options` and `out` are NULL or valid; so is the clock in the options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_new(
    options: *const LarderOptions,
    out: *mut *mut LarderCache,
) -> Status {
    boundary(None, || {
        note("");
        if out.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid.
        unsafe { out.write(ptr::null_mut()) };
        if options.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid for at least its first field.
        let size = unsafe { (&raw const (*options).struct_size).read() };
        // A longer struct is a newer program's; fields that this library doesn't know can't be
        // checked, so it is refused. A shorter one is an older program's: what it doesn't have is
        // 0.
        if !(FIRST_OPTIONS..=size_of::<LarderOptions>()).contains(&size) || !size.is_multiple_of(8)
        {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        let mut known = std::mem::MaybeUninit::<LarderOptions>::zeroed();
        // SAFETY: `size` bytes are the caller's, and no more than the struct has, which is made of
        // integers and a pointer: all bytes are values of it.
        let known = unsafe {
            ptr::copy_nonoverlapping(options.cast::<u8>(), known.as_mut_ptr().cast::<u8>(), size);
            known.assume_init()
        };
        // SAFETY: passed on to the caller.
        let options = unsafe { known.to_options() }?;
        let cache = into_handle(Arc::new(Cache::new(options)?));
        // SAFETY: as above.
        unsafe { out.write(cache) };
        Ok(())
    })
}

/// Closes a cache: all its memory goes back to the system, and later calls with the handle return
/// LARDER_CLOSED.
///
/// Safe while other threads call; those calls are waited for. Memory held by views goes with the
/// last of them. Closing twice is fine.
///
/// # Safety
/// `cache` is NULL or a handle that wasn't freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_close(cache: *const LarderCache) -> Status {
    // SAFETY: passed on to the caller.
    let cache = match unsafe { handle(cache) } {
        Ok(cache) => cache,
        Err(status) => return status,
    };
    boundary(Some(cache), || {
        cache.0.close();
        Ok(())
    })
}

/// Closes a cache and frees its handle. NULL is fine. Nobody may be using the handle, or use it
/// later; views stay valid. Of a namespace it frees a handle, and closes nothing.
///
/// # Safety
/// `cache` is NULL or a handle that wasn't freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_free(cache: *mut LarderCache) {
    if !cache.is_null() {
        boundary(None, || {
            // SAFETY: made by `into_handle` from an Arc<Cache>, and this count of it is given back
            // once.
            drop(unsafe { Arc::from_raw(cache.cast_const().cast::<Cache>()) });
            Ok(())
        });
    }
}

/// Copies the value of a key to `buf` and stores its length in *value_len. `buf` must not overlap
/// the key, which may be compared again when the value was overwritten while it was copied.
///
/// Status: LARDER_OK; LARDER_NOT_FOUND; LARDER_BUFFER_TOO_SMALL (*value_len is the length required;
/// the contents of `buf` are unspecified; `buf` may be NULL with buf_len 0 to ask for the length);
/// LARDER_KEY_TOO_LARGE, LARDER_INVALID_ARGUMENT, LARDER_CLOSED. *value_len is 0 unless said
/// otherwise; value_len may be NULL.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    buf: *mut u8,
    buf_len: usize,
    value_len: *mut usize,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        let out = Out { buf, room: buf_len, len: value_len };
        out.tell(0);
        let cache = cache?;
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        if buf.is_null() && buf_len > 0 {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: passed on to the caller.
        let found = cache.0.read(key, |value| unsafe { out.take(value) })?;
        found.unwrap_or_else(|| {
            // A try that was overtaken may have told a length.
            out.tell(0);
            Err(Status::LARDER_NOT_FOUND)
        })
    })
}

/// Stores a value for the cache's default time to live. When it has returned, every get that begins
/// later sees it.
///
/// Status: LARDER_OK; LARDER_KEY_TOO_LARGE, LARDER_VALUE_TOO_LARGE, LARDER_FULL,
/// LARDER_INVALID_ARGUMENT, LARDER_CLOSED. An older value of the key stays when it fails. Key and
/// value are copied.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
) -> Status {
    // SAFETY: passed on to the caller.
    unsafe { set(cache, key, key_len, value, value_len, Ttl::Default) }
}

/// As larder_set, with a time to live in milliseconds of its own; 0: it never expires.
///
/// # Safety
/// As larder_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set_ttl(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    ttl_ms: u64,
) -> Status {
    // SAFETY: passed on to the caller.
    unsafe { set(cache, key, key_len, value, value_len, ttl_from(ttl_ms)) }
}

/// Milliseconds as C gives them.
pub(super) fn ttl_from(ttl_ms: u64) -> Ttl {
    if ttl_ms == 0 { Ttl::Never } else { Ttl::Millis(ttl_ms) }
}

/// # Safety
/// As larder_set.
unsafe fn set(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    ttl: Ttl,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        let cache = cache?;
        // SAFETY: passed on to the caller.
        let (key, value) = unsafe { (key_bytes(key, key_len)?, value_bytes(value, value_len)?) };
        Ok(cache.0.set_ttl(key, value, ttl)?)
    })
}

/// Removes a key. LARDER_OK if it was there, else LARDER_NOT_FOUND (or as larder_get).
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        let cache = cache?;
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        if cache.0.try_remove(key)? { Ok(()) } else { Err(Status::LARDER_NOT_FOUND) }
    })
}

/// Removes everything.
///
/// # Safety
/// `cache` is NULL or a handle that wasn't freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_clear(cache: *const LarderCache) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || Ok(cache?.0.clear()?))
}

/// Changes the budget while in use; when it shrinks, entries are evicted until the rest fits.
///
/// Status: LARDER_OK; LARDER_INVALID_ARGUMENT outside the range (the larger of 256 KiB and a 64th
/// of the first budget, more with more than 8 stripes, with event_bytes or with namespaces, to the
/// larger of 16 GiB and four times the first budget), LARDER_FULL (views or readers hold what would
/// have to go; the new budget is in force and following sets shrink further), LARDER_CLOSED.
///
/// # Safety
/// `cache` is NULL or a handle that wasn't freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_resize(cache: *const LarderCache, max_bytes: u64) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        note("");
        Ok(cache?.0.resize(max_bytes)?)
    })
}

/// Stores the number of entries in *len (0 when the cache is closed). Expired ones count until they
/// are found.
///
/// # Safety
/// The pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_len(cache: *const LarderCache, len: *mut u64) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        if len.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid.
        unsafe { len.write(0) };
        let entries = cache?.0.stats()?.entries;
        // SAFETY: as above.
        unsafe { len.write(entries) };
        Ok(())
    })
}

/// Stores what the cache did and holds in *out, whose struct_size the caller has set.
///
/// # Safety
/// The pointers are NULL or valid; `out` for the struct_size it holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_stats(cache: *const LarderCache, out: *mut LarderStats) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        if out.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid for its first field.
        let size = unsafe { (*out).struct_size };
        // An older program's shorter struct gets what it has room for.
        if size < size_of::<usize>() || size > size_of::<LarderStats>() || !size.is_multiple_of(8) {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        let stats = LarderStats::new(size, &cache?.0.stats()?);
        // SAFETY: `size` bytes are the caller's, and no more than the struct has.
        unsafe {
            ptr::copy_nonoverlapping((&raw const stats).cast::<u8>(), out.cast::<u8>(), size)
        };
        Ok(())
    })
}

/// Copies the next entries to `buf`, as records of key length (4 bytes, little endian), value
/// length (likewise), key and value, without padding, and stores their bytes in *written.
///
/// An entry that is there from the first call to the last is returned exactly once; one that comes,
/// goes or changes meanwhile may be returned or not, once.
///
/// Status: LARDER_OK; LARDER_NOT_FOUND at the end; LARDER_BUFFER_TOO_SMALL (*written is what the
/// next step needs); LARDER_INVALID_ARGUMENT, LARDER_CLOSED.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_iterate(
    cache: *const LarderCache,
    cursor: *mut LarderCursor,
    buf: *mut u8,
    buf_len: usize,
    written: *mut usize,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        if cursor.is_null() || written.is_null() || buf.is_null() && buf_len > 0 {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        let out: &mut [u8] = if buf_len == 0 {
            &mut []
        } else {
            // SAFETY: the caller's own buffer, not null; it may be uninitialised in C's eyes, but
            // bytes are written before they are read here.
            unsafe { std::slice::from_raw_parts_mut(buf, buf_len.min(isize::MAX as usize)) }
        };
        // SAFETY: both not null, so valid.
        let position = unsafe {
            written.write(0);
            (*cursor).position
        };
        let mut at = Cursor { position };
        let result = cache?.0.fill(&mut at, out);
        let (status, bytes) = match result? {
            crate::cache::iter::Filled::Some(bytes) => (Ok(()), bytes),
            crate::cache::iter::Filled::Needs(bytes) => {
                (Err(Status::LARDER_BUFFER_TOO_SMALL), bytes)
            }
            crate::cache::iter::Filled::End => (Err(Status::LARDER_NOT_FOUND), 0),
        };
        // SAFETY: as above.
        unsafe {
            written.write(bytes);
            (*cursor).position = at.position;
        }
        status
    })
}

/// Borrows the value of a key where it lies, until larder_view_release: no copy, for large values.
/// It stays valid whatever happens to the entry or the cache meanwhile, and may be released on any
/// thread. Its memory goes on counting against the budget.
///
/// Status: LARDER_OK; otherwise as larder_get, and *out is all zero.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_view(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    out: *mut LarderView,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        if out.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid.
        unsafe {
            out.write(LarderView { data: ptr::null(), len: 0, owner: ptr::null(), token: 0 })
        };
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        let view = cache?.0.view(key)?.ok_or(Status::LARDER_NOT_FOUND)?;
        let (data, len, shared, segment) = view.into_parts();
        // SAFETY: as above.
        unsafe {
            out.write(LarderView {
                data,
                len,
                owner: shared.cast::<c_void>(),
                token: u64::from(segment),
            })
        };
        Ok(())
    })
}

/// Gives a view back and sets it to zero. A zero view and NULL are fine; a copy of a view that was
/// given back is not.
///
/// # Safety
/// `view` is NULL, zero, or from larder_view and not yet released (nor a copy of it).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_view_release(view: *mut LarderView) -> Status {
    boundary(None, || {
        // SAFETY: NULL or valid.
        let Some(view) = (unsafe { view.as_mut() }) else { return Ok(()) };
        let LarderView { data, len, owner, token } = std::mem::replace(
            view,
            LarderView { data: ptr::null(), len: 0, owner: ptr::null(), token: 0 },
        );
        if !owner.is_null() {
            // SAFETY: the parts come from larder_view, and were zeroed above so that they are used
            // once.
            drop(unsafe { View::from_parts(data, len, owner.cast(), token as u32) });
        }
        Ok(())
    })
}
