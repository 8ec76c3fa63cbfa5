//! The log: to standard error, for people or as JSON, with a level that can change.

use crate::config::{Config, LogFormat};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// Changes what is logged.
pub struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// From now on.
    pub fn set(&self, level: LevelFilter) {
        let _ = self.0.reload(level);
    }
}

/// Begins to log as the settings say. Of this process' loggers the first stays.
pub fn start(config: &Config) -> Level {
    let (level, handle) = reload::Layer::new(config.loglevel);
    let registry = tracing_subscriber::registry().with(level);
    // It fails only where somebody logs already: a test, say.
    let _ = match config.logformat {
        LogFormat::Text => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let text = fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false);
            registry.with(text).try_init()
        }
        LogFormat::Json => {
            let json = fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
            registry.with(json).try_init()
        }
    };
    Level(handle)
}
