//! Namespaces: caches that share another one's budget.
//!
//! A handle is a count of the cache behind it, so that handles of one namespace, and of the cache
//! it was made from, can be freed in any order.

use super::invalid_option::note;
use super::{LarderCache, LarderNamespaceOptions, Status, boundary, bytes, handle, into_handle};
use crate::cache::options::NamespaceOptions;
use std::ptr;

/// Stores in *out a handle of the namespace with this name, of 1 to 255 bytes: a cache with
/// entries, statistics and a policy of its own, that lives on this one's budget. It is made if it
/// isn't there; otherwise options that are not 0 must be those that it has. `options` may be NULL.
///
/// Every function takes the handle. larder_free frees it, without closing the namespace, before or
/// after the cache's. The namespace lives until it is closed by larder_close, or the cache is
/// closed or freed; then the calls of all its handles return LARDER_CLOSED.
///
/// Status: LARDER_OK; LARDER_INVALID_ARGUMENT (a name or an option out of range; options that are
/// not those it has; a namespace of a namespace; more than 256; a budget with too few segments for
/// one more), LARDER_OUT_OF_MEMORY, LARDER_FULL, LARDER_CLOSED. *out is NULL then.
///
/// # Safety
/// The pointers are NULL or valid, `name` for its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_namespace(
    cache: *const LarderCache,
    name: *const u8,
    name_len: usize,
    options: *const LarderNamespaceOptions,
    out: *mut *mut LarderCache,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        note("");
        if out.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid.
        unsafe { out.write(ptr::null_mut()) };
        let options = if options.is_null() {
            NamespaceOptions::default()
        } else {
            // SAFETY: not null, so valid for at least its first field.
            if unsafe { (*options).struct_size } != size_of::<LarderNamespaceOptions>() {
                return Err(Status::LARDER_INVALID_ARGUMENT);
            }
            // SAFETY: not null and of the right size.
            unsafe { options.read() }.to_options()?
        };
        // SAFETY: passed on to the caller.
        let name = unsafe { bytes(name, name_len) }?;
        let namespace = cache?.0.namespace(name, options)?;
        // SAFETY: as above.
        unsafe { out.write(into_handle(namespace)) };
        Ok(())
    })
}

/// Iterates over the namespaces, in the order of their names' bytes: copies to `buf` the first name
/// behind `name`, with its length in *len, and unless `out` is NULL stores a handle of that
/// namespace in *out, for larder_free. Begin with a name_len of 0; `name` and `buf` may be the
/// same. One that is there all the while comes exactly once.
///
/// Status: LARDER_OK; LARDER_NOT_FOUND behind the last; LARDER_BUFFER_TOO_SMALL (*len is what is
/// needed; 255 always suffice); LARDER_INVALID_ARGUMENT, LARDER_CLOSED. Else *len is 0, and *out is
/// NULL unless LARDER_OK.
///
/// # Safety
/// The pointers are NULL or valid, for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_namespace_next(
    cache: *const LarderCache,
    name: *const u8,
    name_len: usize,
    buf: *mut u8,
    buf_len: usize,
    len: *mut usize,
    out: *mut *mut LarderCache,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        if !out.is_null() {
            // SAFETY: not null, so valid.
            unsafe { out.write(ptr::null_mut()) };
        }
        if len.is_null() || buf.is_null() && buf_len > 0 {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid.
        unsafe { len.write(0) };
        // SAFETY: passed on to the caller. It is not looked at any more when `buf` is written.
        let found = cache?.0.namespace_after(unsafe { bytes(name, name_len) }?)?;
        let (found, namespace) = found.ok_or(Status::LARDER_NOT_FOUND)?;
        // SAFETY: as above.
        unsafe { len.write(found.len()) };
        if found.len() > buf_len {
            return Err(Status::LARDER_BUFFER_TOO_SMALL);
        }
        // SAFETY: `buf` has room, and is not null since a name has a byte; the name here is our own
        // copy.
        unsafe { ptr::copy_nonoverlapping(found.as_ptr(), buf, found.len()) };
        if !out.is_null() {
            // SAFETY: as above.
            unsafe { out.write(into_handle(namespace)) };
        }
        Ok(())
    })
}
