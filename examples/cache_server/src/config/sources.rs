//! Where settings come from, and who comes first.

use super::options::{OPTIONS, Opt, find};
use super::{Config, ConfigError};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Where to look: the command line without the program's name, and the environment. Kept, so that
/// SIGHUP can look again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The flags.
    pub flags: Vec<OsString>,
    /// Names and values.
    pub environment: Vec<(String, String)>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// To serve.
    Serve(Box<Config>),
    /// To say whether the settings are good, and what they are.
    Check(Box<Config>),
    /// The version.
    Version,
    /// The options.
    Help,
}

/// One value, and who said it.
struct Said {
    option: &'static Opt,
    value: String,
    place: String,
}

/// What this process was started with. Variables that aren't text are left out.
pub fn from_process() -> Sources {
    let flags = std::env::args_os().skip(1).collect();
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Sources { flags, environment: std::env::vars_os().filter_map(text).collect() }
}

/// Reads all sources. The second: variables that look like settings and are none.
///
/// # Errors
/// [`ConfigError`]: the first setting that is unknown or out of range, or a file that can't be
/// read.
pub fn load(sources: &Sources) -> Result<(Request, Vec<String>), ConfigError> {
    let mut flags = Vec::new();
    let (mut check, mut file) = (false, None);
    let mut parser = lexopt::Parser::from_args(sources.flags.iter().cloned());
    while let Some(flag) = parser.next().map_err(flag_error)? {
        let name = match flag {
            lexopt::Arg::Short('h') => return Ok((Request::Help, Vec::new())),
            lexopt::Arg::Short('V') => return Ok((Request::Version, Vec::new())),
            lexopt::Arg::Long(name) => name.to_owned(),
            other => return Err(flag_error(other.unexpected())),
        };
        match name.as_str() {
            "help" => return Ok((Request::Help, Vec::new())),
            "version" => return Ok((Request::Version, Vec::new())),
            "check" => check = true,
            "config" => file = Some(PathBuf::from(parser.value().map_err(flag_error)?)),
            name => {
                let Some(option) = find(name) else {
                    return Err(unknown(&format!("--{name}"), name));
                };
                let value =
                    parser.value().map_err(flag_error)?.into_string().map_err(|_| {
                        ConfigError::new(format!("--{name}"), "the value is not UTF-8")
                    })?;
                flags.push(Said { option, value, place: format!("--{name}") });
            }
        }
    }
    let (environment, named_file, strangers) = environment(&sources.environment);
    let mut said = match file.or(named_file) {
        Some(path) => in_file(&path)?,
        None => Vec::new(),
    };
    // The last one wins.
    said.extend(environment);
    said.extend(flags);
    let mut config = Config::default();
    for Said { option, value, place } in said {
        if (option.set)(&mut config, &value).is_none() {
            return Err(out_of_range(option, &value, &place));
        }
    }
    finish(&mut config)?;
    let config = Box::new(config);
    Ok((if check { Request::Check(config) } else { Request::Serve(config) }, strangers))
}

fn flag_error(error: lexopt::Error) -> ConfigError {
    ConfigError::new("command line", format!("{error} (--help lists the options)"))
}

fn unknown(place: &str, name: &str) -> ConfigError {
    let near = OPTIONS
        .iter()
        .map(|option| option.name)
        .find(|option| name.len() > 3 && (option.contains(name) || name.contains(option)));
    let hint = near.map(|near| format!("; is {near} meant?")).unwrap_or_default();
    ConfigError::new(place, format!("there is no such option{hint} (--help lists them)"))
}

fn out_of_range(option: &Opt, value: &str, place: &str) -> ConfigError {
    let secret = option.name == "requirepass";
    let value = if secret { "the password".into() } else { format!("{value:?}") };
    ConfigError::new(place, format!("{value} is not {}", option.range))
}

/// Settings in the environment, the file that it names, and names that are nobody's.
fn environment(variables: &[(String, String)]) -> (Vec<Said>, Option<PathBuf>, Vec<String>) {
    let (mut said, mut file, mut strangers) = (Vec::new(), None, Vec::new());
    for (variable, value) in variables {
        let Some(name) = variable.strip_prefix("LARDER_") else { continue };
        if name == "CONFIG" {
            file = Some(PathBuf::from(value));
            continue;
        }
        let option = find(&name.to_ascii_lowercase().replace('_', "-"));
        match option {
            // Kubernetes tells every container of a service called "larder" by LARDER_PORT.
            Some(_) if value.starts_with("tcp://") => strangers.push(variable.clone()),
            Some(option) => {
                said.push(Said { option, value: value.clone(), place: variable.clone() })
            }
            None => strangers.push(variable.clone()),
        }
    }
    (said, file, strangers)
}

/// Settings in a TOML file: a key a line, as the flags are called, with `-` or `_`.
fn in_file(path: &Path) -> Result<Vec<Said>, ConfigError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError::new(&*shown, format!("can't be read: {error}")))?;
    let line = |at: usize| {
        text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        ConfigError::new(format!("{shown}:{}", line(at)), error.message())
    })?;
    let mut said = Vec::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().replace('_', "-");
        let place = format!("{shown}:{}: {name}", line(key.span().start));
        let Some(option) = find(&name) else { return Err(unknown(&place, &name)) };
        let value = as_text(value.get_ref())
            .ok_or_else(|| ConfigError::new(&*place, format!("must be {}", option.range)))?;
        said.push(Said { option, value, place });
    }
    Ok(said)
}

fn as_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(yes) => Some(if *yes { "yes" } else { "no" }.into()),
        DeValue::Array(values) => values
            .iter()
            .map(|value| as_text(value.get_ref()))
            .collect::<Option<Vec<_>>>()
            .map(|values| values.join(",")),
        _ => None,
    }
}

/// What depends on several settings.
fn finish(config: &mut Config) -> Result<(), ConfigError> {
    if let Some(path) = &config.requirepass_file {
        if config.requirepass.is_some() {
            return Err(ConfigError::new(
                "requirepass-file",
                "requirepass is set too: only one of them may be",
            ));
        }
        let place = format!("requirepass-file: {}", path.display());
        let text = fs::read_to_string(path)
            .map_err(|error| ConfigError::new(&*place, format!("can't be read: {error}")))?;
        let password = text.lines().next().unwrap_or_default();
        if !(1..=512).contains(&password.len()) {
            return Err(ConfigError::new(place, "its first line must have 1 to 512 bytes"));
        }
        config.requirepass = Some(password.into());
    }
    if config.wants_tls() && (config.tls_cert_file.is_none() || config.tls_key_file.is_none()) {
        return Err(ConfigError::new(
            "tls-cert-file, tls-key-file",
            "both are needed where tls-port, memcached-tls-port or https-port is set",
        ));
    }
    if config.wants_tls() && cfg!(not(feature = "tls")) {
        return Err(ConfigError::new("tls-port", "this build has no TLS (feature tls)"));
    }
    Ok(())
}
