//! A small set that waits, with a copy of its key and value.

use crate::stripe::request::{Condition, Store};
use crate::sys::bytes;

/// A set that waits, with its key and value.
pub struct Record<B> {
    pub hash: u64,
    pub deadline: Option<u64>,
    key_len: u16,
    len: u16,
    /// Its entry has been asked for.
    pub asked: bool,
    bytes: B,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Record<B> {
    /// None yet.
    pub fn of(bytes: B) -> Record<B> {
        Record { hash: 0, deadline: None, key_len: 0, len: 0, asked: false, bytes }
    }

    /// Whether there is room for a set.
    #[inline]
    pub fn takes(&self, store: &Store<'_>) -> bool {
        store.key.len() + store.value.len() <= self.bytes.as_ref().len()
    }

    /// Writes a set down, which must [fit](Record::takes).
    #[inline(always)]
    pub fn fill(&mut self, store: &Store<'_>) {
        debug_assert!(self.takes(store));
        self.hash = store.hash;
        self.deadline = store.deadline;
        self.key_len = store.key.len() as u16;
        self.len = (store.key.len() + store.value.len()) as u16;
        self.asked = false;
        let bytes = self.bytes.as_mut();
        let (key, value) = bytes.split_at_mut(store.key.len().min(bytes.len()));
        bytes::copy_most(key, store.key);
        bytes::copy_most(value, store.value);
    }

    /// The set that was written down.
    #[inline]
    pub fn store(&self) -> Store<'_> {
        let bytes = self.bytes.as_ref();
        let bytes = bytes.get(..self.len.into()).unwrap_or(bytes);
        let (key, value) = bytes.split_at_checked(self.key_len.into()).unwrap_or((bytes, &[]));
        Store {
            hash: self.hash,
            key,
            value,
            deadline: self.deadline,
            extra: None,
            condition: Condition::Always,
        }
    }
}
