//! Reads that say more, sets of which more is said, and changes that depend on what is there.

use super::cache::ttl_from;
use super::{
    LARDER_ABSENT, LARDER_FRESH, LARDER_GET_LEASE, LARDER_GET_QUIET, LARDER_GET_VERSION,
    LARDER_REFRESH, LARDER_SET_ABSENT, LARDER_SET_AS_OF, LARDER_SET_SLIDING, LARDER_SET_TTL,
    LARDER_STALE, LarderCache, LarderEntryInfo, LarderSetOptions, Out, Status, boundary, handle,
    key_bytes, value_bytes,
};
use crate::cache::batch::Keys;
use crate::cache::conditional::Ask;
use crate::cache::ttl::Ttl;
use crate::cache::write::SetOptions;
use crate::entry::Value;
use crate::entry::extension::MAX_TAGS;
use crate::entry::freshness::State;
use crate::error::CasError;
use std::mem::size_of;
use std::time::Duration;

/// A state's number in the ABI.
pub(super) fn state_number(state: State) -> u64 {
    match state {
        State::Fresh => LARDER_FRESH,
        State::Stale => LARDER_STALE,
        State::Refresh => LARDER_REFRESH,
        State::Absent => LARDER_ABSENT,
    }
}

/// Calls `f` with the options from C; NULL: the defaults.
///
/// # Safety
/// `options` is NULL or valid, and so is what it points at.
pub(super) unsafe fn with_options<T>(
    options: *const LarderSetOptions,
    f: impl FnOnce(&SetOptions<'_>) -> Result<T, Status>,
) -> Result<T, Status> {
    if options.is_null() {
        return f(&SetOptions::default());
    }
    // SAFETY: not null, so valid for at least its first field, and for all if that is the size of
    // the struct.
    let options = unsafe {
        if (*options).struct_size != size_of::<LarderSetOptions>() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        options.read()
    };
    const KNOWN: u64 = LARDER_SET_TTL | LARDER_SET_SLIDING | LARDER_SET_ABSENT | LARDER_SET_AS_OF;
    let n = options.tag_count;
    if options.flags & !KNOWN != 0 || n > MAX_TAGS || n > 0 && options.tag_ends.is_null() {
        return Err(Status::LARDER_INVALID_ARGUMENT);
    }
    let ends = match n {
        0 => &[][..],
        // SAFETY: not null where `n` isn't 0, so valid for `n` elements.
        _ => unsafe { std::slice::from_raw_parts(options.tag_ends, n) },
    };
    let bytes = match ends.last() {
        Some(_) if !ends.is_sorted() => return Err(Status::LARDER_INVALID_ARGUMENT),
        Some(&len) if len > 0 && options.tags.is_null() => {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: not null, so valid for as many bytes as the last end says.
        Some(&len) if len > 0 => unsafe { std::slice::from_raw_parts(options.tags, len as usize) },
        _ => &[],
    };
    let packed = Keys { bytes, ends };
    let mut tags: [&[u8]; MAX_TAGS] = [&[]; MAX_TAGS];
    for (i, tag) in tags.iter_mut().enumerate().take(n) {
        *tag = packed.get(i);
    }
    let has = |flag: u64| options.flags & flag != 0;
    f(&SetOptions {
        ttl: if has(LARDER_SET_TTL) { ttl_from(options.ttl_ms) } else { Ttl::Default },
        stale_after: (options.stale_ms > 0).then(|| Duration::from_millis(options.stale_ms)),
        sliding: has(LARDER_SET_SLIDING),
        absent: has(LARDER_SET_ABSENT),
        tags: &tags[..n],
        as_of: has(LARDER_SET_AS_OF).then_some(options.as_of),
        user: 0,
    })
}

/// As larder_set, with more to be said of the value. `options` may be NULL.
///
/// Status: as larder_set; LARDER_INVALID_ARGUMENT also for a struct_size that is not
/// sizeof(larder_set_options), unknown flags, or more than 64 tags.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set_with(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
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
            let (key, value) = (key_bytes(key, key_len)?, value_bytes(value, value_len)?);
            with_options(options, |options| Ok(cache.0.set_with(key, value, options)?))
        }
    })
}

/// As larder_get, and tells of the entry in *info, whose struct_size the caller has set. A negative
/// entry is LARDER_OK too, with the state LARDER_ABSENT. With LARDER_GET_VERSION it takes the
/// stripe's lock. `flags`: LARDER_GET_*. `buf` must not overlap the key.
///
/// Status: as larder_get; with LARDER_GET_VERSION also as larder_set.
///
/// # Safety
/// The pointers are NULL or valid for their lengths; `info` for the struct_size it holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_with(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    buf: *mut u8,
    buf_len: usize,
    value_len: *mut usize,
    flags: u64,
    info: *mut LarderEntryInfo,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        let out = Out { buf, room: buf_len, len: value_len };
        out.tell(0);
        let cache = cache?;
        // SAFETY: not null, so valid for its first field.
        if info.is_null() || unsafe { (*info).struct_size } != size_of::<LarderEntryInfo>() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        const KNOWN: u64 = LARDER_GET_LEASE | LARDER_GET_VERSION | LARDER_GET_QUIET;
        const BOTH: u64 = LARDER_GET_QUIET | LARDER_GET_VERSION;
        if flags & !KNOWN != 0 || flags & BOTH == BOTH || buf.is_null() && buf_len > 0 {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        let ask =
            Ask { lease: flags & LARDER_GET_LEASE != 0, version: flags & LARDER_GET_VERSION != 0 };
        // SAFETY: passed on to the caller.
        let take = |value: Value<'_>| unsafe { out.take(value) };
        let found = if flags & LARDER_GET_QUIET != 0 {
            cache.0.read_any(key, ask.lease, false, take)?
        } else {
            cache.0.read_with(key, ask, take)?
        };
        let Some((taken, told)) = found else {
            // A try that was overtaken may have told a length.
            out.tell(0);
            return Err(Status::LARDER_NOT_FOUND);
        };
        let struct_size = size_of::<LarderEntryInfo>();
        let (version, ttl_ms, state) =
            (told.version, told.ttl.unwrap_or(u64::MAX), state_number(told.state));
        // SAFETY: as above, and of the right size.
        unsafe { info.write(LarderEntryInfo { struct_size, version, ttl_ms, state }) };
        taken
    })
}

/// Stores a value if the key has none; a negative entry is none. LARDER_EXISTS if it has; else as
/// larder_set_with.
///
/// # Safety
/// As larder_set_with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_add(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
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
            let (key, value) = (key_bytes(key, key_len)?, value_bytes(value, value_len)?);
            with_options(options, |options| {
                if cache.0.add(key, value, options)? { Ok(()) } else { Err(Status::LARDER_EXISTS) }
            })
        }
    })
}

/// Stores a value if the key's entry still has the version that larder_get_with told, and stores
/// the new one in *new_version (which may be NULL).
///
/// Status: LARDER_CONFLICT (it was set since), LARDER_NOT_FOUND (it is gone); else as
/// larder_set_with.
///
/// # Safety
/// As larder_set_with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_compare_and_swap(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    version: u64,
    options: *const LarderSetOptions,
    new_version: *mut u64,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        let cache = cache?;
        // SAFETY: passed on to the caller.
        unsafe {
            let (key, value) = (key_bytes(key, key_len)?, value_bytes(value, value_len)?);
            with_options(options, |options| {
                match cache.0.compare_and_swap(key, value, version, options) {
                    Ok(version) => {
                        if !new_version.is_null() {
                            new_version.write(version);
                        }
                        Ok(())
                    }
                    Err(CasError::Conflict) => Err(Status::LARDER_CONFLICT),
                    Err(CasError::NotFound) => Err(Status::LARDER_NOT_FOUND),
                    Err(CasError::Set(error)) => Err(error.into()),
                }
            })
        }
    })
}

/// Gives an entry another time to live, in milliseconds from now; 0: it doesn't expire. LARDER_OK,
/// LARDER_NOT_FOUND, or as larder_set.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_touch(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    ttl_ms: u64,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        if cache?.0.touch(key, ttl_from(ttl_ms))? { Ok(()) } else { Err(Status::LARDER_NOT_FOUND) }
    })
}

/// Adds `delta` to a counter, an entry whose value is a 64-bit number in decimal digits, and stores
/// the sum in *sum (which may be NULL). Where there is no entry one is made that counts from 0, by
/// the options (NULL: the defaults); one that is there keeps its deadline and the rest.
///
/// Status: LARDER_NOT_A_NUMBER (the value isn't one, or the sum would not be); else as
/// larder_set_with.
///
/// # Safety
/// As larder_set_with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_increment(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
    delta: i64,
    options: *const LarderSetOptions,
    sum: *mut i64,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        let cache = cache?;
        // SAFETY: passed on to the caller.
        unsafe {
            let key = key_bytes(key, key_len)?;
            let now =
                with_options(options, |options| Ok(cache.0.increment(key, delta, options)?))?;
            if !sum.is_null() {
                sum.write(now);
            }
        }
        Ok(())
    })
}

/// Gives the lease of a stale entry back, which larder_get_with told the caller he had, if he won't
/// refresh it after all: the next one who asks for it gets it. LARDER_OK, LARDER_NOT_FOUND, or as
/// larder_get.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_release_lease(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        if cache?.0.release_lease(key)? { Ok(()) } else { Err(Status::LARDER_NOT_FOUND) }
    })
}

/// Makes an entry stale at once: who reads it next by larder_get_with with LARDER_GET_LEASE is
/// asked to refresh it. LARDER_OK, LARDER_NOT_FOUND, or as larder_set.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_mark_stale(
    cache: *const LarderCache,
    key: *const u8,
    key_len: usize,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        // SAFETY: passed on to the caller.
        let key = unsafe { key_bytes(key, key_len) }?;
        if cache?.0.mark_stale(key)? { Ok(()) } else { Err(Status::LARDER_NOT_FOUND) }
    })
}
