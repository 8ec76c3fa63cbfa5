//! Loads without stampedes, and tags.

use super::conditional::with_options;
use super::{LarderCache, LarderSetOptions, Status, boundary, handle, key_bytes, value_bytes};
use crate::cache::loads::Load;

/// Begins the load of a key that isn't there, and stores its token in *token.
///
/// LARDER_NOT_FOUND: the caller should fetch the value, and then call larder_load_end or
/// larder_load_cancel, once. LARDER_OK: a load with this token is under way, by another, and what
/// that fetches is not older than any set, delete or clear of the key that has returned. Loads are
/// told apart by a 64-bit hash of the key: compare keys before you wait for another's. Or as
/// larder_get.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_load_begin(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    token: *mut u64,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        if token.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        let load = cache?.0.load_begin(key)?;
        // SAFETY: not null, so valid.
        unsafe { token.write(load.token()) };
        match load {
            Load::Begun(_) => Err(Status::LARDER_NOT_FOUND),
            Load::UnderWay(_) => Ok(()),
        }
    })
}

/// Ends a load by storing the value, as larder_set_with, unless the key was set, deleted or cleared
/// since it began: then LARDER_SUPERSEDED, and nothing is stored. Whatever the status, the load has
/// ended.
///
/// # Safety
/// As larder_set_with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_load_end(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    token: u64,
    value: *const u8,
    value_len: usize,
    options: *const LarderSetOptions,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        let cache = cache?;
        // SAFETY: passed on to the caller.
        unsafe {
            let key = key_bytes(key, key_len)?;
            let stored = value_bytes(value, value_len).and_then(|value| {
                with_options(options, |options| Ok(cache.0.load_end(key, token, value, options)?))
            });
            if stored.is_err() {
                let _ = cache.0.load_cancel(key, token);
            }
            if stored? { Ok(()) } else { Err(Status::LARDER_SUPERSEDED) }
        }
    })
}

/// Ends a load without a value. LARDER_SUPERSEDED if the key was changed since it began, or the
/// load has ended.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_load_cancel(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    token: u64,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        if cache?.0.load_cancel(key, token)? { Ok(()) } else { Err(Status::LARDER_SUPERSEDED) }
    })
}
