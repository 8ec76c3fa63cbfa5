//! Events for C programs.

use super::{LarderCache, LarderCursor, Status, boundary, handle};
use crate::cache::iter::{Cursor, Filled};

/// Moves the next events to `buf`, as records of reason (LARDER_EVENT_*, 4 bytes, little endian),
/// key length (likewise), value length (likewise) and key, without padding, and stores their bytes
/// in *written. The value is the one that is gone or was rejected; its length is all there is to
/// know of it.
///
/// *dropped, unless dropped is NULL, is the number of events that were dropped, because their
/// stripe's part of event_bytes was full, since a call last reported them; it may be more than 0
/// whatever the status. larder_stats has their sum.
///
/// Begin with a cursor of all zero and call until LARDER_NOT_FOUND: this is a pass, which returns
/// everything that was there when it began, and perhaps some of what came meanwhile, and always
/// comes to an end. Events of one key come in order; those of different keys may not. Several
/// threads may make passes at once, each with a cursor of its own: every event, and every count,
/// goes to one of them. A call that fails takes no events. Nothing is left after larder_close.
///
/// Cost: one lock of a stripe for every 16 KiB, and at least one for each stripe.
///
/// Status: LARDER_OK; LARDER_NOT_FOUND at the end of the pass (at once without event_bytes);
/// LARDER_BUFFER_TOO_SMALL (*written is what the next record needs: 12 bytes and its key, at most
/// 65,548); LARDER_INVALID_ARGUMENT, LARDER_CLOSED.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_events(
    cache: *const LarderCache,
    cursor: *mut LarderCursor,
    buf: *mut u8,
    buf_len: usize,
    written: *mut usize,
    dropped: *mut u64,
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
        // SAFETY: NULL or valid.
        let dropped = unsafe { dropped.as_mut() }.map(|dropped| {
            *dropped = 0;
            dropped
        });
        // SAFETY: both not null, so valid.
        let position = unsafe {
            written.write(0);
            (*cursor).position
        };
        let mut at = Cursor { position };
        let (status, bytes) = match cache?.0.fill_events(&mut at, out, dropped)? {
            Filled::Some(bytes) => (Ok(()), bytes),
            Filled::Needs(bytes) => (Err(Status::LARDER_BUFFER_TOO_SMALL), bytes),
            Filled::End => (Err(Status::LARDER_NOT_FOUND), 0),
        };
        // SAFETY: as above.
        unsafe {
            written.write(bytes);
            (*cursor).position = at.position;
        }
        status
    })
}
