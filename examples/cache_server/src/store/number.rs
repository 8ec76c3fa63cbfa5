//! The number of 48 bits beside a value: what the protocols keep in it. To those that don't know of a
//! part, it is nothing: values are the clients' bytes and no more.
//!
//! ```text
//! bits  0..32  memcached's flags
//!      32..46  which Content-Type (HTTP: a place in its table; 0: none was said)
//!          46  a client of memcached was told to fetch the value anew (W)
//!          47  the key came in base64 (memcached's meta protocol)
//! ```

/// See above.
pub const TOKEN_SENT: u64 = 1 << 46;
/// See above.
pub const KEY_BINARY: u64 = 1 << 47;
const TYPE_SHIFT: u32 = 32;
/// The largest place in the table of Content-Types.
pub const MAX_TYPE: u64 = (1 << 14) - 1;

/// Which Content-Type a value has.
#[inline]
pub fn content_type(number: u64) -> usize {
    (number >> TYPE_SHIFT & MAX_TYPE) as usize
}

/// The number of a value with a Content-Type.
pub fn with_content_type(place: usize) -> u64 {
    debug_assert!(place as u64 <= MAX_TYPE);
    (place as u64 & MAX_TYPE) << TYPE_SHIFT
}
