//! A cache and its namespaces, as those who share one budget see each other: how much each holds,
//! and that it can give some.

use crate::stripe::reclaim::Given;
use crate::sys::atomic::{AtomicUsize, Mutex, Ordering};
use std::cmp::Reverse;
use std::sync::{Arc, Weak};

/// A cache that shares its budget.
pub trait Member: Send + Sync {
    /// Bytes of segments that it holds.
    fn held(&self) -> u64;
    /// Evicts something of its fullest stripe. `keeps` counts entries that were kept instead, over
    /// the calls of one attempt.
    fn give(&self, keeps: &mut usize) -> Given;
    /// Has its stripes give back what index and policy needn't hold.
    fn settle(&self);
}

/// The caches that share a budget: one, and its namespaces.
pub struct Family {
    members: Mutex<Vec<Weak<dyn Member>>>,
    namespaces: AtomicUsize,
}

impl Family {
    /// Nobody yet. The first who joins is the cache, the others are its namespaces.
    pub fn new() -> Family {
        Family { members: Mutex::new(Vec::new()), namespaces: AtomicUsize::new(0) }
    }

    /// Takes a cache in.
    pub fn join(&self, member: Weak<dyn Member>) {
        let mut members = self.members.lock();
        members.push(member);
        self.namespaces.store(members.len() - 1, Ordering::Relaxed);
    }

    /// Lets a namespace go. Nothing happens if it isn't one.
    pub fn leave(&self, member: *const dyn Member) {
        let mut members = self.members.lock();
        let at = members.iter().skip(1).position(|it| std::ptr::addr_eq(it.as_ptr(), member));
        let gone = at.map(|at| members.swap_remove(at + 1));
        self.namespaces.store(members.len() - 1, Ordering::Relaxed);
        drop(members);
        drop(gone);
    }

    /// How many namespaces there are.
    pub fn len(&self) -> usize {
        self.namespaces.load(Ordering::Relaxed)
    }

    /// The caches, the one that holds most first.
    pub fn fullest_first(&self) -> Vec<Arc<dyn Member>> {
        let members = self.members.lock();
        let mut all: Vec<_> =
            members.iter().filter_map(Weak::upgrade).map(|it| (it.held(), it)).collect();
        drop(members);
        all.sort_by_key(|(held, _)| Reverse(*held));
        all.into_iter().map(|(_, it)| it).collect()
    }
}
