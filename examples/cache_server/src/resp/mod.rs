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

pub use connection::serve_stream;

use crate::config::Config;
use crate::process::{Connection, Resp};
use crate::server::Server;
use crate::shared::Shared;
use std::sync::Arc;

/// What serves RESP on the workers.
pub fn service(config: &Config, shared: &Arc<Shared>) -> Resp {
    let server = Server::new(config, shared);
    Arc::new(move |connection| {
        let server = server.clone();
        Box::pin(async move {
            let _open = server.shared.resp.opened();
            match connection {
                Connection::Plain(stream) => {
                    let (peer, local) = stream.ends();
                    serve_stream(stream, peer, local, server).await;
                }
                Connection::Secret(stream) => {
                    serve_stream(stream, "tls".into(), "tls".into(), server).await;
                }
            }
        })
    })
}
