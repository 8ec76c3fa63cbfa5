//! The handle of a cache: it keeps what is shared alive for as long as anyone who saw the cache
//! open is inside.

use crate::cache::flights::Flights;
use crate::cache::names::Names;
use crate::cache::shared::Shared;
use crate::error::Error;
use crate::sync::epoch::{self, Guard};
use crate::sys::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;

/// A cache of bytes. All methods may be called from any number of threads at once.
pub struct Cache {
    /// Null once closed. One strong count of the Arc is ours while it isn't.
    pub(super) shared: AtomicPtr<Shared>,
    /// Its namespaces; those of a namespace are its cache's.
    pub(super) names: Arc<Names<Cache>>,
    /// Loads that threads of this handle wait for.
    pub(crate) flights: Flights,
}

impl Cache {
    /// What the users share, kept from going while it is held.
    pub(crate) fn hold(&self) -> Result<Arc<Shared>, Error> {
        let guard = epoch::pin();
        let shared = self.shared(&guard)?;
        // SAFETY: `shared` is inside the Arc that `of` was given; this handle has a count of it as
        // long as anyone is pinned that has seen it open.
        Ok(unsafe {
            Arc::increment_strong_count(shared);
            Arc::from_raw(shared)
        })
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.load(Ordering::Acquire).is_null()
    }

    /// What the users share, as long as the guard lasts.
    #[inline]
    pub(crate) fn shared<'g>(&self, _guard: &'g Guard) -> Result<&'g Shared, Error> {
        let shared = self.shared.load(Ordering::Acquire);
        if shared.is_null() {
            return Err(Error::Closed);
        }
        // SAFETY: `close` takes the pointer away before it waits for all guards that were there,
        // and gives its count up only then. The guard was pinned before the pointer was read.
        Ok(unsafe { &*shared })
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&Shared) -> T) -> Result<T, Error> {
        let guard = epoch::pin();
        Ok(f(self.shared(&guard)?))
    }
}
