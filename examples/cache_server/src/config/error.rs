//! What is wrong with a setting: where it was said, which it is, and what it may be.

use std::fmt;

/// A setting that can't be. The text names the place, the option and its range.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: String,
    what: String,
}

impl ConfigError {
    pub(super) fn new(place: impl Into<String>, what: impl Into<String>) -> ConfigError {
        ConfigError { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for ConfigError {}
