//! CONFIG: the settings that Redis has and this server has too, under the names of Redis.

use super::keys::help;
use super::{SYNTAX, Why};
use crate::resp::command::Call;
use crate::resp::glob;
use crate::server::Server;
use std::time::Duration;

type Change = fn(&Server, &str) -> Result<(), String>;

/// A setting.
struct Setting {
    name: &'static str,
    get: fn(&Server) -> String,
    /// Changes it; `None` if that can't be done while the server runs.
    set: Option<Change>,
}

fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("argument must be between {least} and {most} inclusive"))
}

/// A size, with a unit as Redis has them.
fn size(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => 0,
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| "argument must be a memory value".to_owned())
}

static SETTINGS: [Setting; 16] = [
    Setting {
        name: "maxmemory",
        get: |server| server.live().maxmemory().to_string(),
        set: Some(|server, text| {
            let bytes = size(text)?;
            server.shared.resize(bytes).map_err(|error| error.to_string())
        }),
    },
    // What happens when it is reached: the cache's own policy evicts, whatever has a deadline or not.
    Setting { name: "maxmemory-policy", get: |_| "allkeys-lru".into(), set: None },
    Setting {
        name: "larder-policy",
        get: |server| format!("{:?}", server.config.policy).to_ascii_lowercase(),
        set: None,
    },
    Setting {
        name: "maxclients",
        get: |server| server.live().maxclients().to_string(),
        set: Some(|server, text| {
            server.live().set_maxclients(number(text, 1, 1_000_000)? as usize);
            Ok(())
        }),
    },
    Setting {
        name: "timeout",
        get: |server| server.live().timeout().map_or(0, |timeout| timeout.as_secs()).to_string(),
        set: Some(|server, text| {
            server.live().set_timeout(Duration::from_secs(number(text, 0, 86_400)?));
            Ok(())
        }),
    },
    Setting {
        name: "tracking-table-max-keys",
        get: |server| server.store.tracking().max_keys().to_string(),
        set: Some(|server, text| {
            server.store.tracking().set_max_keys(number(text, 0, u64::from(u32::MAX))? as usize);
            Ok(())
        }),
    },
    Setting {
        name: "requirepass",
        get: |server| if server.live().wants_password() { "*".into() } else { String::new() },
        set: Some(|server, text| {
            server.live().set_password(text.as_bytes());
            Ok(())
        }),
    },
    Setting { name: "proto-max-bulk-len", get: |_| (512u64 << 20).to_string(), set: None },
    Setting { name: "port", get: |server| server.config.port.unwrap_or(0).to_string(), set: None },
    Setting {
        name: "bind",
        get: |server| {
            server.config.bind.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        },
        set: None,
    },
    Setting { name: "databases", get: |_| "1".into(), set: None },
    // Nothing is kept on disk.
    Setting { name: "save", get: |_| String::new(), set: None },
    Setting { name: "appendonly", get: |_| "no".into(), set: None },
    Setting { name: "cluster-enabled", get: |_| "no".into(), set: None },
    Setting { name: "io-threads", get: |server| server.config.workers.to_string(), set: None },
    Setting { name: "notify-keyspace-events", get: |_| String::new(), set: None },
];

/// CONFIG.
pub fn config(call: &mut Call<'_>) {
    let args = call.args;
    match args.at(1).to_ascii_uppercase().as_slice() {
        b"GET" if args.len() > 2 => get(call),
        b"SET" if args.len() > 3 => call.answer(set),
        b"RESETSTAT" if args.len() == 2 => {
            call.server.forget_totals();
            call.out.ok();
        }
        b"HELP" => help(call, &["CONFIG GET pattern ... | SET name value ... | RESETSTAT"]),
        b"GET" => call.wrong_number("get"),
        b"SET" => call.wrong_number("set"),
        b"RESETSTAT" => call.wrong_number("resetstat"),
        b"REWRITE" => call.refuse("ERR The server is running without a config file"),
        _ => call.unknown_subcommand(),
    }
}

fn get(call: &mut Call<'_>) {
    let lower: Vec<Vec<u8>> = call.args.from(2).map(<[u8]>::to_ascii_lowercase).collect();
    let found: Vec<_> = SETTINGS
        .iter()
        .filter(|setting| {
            lower.iter().any(|pattern| glob::matches(pattern, setting.name.as_bytes()))
        })
        .collect();
    call.out.map(found.len());
    for setting in found {
        call.out.bulk(setting.name.as_bytes());
        call.out.bulk((setting.get)(call.server).as_bytes());
    }
}

fn set(call: &mut Call<'_>) -> Result<(), Why> {
    let args = call.args;
    if args.len() % 2 == 1 {
        return Err(SYNTAX.into());
    }
    // All names are looked at before anything is changed.
    let mut changes = Vec::new();
    for at in (2..args.len()).step_by(2) {
        let name = String::from_utf8_lossy(args.at(at)).to_ascii_lowercase();
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            return Err(format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
            )
            .into());
        };
        let text = String::from_utf8_lossy(args.at(at + 1)).into_owned();
        match setting.set {
            Some(set) => changes.push((name, set, text)),
            None if (setting.get)(call.server) == text => {}
            None => {
                return Err(format!(
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config"
                )
                .into());
            }
        }
    }
    for (name, set, text) in changes {
        set(call.server, &text).map_err(|why| {
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
        })?;
    }
    call.out.ok();
    Ok(())
}
