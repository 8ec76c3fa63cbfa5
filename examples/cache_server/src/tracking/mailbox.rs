//! What a connection is to be told beside its replies: a mailbox that any thread puts things into
//! and the connection's task empties.
//!
//! It is bounded: a client that doesn't read its invalidations is told, in the end, to drop
//! everything that it has, which is true and takes no memory.

use hashbrown::HashSet;
use parking_lot::Mutex;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Bytes of names that wait in a mailbox before they become one "everything".
const MOST: usize = 4 << 20;
/// What a name takes beside its bytes.
const OVERHEAD: usize = 64;

/// Something to be told.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A key that the client has read was changed or is gone.
    Key(Box<[u8]>),
    /// Keys that begin with a prefix that the client listens to.
    Prefix {
        /// The prefix.
        prefix: Arc<[u8]>,
        /// The keys, each once.
        keys: HashSet<Box<[u8]>>,
    },
    /// All keys.
    Everything,
    /// The connection with this id, to which this client's invalidations go, is gone.
    Broken(u64),
}

#[derive(Default)]
struct Mail {
    items: Vec<Item>,
    bytes: usize,
}

/// The mailbox of a connection.
#[derive(Default)]
pub struct Mailbox {
    full: AtomicBool,
    closed: AtomicBool,
    killed: AtomicBool,
    mail: Mutex<Mail>,
    wake: Notify,
}

impl Mailbox {
    /// Whether there is something in it. Cheap.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Waits until something was put into it, or the connection was killed.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes what is in it.
    pub fn take(&self) -> Vec<Item> {
        let mut mail = self.mail.lock();
        self.full.store(false, Ordering::Release);
        mail.bytes = 0;
        mem::take(&mut mail.items)
    }

    /// Has the connection look whether it is to end.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The connection is to end.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether the connection is to end.
    #[inline]
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// The connection has ended: nothing more is taken.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.take());
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Puts something into it.
    pub(super) fn put(&self, item: Item) {
        let bytes = match &item {
            Item::Key(key) => key.len() + OVERHEAD,
            _ => OVERHEAD,
        };
        self.change(bytes, |items| items.push(item));
    }

    /// Puts a key into it that begins with a prefix: into one message with the others.
    pub(super) fn put_prefixed(&self, prefix: &Arc<[u8]>, key: &[u8]) {
        self.change(key.len() + OVERHEAD, |items| {
            let found = items.iter_mut().find_map(|item| match item {
                Item::Prefix { prefix: known, keys } if Arc::ptr_eq(known, prefix) => Some(keys),
                _ => None,
            });
            if let Some(keys) = found {
                keys.insert(key.into());
            } else {
                let keys = HashSet::from_iter([key.into()]);
                items.push(Item::Prefix { prefix: Arc::clone(prefix), keys });
            }
        });
    }

    fn change(&self, bytes: usize, change: impl FnOnce(&mut Vec<Item>)) {
        if self.is_closed() {
            return;
        }
        {
            let mut mail = self.mail.lock();
            if mail.bytes + bytes > MOST {
                mail.items.clear();
                mail.items.push(Item::Everything);
                mail.bytes = OVERHEAD;
            } else {
                mail.bytes += bytes;
                change(&mut mail.items);
            }
            self.full.store(true, Ordering::Release);
        }
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_becomes_everything() {
        let mailbox = Mailbox::default();
        for i in 0..100_000u32 {
            mailbox.put(Item::Key(Box::new(i.to_le_bytes())));
        }
        assert!(mailbox.has_mail());
        let items = mailbox.take();
        assert_eq!(items[0], Item::Everything);
        assert!(items.len() < 100_000 && !mailbox.has_mail());
    }

    #[test]
    fn keys_of_a_prefix_are_one_message_and_each_once() {
        let mailbox = Mailbox::default();
        let prefix: Arc<[u8]> = Arc::from(&b"a"[..]);
        for key in [b"a1", b"a2", b"a1"] {
            mailbox.put_prefixed(&prefix, key);
        }
        let items = mailbox.take();
        let [Item::Prefix { keys, .. }] = &items[..] else { panic!("{items:?}") };
        assert_eq!(keys.len(), 2);
        mailbox.close();
        mailbox.put(Item::Everything);
        assert!(mailbox.take().is_empty());
    }
}
