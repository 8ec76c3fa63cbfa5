//! What there is to tell of an entry beside its value.

use crate::entry::extension;
use crate::entry::freshness::{self, State};
use crate::entry::{Entry, Header};

/// What [`Cache::get_with`](crate::Cache::get_with) tells of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// How fresh it is.
    pub state: State,
    /// Its version, if it was asked for; else 0.
    pub version: u64,
    /// Milliseconds until it expires; `None`: it doesn't.
    pub ttl: Option<u64>,
    /// The number that the caller keeps with it
    /// ([`SetOptions::user`](crate::SetOptions::user)).
    pub user: u64,
    /// Reads since it was stored, as far as they are counted: 0 to 3. They are fewer again when
    /// others had to go and it stayed.
    pub hits: u8,
}

/// What came of taking a value, and what there is to tell of its entry; None if there is none.
pub(crate) type Told<T, E> = Option<(Result<T, E>, Info)>;

/// What is to be told of an entry. `soft`: a tag of it was invalidated softly.
pub(crate) fn inform(entry: Entry<'_>, header: Header, now: u64, lease: bool, soft: bool) -> Info {
    let state = if header.extra() & extension::ABSENT != 0 {
        State::Absent
    } else {
        entry
            .stale_word(header)
            .map_or(State::Fresh, |word| freshness::look(word, now, lease, soft))
    };
    let ttl = entry
        .deadline(header)
        .filter(|&deadline| deadline != u64::MAX)
        .map(|at| at.saturating_sub(now));
    Info { state, version: 0, ttl, user: extension::user(header.extra()), hits: header.counter() }
}
