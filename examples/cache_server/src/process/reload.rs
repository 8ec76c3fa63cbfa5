//! SIGHUP: what can change, changes, and the log says what.

use super::Workers;
use crate::config::{self, Config, Sources};
use crate::edges::log::Level;
use crate::shared::Shared;
use tracing::{error, info, warn};

/// Reads the settings again. What is wrong with them is logged, and nothing is changed then.
pub(super) fn reload(
    sources: &Sources,
    config: &mut Config,
    shared: &Shared,
    workers: &Workers,
    level: &Level,
) {
    let reloaded = match config::reload(sources, config, &shared.live) {
        Ok(reloaded) => reloaded,
        Err(error) => return error!("the settings stay as they are: {error}"),
    };
    for name in &reloaded.kept {
        warn!("{name} is another now: that takes a new start");
    }
    *config = reloaded.config;
    for name in reloaded.changed {
        match name {
            "maxmemory" => match shared.resize(config.maxmemory) {
                Ok(()) => info!(maxmemory = config.maxmemory, "changed"),
                Err(error) => error!("maxmemory: {error}"),
            },
            "tracking-table-max-keys" => {
                shared.store.tracking().set_max_keys(config.tracking_table_max_keys);
                info!("{name} changed");
            }
            "loglevel" => level.set(config.loglevel),
            name => info!("{name} changed"),
        }
    }
    // Certificates are renewed under the same names.
    match workers.renew_certificates(config) {
        Ok(true) => info!("certificates are read again"),
        Ok(false) => {}
        Err(error) => error!("the certificates stay as they are: {error}"),
    }
}
