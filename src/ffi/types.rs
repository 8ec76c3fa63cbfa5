//! What crosses the boundary: statuses and structs.

use super::clock::LarderMockClock;
use crate::cache::handle::Cache;
use crate::cache::options::NamespaceOptions;
use crate::cache::options::Options;
use crate::cache::shared::TryError;
use crate::cache::stats::Stats;
use crate::error::Error;
use crate::policy::Kind;
use crate::stripe::events::{Reason, Reasons};
use crate::sys::clock::Clock;
use std::time::Duration;

/// What the handle that C holds points at: inside an `Arc`, of which it is one count.
#[repr(transparent)]
pub struct LarderCache(pub(crate) Cache);

/// What came of a call.
#[repr(i32)]
#[allow(non_camel_case_types)] // as C knows them
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Done.
    LARDER_OK = 0,
    /// There is no such key (any more), or an iteration has come to its end.
    LARDER_NOT_FOUND = 1,
    /// The buffer is too small; the length needed was stored, and nothing else written.
    LARDER_BUFFER_TOO_SMALL = 2,
    /// Only for larder's Go package (larder_fast_*: repeat the call by its larder_call_* twin).
    LARDER_BUSY = 3,
    /// larder_add: the key has a value.
    LARDER_EXISTS = 4,
    /// larder_compare_and_swap: the entry has another version.
    LARDER_CONFLICT = 5,
    /// larder_load_end: the key was set, deleted or cleared since the load began; nothing was
    /// stored.
    LARDER_SUPERSEDED = 6,
    /// NULL where bytes are needed, an option out of range, or a struct_size that this library
    /// doesn't know.
    LARDER_INVALID_ARGUMENT = 16,
    /// The key is longer than 65,536 bytes.
    LARDER_KEY_TOO_LARGE = 17,
    /// The value is longer than a quarter of the budget (or than 2 GiB - 1).
    LARDER_VALUE_TOO_LARGE = 18,
    /// The cache was closed.
    LARDER_CLOSED = 19,
    /// The system refused memory or address space.
    LARDER_OUT_OF_MEMORY = 20,
    /// Everything that could be evicted is being read or held by views.
    LARDER_FULL = 21,
    /// A defect in larder was caught. The cache has closed itself.
    LARDER_PANIC = 22,
    /// Not supported on this system.
    #[allow(dead_code, reason = "for systems to come; the number is part of the ABI")]
    LARDER_UNSUPPORTED = 23,
    /// The value isn't a number in decimal digits, or would not be one of 64 bits any more.
    LARDER_NOT_A_NUMBER = 24,
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        match error {
            Error::InvalidOptions(why) => {
                super::invalid_option::note(why);
                Status::LARDER_INVALID_ARGUMENT
            }
            Error::KeyTooLarge => Status::LARDER_KEY_TOO_LARGE,
            Error::ValueTooLarge => Status::LARDER_VALUE_TOO_LARGE,
            Error::Closed => Status::LARDER_CLOSED,
            Error::OutOfMemory => Status::LARDER_OUT_OF_MEMORY,
            Error::Full => Status::LARDER_FULL,
            Error::TooManyTags => Status::LARDER_INVALID_ARGUMENT,
            Error::NotANumber => Status::LARDER_NOT_A_NUMBER,
        }
    }
}

impl From<TryError> for Status {
    #[inline]
    fn from(error: TryError) -> Status {
        match error {
            TryError::Busy => Status::LARDER_BUSY,
            TryError::Closed => Status::LARDER_CLOSED,
            TryError::KeyTooLarge => Status::LARDER_KEY_TOO_LARGE,
            TryError::ValueTooLarge => Status::LARDER_VALUE_TOO_LARGE,
        }
    }
}

/// Let larder choose the policy: the one it recommends, which may change between versions.
pub const LARDER_POLICY_DEFAULT: u32 = 0;
/// Least recently used, by second chance.
pub const LARDER_POLICY_LRU: u32 = 1;
/// S3-FIFO.
pub const LARDER_POLICY_S3FIFO: u32 = 2;
/// larder's own: two logs and two ghosts that learn how to share (docs/policy.md).
pub const LARDER_POLICY_CELLAR: u32 = 3;

/// An event, by its reason: an entry was dropped to make room. larder_stats counts it among the
/// evictions.
pub const LARDER_EVENT_EVICTED: u32 = 1;
/// An entry was removed after its time had come: when it was found, or in the background, at most
/// about 0.6 s after.
pub const LARDER_EVENT_EXPIRED: u32 = 2;
/// A set failed with LARDER_FULL. An older value of the key is still there.
pub const LARDER_EVENT_REJECTED: u32 = 4;
/// An entry was deleted by larder_delete.
pub const LARDER_EVENT_DELETED: u32 = 8;
/// An entry's value was replaced by a set.
pub const LARDER_EVENT_OVERWRITTEN: u32 = 16;
/// An entry was removed because a tag of it was invalidated: when it was found, or in the
/// background.
pub const LARDER_EVENT_INVALIDATED: u32 = 32;

// The numbers are the crate's.
const _: () = assert!(
    LARDER_EVENT_EVICTED == Reason::Evicted as u32
        && LARDER_EVENT_EXPIRED == Reason::Expired as u32
        && LARDER_EVENT_REJECTED == Reason::Rejected as u32
        && LARDER_EVENT_DELETED == Reason::Deleted as u32
        && LARDER_EVENT_OVERWRITTEN == Reason::Overwritten as u32
        && LARDER_EVENT_INVALIDATED == Reason::Invalidated as u32
);

fn policy(number: u32) -> Result<Kind, Status> {
    Ok(match number {
        LARDER_POLICY_DEFAULT => Kind::Default,
        LARDER_POLICY_LRU => Kind::Lru,
        LARDER_POLICY_S3FIFO => Kind::S3Fifo,
        LARDER_POLICY_CELLAR => Kind::Cellar,
        _ => return Err(Status::LARDER_INVALID_ARGUMENT),
    })
}

/// How a cache is to be. Set all to zero, then struct_size to sizeof(larder_options) and max_bytes;
/// the rest is optional.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LarderOptions {
    /// sizeof(larder_options).
    pub struct_size: usize,
    /// The budget in bytes, for everything: 256 KiB to 256 GiB.
    pub max_bytes: u64,
    /// At most this many entries; 0 for no such bound.
    pub max_entries: u64,
    /// Time to live in milliseconds of entries stored without one; 0: they don't expire.
    pub default_ttl_ms: u64,
    /// LARDER_POLICY_*.
    pub policy: u32,
    /// Parts with a lock of their own, a power of two up to 256; 0 to let larder choose.
    pub stripes: u32,
    /// Must be 0.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Each time to live is shortened by a random part of up to this share, 0 to 1, so that what is
    /// stored together doesn't expire together.
    pub ttl_jitter: f64,
    /// 1: every deadline slides: a read puts it off to the time to live from then (it may expire a
    /// 32nd of that early). 0: none does, but those of entries stored with LARDER_SET_SLIDING.
    pub sliding: u64,
    /// Memory in bytes for events that nobody has drained yet (larder_events); 0 for none, up to an
    /// eighth of the budget, which pays for it. It is divided over the stripes in whole pages of 4
    /// KiB; an event takes 12 bytes and its key.
    pub event_bytes: u64,
    /// LARDER_EVENT_*, combined by |: which events are wanted; 0 for evicted, expired and rejected.
    /// Only with event_bytes.
    pub events: u64,
    /// The clock that times to live go by, for tests: from larder_mock_clock_new, which may be
    /// freed before the cache is. NULL for the system's, CLOCK_MONOTONIC_COARSE: it stands still
    /// while the system is suspended.
    pub clock: *const LarderMockClock,
}

/// Bytes of the first larder_options, before ttl_jitter was added to it: programs that were built
/// then may go on.
pub(super) const FIRST_OPTIONS: usize = std::mem::offset_of!(LarderOptions, ttl_jitter);

impl LarderOptions {
    /// # Safety
    /// `clock` is NULL or valid.
    pub(super) unsafe fn to_options(self) -> Result<Options, Status> {
        let policy = policy(self.policy)?;
        if self.flags != 0
            || self.reserved != 0
            || self.sliding > 1
            || self.events != 0 && self.event_bytes == 0
        {
            return Err(Status::LARDER_INVALID_ARGUMENT);
        }
        let events = match self.events {
            0 => Reasons::default(),
            bits => Reasons::from_bits(bits).ok_or(Status::LARDER_INVALID_ARGUMENT)?,
        };
        Ok(Options {
            max_entries: self.max_entries,
            default_ttl: (self.default_ttl_ms > 0)
                .then(|| Duration::from_millis(self.default_ttl_ms)),
            policy,
            stripes: self.stripes as usize,
            ttl_jitter: self.ttl_jitter,
            sliding: self.sliding == 1,
            event_bytes: self.event_bytes,
            events,
            // SAFETY: not null, so a clock that wasn't freed, as who made the options promises.
            clock: unsafe { self.clock.as_ref() }
                .map_or(Clock::Coarse, |clock| Clock::Mock(clock.0.clone())),
            ..Options::new(self.max_bytes)
        })
    }
}

/// How a namespace is to be. Set all to zero, then struct_size to sizeof(larder_namespace_options);
/// the rest is optional. Jitter and sliding are as in the cache.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LarderNamespaceOptions {
    /// sizeof(larder_namespace_options).
    pub struct_size: usize,
    /// The most bytes of the cache's budget that it may hold, entries, index and bookkeeping; 0: no
    /// bound but the budget. At least 2 * stripes + 6 segments, of which a budget has about 2,048.
    pub max_bytes: u64,
    /// At most this many entries; 0 for no such bound.
    pub max_entries: u64,
    /// Time to live in milliseconds of entries stored without one; 0: they don't expire.
    pub default_ttl_ms: u64,
    /// LARDER_POLICY_*; LARDER_POLICY_DEFAULT: as in the cache.
    pub policy: u32,
    /// Parts with a lock of their own, a power of two up to 256; 0 to let larder choose.
    pub stripes: u32,
}

impl LarderNamespaceOptions {
    pub(super) fn to_options(self) -> Result<NamespaceOptions, Status> {
        Ok(NamespaceOptions {
            max_bytes: self.max_bytes,
            max_entries: self.max_entries,
            default_ttl: (self.default_ttl_ms > 0)
                .then(|| Duration::from_millis(self.default_ttl_ms)),
            policy: policy(self.policy)?,
            stripes: self.stripes as usize,
        })
    }
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        impl LarderStats {
            pub(super) fn new(struct_size: usize, stats: &Stats) -> LarderStats {
                LarderStats { struct_size, $($name: stats.$name,)* }
            }
        }
    };
}

/// What a cache did and holds. Set struct_size to sizeof(larder_stats_t) before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LarderStats {
    /// sizeof(larder_stats_t).
    pub struct_size: usize,
    /// Gets that found their key.
    pub hits: u64,
    /// Gets that did not.
    pub misses: u64,
    /// Values stored.
    pub sets: u64,
    /// Entries deleted by the caller.
    pub deletes: u64,
    /// Entries dropped to make room.
    pub evictions: u64,
    /// Entries removed because their time had come.
    pub expirations: u64,
    /// Sets that failed for want of room.
    pub rejections: u64,
    /// Entries now; expired ones count until they are found.
    pub entries: u64,
    /// Bytes of the budget in use: index, bookkeeping and segments that are not free.
    pub bytes: u64,
    /// The budget; for a namespace its bound, if it has one.
    pub max_bytes: u64,
    /// Bytes of live entries: headers, keys, values.
    pub live_bytes: u64,
    /// Bytes in segments in use that hold nothing alive.
    pub dead_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Bytes of the budget that are free.
    pub free_bytes: u64,
    /// Bytes of tables, counters and policies.
    pub bookkeeping_bytes: u64,
    /// Bytes that the system agreed to back with huge pages.
    pub huge_page_bytes: u64,
    /// Bytes of entries written by sets, appended or in place.
    pub appended_bytes: u64,
    /// Bytes of entries appended again by drains.
    pub copied_bytes: u64,
    /// Entries removed because a tag of theirs was invalidated.
    pub invalidations: u64,
    /// Events that were dropped because there was no room for them in event_bytes.
    pub dropped_events: u64,
    /// Bytes that this cache itself holds, without its namespaces. What is said of the budget
    /// elsewhere here is of all of them together; for a namespace it is its own.
    pub own_bytes: u64,
    /// Namespaces that it has.
    pub namespaces: u64,
}

stats! {
    hits, misses, sets, deletes, evictions, expirations, rejections, entries, bytes, max_bytes, live_bytes, dead_bytes,
    index_bytes, free_bytes, bookkeeping_bytes, huge_page_bytes, appended_bytes, copied_bytes,
    invalidations, dropped_events, own_bytes, namespaces,
}

/// How far an iteration has come. Begin with all zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LarderCursor {
    /// Private.
    pub position: u64,
}

/// A value where it lies.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LarderView {
    /// The value; never NULL after LARDER_OK.
    pub data: *const u8,
    /// Its length in bytes.
    pub len: usize,
    /// Private; NULL when there is nothing to release.
    pub owner: *const std::ffi::c_void,
    /// Private.
    pub token: u64,
}

/// Flag of larder_call and larder_many: `ttl_ms` counts instead of the cache's default.
pub const LARDER_CALL_TTL: u64 = 1;

/// Flag of larder_call for gets: as larder_get_with with LARDER_GET_LEASE: `state` is told, and an
/// absent entry is LARDER_OK.
pub const LARDER_CALL_STATE: u64 = 2;

/// Flag of larder_call_get: as LARDER_GET_QUIET. Not for larder_fast_get, which doesn't look at it.
pub const LARDER_CALL_QUIET: u64 = 4;

/// Flag of larder_set_options: `ttl_ms` counts instead of the cache's default.
pub const LARDER_SET_TTL: u64 = 1;
/// Flag of larder_set_options: each read puts the deadline off to the time to live from then.
pub const LARDER_SET_SLIDING: u64 = 2;
/// Flag of larder_set_options: a negative entry, which says that the key has no value. Plain gets
/// don't find it.
pub const LARDER_SET_ABSENT: u64 = 4;
/// Flag of larder_set_options: `as_of` counts.
pub const LARDER_SET_AS_OF: u64 = 8;

/// What can be said of a value when it is stored. Set all to zero, then struct_size to
/// sizeof(larder_set_options).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LarderSetOptions {
    /// sizeof(larder_set_options).
    pub struct_size: usize,
    /// LARDER_SET_*.
    pub flags: u64,
    /// Time to live in milliseconds, 0 for ever, with LARDER_SET_TTL.
    pub ttl_ms: u64,
    /// Stale after so many milliseconds, if that comes before it expires; 0: not.
    pub stale_ms: u64,
    /// The tags, one behind the other.
    pub tags: *const u8,
    /// Where each tag ends in `tags`: numbers that don't decrease.
    pub tag_ends: *const u32,
    /// How many tags: at most 64.
    pub tag_count: usize,
    /// With LARDER_SET_AS_OF: what larder_stamp said before the value was fetched. If one of the
    /// tags has been invalidated since, the entry is invalid from the start.
    pub as_of: u64,
}

/// Flag of larder_get_with: take the lease of a stale entry, if it is free.
pub const LARDER_GET_LEASE: u64 = 1;
/// Flag of larder_get_with: tell the version. An entry without one is written again with one.
pub const LARDER_GET_VERSION: u64 = 2;
/// Flag of larder_get_with: only look. It counts neither as hit nor as miss, is no use in the
/// policy's eyes, and puts no sliding deadline off. Not together with LARDER_GET_VERSION.
pub const LARDER_GET_QUIET: u64 = 4;

/// State of an entry: it is not stale.
pub const LARDER_FRESH: u64 = 0;
/// State: stale, and somebody else refreshes it (or LARDER_GET_LEASE was not asked for).
pub const LARDER_STALE: u64 = 1;
/// State: stale, and the caller has the lease, for 10 seconds: the caller should refresh it.
pub const LARDER_REFRESH: u64 = 2;
/// State: a negative entry.
pub const LARDER_ABSENT: u64 = 3;

/// What larder_get_with tells of an entry. Set struct_size to sizeof(larder_entry_info) before the
/// call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LarderEntryInfo {
    /// sizeof(larder_entry_info).
    pub struct_size: usize,
    /// The version, with LARDER_GET_VERSION; else 0.
    pub version: u64,
    /// Milliseconds until it expires; UINT64_MAX: it doesn't.
    pub ttl_ms: u64,
    /// LARDER_FRESH, LARDER_STALE, LARDER_REFRESH or LARDER_ABSENT.
    pub state: u64,
}

/// The arguments of one call from Go: words only, so that one pointer crosses.
#[repr(C)]
pub struct LarderCall {
    /// The cache.
    pub cache: *const LarderCache,
    /// The key.
    pub key: *const u8,
    /// Its length.
    pub key_len: usize,
    /// get: where the value goes. set: the value.
    pub buf: *mut u8,
    /// get: bytes of room. set: length of the value.
    pub buf_len: usize,
    /// get: length of the value, also when it didn't fit.
    pub out_len: usize,
    /// set: time to live in milliseconds, 0 for ever, if flags has LARDER_CALL_TTL.
    pub ttl_ms: u64,
    /// LARDER_CALL_*.
    pub flags: u64,
    /// set: NULL, or what else is to be said of the value; then ttl_ms and flags don't count.
    pub options: *const LarderSetOptions,
    /// get: how fresh the value is, if flags has LARDER_CALL_STATE.
    pub state: u64,
}

/// The arguments of a call for many keys. Keys (and for sets values) lie one behind the other; the
/// ends say where.
#[repr(C)]
pub struct LarderMany {
    /// The cache.
    pub cache: *const LarderCache,
    /// All keys.
    pub keys: *const u8,
    /// Where each key ends in `keys`: `n` numbers that don't decrease.
    pub key_ends: *const u32,
    /// How many keys.
    pub n: usize,
    /// set: all values.
    pub values: *const u8,
    /// set: where each value ends.
    pub value_ends: *const u32,
    /// get: where values go, one behind the other. At most 4 GiB - 1.
    pub buf: *mut u8,
    /// get: bytes of room.
    pub buf_len: usize,
    /// get: where each value ends in `buf`; a key that was not found ends where the one before it
    /// did.
    pub out_ends: *mut u32,
    /// LARDER_OK, LARDER_NOT_FOUND or an error for each key.
    pub out_status: *mut u8,
    /// The next key to do: 0 before the first call, moved on by each.
    pub done: usize,
    /// get: bytes of `buf` in use: 0 before the first call, moved on by each.
    pub used: usize,
    /// get: after LARDER_BUFFER_TOO_SMALL, bytes of room that the next value needs behind `used`.
    pub need: usize,
    /// set: time to live in milliseconds, 0 for ever, if flags has LARDER_CALL_TTL.
    pub ttl_ms: u64,
    /// LARDER_CALL_*.
    pub flags: u64,
}
