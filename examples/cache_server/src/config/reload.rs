//! SIGHUP: reads the sources again, and says what is changed by it and what would need a new start.

use super::options::OPTIONS;
use super::{Config, ConfigError, Live, Request, Sources, load};

/// What came of reading the settings again.
#[derive(Debug)]
pub struct Reloaded {
    /// The settings that are in force now.
    pub config: Config,
    /// Names of those that changed.
    pub changed: Vec<&'static str>,
    /// Names of those that are different now, but stay as they are until the next start.
    pub kept: Vec<&'static str>,
}

/// Reads the sources again and puts into `live` what has changed in them: what was changed while
/// the server ran, by CONFIG SET, stays where they say the same as before. The budget, the table of
/// tracked keys and the level of the log are the caller's to change, where `changed` names them.
///
/// # Errors
/// [`ConfigError`]: nothing is changed then.
pub fn reload(sources: &Sources, old: &Config, live: &Live) -> Result<Reloaded, ConfigError> {
    let (Request::Serve(new) | Request::Check(new), _) = load(sources)? else {
        return Ok(Reloaded { config: old.clone(), changed: Vec::new(), kept: Vec::new() });
    };
    let mut config = old.clone();
    let (mut changed, mut kept) = (Vec::new(), Vec::new());
    for option in OPTIONS {
        let same = (option.get)(old) == (option.get)(&new);
        if option.name == "requirepass" && old.requirepass != new.requirepass {
            changed.push(option.name);
        } else if same {
        } else if option.reloads {
            changed.push(option.name);
        } else {
            kept.push(option.name);
        }
    }
    config.maxmemory = new.maxmemory;
    config.maxclients = new.maxclients;
    config.timeout = new.timeout;
    config.output_limit = new.output_limit;
    config.query_limit = new.query_limit;
    config.requirepass.clone_from(&new.requirepass);
    config.requirepass_file.clone_from(&new.requirepass_file);
    config.drain = new.drain;
    config.tracking_table_max_keys = new.tracking_table_max_keys;
    config.loglevel = new.loglevel;
    changed.iter().for_each(|name| live.take(name, &config));
    Ok(Reloaded { config, changed, kept })
}
