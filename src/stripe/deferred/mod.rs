//! What has been said and is yet to be done: sets that have returned and aren't in the index, and
//! verdicts of the policy that the fast path could not carry out. Data only; `complete` and `evict`
//! act on it.

pub mod combining;
pub mod keep;
pub mod pending_filter;
pub mod record;
pub mod write_buffer;
