//! What can be chosen when the server starts.

use std::net::IpAddr;
use std::time::Duration;

/// The server's settings. The default is a good choice for a machine that it shares.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to listen on.
    pub bind: Vec<IpAddr>,
    /// Port of RESP; 0 for one that the system chooses; `None` for no listener.
    pub port: Option<u16>,
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
    /// Password of `AUTH`; `None`: none is asked for.
    pub requirepass: Option<String>,
    /// Bytes of replies that a connection may leave unread before it is cut.
    pub output_limit: usize,
    /// Bytes of one command that are held before it is complete.
    pub query_limit: usize,
    /// Keys that the tracking table remembers.
    pub tracking_table_max_keys: usize,
    /// Whether `DEBUG` is allowed.
    pub enable_debug: bool,
    /// What `HELLO` and `INFO` say who this is.
    pub server_name: String,
    /// The version of Redis whose behaviour clients may count on.
    pub redis_version: String,
    /// How long a stop waits for connections to finish what they are at.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            bind: vec![IpAddr::from([127, 0, 0, 1])],
            port: Some(6380),
            maxmemory: 256 << 20,
            policy: larder::Policy::Default,
            workers: 0,
            maxclients: 10_000,
            timeout: Duration::ZERO,
            requirepass: None,
            output_limit: 64 << 20,
            query_limit: 256 << 20,
            tracking_table_max_keys: 1_000_000,
            enable_debug: false,
            server_name: "redis".into(),
            redis_version: "8.4.0".into(),
            drain: Duration::from_secs(10),
        }
    }
}
