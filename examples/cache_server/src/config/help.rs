//! What `--help` says, and the table of the README: from the table of options.

use super::options::OPTIONS;
use std::fmt::Write;

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(
        "larder-server: a cache for clients of Redis, Valkey, memcached and HTTP\n\n\
         usage: larder-server [--config FILE] [--check] [--OPTION VALUE]...\n\n  \
         --config FILE  settings as TOML: port = 6380, maxmemory = \"1gb\" (also LARDER_CONFIG)\n  \
         --check        say whether the settings are good, print them, and end\n  \
         --version      print the version\n\n\
         Options. As variables: LARDER_MAXMEMORY. A flag beats a variable, that the file.\n\n",
    );
    for option in OPTIONS {
        let flag = format!("--{} {}", option.name, option.value);
        let default = match option.default {
            "" => String::new(),
            default => format!(", default {default}"),
        };
        let _ = writeln!(text, "  {flag}\n      {} ({}{default})", option.help, option.range);
    }
    text
}

/// The README's table of options, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "| option | default | range | what for | SIGHUP |\n| --- | --- | --- | --- | --- |\n",
    );
    for option in OPTIONS {
        let default = if option.default.is_empty() { "" } else { option.default };
        let reloads = if option.reloads { "yes" } else { "" };
        let _ = writeln!(
            text,
            "| `{}` | {default} | {} | {} | {reloads} |",
            option.name, option.range, option.help
        );
    }
    text
}
