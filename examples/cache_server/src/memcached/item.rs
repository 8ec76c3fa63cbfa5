//! The number beside a value, as this protocol uses it. Its layout is [`crate::store::number`]'s.

use crate::store::number;

/// The number of an item with these flags.
pub(super) fn number(flags: u32, key_is_binary: bool) -> u64 {
    u64::from(flags) | if key_is_binary { number::KEY_BINARY } else { 0 }
}

/// The client's flags.
pub(super) fn flags(number: u64) -> u32 {
    number as u32
}

/// Whether a client was told to fetch the value anew (`W`), and nobody has stored one since.
pub(super) fn token_sent(number: u64) -> bool {
    number & number::TOKEN_SENT != 0
}

/// Whether the key came in base64 when the value was stored, and is told so.
pub(super) fn key_is_binary(number: u64) -> bool {
    number & number::KEY_BINARY != 0
}
