//! The names of a cache's namespaces.
//!
//! A namespace is owned by this list: it lives, with or without handles, until it is closed or the
//! cache is. All handles of one are counts of the same cache, so that closing it by any of them
//! closes it for all, and a get need not ask. The list is generic only because it is known below
//! what it lists: each cache's handle has it.
//!
//! Its lock is taken with nothing else locked, and nothing is closed, dropped or evicted under it.

use crate::cache::options::NamespaceOptions;
use crate::sys::atomic::{Mutex, MutexGuard};
use std::sync::Arc;

/// A namespace's name.
pub type Name = Box<[u8]>;

/// A namespace with its name, and what was asked for when it was made.
pub struct Named<T> {
    pub name: Name,
    pub options: NamespaceOptions,
    pub cache: Arc<T>,
}

/// What the lock protects.
pub struct List<T> {
    /// No more can be made.
    pub closed: bool,
    /// In no order.
    pub named: Vec<Named<T>>,
}

/// The list of a cache, which its namespaces share.
pub struct Names<T> {
    list: Mutex<List<T>>,
}

impl<T> Names<T> {
    /// None yet.
    pub fn new() -> Names<T> {
        Names { list: Mutex::new(List { closed: false, named: Vec::new() }) }
    }

    /// The list.
    pub fn lock(&self) -> MutexGuard<'_, List<T>> {
        self.list.lock()
    }

    /// Takes a namespace out that is being closed.
    pub fn remove(&self, cache: *const T) {
        let mut list = self.lock();
        let at = list.named.iter().position(|it| std::ptr::eq(Arc::as_ptr(&it.cache), cache));
        let gone = at.map(|at| list.named.swap_remove(at));
        drop(list);
        drop(gone);
    }

    /// Takes all out, and lets no more be made.
    pub fn close(&self) -> Vec<Arc<T>> {
        let mut list = self.lock();
        list.closed = true;
        std::mem::take(&mut list.named).into_iter().map(|it| it.cache).collect()
    }
}
