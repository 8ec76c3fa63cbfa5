//! larder-server: larder on the network, as a cache server that clients of Redis, Valkey and
//! memcached talk to, and whatever speaks HTTP.
//!
//! ```text
//! main ── config ── server ─┬─ resp/       RESP2 and RESP3: parser, writer, commands by family
//!                           ├─ memcached/  classic text and meta protocol
//!                           ├─ http/       /cache/{key}
//!                           └─ admin/      metrics, health, the page
//!                                │
//!                              store ── larder::Cache        tracking ── who caches what
//! ```
//!
//! Everything that a protocol does with entries goes through [`store::Store`]; it alone tells
//! `tracking` what changed. A worker is a thread with a runtime of its own; a connection belongs to
//! one worker for its life, and a command runs from its first byte to its reply without a wait.

pub mod admin;
pub mod config;
pub mod edges;
pub mod http;
pub mod memcached;
pub mod metrics;
pub mod process;
pub mod resp;
pub mod server;
pub mod shared;
pub mod store;
pub mod tracking;
