//! Many keys in one crossing.
//!
//! A call does one group of keys (16) and moves `done` on; the caller repeats it until `done` is
//! `n`. So the work of one crossing is bounded, and the fast path's rules hold.

use super::cache::ttl_from;
use super::{FAST_COPY, LARDER_CALL_TTL, LarderCache, LarderMany, Status, boundary, handle};
use crate::cache::batch::{Answers, GROUP, Keys};
use crate::cache::handle::Cache;
use crate::cache::shared::TryError;
use crate::cache::ttl::Ttl;
use crate::entry::{MAX_KEY, MAX_VALUE, Value};
use std::ops::Range;

/// The arguments as slices.
struct Parts<'a> {
    cache: &'a Cache,
    keys: Keys<'a>,
    values: Keys<'a>,
    out_ends: &'a mut [u32],
    out_status: &'a mut [u8],
    buf: *mut u8,
    room: usize,
    used: &'a mut usize,
    need: &'a mut usize,
    done: &'a mut usize,
    ttl: Ttl,
}

/// # Safety
/// The struct's pointers are NULL or valid for their lengths: `key_ends`, and where given
/// `value_ends`, `out_ends` and `out_status`, have `n` elements, `keys` the bytes that the last end
/// says, `buf` has `buf_len`.
#[inline]
unsafe fn parts<'a>(many: *mut LarderMany) -> Result<Parts<'a>, Status> {
    // SAFETY: NULL or valid, as the caller promises.
    let many = unsafe { many.as_mut() }.ok_or(Status::LARDER_INVALID_ARGUMENT)?;
    let n = many.n;
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(many.cache) }?;
    if n > u32::MAX as usize
        || n > 0 && (many.key_ends.is_null() || many.out_status.is_null())
        || many.done > n
    {
        return Err(Status::LARDER_INVALID_ARGUMENT);
    }
    if many.buf_len > u32::MAX as usize
        || many.used > many.buf_len
        || many.buf.is_null() && many.buf_len > 0
    {
        return Err(Status::LARDER_INVALID_ARGUMENT);
    }
    // SAFETY: as the caller promises; empty slices are made without the pointer.
    unsafe {
        Ok(Parts {
            cache: &cache.0,
            keys: packed(many.keys, many.key_ends, n),
            values: packed(many.values, many.value_ends, n),
            out_ends: if many.out_ends.is_null() || n == 0 {
                &mut []
            } else {
                std::slice::from_raw_parts_mut(many.out_ends, n)
            },
            out_status: if n == 0 {
                &mut []
            } else {
                std::slice::from_raw_parts_mut(many.out_status, n)
            },
            buf: many.buf,
            room: many.buf_len,
            used: &mut many.used,
            need: &mut many.need,
            done: &mut many.done,
            ttl: if many.flags & LARDER_CALL_TTL != 0 {
                ttl_from(many.ttl_ms)
            } else {
                Ttl::Default
            },
        })
    }
}

/// The cache of a call, for whatever comes of it; None where there is none.
///
/// # Safety
/// `batch` is NULL or valid, and its cache NULL or a handle that wasn't freed.
unsafe fn cache_of<'a>(many: *const LarderMany) -> Option<&'a LarderCache> {
    // SAFETY: as the caller promises.
    unsafe { handle(many.as_ref()?.cache) }.ok()
}

/// What lies one behind the other, where each of `n` ends.
///
/// # Safety
/// `ends` is NULL or has `n` elements; `bytes` is NULL or as long as the last says.
#[inline(always)]
unsafe fn packed<'a>(bytes: *const u8, ends: *const u32, n: usize) -> Keys<'a> {
    // SAFETY: as the caller promises; empty slices are made without the pointer.
    unsafe {
        let ends =
            if ends.is_null() || n == 0 { &[][..] } else { std::slice::from_raw_parts(ends, n) };
        let bytes = match ends.last() {
            Some(&len) if len > 0 && !bytes.is_null() => {
                std::slice::from_raw_parts(bytes, len as usize)
            }
            _ => &[][..],
        };
        Keys { bytes, ends }
    }
}

/// Checks a call of the fast path and starts loading what its next group will need. Not inlined:
/// what it takes of the stack is given back before the sets or deletes begin.
///
/// # Safety
/// As [`deadlines`].
#[inline(never)]
unsafe fn prepare(many: *mut LarderMany) -> Result<usize, Status> {
    // SAFETY: passed on to the caller.
    let parts = unsafe { parts(many) }?;
    let range = parts.group();
    parts.cache.prefetch_many(&parts.keys, range.clone());
    Ok(range.end)
}

impl Parts<'_> {
    #[inline]
    fn group(&self) -> Range<usize> {
        *self.done..self.keys.ends.len().min(*self.done + GROUP)
    }

    /// Where the answers of gets go.
    #[inline]
    fn answers(&mut self) -> Buffer<'_> {
        *self.need = 0;
        Buffer {
            out_ends: self.out_ends,
            out_status: self.out_status,
            buf: self.buf,
            room: self.room,
            used: self.used,
            need: self.need,
        }
    }
}

/// The part of the arguments that answers are written to.
struct Buffer<'a> {
    out_ends: &'a mut [u32],
    out_status: &'a mut [u8],
    buf: *mut u8,
    room: usize,
    used: &'a mut usize,
    need: &'a mut usize,
}

impl Answers for Buffer<'_> {
    /// If it doesn't fit, `need` says what it takes.
    #[inline(always)]
    fn take(&mut self, value: Value<'_>) -> bool {
        let fits = value.len() <= self.room - *self.used;
        *self.need = if fits { 0 } else { value.len() };
        if fits {
            // SAFETY: `used + len <= room`, bytes of the caller's own buffer.
            unsafe { value.copy_to(self.buf.wrapping_add(*self.used)) };
        }
        fits
    }

    #[inline(always)]
    fn answer(&mut self, i: usize, len: Option<usize>) {
        *self.used += len.unwrap_or(0);
        let status = if len.is_some() { Status::LARDER_OK } else { Status::LARDER_NOT_FOUND };
        if let (Some(end), Some(out)) = (self.out_ends.get_mut(i), self.out_status.get_mut(i)) {
            *end = *self.used as u32;
            *out = status as u8;
        }
    }
}

/// For the fast path from Go: gets the next group. LARDER_OK when `done` has moved on,
/// LARDER_BUFFER_TOO_SMALL when the next value needs `need` bytes of room behind `used`,
/// LARDER_BUSY, or as larder_get.
///
/// # Safety
/// The struct and its pointers are valid, and its cache is a handle that wasn't freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_fast_get_many(many: *mut LarderMany) -> usize {
    // SAFETY: passed on to the caller.
    let mut parts = match unsafe { parts(many) } {
        Ok(parts) => parts,
        Err(status) => return status as usize,
    };
    let range = parts.group();
    let asked = range.len();
    let (cache, keys) = (parts.cache, parts.keys);
    let done = cache.try_read_many(&keys, range, FAST_COPY, &mut parts.answers());
    let status = match done {
        Ok(done) => {
            *parts.done += done;
            if done > 0 || asked == 0 {
                Status::LARDER_OK
            } else if *parts.need > 0 {
                Status::LARDER_BUFFER_TOO_SMALL
            } else {
                Status::LARDER_BUSY
            }
        }
        Err(error) => error.into(),
    };
    status as usize
}

/// Gets the next group of keys. Each key's outcome is in `out_status`, its value in `buf`, and
/// where it ends in `out_ends`.
///
/// Status: LARDER_OK when `done` has moved on; LARDER_BUFFER_TOO_SMALL when the next value needs
/// `need` bytes of room behind `used`: give a larger `buf` (with the bytes that are in it) or take
/// out what it holds, and repeat the call; LARDER_INVALID_ARGUMENT when a required pointer is NULL;
/// LARDER_CLOSED.
///
/// # Safety
/// The struct's pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_many(many: *mut LarderMany) -> Status {
    // SAFETY: passed on to the caller.
    boundary(unsafe { cache_of(many) }, || {
        // SAFETY: passed on to the caller.
        let mut parts = unsafe { parts(many) }?;
        if parts.out_ends.len() < parts.keys.ends.len() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        let range = parts.group();
        let asked = range.len();
        let (cache, keys) = (parts.cache, parts.keys);
        let done = cache.read_many(&keys, range, &mut parts.answers())?;
        *parts.done += done;
        if done == 0 && asked > 0 { Err(Status::LARDER_BUFFER_TOO_SMALL) } else { Ok(()) }
    })
}

/// Stores the next group on the fast path. Each key's outcome is in `out_status`. LARDER_BUSY when
/// the one at `done` has to take the slow path.
///
/// # Safety
/// As larder_fast_get_many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_fast_set_many(many: *mut LarderMany) -> usize {
    // SAFETY: passed on to the caller.
    let end = match unsafe { prepare(many) } {
        Ok(end) => end,
        Err(status) => return status as usize,
    };
    // SAFETY: `prepare` has found it and its cache not NULL, so valid.
    let (many, cache) = unsafe {
        let many = &mut *many;
        let cache = &(*many.cache).0;
        (many, cache)
    };
    let ttl = if many.flags & LARDER_CALL_TTL != 0 { ttl_from(many.ttl_ms) } else { Ttl::Default };
    let mut copied = 0;
    while many.done < end {
        let (n, i) = (many.n, many.done);
        // SAFETY: passed on to the caller.
        let (key, value) = unsafe {
            (
                packed(many.keys, many.key_ends, n).get(i),
                packed(many.values, many.value_ends, n).get(i),
            )
        };
        copied += value.len();
        if copied > FAST_COPY || key.len() > MAX_KEY {
            return Status::LARDER_BUSY as usize;
        }
        let status = match cache.try_store(key, value, ttl) {
            Ok(()) => Status::LARDER_OK,
            Err(error @ (TryError::Busy | TryError::Closed)) => {
                return Status::from(error) as usize;
            }
            Err(error) => error.into(),
        };
        // SAFETY: `out_status` has `n` elements, and is not NULL where `n` isn't 0: `prepare` has
        // checked.
        unsafe { many.out_status.add(i).write(status as u8) };
        many.done = i + 1;
    }
    Status::LARDER_OK as usize
}

/// Stores the next group of keys. Each key's outcome, as of larder_set or larder_set_ttl, is in
/// `out_status`.
///
/// Status: LARDER_OK when `done` has moved on; LARDER_INVALID_ARGUMENT when a required pointer is
/// NULL; LARDER_CLOSED.
///
/// # Safety
/// As larder_get_many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set_many(many: *mut LarderMany) -> Status {
    // SAFETY: passed on to the caller.
    boundary(unsafe { cache_of(many) }, || {
        // SAFETY: passed on to the caller.
        let parts = unsafe { parts(many) }?;
        if parts.values.ends.len() < parts.keys.ends.len() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        for i in parts.group() {
            let (key, value) = (parts.keys.get(i), parts.values.get(i));
            let status = if value.len() as u64 > MAX_VALUE {
                Status::LARDER_VALUE_TOO_LARGE
            } else {
                match parts.cache.set_ttl(key, value, parts.ttl) {
                    Ok(()) => Status::LARDER_OK,
                    Err(crate::Error::Closed) => return Err(Status::LARDER_CLOSED),
                    Err(error) => error.into(),
                }
            };
            parts.out_status[i] = status as u8;
            *parts.done = i + 1;
        }
        Ok(())
    })
}

/// Deletes the next group on the fast path; `out_status` has LARDER_OK or LARDER_NOT_FOUND for
/// each.
///
/// # Safety
/// As larder_fast_get_many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_fast_delete_many(many: *mut LarderMany) -> usize {
    // SAFETY: passed on to the caller.
    let end = match unsafe { prepare(many) } {
        Ok(end) => end,
        Err(status) => return status as usize,
    };
    // SAFETY: `prepare` has found it and its cache not NULL, so valid.
    let (many, cache) = unsafe {
        let many = &mut *many;
        let cache = &(*many.cache).0;
        (many, cache)
    };
    while many.done < end {
        let i = many.done;
        // SAFETY: passed on to the caller.
        let key = unsafe { packed(many.keys, many.key_ends, many.n).get(i) };
        let status = match cache.try_delete(key) {
            Ok(true) => Status::LARDER_OK,
            Ok(false) => Status::LARDER_NOT_FOUND,
            Err(error) => return Status::from(error) as usize,
        };
        // SAFETY: `out_status` has `n` elements, and is not NULL where `n` isn't 0: `prepare` has
        // checked.
        unsafe { many.out_status.add(i).write(status as u8) };
        many.done = i + 1;
    }
    Status::LARDER_OK as usize
}

/// Deletes the next group of keys; `out_status` has LARDER_OK or LARDER_NOT_FOUND for each.
///
/// Status: as larder_set_many.
///
/// # Safety
/// As larder_get_many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete_many(many: *mut LarderMany) -> Status {
    // SAFETY: passed on to the caller.
    boundary(unsafe { cache_of(many) }, || {
        // SAFETY: passed on to the caller.
        let parts = unsafe { parts(many) }?;
        for i in parts.group() {
            let found = parts.cache.try_remove(parts.keys.get(i))?;
            parts.out_status[i] =
                if found { Status::LARDER_OK } else { Status::LARDER_NOT_FOUND } as u8;
            *parts.done = i + 1;
        }
        Ok(())
    })
}
