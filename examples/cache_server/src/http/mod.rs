//! HTTP: `/cache/{key}` on the same data as RESP and memcached, invalidation, and what the server
//! tells of itself. `openapi.json` describes it, and is served.
//!
//! hyper without a framework: a request is matched in one function ([`route`]), so nothing is
//! allocated for routing, and a large value is sent from where it lies in the cache.

mod body;
mod conditions;
mod connection;
mod control;
mod entries;
mod invalidate;
mod key;
mod problem;
mod route;
mod stats;
mod types;

pub use body::Body;
pub use connection::{drive, serve};
pub use problem::Problem;
pub use stats::stats;
pub use types::Types;

pub(crate) use body::whole;
pub(crate) use route::admitted;

/// Names of the requests that are counted, in the order of [`Request`].
pub const COMMANDS: &[&str] = &["get", "head", "put", "delete", "invalidate", "stats", "other"];

/// The description of this interface.
pub const OPENAPI: &str = include_str!("openapi.json");

/// A request, as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Request {
    Get,
    Head,
    Put,
    Delete,
    Invalidate,
    Stats,
    Other,
}
