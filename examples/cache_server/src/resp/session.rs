//! What a connection is like: who it is, what it speaks, what it has queued, watches and tracks.

use super::command::Command;
use super::parse::Range;
use crate::server::{Client, Facts, Server};
use std::sync::Arc;

/// Bytes of commands that may wait for EXEC.
pub const MOST_QUEUED: usize = 64 << 20;
/// Keys that a connection may watch.
pub const MOST_WATCHED: usize = 10_000;

/// Whether replies are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Replies {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// Not the next one.
    SkipNext,
    /// Not this one.
    Skip,
}

/// How a connection tracks.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    /// It listens to prefixes.
    pub broadcast: bool,
    /// Only what is read after CLIENT CACHING YES.
    pub opt_in: bool,
    /// Not what is read after CLIENT CACHING NO.
    pub opt_out: bool,
    /// It isn't told of its own changes.
    pub noloop: bool,
    /// Where its invalidations go; 0: to itself.
    pub redirect: u64,
    /// The connection where they went is gone.
    pub broken: bool,
    /// The prefixes.
    pub prefixes: Vec<Arc<[u8]>>,
}

/// A command that waits for EXEC.
pub struct Queued {
    /// It.
    pub command: &'static Command,
    /// Its arguments, one after the other.
    pub bytes: Vec<u8>,
    /// Where each of them lies.
    pub ranges: Vec<Range>,
}

/// A transaction under way.
#[derive(Default)]
pub struct Transaction {
    /// What waits.
    pub queue: Vec<Queued>,
    /// Bytes of that.
    pub bytes: usize,
    /// One of the commands was refused, so EXEC will be.
    pub spoiled: bool,
}

/// A key that is watched.
pub struct Watched {
    /// The key.
    pub key: Box<[u8]>,
    /// Its version; `None`: it wasn't there.
    pub version: Option<u64>,
}

/// A connection.
pub struct Session {
    /// What others may ask of it.
    pub client: Arc<Client>,
    /// It speaks RESP3.
    pub resp3: bool,
    /// It has said who it is, or needn't.
    pub known: bool,
    /// It is to end when what was answered is written.
    pub ends: bool,
    /// Which replies are wanted.
    pub replies: Replies,
    /// What CLIENT CACHING said of the next command.
    pub caching: Option<bool>,
    /// Commands wait for EXEC.
    pub transaction: Option<Box<Transaction>>,
    /// Keys that are watched.
    pub watched: Vec<Watched>,
    /// How it tracks.
    pub tracks: Option<Box<Tracks>>,
    /// Channels that it is subscribed to.
    pub channels: Vec<Box<[u8]>>,
}

impl Session {
    /// A connection that has said nothing.
    pub fn new(server: &Server, client: Arc<Client>) -> Session {
        Session {
            client,
            resp3: false,
            known: !server.live().wants_password(),
            ends: false,
            replies: Replies::On,
            caching: None,
            transaction: None,
            watched: Vec::new(),
            tracks: None,
            channels: Vec::new(),
        }
    }

    /// Its number.
    #[inline]
    pub fn id(&self) -> u64 {
        self.client.id
    }

    /// Whether what a command reads is to be tracked.
    #[inline]
    pub fn tracks_reads(&self) -> bool {
        match &self.tracks {
            None => false,
            Some(tracks) if tracks.broadcast => false,
            Some(tracks) if tracks.opt_in => self.caching == Some(true),
            Some(tracks) if tracks.opt_out => self.caching != Some(false),
            Some(_) => true,
        }
    }

    /// Tells those who ask what it is like. To be called when that has changed.
    pub fn tell_facts(&self) {
        let mut facts = self.client.facts.lock();
        let tracks = self.tracks.as_deref();
        *facts = Facts {
            resp: if self.resp3 { 3 } else { 2 },
            multi: self.transaction.as_ref().map_or(-1, |queued| queued.queue.len() as i64),
            watch: self.watched.len(),
            sub: self.channels.len(),
            tracking: tracks.is_some(),
            broadcast: tracks.is_some_and(|tracks| tracks.broadcast),
            broken: tracks.is_some_and(|tracks| tracks.broken),
            redirect: tracks.map_or(-1, |tracks| tracks.redirect as i64),
            ..*facts
        };
    }

    /// It tracks no more.
    pub fn stop_tracking(&mut self, server: &Server) {
        if self.tracks.take().is_some() {
            server.store.tracking().stop(self.id());
        }
    }
}
