//! What was wrong with an option, in words, for who asks.

use std::cell::Cell;
use std::ffi::c_char;

thread_local! {
    /// What was wrong with the options of the last call, for larder_invalid_option: text with a
    /// zero behind it.
    static NOTED: Cell<[u8; 128]> = const { Cell::new([0; 128]) };
}

/// Notes what is wrong with options.
pub(super) fn note(why: &str) {
    let mut text = [0; 128];
    let len = why.len().min(text.len() - 1);
    text[..len].copy_from_slice(&why.as_bytes()[..len]);
    NOTED.set(text);
}

/// Returns what was wrong with an option, and which range it has, after LARDER_INVALID_ARGUMENT
/// from larder_new, larder_resize or larder_namespace; "" if they were never wrong on this thread,
/// or a pointer was. Valid on this thread until the next such call.
#[unsafe(no_mangle)]
pub extern "C" fn larder_invalid_option() -> *const c_char {
    NOTED.with(|text| text.as_ptr().cast_const().cast())
}
