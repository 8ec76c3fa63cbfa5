//! What is asked of the server itself.

use super::keys::help;
use super::{NONE, SYNTAX, config, docs, info, line};
use crate::resp::command::flag::{ADMIN, FAST};
use crate::resp::command::{Call, Command};
use std::time::Duration;

/// The table.
pub static COMMANDS: [Command; 10] = [
    line("COMMAND", -1, 0, NONE, "server", "2.8.13", "What commands there are.", docs::command),
    line("INFO", -1, 0, NONE, "server", "1.0.0", "The numbers.", info::info),
    line("CONFIG", -2, ADMIN, NONE, "server", "2.0.0", "The settings.", config::config),
    line("TIME", 1, FAST, NONE, "server", "2.6.0", "What time it is.", time),
    line("ROLE", 1, FAST | ADMIN, NONE, "server", "2.8.12", "master: there are no replicas.", role),
    line("DEBUG", -2, ADMIN, NONE, "server", "1.0.0", "SLEEP, if the settings allow it.", debug),
    line("CLUSTER", -2, 0, NONE, "cluster", "3.0.0", "There is none.", cluster),
    line("FUNCTION", -2, 0, NONE, "scripting", "7.0.0", "There are none.", function),
    line("SCRIPT", -2, 0, NONE, "scripting", "2.6.0", "There are none.", script),
    line("LOLWUT", -1, FAST, NONE, "server", "5.0.0", "The version.", lolwut),
];

fn time(call: &mut Call<'_>) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    call.out.array(2);
    call.out.bulk(now.as_secs().to_string().as_bytes());
    call.out.bulk(now.subsec_micros().to_string().as_bytes());
}

fn role(call: &mut Call<'_>) {
    call.out.array(3);
    call.out.bulk(b"master");
    call.out.integer(0);
    call.out.array(0);
}

fn lolwut(call: &mut Call<'_>) {
    let version = &call.server.config.redis_version;
    call.out.text(&format!("Redis ver. {version}\n"));
}

/// FUNCTION: there are no functions, and those who tidy up are told that all are gone.
fn function(call: &mut Call<'_>) {
    match call.args.at(1).to_ascii_uppercase().as_slice() {
        b"FLUSH" => call.out.ok(),
        b"LIST" => call.out.array(0),
        _ => call.refuse("ERR functions are not offered by this cache"),
    }
}

/// SCRIPT: as [`function`].
fn script(call: &mut Call<'_>) {
    match call.args.at(1).to_ascii_uppercase().as_slice() {
        b"FLUSH" => call.out.ok(),
        b"EXISTS" if call.args.len() > 2 => {
            call.out.array(call.args.len() - 2);
            (2..call.args.len()).for_each(|_| call.out.integer(0));
        }
        _ => call.refuse("ERR scripts are not offered by this cache"),
    }
}

/// DEBUG SLEEP: stops this worker. For tests of clients.
fn debug(call: &mut Call<'_>) {
    if !call.server.config.enable_debug {
        return call.refuse("ERR DEBUG command not allowed. Set enable-debug in the settings.");
    }
    let args = call.args;
    if args.is(1, "SLEEP") && args.len() == 3 {
        let seconds =
            std::str::from_utf8(args.at(2)).ok().and_then(|text| text.parse::<f64>().ok());
        let seconds = seconds.filter(|seconds| (0.0..=60.0).contains(seconds));
        let Some(seconds) = seconds else { return call.refuse("ERR value is not a valid float") };
        std::thread::sleep(Duration::from_secs_f64(seconds));
        return call.out.ok();
    }
    call.refuse(SYNTAX);
}

const NO_CLUSTER: &str = "ERR This instance has cluster support disabled";

fn cluster(call: &mut Call<'_>) {
    let args = call.args;
    if args.is(1, "KEYSLOT") && args.len() == 3 {
        return call.out.integer(i64::from(slot(args.at(2))));
    }
    if args.is(1, "INFO") && args.len() == 2 {
        return call.out.text("cluster_enabled:0\r\n");
    }
    if args.is(1, "HELP") {
        return help(call, &["CLUSTER INFO | KEYSLOT key"]);
    }
    call.refuse(NO_CLUSTER);
}

/// The slot of a key: CRC16 (XMODEM) of what stands in its first braces, or of all of it.
fn slot(key: &[u8]) -> u16 {
    let tag = memchr::memchr(b'{', key)
        .map(|open| &key[open + 1..])
        .and_then(|rest| memchr::memchr(b'}', rest).map(|close| &rest[..close]))
        .filter(|tag| !tag.is_empty());
    let mut crc = 0u16;
    for &byte in tag.unwrap_or(key) {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
        }
    }
    crc % 16_384
}

#[cfg(test)]
mod tests {
    #[test]
    fn slots() {
        // Values of CLUSTER KEYSLOT of Redis 7.0.15.
        for (key, slot) in [("foo", 12182), ("bar", 5061), ("{user1000}.following", 3443), ("", 0)]
        {
            assert_eq!(super::slot(key.as_bytes()), slot, "{key}");
        }
    }
}
