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
//! An entry is bytes in a segment. The index points at it. Readers pin an epoch, and never lock. Writers lock their stripe,
//! append, and swing the index. When the budget is reached, the stripe drains its oldest entries, and the policy says of
//! each: keep (append it again) or drop. ARCHITECTURE.md is the long version, and says where each of these lives.
//!
//! # What it promises
//!
//! * Everything counts against the budget: keys, values, headers, index, free space, bookkeeping.
//! * A set that succeeded is visible to every get that begins after it, until the entry is overwritten, deleted, expired or
//!   evicted. A failed one changes nothing.
//! * Nothing expired is returned. Times are those of a clock with steps of 1 to 4 ms.
//! * All methods may be called from any number of threads.
//!
//! # What an entry costs
//!
//! Its key and value, 8 bytes of header, 8 more with a time to live, rounded up to 8; 10 to 11.3 bytes of index; 0 to 5
//! bytes for what the policy remembers of evicted keys; and 2 to 3 per cent for segments that are being filled or drained.
//! Entries larger than a 16th of a thousandth of the budget may lie by themselves, side by side; where sizes are mixed the holes between them
//! take up to 5 per cent.

#![allow(clippy::new_without_default, reason = "constructors here mean something")]

mod append;
mod barrier;
mod bytes;
mod cache;
mod check;
mod clock;
mod compaction;
mod conditional;
mod counters;
mod drain;
mod entry;
mod epoch;
mod error;
mod events;
mod extra;
mod family;
mod ffi;
mod follow;
mod freshness;
mod hash;
mod index;
mod iterate;
mod loads;
mod log;
mod mailbox;
mod maintenance;
mod many;
mod options;
mod os;
mod overwrite;
mod pending;
mod policy;
mod read;
#[cfg(test)]
mod refused;
mod ruling;
mod sequence;
mod set;
mod share;
mod space;
mod stats;
mod store;
mod stripe;
mod sweep;
#[cfg(test)]
mod sweep_model;
mod sync;
mod tags;
mod ttl;
mod view;
mod waiting;
mod wide;

pub use cache::Cache;
pub use clock::{Clock, MockClock};
pub use conditional::{Ask, Info};
pub use error::Error;
pub use events::{Event, Reason, Reasons};
pub use family::{MAX_NAMESPACES, NamespaceOptions};
pub use freshness::State;
pub use options::Options;
pub use policy::Kind as Policy;
pub use stats::Stats;
pub use store::SetOptions;
pub use ttl::Ttl;
pub use view::View;
