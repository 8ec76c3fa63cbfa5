//! A stripe: a lock for writers, an index, logs of segments and a policy, for its part of the
//! hashes.
//!
//! Writers append an entry to a log and swing the index to it. When memory is short they also
//! *drain*: they take the oldest entries of the log that the policy names, one by one, and keep
//! (append again) or drop each as the policy says. Work is paid as it comes: under pressure a
//! writer drains as many bytes as were appended, and no more than [`MAX_DRAIN`] entries at a time,
//! so that no set pays for a whole segment. What a small entry owes is paid by the stripe's next
//! set, before it looks for its own key: the cache misses of that look-up, begun before, are over
//! when the drain is done.
//!
//! A small value that is set again is overwritten where it lies, if it takes the same room
//! (`sync::seqlock`): nothing is appended, and nothing owed. In a small cache the fast path does
//! that without the lock (`cache::in_place`), so what is here holds the key's sequence, or closes
//! it, where `sync::seqlock` says so.
//!
//! Everything here is under the stripe's lock. What readers see of it: the index (atomics), entry
//! headers and small values (atomics), and the rest of the entries, which is immutable until their
//! segment has been unlinked, retired and waited for (`epoch`, `space`).

pub mod append;
#[cfg(any(test, feature = "test-hooks"))]
pub mod check;
pub mod compact;
pub mod complete;
pub mod deferred;
pub mod enter;
pub mod env;
pub mod events;
pub mod evict;
pub mod expire;
pub mod loads;
pub mod log;
pub mod reclaim;
pub mod request;
pub mod set;
pub mod tags;
pub mod tune;
pub mod writer;

use crate::index::{Index, IndexState};
use crate::memory::NONE;
use crate::policy::{AnyPolicy, Placement, Policy};
use crate::stripe::deferred::combining::Publications;
use crate::stripe::deferred::keep::DeferredKeep;
use crate::stripe::deferred::pending_filter::PendingFilter;
use crate::stripe::deferred::write_buffer::WriteBuffer;
use crate::stripe::events::Queue;
use crate::stripe::loads::Loads;
use crate::stripe::log::{Log, Sweep};
use crate::stripe::request::Store;
use crate::sys::atomic::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::sys::os;

/// How often a set looks for a lock that another has, before it gives up (the fast path: a crossing
/// by cgo) or parks.
const SPINS: usize = 32;
/// Pauses between two looks: half a microsecond, so that the other does a few sets in a row. When
/// the lock changes hands at each set, all that a set touches goes from one core's cache to the
/// other's, which takes longer than the set.
const PAUSES: usize = 24;
/// Segments that the fast path may leave to be given up.
pub const DEFERRED: usize = 16;

/// One of the parts that the hashes are divided among.
#[repr(align(128))]
pub struct Stripe {
    /// What readers use. Its cache line holds nothing else.
    pub index: Index,
    /// Which sets wait.
    pub filter: PendingFilter,
    /// What writers use.
    pub state: Mutex<StripeState>,
    /// No entry expires before this.
    pub next_deadline: AtomicU64,
    /// Bytes of the stripe's segments: who must give when memory is short.
    pub footprint: AtomicU64,
    /// Whether loads are under way. Changes under the lock.
    pub loading: AtomicBool,
    /// Sets that found the lock taken, in small caches.
    pub publications: Option<Publications>,
}

/// What the lock protects. In this order: what every set looks at lies in the line of the lock
/// itself.
#[repr(C)]
pub struct StripeState {
    /// Does.
    pub core: Core,
    /// Decides.
    pub policy: AnyPolicy,
    /// Sets that wait, in large caches.
    pending: Option<Box<WriteBuffer>>,
}

/// Counts of what a stripe did. Only ever grow.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Tally {
    /// Values stored.
    pub sets: u64,
    /// Bytes that the caller's sets appended.
    pub appended: u64,
    /// Entries dropped to make room.
    pub evictions: u64,
    /// Entries deleted by the caller.
    pub deletes: u64,
    /// Entries removed because their time had come.
    pub expirations: u64,
    /// Bytes that drains appended again.
    pub copied: u64,
    /// Entries removed because a tag of theirs was invalidated.
    pub invalidations: u64,
}

/// What the next set looks at first: what the stripe owes, and how far it may go to pay.
#[repr(C)]
pub struct Owed {
    /// Bytes appended but not drained since memory became short.
    pub debt: i64,
    /// Dead entries that the drain may still pass before it stops for this time.
    pub patience: usize,
    /// How many of `Core::deferred` there are.
    pub deferred_len: usize,
}

/// Where a compaction stands, and whether there is one to begin.
#[repr(C)]
pub struct Compaction {
    /// The segment that is being compacted, and how far; NONE when the drain evicts.
    pub source: (u32, u64),
    /// Whether it is time to choose between compacting and evicting.
    pub choose: bool,
    /// Bytes of segments that were given up since it last was.
    pub given_up: u64,
    /// Bytes of entries that died elsewhere than at a log's old end.
    pub died: u64,
    /// How many of them there must be before a segment can be sparse enough to be compacted.
    pub sparse_at: u64,
}

/// What the policy was told, and when it is told again.
#[repr(C)]
pub struct PolicyFeed {
    /// What the policy was last told it may hold.
    pub capacity_hint: u64,
    /// Count of sets at which it is time to look whether that has changed.
    pub update_capacity_at: u64,
    /// Count of sets at which the policy is told of hits again.
    pub served_at: u64,
    /// How many of `Core::deferred` there are.
    pub policy_bytes: u64,
}

/// How far the drain goes, and since when memory has been short.
#[repr(C)]
pub struct Pace {
    /// Offset of the entry whose debt is being paid; the drain must not pass it.
    pub newest: u64,
    /// The last entry that was appended by a set.
    pub last: u64,
    /// Bytes that had been appended when memory was nearly used up last.
    pub pressed_at: u64,
    /// The cache has become nearly full, and the stripe hasn't drained yet what it is to drain
    /// then.
    pub entering: bool,
}

/// The stripe without its policy. In this order, so that overwriting in place touches two lines of
/// it and writes to one: when several cores write, each line that it touches has to come from
/// another core's cache.
#[repr(C)]
pub struct Core {
    /// See [`Owed`].
    pub owed: Owed,
    /// Counts.
    pub tally: Tally,
    /// The writers' side of the index.
    pub index: IndexState,
    /// An entry that the policy keeps, but the fast path found no room for.
    pub deferred_keep: Option<DeferredKeep>,
    /// Loads that are under way.
    pub loads: Loads,
    /// What became of entries, where somebody wants to hear of it.
    pub events: Queue,
    /// At most two logs.
    pub logs: [Log; 2],
    /// See [`Policy::in_order`].
    pub in_order: bool,
    /// See [`Compaction`].
    pub compaction: Compaction,
    /// See [`PolicyFeed`].
    pub feed: PolicyFeed,
    /// See [`Pace`].
    pub pace: Pace,
    /// Placement the policy already chose for this hash. Reused on retry, because asking twice
    /// would change the policy's state.
    pub placement: Option<(u64, Placement)>,
    /// The next entry that goes leaves its place to the set that is under way (`make_place`).
    pub wants_place: bool,
    /// Where the maintenance thread goes on.
    pub sweep: Sweep,
    /// Segments without live entries that the fast path left to be given up.
    pub deferred: [u32; DEFERRED],
    /// The last version given. See [`first_version`].
    pub versions: u64,
}

/// What a set by the fast path has reached of its stripe.
pub enum Reached<'a> {
    /// The lock.
    Lock(MutexGuard<'a, StripeState>),
    /// Whoever has the lock does the set too: it is as good as done.
    Published,
    /// Nothing, for some time.
    Nothing,
}

/// The number from which a stripe counts versions and tokens: at random, since a namespace that is
/// closed and made again must not give one that somebody may still have from before. Such that what
/// comes after is exact in a number of 53 bits.
fn first_version() -> u64 {
    os::random_words::<1>()[0] >> 12
}

impl Stripe {
    /// An empty stripe.
    pub fn new(
        index: Index,
        state: IndexState,
        policy: AnyPolicy,
        events: Queue,
        pending: Option<Box<WriteBuffer>>,
        publications: Option<Publications>,
    ) -> Stripe {
        Stripe {
            index,
            filter: PendingFilter::new(),
            state: Mutex::new(StripeState {
                core: Core {
                    owed: Owed { debt: 0, patience: usize::MAX, deferred_len: 0 },
                    compaction: Compaction {
                        source: (NONE, 0),
                        choose: true,
                        given_up: 0,
                        died: 0,
                        sparse_at: 0,
                    },
                    feed: PolicyFeed {
                        capacity_hint: 0,
                        update_capacity_at: 0,
                        served_at: 0,
                        policy_bytes: 0,
                    },
                    pace: Pace { newest: 0, last: 0, pressed_at: 0, entering: false },
                    in_order: policy.in_order(),
                    index: state,
                    logs: [Log::new(), Log::new()],
                    tally: Tally::default(),
                    events,
                    wants_place: false,
                    sweep: Sweep::new(),
                    deferred: [NONE; DEFERRED],
                    placement: None,
                    loads: Loads::new(),
                    versions: first_version(),
                    deferred_keep: None,
                },
                policy,
                pending,
            }),
            next_deadline: AtomicU64::new(u64::MAX),
            footprint: AtomicU64::new(0),
            loading: AtomicBool::new(false),
            publications,
        }
    }

    /// Notes that something in the stripe expires at a time.
    #[inline]
    pub fn due(&self, deadline: u64) {
        if deadline < self.next_deadline.load(Ordering::Relaxed) {
            self.next_deadline.store(deadline, Ordering::Release);
        }
    }

    /// The lock, if nobody has it for much longer than a set takes: some 20 microseconds.
    #[inline]
    pub fn try_state(&self) -> Option<MutexGuard<'_, StripeState>> {
        self.state.try_lock().or_else(|| self.contend(SPINS, || false))
    }

    /// As [`Stripe::try_state`], unless a set may be left to whoever has the lock.
    #[inline]
    pub fn try_state_or_publish(&self, store: &Store<'_>) -> Reached<'_> {
        match self.state.try_lock() {
            Some(state) => Reached::Lock(state),
            None => self.publish_or_contend(store),
        }
    }

    #[cold]
    #[inline(never)]
    fn publish_or_contend(&self, store: &Store<'_>) -> Reached<'_> {
        // Loads are told under the lock. One that begins from here on can't know of this set yet.
        let leaves = || {
            let free = |mailbox: &Publications| {
                !self.loading.load(Ordering::Relaxed) && mailbox.publish(&self.filter, store)
            };
            self.publications.as_ref().is_some_and(free)
        };
        if leaves() {
            return Reached::Published;
        }
        let mut left = false;
        let state = self.contend(SPINS, || {
            left = leaves();
            left
        });
        match state {
            Some(state) => Reached::Lock(state),
            None if left => Reached::Published,
            None => Reached::Nothing,
        }
    }

    /// Looks for the lock again and again. Gives up as soon as `other` has done what it was wanted
    /// for.
    #[cold]
    fn contend(
        &self,
        spins: usize,
        mut other: impl FnMut() -> bool,
    ) -> Option<MutexGuard<'_, StripeState>> {
        for _ in 0..spins {
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            if let Some(state) = self.state.try_lock() {
                return Some(state);
            }
            if other() {
                return None;
            }
        }
        None
    }

    /// The lock. Spins a little before it parks; less than the fast path, which mostly was there
    /// before: if the lock's holder has lost the CPU, spinning is in vain.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, StripeState> {
        let state = self.state.try_lock().or_else(|| self.contend(SPINS / 4, || false));
        state.unwrap_or_else(|| self.state.lock())
    }
}
