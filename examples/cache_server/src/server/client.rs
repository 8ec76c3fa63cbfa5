//! The connections: what can be asked of one from outside of it, and the list of all.

use crate::tracking::Mailbox;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// What a connection says of itself.
#[derive(Clone, Default)]
pub struct Introduction {
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Vec<u8>,
}

/// What a connection is like now.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// 2 or 3.
    pub resp: u8,
    /// Commands that wait for EXEC; -1 outside of MULTI.
    pub multi: i64,
    /// Keys watched.
    pub watch: usize,
    /// Channels subscribed to.
    pub sub: usize,
    /// Its letters in CLIENT LIST: see [`Facts::letters`].
    pub tracking: bool,
    /// It tracks prefixes.
    pub broadcast: bool,
    /// Its redirection is broken.
    pub broken: bool,
    /// The id that its invalidations go to; 0: itself; -1: it doesn't track.
    pub redirect: i64,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
}

impl Default for Facts {
    fn default() -> Facts {
        Facts {
            resp: 2,
            multi: -1,
            watch: 0,
            sub: 0,
            tracking: false,
            broadcast: false,
            broken: false,
            redirect: -1,
            no_evict: false,
            no_touch: false,
        }
    }
}

impl Facts {
    /// The letters that say it.
    pub fn letters(&self) -> String {
        let mut letters = String::new();
        for (is, letter) in [
            (self.sub > 0, 'P'),
            (self.multi >= 0, 'x'),
            (self.tracking, 't'),
            (self.broken, 'R'),
            (self.broadcast, 'B'),
            (self.no_evict, 'e'),
            (self.no_touch, 'T'),
        ] {
            if is {
                letters.push(letter);
            }
        }
        if letters.is_empty() { "N".into() } else { letters }
    }
}

/// A connection.
pub struct Client {
    /// Its number, which no other connection gets.
    pub id: u64,
    /// Where it comes from.
    pub addr: String,
    /// Where it came to.
    pub laddr: String,
    /// When, in milliseconds since 1970.
    pub since: i64,
    /// What it is to be told.
    pub mailbox: Arc<Mailbox>,
    /// What it says of itself.
    pub introduction: Mutex<Introduction>,
    /// What it is like.
    pub facts: Mutex<Facts>,
    /// When it last sent something, in milliseconds since 1970.
    pub active: AtomicI64,
    /// The number of its last command in the table, plus one.
    pub command: AtomicUsize,
    /// Commands that it sent.
    pub commands: AtomicU64,
    /// Bytes that came from it.
    pub received: AtomicU64,
    /// Bytes that went to it.
    pub sent: AtomicU64,
    /// Bytes that wait for it to read them.
    pub waiting: AtomicUsize,
}

/// All connections of all protocols that say who they are.
#[derive(Default)]
pub struct Clients {
    list: Mutex<HashMap<u64, Arc<Client>>>,
    next: AtomicU64,
}

impl Clients {
    /// The next number.
    pub fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A new connection.
    pub fn add(&self, addr: String, laddr: String, now: i64) -> Arc<Client> {
        let client = Arc::new(Client {
            id: self.next_id(),
            addr,
            laddr,
            since: now,
            mailbox: Arc::default(),
            introduction: Mutex::default(),
            facts: Mutex::default(),
            active: AtomicI64::new(now),
            command: AtomicUsize::new(0),
            commands: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        });
        self.list.lock().insert(client.id, Arc::clone(&client));
        client
    }

    /// A connection has ended.
    pub fn remove(&self, client: &Client) {
        client.mailbox.close();
        self.list.lock().remove(&client.id);
    }

    /// The connection with this number.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.list.lock().get(&id).cloned()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.list.lock().values().cloned().collect();
        all.sort_by_key(|client| client.id);
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
