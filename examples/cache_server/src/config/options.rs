//! The table of all options.

use super::amounts::{show_size, show_time, size, time};
use super::{Config, LogFormat, memory_limit};
use larder::Policy;
use std::path::PathBuf;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// An option: its names, its range, and how it is set and told.
pub struct Opt {
    /// Its name as a flag (`--NAME`) and a key of the file. In the environment it is `LARDER_NAME`,
    /// in capitals and with `_` for `-`.
    pub name: &'static str,
    /// What stands for its value in the help.
    pub value: &'static str,
    /// Its default, as it would be written.
    pub default: &'static str,
    /// What it may be.
    pub range: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Whether SIGHUP changes it.
    pub reloads: bool,
    /// Sets it; None: out of range.
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
    /// Tells it, as it would be written.
    pub get: fn(&Config) -> String,
}

const PORTS: &str = "0 (off) to 65535";
const PATHS: &str = "a path, or nothing";
const TIMES: &str = "0 to 24h: a number of seconds, or one with ms, s, m or h";

macro_rules! port {
    ($name:literal, $field:ident, $default:literal, $help:literal) => {
        Opt {
            name: $name,
            value: "PORT",
            default: $default,
            range: PORTS,
            help: $help,
            reloads: false,
            set: |config, text| put(&mut config.$field, port(text)),
            get: |config| config.$field.unwrap_or(0).to_string(),
        }
    };
}

macro_rules! path {
    ($name:literal, $field:ident, $help:literal) => {
        Opt {
            name: $name,
            value: "PATH",
            default: "",
            range: PATHS,
            help: $help,
            reloads: false,
            set: |config, text| put(&mut config.$field, Some(path(text))),
            get: |config| show_path(config.$field.as_ref()),
        }
    };
}

/// All options, in the order of the help.
pub const OPTIONS: &[Opt] = &[
    Opt {
        name: "bind",
        value: "ADDRESSES",
        default: "127.0.0.1",
        range: "IP addresses with commas or blanks between, or * for all",
        help: "Addresses to listen on",
        reloads: false,
        set: |config, text| put(&mut config.bind, addresses(text)),
        get: |config| config.bind.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    },
    port!("port", port, "6380", "RESP, the protocol of Redis and Valkey"),
    port!("memcached-port", memcached_port, "0", "memcached's protocol"),
    port!("http-port", http_port, "0", "HTTP"),
    port!("admin-port", admin_port, "0", "Metrics, health and a page of live numbers"),
    path!("unixsocket", unixsocket, "A Unix socket for RESP"),
    path!("memcached-unixsocket", memcached_unixsocket, "A Unix socket for memcached's protocol"),
    path!("http-unixsocket", http_unixsocket, "A Unix socket for HTTP"),
    Opt {
        name: "unixsocketperm",
        value: "MODE",
        default: "700",
        range: "000 to 777, octal",
        help: "The mode of the Unix sockets",
        reloads: false,
        set: |config, text| put(&mut config.unixsocketperm, octal(text)),
        get: |config| format!("{:03o}", config.unixsocketperm),
    },
    port!("tls-port", tls_port, "0", "RESP by TLS"),
    port!("memcached-tls-port", memcached_tls_port, "0", "memcached's protocol by TLS"),
    port!("https-port", https_port, "0", "HTTP by TLS"),
    path!("tls-cert-file", tls_cert_file, "The certificate and its chain, PEM"),
    path!("tls-key-file", tls_key_file, "Its key, PEM"),
    path!(
        "tls-ca-cert-file",
        tls_ca_cert_file,
        "Clients must have a certificate of this authority, PEM"
    ),
    Opt {
        name: "maxmemory",
        value: "SIZE",
        default: "256mb",
        range: "256kb to 256gb, or 1% to 100% of what the container (else the machine) has",
        help: "The cache's budget: keys, values and all that is needed to find them",
        reloads: true,
        set: |config, text| put(&mut config.maxmemory, size(text, memory_limit()).filter(budget)),
        get: |config| show_size(config.maxmemory),
    },
    Opt {
        name: "policy",
        value: "NAME",
        default: "cellar",
        range: "cellar, s3fifo or lru",
        help: "Who stays and who goes when the budget is reached",
        reloads: false,
        set: |config, text| put(&mut config.policy, policy(text)),
        get: |config| policy_name(config.policy).into(),
    },
    Opt {
        name: "threads",
        value: "N",
        default: "0",
        range: "0 (as many as cores) to 256",
        help: "Worker threads",
        reloads: false,
        set: |config, text| put(&mut config.workers, number(text, 0, 256)),
        get: |config| config.workers.to_string(),
    },
    Opt {
        name: "maxclients",
        value: "N",
        default: "10000",
        range: "1 to 1000000",
        help: "Clients at once, of all protocols",
        reloads: true,
        set: |config, text| put(&mut config.maxclients, number(text, 1, 1_000_000)),
        get: |config| config.maxclients.to_string(),
    },
    Opt {
        name: "timeout",
        value: "TIME",
        default: "0",
        range: TIMES,
        help: "Cut clients that say nothing for so long (0: never)",
        reloads: true,
        set: |config, text| put(&mut config.timeout, time(text).filter(day)),
        get: |config| show_time(config.timeout),
    },
    Opt {
        name: "output-limit",
        value: "SIZE",
        default: "64mb",
        range: "64kb to 16gb",
        help: "Cut clients that leave more than this of their answers unread",
        reloads: true,
        set: |config, text| put(&mut config.output_limit, bytes(text, 64 << 10, 16 << 30)),
        get: |config| show_size(config.output_limit as u64),
    },
    Opt {
        name: "query-limit",
        value: "SIZE",
        default: "256mb",
        range: "64kb to 16gb",
        help: "The longest command or request body that is held until it is complete",
        reloads: true,
        set: |config, text| put(&mut config.query_limit, bytes(text, 64 << 10, 16 << 30)),
        get: |config| show_size(config.query_limit as u64),
    },
    Opt {
        name: "requirepass",
        value: "PASSWORD",
        default: "",
        range: "up to 512 bytes",
        help: "What clients must know (other users see flags: better a file)",
        reloads: true,
        set: |config, text| put(&mut config.requirepass, password(text)),
        get: |config| if config.requirepass.is_some() { "(set)" } else { "" }.into(),
    },
    Opt {
        reloads: true,
        ..path!("requirepass-file", requirepass_file, "A file whose first line is the password")
    },
    Opt {
        name: "shutdown-timeout",
        value: "TIME",
        default: "10s",
        range: TIMES,
        help: "How long a stop waits for requests under way",
        reloads: true,
        set: |config, text| put(&mut config.drain, time(text).filter(day)),
        get: |config| show_time(config.drain),
    },
    Opt {
        name: "tracking-table-max-keys",
        value: "N",
        default: "1000000",
        range: "1 to 1000000000",
        help: "Keys that are tracked for clients' own caches at most",
        reloads: true,
        set: |config, text| {
            put(&mut config.tracking_table_max_keys, number(text, 1, 1_000_000_000))
        },
        get: |config| config.tracking_table_max_keys.to_string(),
    },
    Opt {
        name: "enable-debug-command",
        value: "YES/NO",
        default: "no",
        range: "yes or no",
        help: "Whether DEBUG may be used",
        reloads: false,
        set: |config, text| put(&mut config.enable_debug, yes(text)),
        get: |config| if config.enable_debug { "yes" } else { "no" }.into(),
    },
    Opt {
        name: "server-name",
        value: "NAME",
        default: "redis",
        range: "1 to 32 letters, digits and hyphens",
        help: "What HELLO and INFO call this server (redis-py's own cache wants redis)",
        reloads: false,
        set: |config, text| put(&mut config.server_name, name(text)),
        get: |config| config.server_name.clone(),
    },
    Opt {
        name: "redis-version",
        value: "VERSION",
        default: "8.4.0",
        range: "three numbers with dots between",
        help: "The version of Redis that clients are told",
        reloads: false,
        set: |config, text| put(&mut config.redis_version, version(text)),
        get: |config| config.redis_version.clone(),
    },
    Opt {
        name: "loglevel",
        value: "LEVEL",
        default: "info",
        range: "off, error, warn, info, debug or trace",
        help: "What is logged",
        reloads: true,
        set: |config, text| put(&mut config.loglevel, level(text)),
        get: |config| config.loglevel.to_string(),
    },
    Opt {
        name: "logformat",
        value: "FORMAT",
        default: "text",
        range: "text or json",
        help: "How it is written",
        reloads: false,
        set: |config, text| put(&mut config.logformat, format(text)),
        get: |config| if config.logformat == LogFormat::Json { "json" } else { "text" }.into(),
    },
];

/// The option of a name.
pub fn find(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The name of a policy.
pub fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Lru => "lru",
        Policy::S3Fifo => "s3fifo",
        _ => "cellar",
    }
}

/// All options at their defaults.
pub(super) fn defaults() -> Config {
    let mut config = Config {
        bind: Vec::new(),
        port: None,
        tls_port: None,
        memcached_port: None,
        memcached_tls_port: None,
        http_port: None,
        https_port: None,
        admin_port: None,
        unixsocket: None,
        memcached_unixsocket: None,
        http_unixsocket: None,
        unixsocketperm: 0,
        tls_cert_file: None,
        tls_key_file: None,
        tls_ca_cert_file: None,
        maxmemory: 0,
        policy: Policy::Default,
        workers: 0,
        maxclients: 0,
        timeout: Duration::ZERO,
        output_limit: 0,
        query_limit: 0,
        requirepass: None,
        requirepass_file: None,
        drain: Duration::ZERO,
        tracking_table_max_keys: 0,
        enable_debug: false,
        server_name: String::new(),
        redis_version: String::new(),
        loglevel: LevelFilter::INFO,
        logformat: LogFormat::Text,
    };
    for option in OPTIONS {
        (option.set)(&mut config, option.default).expect("a default is in its range");
    }
    config
}

fn put<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

fn port(text: &str) -> Option<Option<u16>> {
    text.trim().parse().ok().map(|port| (port != 0).then_some(port))
}

fn number(text: &str, least: usize, most: usize) -> Option<usize> {
    text.trim().parse().ok().filter(|n| (least..=most).contains(n))
}

fn bytes(text: &str, least: u64, most: u64) -> Option<usize> {
    let bytes = size(text, 0).filter(|n| (least..=most).contains(n) && !text.contains('%'))?;
    usize::try_from(bytes).ok()
}

fn budget(bytes: &u64) -> bool {
    (256 << 10..=256 << 30).contains(bytes)
}

fn day(time: &Duration) -> bool {
    *time <= Duration::from_secs(24 * 3600)
}

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim(), 8).ok().filter(|&mode| mode <= 0o777)
}

fn yes(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn password(text: &str) -> Option<Option<String>> {
    (text.len() <= 512).then(|| (!text.is_empty()).then(|| text.into()))
}

fn version(text: &str) -> Option<String> {
    let parts: Vec<_> = text.split('.').collect();
    let numbers = parts.iter().all(|part| part.parse::<u16>().is_ok());
    (parts.len() == 3 && numbers).then(|| text.into())
}

fn name(text: &str) -> Option<String> {
    let fits = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then(|| text.into())
}

fn level(text: &str) -> Option<LevelFilter> {
    // Redis' names too.
    match text.trim() {
        "notice" | "verbose" => Some(LevelFilter::INFO),
        "warning" => Some(LevelFilter::WARN),
        text => text.parse().ok(),
    }
}

fn format(text: &str) -> Option<LogFormat> {
    match text.trim() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn policy(text: &str) -> Option<Policy> {
    match text.trim() {
        "cellar" => Some(Policy::Cellar),
        "s3fifo" => Some(Policy::S3Fifo),
        "lru" => Some(Policy::Lru),
        _ => None,
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

fn show_path(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn addresses(text: &str) -> Option<Vec<std::net::IpAddr>> {
    let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
    let found: Vec<_> = parts
        .map(|part| if part == "*" { "::".parse().ok() } else { part.parse().ok() })
        .collect::<Option<_>>()?;
    (!found.is_empty()).then_some(found)
}
