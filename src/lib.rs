//! larder
#![allow(dead_code, missing_docs)]
mod bytes;
mod cache;
mod clock;
mod counters;
mod entry;
mod epoch;
mod error;
mod expiry;
mod ffi;
mod hash;
mod index;
mod iterate;
mod log;
mod many;
mod os;
mod policy;
mod space;
mod stripe;
mod sync;
mod view;

pub use cache::{Cache, Options, Stats, Ttl};
pub use clock::{Clock, MockClock};
pub use error::Error;
pub use policy::Kind as Policy;
pub use view::View;
