//! Clocks for tests.

use crate::sys::clock::MockClock;

/// A clock that stands still until it is told to move; see `clock` of larder_options. Of any number
/// of caches at once. Its functions may be called by any thread.
pub struct LarderMockClock(pub(super) MockClock);

/// Makes a clock that stands at 0. Free it with larder_mock_clock_free. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn larder_mock_clock_new() -> *mut LarderMockClock {
    Box::into_raw(Box::new(LarderMockClock(MockClock::default())))
}

/// Frees a clock. NULL is fine. Caches made with it keep what it counts in: for them time stands
/// still from then on.
///
/// # Safety
/// `clock` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_mock_clock_free(clock: *mut LarderMockClock) {
    if !clock.is_null() {
        // SAFETY: from larder_mock_clock_new, and freed once.
        drop(unsafe { Box::from_raw(clock) });
    }
}

/// Moves a clock forward by so many milliseconds. NULL is fine.
///
/// # Safety
/// `clock` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_mock_clock_advance(clock: *const LarderMockClock, millis: u64) {
    // SAFETY: NULL or valid, as the caller promises.
    if let Some(clock) = unsafe { clock.as_ref() } {
        clock.0.advance(millis);
    }
}

/// Moves a clock to so many milliseconds, unless it is beyond that already: it never goes back.
/// NULL is fine.
///
/// # Safety
/// `clock` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_mock_clock_set(clock: *const LarderMockClock, millis: u64) {
    // SAFETY: NULL or valid, as the caller promises.
    if let Some(clock) = unsafe { clock.as_ref() } {
        clock.0.set(millis);
    }
}

/// Where a clock stands, in milliseconds; 0 for NULL.
///
/// # Safety
/// `clock` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_mock_clock_now(clock: *const LarderMockClock) -> u64 {
    // SAFETY: NULL or valid, as the caller promises.
    unsafe { clock.as_ref() }.map_or(0, |clock| clock.0.now())
}
