//! Namespaces: caches of their own that share a budget.
//!
//! A namespace has its own keys, stripes, policy, counters and default time to live; its segments come from the pool of
//! the cache that it was made from (`share` says who may take from whom). To that pool a namespace is no more than some
//! stripes more.
//!
//! The family owns its namespaces: one lives, with or without handles, until it is closed or the cache is. All handles of one are
//! counts of the same [`Cache`], so that closing it by any of them closes it for all, and a get need not ask.
//!
//! The lock of the members is taken with nothing else locked, and nothing is closed, dropped or evicted under it.

use crate::cache::{Cache, Shared};
use crate::error::Error;
use crate::memory::quota::UNBOUNDED;
use crate::policy::Kind;
use crate::sys::atomic::{AtomicUsize, Mutex, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The most namespaces that a cache may have at a time.
pub const MAX_NAMESPACES: usize = 256;
/// The longest name, in bytes.
pub const MAX_NAME: usize = 255;

/// How a namespace is to be. The default is a good choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceOptions {
    /// The most bytes that it may hold of the cache's budget: entries, index, bookkeeping and free space in its segments. 0: no
    /// bound but the cache's. At least `2 * stripes + 6` segments, of which the budget has about 2,048.
    pub max_bytes: u64,
    /// At most this many entries; 0 for no such bound.
    pub max_entries: u64,
    /// Time to live of entries that are stored without one of their own; `None`: they don't expire.
    pub default_ttl: Option<Duration>,
    /// Who stays and who goes. `Default`: as in the cache; so are jitter and sliding deadlines.
    pub policy: Kind,
    /// Parts with a lock of their own, a power of two up to 256; 0 to choose. Each takes two segments or three.
    pub stripes: usize,
}

impl NamespaceOptions {
    /// Whether these may be asked for of a namespace that has those: what is left at its default doesn't matter.
    fn agree(&self, with: &NamespaceOptions, bound: u64) -> bool {
        (self.max_bytes == 0 || self.max_bytes == bound)
            && (self.max_entries == 0 || self.max_entries == with.max_entries)
            && (self.default_ttl.is_none() || self.default_ttl == with.default_ttl)
            && (self.policy == Kind::Default || self.policy == with.policy)
            && (self.stripes == 0 || self.stripes == with.stripes)
    }
}

/// A namespace's name.
pub type Name = Box<[u8]>;

struct Member {
    name: Name,
    options: NamespaceOptions,
    cache: Arc<Cache>,
    shared: Weak<Shared>,
}

struct Members {
    closed: bool,
    root: Weak<Shared>,
    named: Vec<Member>,
}

/// A cache and its namespaces.
pub struct Family {
    members: Mutex<Members>,
    namespaces: AtomicUsize,
}

impl Family {
    /// A family of one.
    pub fn new() -> Family {
        let members = Members { closed: false, root: Weak::new(), named: Vec::new() };
        Family { members: Mutex::new(members), namespaces: AtomicUsize::new(0) }
    }

    /// Names the cache that the namespaces are made from.
    pub fn set_root(&self, root: &Arc<Shared>) {
        self.members.lock().root = Arc::downgrade(root);
    }

    /// How many namespaces there are.
    pub fn len(&self) -> usize {
        self.namespaces.load(Ordering::Relaxed)
    }

    /// The caches, the one that holds most first.
    pub fn fullest_first(&self) -> Vec<Arc<Shared>> {
        let members = self.members.lock();
        let all = std::iter::once(&members.root).chain(members.named.iter().map(|member| &member.shared));
        let mut all: Vec<_> = all.filter_map(Weak::upgrade).map(|it| (it.space.held_segments(), it)).collect();
        drop(members);
        all.sort_by_key(|(held, _)| std::cmp::Reverse(*held));
        all.into_iter().map(|(_, it)| it).collect()
    }

    /// The namespace of a name, if it is there and has these options.
    fn find(&self, name: &[u8], options: &NamespaceOptions) -> Result<Option<Arc<Cache>>, Error> {
        Family::find_in(&self.members.lock(), name, options)
    }

    fn find_in(members: &Members, name: &[u8], options: &NamespaceOptions) -> Result<Option<Arc<Cache>>, Error> {
        if members.closed {
            return Err(Error::Closed);
        }
        let found = members.named.iter().find(|it| *it.name == *name && !it.cache.is_closed());
        let Some(member) = found else {
            return if members.named.len() < MAX_NAMESPACES {
                Ok(None)
            } else {
                Err(Error::InvalidOptions("a cache has at most 256 namespaces"))
            };
        };
        let bound = member.shared.upgrade().map_or(UNBOUNDED, |shared| shared.space.bound());
        if options.agree(&member.options, bound) {
            Ok(Some(member.cache.clone()))
        } else {
            Err(Error::InvalidOptions("the namespace exists, with other options"))
        }
    }

    /// Takes a namespace out that is being closed.
    pub fn remove(&self, shared: &Arc<Shared>) {
        let mut members = self.members.lock();
        let at = members.named.iter().position(|it| std::ptr::eq(it.shared.as_ptr(), Arc::as_ptr(shared)));
        let gone = at.map(|at| members.named.swap_remove(at));
        self.namespaces.store(members.named.len(), Ordering::Relaxed);
        drop(members);
        drop(gone);
    }

    /// Closes all namespaces, and lets no more be made.
    pub fn close(&self) {
        let mut members = self.members.lock();
        members.closed = true;
        let all = std::mem::take(&mut members.named);
        self.namespaces.store(0, Ordering::Relaxed);
        drop(members);
        all.iter().for_each(|member| member.cache.close());
    }
}

impl Cache {
    /// The namespace of a name (1 to 255 bytes): a cache with entries, statistics and a policy of its own, within this
    /// one's budget. It is made if it isn't there; else the handle is one more of the same, and options that are set must be
    /// those it has. It lives until it is closed, by any handle, or this cache is closed or dropped, whatever becomes of the handles.
    /// Takes an allocation or two, and evicts where there is no room for its index; finding one takes a lock.
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
    /// [`Error::InvalidOptions`]: a name or an option out of range, options that disagree, more than 256 namespaces, a
    /// budget with too few segments for one more, or a namespace of a namespace; [`Error::Closed`],
    /// [`Error::OutOfMemory`], [`Error::Full`].
    pub fn namespace(&self, name: impl AsRef<[u8]>, options: NamespaceOptions) -> Result<Arc<Cache>, Error> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Error::InvalidOptions("a namespace's name has 1 to 255 bytes"));
        }
        let parent = self.hold()?;
        if parent.is_namespace {
            return Err(Error::InvalidOptions("a namespace can't have namespaces"));
        }
        let family = parent.family.clone();
        if let Some(found) = family.find(name, &options)? {
            return Ok(found);
        }
        // Made without the lock, since that may have to evict. Of two that are made at once one goes again.
        let shared = Arc::new(self.new_member(&parent, &options)?);
        let options = NamespaceOptions { stripes: shared.stripes.len(), ..options };
        let made = Arc::new(Cache::of(shared.clone()));
        let mut members = family.members.lock();
        match Family::find_in(&members, name, &options) {
            Ok(None) => {
                let shared = Arc::downgrade(&shared);
                members.named.push(Member { name: name.into(), options, cache: made.clone(), shared });
                family.namespaces.store(members.named.len(), Ordering::Relaxed);
                Ok(made)
            }
            other => {
                drop(members);
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
        let members = parent.family.members.lock();
        let mut all: Vec<_> = members.named.iter().map(|it| (it.name.clone(), it.cache.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// The first namespace whose name comes behind this one, in the order of bytes: for iterations that hold nothing meanwhile.
    pub(crate) fn namespace_after(&self, name: &[u8]) -> Result<Option<(Name, Arc<Cache>)>, Error> {
        let parent = self.hold()?;
        if parent.is_namespace {
            return Ok(None);
        }
        let members = parent.family.members.lock();
        let behind = members.named.iter().filter(|it| *it.name > *name);
        Ok(behind.min_by(|a, b| a.name.cmp(&b.name)).map(|it| (it.name.clone(), it.cache.clone())))
    }
}
