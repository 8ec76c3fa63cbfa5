//! larder: an in-process cache of bytes, with a byte budget that holds.
//!
//! ```
//! use larder::{Cache, Options};
//! use std::time::Duration;
//!
//! let cache = Cache::new(Options::new(64 << 20))?;
//! cache.set(b"user:1", b"{\"name\":\"Ada\"}")?;
//! cache.set_ttl(b"session", b"...", Duration::from_secs(30))?;
//! assert_eq!(cache.get(b"user:1").as_deref(), Some(&b"{\"name\":\"Ada\"}"[..]));
//! # Ok::<(), larder::Error>(())
//! ```
//!
//! # How it works
//!
//! An entry is bytes in a segment. The index points at it. Readers pin an epoch, and never lock.
//! Writers lock their stripe, append, and swing the index. When the budget is reached, the stripe
//! drains its oldest entries, and the policy says of each: keep (append it again) or drop.
//! ARCHITECTURE.md is the long version, and says where each of these lives.
//!
//! # What it promises
//!
//! * Everything counts against the budget: keys, values, headers, index, free space, bookkeeping.
//! * A set that succeeded is visible to every get that begins after it, until the entry is
//!   overwritten, deleted, expired or evicted. A failed one changes nothing.
//! * Nothing expired is returned. Times are those of a clock with steps of 1 to 4 ms.
//! * All methods may be called from any number of threads.
//!
//! # What an entry costs
//!
//! Its key and value, 8 bytes of header, 8 more with a time to live, rounded up to 8; 10 to 11.3
//! bytes of index; 0 to 5 bytes for what the policy remembers of evicted keys; and 2 to 3 per cent
//! for segments that are being filled or drained. Entries larger than a 16th of a thousandth of the
//! budget may lie by themselves, side by side; where sizes are mixed the holes between them take up
//! to 5 per cent.

#![allow(clippy::new_without_default, reason = "constructors here mean something")]

mod cache;
mod entry;
mod error;
mod ffi;
mod index;
mod memory;
mod policy;
mod stripe;
mod sync;
mod sys;

pub use cache::Cache;
pub use cache::conditional::Ask;
pub use cache::info::Info;
pub use cache::lend::Lent;
pub use cache::loading::{LoadGuard, Lookup};
pub use cache::loads::Load;
pub use cache::namespaces::MAX_NAMESPACES;
pub use cache::options::{NamespaceOptions, Options};
pub use cache::stats::Stats;
pub use cache::ttl::Ttl;
pub use cache::update::{Change, Current, NewValue, Until, Write};
pub use cache::view::View;
pub use cache::write::SetOptions;
pub use entry::freshness::State;
pub use error::{CasError, Error};
pub use policy::Kind as Policy;
pub use stripe::events::{Event, Reason, Reasons};
pub use sys::clock::{Clock, MockClock};
