//! The paths for Go: the same operations, with one pointer to a struct of words.
//!
//! `larder_call_*` come through cgo, on a thread's stack, and may do anything. `larder_fast_*` run
//! on a goroutine's stack of a few KiB, where nobody can stop them: they are short, don't wait,
//! don't allocate, call no system and can't panic; whatever needs more returns
//! [`Status::LARDER_BUSY`], and Go repeats it by the other path. tests/stackdepth checks what can
//! be checked of that in the built library. The callers of these are Go's alone, which sees to it
//! that pointers are what they should be.

use super::cache::ttl_from;
use super::conditional::{state_number, with_options};
use super::{
    FAST_COPY, LARDER_CALL_QUIET, LARDER_CALL_STATE, LARDER_CALL_TTL, LarderCache, LarderCall,
    Status, boundary, handle, key_bytes, value_bytes,
};
use crate::cache::conditional::Ask;
use crate::cache::read::{Take, Tried};
use crate::cache::ttl::Ttl;
use crate::entry::freshness::State;
use crate::entry::{MAX_KEY, Value};

/// Copies a value into a call's buffer.
///
/// # Safety
/// The call's buffer is NULL or valid for its length.
#[inline(always)]
unsafe fn deliver(call: &mut LarderCall, value: Value<'_>) -> Result<(), Status> {
    call.out_len = value.len();
    if value.len() > call.buf_len {
        return Err(Status::LARDER_BUFFER_TOO_SMALL);
    }
    // SAFETY: `buf_len` bytes are the caller's, apart from the cache's memory.
    unsafe { value.copy_to(call.buf) };
    Ok(())
}

/// The buffer of a get by the fast path, which is valid for its length.
struct Buffer<'a>(&'a mut LarderCall);

impl Take for Buffer<'_> {
    #[inline(always)]
    fn fits(&mut self, len: usize) -> bool {
        self.0.out_len = len;
        len <= self.0.buf_len
    }

    #[inline(always)]
    fn take(&mut self, value: Value<'_>) {
        // SAFETY: it fits, as the caller has seen to; and the buffer is apart from the cache's
        // memory.
        unsafe { value.copy_to(self.0.buf) };
    }
}

fn ttl_of(flags: u64, ttl_ms: u64) -> Ttl {
    if flags & LARDER_CALL_TTL != 0 { ttl_from(ttl_ms) } else { Ttl::Default }
}

/// The cache and key of a call from the fast path.
///
/// # Safety
/// The cache is a handle that wasn't freed, and the key is valid for its length.
#[inline(always)]
unsafe fn fast_key<'a>(call: &LarderCall) -> Result<(&'a LarderCache, &'a [u8]), Status> {
    match call.key_len {
        // Its pointer may be NULL, which no slice may have: not worth a test for each get.
        0 => Err(Status::LARDER_BUSY),
        1..=MAX_KEY => {
            // SAFETY: as the caller promises.
            Ok(unsafe { (&*call.cache, std::slice::from_raw_parts(call.key, call.key_len)) })
        }
        _ => Err(Status::LARDER_KEY_TOO_LARGE),
    }
}

/// For the fast path from Go: larder_get. May return LARDER_BUSY.
///
/// # Safety
/// `call` is valid, its cache a handle that wasn't freed, and its key and buffer are valid for
/// their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_fast_get(call: *mut LarderCall) -> usize {
    // SAFETY: passed on to the caller.
    let call = unsafe { &mut *call };
    // SAFETY: passed on to the caller.
    let (cache, key) = match unsafe { fast_key(call) } {
        Ok(found) => found,
        Err(status) => return status as usize,
    };
    let stateful = call.flags & LARDER_CALL_STATE != 0;
    let mut buffer = Buffer(call);
    let status = match cache.0.try_read(key, FAST_COPY, stateful, &mut buffer) {
        Tried::Hit(state) => {
            buffer.0.state = state_number(state);
            Status::LARDER_OK
        }
        Tried::NoRoom => Status::LARDER_BUFFER_TOO_SMALL,
        Tried::Miss => Status::LARDER_NOT_FOUND,
        Tried::Busy => Status::LARDER_BUSY,
        Tried::Closed => Status::LARDER_CLOSED,
    };
    status as usize
}

/// For the fast path from Go: larder_set or larder_set_ttl. May return LARDER_BUSY.
///
/// # Safety
/// As larder_fast_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_fast_set(call: *mut LarderCall) -> usize {
    // SAFETY: passed on to the caller.
    let call = unsafe { &mut *call };
    if call.buf_len > FAST_COPY {
        return Status::LARDER_BUSY as usize;
    }
    // SAFETY: passed on to the caller.
    let (cache, key) = match unsafe { fast_key(call) } {
        Ok(found) => found,
        Err(status) => return status as usize,
    };
    let value: &[u8] = if call.buf_len == 0 {
        &[]
    } else {
        // SAFETY: passed on to the caller.
        unsafe { std::slice::from_raw_parts(call.buf, call.buf_len) }
    };
    if !call.options.is_null() {
        return Status::LARDER_BUSY as usize;
    }
    match cache.0.try_store(key, value, ttl_of(call.flags, call.ttl_ms)) {
        Ok(()) => Status::LARDER_OK as usize,
        Err(error) => Status::from(error) as usize,
    }
}

/// For the fast path from Go: larder_delete. May return LARDER_BUSY.
///
/// # Safety
/// As larder_fast_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_fast_delete(call: *mut LarderCall) -> usize {
    // SAFETY: passed on to the caller.
    let call = unsafe { &*call };
    // SAFETY: passed on to the caller.
    let (cache, key) = match unsafe { fast_key(call) } {
        Ok(found) => found,
        Err(status) => return status as usize,
    };
    match cache.0.try_delete(key) {
        Ok(true) => Status::LARDER_OK as usize,
        Ok(false) => Status::LARDER_NOT_FOUND as usize,
        Err(error) => Status::from(error) as usize,
    }
}

/// Runs a call from the slow path.
///
/// # Safety
/// `call` is NULL or valid, and so is what it points at.
unsafe fn slow(
    call: *mut LarderCall,
    f: impl FnOnce(&mut LarderCall, &LarderCache) -> Result<(), Status>,
) -> usize {
    // SAFETY: passed on to the caller.
    let Some(call) = (unsafe { call.as_mut() }) else {
        return Status::LARDER_INVALID_ARGUMENT as usize;
    };
    // SAFETY: passed on to the caller.
    let cache = match unsafe { handle(call.cache) } {
        Ok(cache) => cache,
        Err(status) => return status as usize,
    };
    boundary(Some(cache), || f(call, cache)) as usize
}

/// For the slow path from Go: larder_get.
///
/// # Safety
/// `call` is NULL or valid, and so is what it points at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_call_get(call: *mut LarderCall) -> usize {
    // SAFETY: passed on to the caller.
    unsafe {
        slow(call, |call, cache| {
            let key = key_bytes(call.key, call.key_len)?;
            if call.buf.is_null() && call.buf_len > 0 {
                return Err(Status::LARDER_INVALID_ARGUMENT);
            }
            if call.flags & LARDER_CALL_QUIET != 0 {
                let stateful = call.flags & LARDER_CALL_STATE != 0;
                let found = cache.0.read_any(key, stateful, false, |value| deliver(call, value))?;
                let (taken, info) = found.ok_or(Status::LARDER_NOT_FOUND)?;
                if info.state == State::Absent && !stateful {
                    return Err(Status::LARDER_NOT_FOUND);
                }
                call.state = state_number(info.state);
                return taken;
            }
            if call.flags & LARDER_CALL_STATE != 0 {
                let ask = Ask { lease: true, version: false };
                let found = cache.0.read_with(key, ask, |value| deliver(call, value))?;
                let (taken, info) = found.ok_or(Status::LARDER_NOT_FOUND)?;
                call.state = state_number(info.state);
                return taken;
            }
            match cache.0.read(key, |value| deliver(call, value))? {
                Some(taken) => taken,
                None => Err(Status::LARDER_NOT_FOUND),
            }
        })
    }
}

/// For the slow path from Go: larder_set or larder_set_ttl.
///
/// # Safety
/// As larder_call_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_call_set(call: *mut LarderCall) -> usize {
    // SAFETY: passed on to the caller.
    unsafe {
        slow(call, |call, cache| {
            let (key, value) =
                (key_bytes(call.key, call.key_len)?, value_bytes(call.buf, call.buf_len)?);
            if !call.options.is_null() {
                return with_options(call.options, |options| {
                    Ok(cache.0.set_with(key, value, options)?)
                });
            }
            Ok(cache.0.set_ttl(key, value, ttl_of(call.flags, call.ttl_ms))?)
        })
    }
}

/// For the slow path from Go: larder_delete.
///
/// # Safety
/// As larder_call_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_call_delete(call: *mut LarderCall) -> usize {
    // SAFETY: passed on to the caller.
    unsafe {
        slow(call, |call, cache| {
            let key = key_bytes(call.key, call.key_len)?;
            if cache.0.try_remove(key)? { Ok(()) } else { Err(Status::LARDER_NOT_FOUND) }
        })
    }
}
