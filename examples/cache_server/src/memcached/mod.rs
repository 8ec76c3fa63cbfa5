//! memcached's protocol: the classic text commands and the meta commands, on the same data as RESP
//! and HTTP.
//!
//! [`step`] is a function from bytes to bytes: it does all commands that are whole in its input, and
//! says how much of that it has used. It never waits, and keeps nothing that a client can make
//! large: of a get of a million keys it does as many as fit the output, and goes on from there when
//! that is written ([`Next::Flush`]); a value too long to be copied is lent ([`Next::Send`]); what is
//! too large to be stored is passed over, not kept. [`serve()`] is the connection around it.
//!
//! Answers, errors and their order are those of memcached 1.6.18, seen by running it, but for:
//!
//! * control characters in keys are refused, as its protocol.txt says (it takes them);
//! * lines that are too long get an error before the connection is closed, and lengths beyond 2^31
//!   are refused (it takes them for others);
//! * `l` of `mg` is always 0, since times of reads aren't kept, and `h` counts since the value was
//!   last moved;
//! * who holds the token of a stale item (`W`) and doesn't come back loses it after 10 seconds, to the
//!   next client;
//! * `E` (the item's new CAS) is accepted where later versions do, and ignored: CAS values are the cache's;
//! * an append to a stale item leaves it stale: half of it is;
//! * `watch`, `lru`, `slabs` and the like get `ERROR`, and a client of the binary protocol, which is deprecated,
//!   is cut at its first byte.

mod classic;
mod exptime;
mod item;
mod meta;
mod number;
mod serve;
mod session;
mod stats;
mod storage;
mod words;

pub use serve::serve;
pub use session::{Context, Next, Payload, Session, step};

/// Names of the commands that are counted, in the order of [`Command`].
pub const COMMANDS: &[&str] = &[
    "get",
    "gets",
    "gat",
    "gats",
    "set",
    "add",
    "replace",
    "append",
    "prepend",
    "cas",
    "delete",
    "incr",
    "decr",
    "touch",
    "flush_all",
    "version",
    "verbosity",
    "stats",
    "quit",
    "mg",
    "ms",
    "md",
    "ma",
    "mn",
    "me",
    "other",
];

/// A command, as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "their names are the protocol's")]
pub enum Command {
    Get,
    Gets,
    Gat,
    Gats,
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    Cas,
    Delete,
    Incr,
    Decr,
    Touch,
    FlushAll,
    Version,
    Verbosity,
    Stats,
    Quit,
    MetaGet,
    MetaSet,
    MetaDelete,
    MetaArithmetic,
    MetaNoop,
    MetaDebug,
    Other,
}

impl Command {
    /// The command of a name.
    fn named(name: &[u8]) -> Command {
        use Command::*;
        match name {
            b"get" => Get,
            b"gets" => Gets,
            b"gat" => Gat,
            b"gats" => Gats,
            b"set" => Set,
            b"add" => Add,
            b"replace" => Replace,
            b"append" => Append,
            b"prepend" => Prepend,
            b"cas" => Cas,
            b"delete" => Delete,
            b"incr" => Incr,
            b"decr" => Decr,
            b"touch" => Touch,
            b"flush_all" => FlushAll,
            b"version" => Version,
            b"verbosity" => Verbosity,
            b"stats" => Stats,
            b"quit" => Quit,
            b"mg" => MetaGet,
            b"ms" => MetaSet,
            b"md" => MetaDelete,
            b"ma" => MetaArithmetic,
            b"mn" => MetaNoop,
            b"me" => MetaDebug,
            _ => Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_counted_under_their_names() {
        for (place, name) in COMMANDS.iter().enumerate() {
            assert_eq!(Command::named(name.as_bytes()) as usize, place, "{name}");
        }
    }
}
