//! What handles print for `{:?}`: what can be said without a lock, and no values.

use crate::cache::Cache;
use crate::cache::view::View;
use std::fmt;

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Cache");
        match self.hold() {
            Ok(shared) => debug
                .field("max_bytes", &shared.env.space.max())
                .field("bytes", &shared.env.space.held()),
            Err(_) => debug.field("closed", &true),
        };
        debug.finish_non_exhaustive()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("len", &self.len()).finish_non_exhaustive()
    }
}
