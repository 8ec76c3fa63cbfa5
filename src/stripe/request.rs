//! What a set asks of a stripe, and what came of it.

use crate::entry::Shape;
use crate::entry::extension::Extension;
use crate::policy::Placement;
use crate::stripe::events::Reason;

/// What is to be stored, and when.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    /// The hash of the key.
    pub hash: u64,
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// When it expires.
    pub deadline: Option<u64>,
    /// What few entries have.
    pub extra: Option<&'a Extension<'a>>,
    /// What must be true of the key's entry.
    pub condition: Condition,
}

impl<'a> Store<'a> {
    pub fn shape(&self) -> Shape<'a> {
        let extra = self.extra.filter(|extra| extra.word() != 0);
        Shape {
            key_len: self.key.len(),
            value_len: self.value.len(),
            deadline: self.deadline,
            run: None,
            extra,
        }
    }
}

/// What must be true of a key's entry for a store to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Nothing.
    Always,
    /// There is none.
    Absent,
    /// It has this version.
    Version(u64),
    /// Nothing has been stored under the key, nor was it deleted, since the load with this token
    /// began.
    Loaded(u64),
    /// It is there, and is being written again as it is: that isn't a set.
    Again,
}

/// What came of an attempt to store.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// Done.
    Done,
    /// Nothing was stored: memory is short. If the policy had its say already, it must not be asked
    /// again.
    NoRoom(Option<Placement>),
    /// Nothing was stored: the condition wasn't met, and there was an entry (true) or none.
    Refused(bool),
}

/// Why an entry goes: the reason of an event, but for those that only move.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// By a set.
    Overwritten = Reason::Overwritten as u8,
    /// By a delete.
    Deleted = Reason::Deleted as u8,
    /// By its deadline.
    Expired = Reason::Expired as u8,
    /// A tag of it was invalidated.
    Invalidated = Reason::Invalidated as u8,
    /// To make room.
    Evicted = Reason::Evicted as u8,
    /// It lives on elsewhere.
    Moved = 0,
}
