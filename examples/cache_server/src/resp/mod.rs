//! RESP2 and RESP3: what clients of Redis and Valkey speak.
//!
//! ```text
//! socket ─► connection ─► parse ─► execute ─► commands/ ─► output ─► socket
//!            (buffers)    (ranges)  (rules)    (store)      (bytes, lent values)
//! ```

pub mod command;
mod commands;
mod connection;
pub mod decimal;
mod execute;
pub mod glob;
mod inline;
pub mod number;
pub mod output;
pub mod parse;
mod pushes;
mod session;

pub use connection::serve;
