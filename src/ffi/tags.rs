//! Tags: invalidating all entries that have something in common.

use super::{LarderCache, Status, boundary, bytes, handle};

/// Invalidates all entries that carry a tag and were stored before: none is served once this has
/// returned. `soft`: they are stale from then on instead (see larder_get_with). Takes the same time
/// however many there are.
///
/// Status: LARDER_OK, LARDER_INVALID_ARGUMENT, LARDER_CLOSED.
///
/// # Safety
/// The pointers are NULL or valid for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_invalidate_tag(
    cache: *const LarderCache,
    tag: *const u8,
    tag_len: usize,
    soft: bool,
) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        // SAFETY: passed on to the caller.
        let tag = unsafe { bytes(tag, tag_len) }?;
        Ok(cache?.0.invalidate_tag(tag, soft)?)
    })
}

/// Stores in *stamp where invalidations of tags stand: for as_of of larder_set_options, taken
/// before a value is fetched.
///
/// # Safety
/// The pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_stamp(cache: *const LarderCache, stamp: *mut u64) -> Status {
    // SAFETY: passed on to the caller.
    let cache = unsafe { handle(cache) };
    boundary(cache.as_ref().ok().copied(), || {
        if stamp.is_null() {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        let now = cache?.0.stamp()?;
        // SAFETY: not null, so valid.
        unsafe { stamp.write(now) };
        Ok(())
    })
}
