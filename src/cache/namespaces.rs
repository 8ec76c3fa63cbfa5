//! Namespaces: caches of their own that share a budget.
//!
//! A namespace has its own keys, stripes, policy, counters and default time to live; its segments
//! come from the pool of the cache that it was made from (`memory::quota` says who may take from
//! whom). To that pool a namespace is no more than some stripes more.

use crate::cache::family::Member;
use crate::cache::handle::Cache;
use crate::cache::names::{List, Name, Named};
use crate::cache::options::NamespaceOptions;
use crate::cache::room::Effort;
use crate::cache::shared::{Shared, TOO_MANY_STRIPES};
use crate::error::Error;
use crate::memory::quota::UNBOUNDED;
use std::sync::{Arc, Weak};

/// The most namespaces that a cache may have at a time.
pub const MAX_NAMESPACES: usize = 256;
/// The longest name, in bytes.
pub const MAX_NAME: usize = 255;

/// The namespace of a name, if it is there and has these options.
fn find(
    list: &List<Cache>,
    name: &[u8],
    options: &NamespaceOptions,
) -> Result<Option<Arc<Cache>>, Error> {
    if list.closed {
        return Err(Error::Closed);
    }
    let found = list.named.iter().find(|it| *it.name == *name && !it.cache.is_closed());
    let Some(named) = found else {
        return if list.named.len() < MAX_NAMESPACES {
            Ok(None)
        } else {
            Err(Error::InvalidOptions("a cache has at most 256 namespaces"))
        };
    };
    let bound = named.cache.with(|shared| shared.env.space.bound()).unwrap_or(UNBOUNDED);
    if options.agree(&named.options, bound) {
        Ok(Some(named.cache.clone()))
    } else {
        Err(Error::InvalidOptions("the namespace exists, with other options"))
    }
}

impl Cache {
    /// The namespace of a name (1 to 255 bytes): a cache with entries, statistics and a policy of
    /// its own, within this one's budget. It is made if it isn't there; else the handle is one more
    /// of the same, and options that are set must be those it has. It lives until it is closed, by
    /// any handle, or this cache is closed or dropped, whatever becomes of the handles. Takes an
    /// allocation or two, and evicts where there is no room for its index; finding one takes a
    /// lock.
    ///
    /// ```
    /// # use larder::{Cache, NamespaceOptions, Options};
    /// # let cache = Cache::new(Options::new(64 << 20))?;
    /// let options = NamespaceOptions { max_bytes: 16 << 20, ..NamespaceOptions::default() };
    /// let tenant = cache.namespace("tenant-1", options)?;
    /// tenant.set(b"key", b"theirs")?;
    /// assert_eq!(cache.get(b"key"), None);
    /// assert_eq!(cache.namespace("tenant-1", NamespaceOptions::default())?.get(b"key").unwrap(), b"theirs");
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidOptions`]: a name or an option out of range, options that disagree, more
    /// than 256 namespaces, a budget with too few segments for one more, or a namespace of a
    /// namespace; [`Error::Closed`], [`Error::OutOfMemory`], [`Error::Full`].
    pub fn namespace(
        &self,
        name: impl AsRef<[u8]>,
        options: NamespaceOptions,
    ) -> Result<Arc<Cache>, Error> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Error::InvalidOptions("a namespace's name has 1 to 255 bytes"));
        }
        let parent = self.hold()?;
        if parent.is_namespace {
            return Err(Error::InvalidOptions("a namespace can't have namespaces"));
        }
        if let Some(found) = find(&self.names.lock(), name, &options)? {
            return Ok(found);
        }
        // Made without the lock, since that may have to evict. Of two that are made at once one
        // goes again.
        let shared = Arc::new(self.new_member(&parent, &options)?);
        let options = NamespaceOptions { stripes: shared.stripes.len(), ..options };
        let made = Arc::new(Cache::of(shared.clone(), self.names.clone()));
        let mut list = self.names.lock();
        match find(&list, name, &options) {
            Ok(None) => {
                list.named.push(Named { name: name.into(), options, cache: made.clone() });
                shared.family.join(Arc::downgrade(&shared) as Weak<dyn Member>);
                Ok(made)
            }
            other => {
                drop(list);
                other.map(|found| found.expect("matched above"))
            }
        }
    }

    /// The namespaces, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn namespaces(&self) -> Result<Vec<(Name, Arc<Cache>)>, Error> {
        let parent = self.hold()?;
        if parent.is_namespace {
            return Ok(Vec::new());
        }
        let list = self.names.lock();
        let mut all: Vec<_> =
            list.named.iter().map(|it| (it.name.clone(), it.cache.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// The first namespace whose name comes behind this one, in the order of bytes: for iterations
    /// that hold nothing meanwhile.
    pub(crate) fn namespace_after(&self, name: &[u8]) -> Result<Option<(Name, Arc<Cache>)>, Error> {
        let parent = self.hold()?;
        if parent.is_namespace {
            return Ok(None);
        }
        let list = self.names.lock();
        let behind = list.named.iter().filter(|it| *it.name > *name);
        Ok(behind.min_by(|a, b| a.name.cmp(&b.name)).map(|it| (it.name.clone(), it.cache.clone())))
    }

    /// A new namespace's insides, for which room is made if need be.
    fn new_member(&self, parent: &Shared, options: &NamespaceOptions) -> Result<Shared, Error> {
        let mut effort = Effort::default();
        loop {
            match Shared::member(parent, options) {
                Err(error) if error == TOO_MANY_STRIPES => self.make_room(None, 0, &mut effort)?,
                result => return result,
            }
        }
    }
}
