//! What can be set, and from where: flags, then the environment (`LARDER_…`), then a TOML file,
//! then the defaults; who comes first wins.
//!
//! All options are rows of one table ([`options::OPTIONS`]): the flags, the environment's names, the file's keys,
//! `--help`, what `SIGHUP` can change, and the README's table are made of it.

mod amounts;
mod error;
mod help;
mod limit;
mod live;
pub mod options;
mod reload;
mod sources;

pub use error::ConfigError;
pub use help::{help, reference};
pub use limit::memory_limit;
pub use live::Live;
pub use reload::{Reloaded, reload};
pub use sources::{Request, Sources, from_process, load};

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// All settings, with every value in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses to listen on.
    pub bind: Vec<IpAddr>,
    /// Port of RESP (the protocol of Redis and Valkey). Of this and all other ports: 0 for one that
    /// the system chooses (settings can't say that, tests can); `None` for no listener.
    pub port: Option<u16>,
    /// Port of RESP by TLS.
    pub tls_port: Option<u16>,
    /// Port of memcached's protocol.
    pub memcached_port: Option<u16>,
    /// Port of memcached's protocol by TLS.
    pub memcached_tls_port: Option<u16>,
    /// Port of HTTP.
    pub http_port: Option<u16>,
    /// Port of HTTPS.
    pub https_port: Option<u16>,
    /// Port of metrics, health and the page of live numbers.
    pub admin_port: Option<u16>,
    /// A Unix socket for RESP.
    pub unixsocket: Option<PathBuf>,
    /// A Unix socket for memcached's protocol.
    pub memcached_unixsocket: Option<PathBuf>,
    /// A Unix socket for HTTP.
    pub http_unixsocket: Option<PathBuf>,
    /// The mode of the Unix sockets.
    pub unixsocketperm: u32,
    /// The certificate chain for TLS, PEM.
    pub tls_cert_file: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Who may sign clients' certificates, PEM; then they must have one.
    pub tls_ca_cert_file: Option<PathBuf>,
    /// The budget of the cache in bytes, for everything that belongs to entries.
    pub maxmemory: u64,
    /// Who stays and who goes.
    pub policy: larder::Policy,
    /// Threads that serve connections; 0: one for each processor, at most 16.
    pub workers: usize,
    /// At most so many connections, of all protocols.
    pub maxclients: usize,
    /// A connection that is silent for so long is closed; zero: never.
    pub timeout: Duration,
    /// Bytes of replies that a connection may leave unread before it is cut.
    pub output_limit: usize,
    /// Bytes of one command that are held before it is complete.
    pub query_limit: usize,
    /// What clients must know; `None`: nothing.
    pub requirepass: Option<String>,
    /// A file whose first line is that.
    pub requirepass_file: Option<PathBuf>,
    /// How long a stop waits for connections to finish what they are at.
    pub drain: Duration,
    /// Keys that the tracking table remembers.
    pub tracking_table_max_keys: usize,
    /// Whether `DEBUG` is allowed.
    pub enable_debug: bool,
    /// What `HELLO` and `INFO` say who this is.
    pub server_name: String,
    /// The version of Redis whose behaviour clients may count on.
    pub redis_version: String,
    /// What is logged.
    pub loglevel: tracing::level_filters::LevelFilter,
    /// How it is written.
    pub logformat: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

impl Default for Config {
    /// As without a flag, a variable and a file.
    fn default() -> Config {
        options::defaults()
    }
}

impl Config {
    /// Whether any surface speaks TLS.
    pub fn wants_tls(&self) -> bool {
        [self.tls_port, self.memcached_tls_port, self.https_port].iter().any(Option::is_some)
    }
}
