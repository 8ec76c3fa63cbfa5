//! What all users of an open cache share, and how it is built.

use crate::cache::family::Family;
use crate::cache::options::NamespaceOptions;
use crate::cache::options::Options;
use crate::cache::ttl::{Lifetimes, Ttl, millis};
use crate::entry::{MAX_KEY, MAX_VALUE};
use crate::error::Error;
use crate::index::{IndexSpace, LEAST_BYTES};
use crate::memory::quota::{Quota, UNBOUNDED};
use crate::memory::{MAX_BUDGET, MIN_BUDGET, Space, least_segments, segment_bytes};
use crate::policy::{self, AnyPolicy, Kind, Policy};
use crate::stripe::deferred::combining::Publications;
use crate::stripe::deferred::write_buffer::WriteBuffer;
use crate::stripe::env::{Entries, Env};
use crate::stripe::events::{self, Queue, Reasons};
use crate::stripe::tags::Invalidations;
use crate::stripe::{Stripe, StripeState};
use crate::sync::counters::{Counters, Handle};
use crate::sync::epoch::{self, Guard};
use crate::sync::seqlock::Seqlocks;
use crate::sys::atomic::AtomicU64;
use crate::sys::hash::KeyHasher;
use std::sync::Arc;

/// What all users of an open cache share. Lives until the cache is closed and the last view of it
/// is released.
pub struct Shared {
    /// What the stripes use of it.
    pub env: Env,
    /// The caches that share it.
    pub family: Arc<Family>,
    /// Whether another cache of the family owns this one.
    pub is_namespace: bool,
    policy: Kind,
    /// By the low bits of the hash.
    pub stripes: Box<[Stripe]>,
    /// How long entries live.
    pub(crate) lifetimes: Lifetimes,
    pub(crate) rejections: AtomicU64,
    pub(crate) index_huge: bool,
    /// Whether sets that overwrite in place need no lock (see `cache::in_place`).
    pub(crate) overwrites_alone: bool,
    /// What an empty cache takes.
    pub(crate) fixed_bytes: u64,
    /// The bits of a hash that choose the stripe.
    stripe_mask: u64,
}

/// Budgets from here on have huge pages for the index. The last one is full only in part, which
/// counts: in a cache of 64 MiB it might be three bytes for each small entry.
const INDEX_HUGE_FROM: u64 = 128 << 20;
/// Budgets from here on are larger than the CPU's caches, as far as they can be the cache's.
const FAR_FROM: u64 = 64 << 20;
/// And bounds on entries, so that those of small caches are kept to the entry after each set.
const FAR_FROM_ENTRIES: u64 = 1 << 16;
/// Sets in caches of a larger budget never overwrite without the lock. They have more stripes; and
/// there a set waits for its bucket and its entry to come from memory, which is better done under
/// the lock, where something else is done meanwhile.
pub const MOST_OVERWRITTEN_ALONE: u64 = 32 << 20;

/// Also what is said when a namespace finds no room, for which some can be made.
pub(crate) const TOO_MANY_STRIPES: Error =
    Error::InvalidOptions("max_bytes is too small for so many stripes or event_bytes");

impl Shared {
    pub(crate) fn new(options: &Options) -> Result<Shared, Error> {
        let max = options.max_bytes;
        if !(MIN_BUDGET..=MAX_BUDGET).contains(&max) {
            return Err(Error::InvalidOptions("max_bytes must be between 256 KiB and 256 GiB"));
        }
        let count = options.stripe_count(segment_bytes(max))?;
        let space = Space::new(max, count).map_err(|_| Error::OutOfMemory)?;
        let hasher = options.seed.map_or_else(KeyHasher::new, KeyHasher::with_seed);
        let share = Quota::whole(space, count, Parts::of(options, count).for_good());
        let shared = Shared::build(options, share, count, hasher, Arc::new(Family::new()), false)?;
        // A value of a quarter of the budget must fit beside all this.
        if shared.env.space.committed() > max / 4 {
            return Err(TOO_MANY_STRIPES);
        }
        shared.env.space.prepare();
        if shared.index_huge {
            shared.env.index_space.fault_ahead();
        }
        Ok(shared)
    }

    /// A namespace. `TOO_MANY_STRIPES` if there is no room for its fixed parts.
    pub(crate) fn member(parent: &Shared, options: &NamespaceOptions) -> Result<Shared, Error> {
        let budget = parent.env.space.max();
        let bound = if options.max_bytes == 0 { UNBOUNDED } else { options.max_bytes };
        let options = Options {
            // Of no bound: as of one that comes to hold an eighth, or an equal part if there are
            // more. With as many stripes as for an eighth, what is open and half drained in them
            // was a third of a cache of a hundred namespaces.
            max_bytes: bound.min(budget / (parent.family.len() as u64 + 1).max(8)),
            max_entries: options.max_entries,
            default_ttl: options.default_ttl,
            policy: if options.policy == Kind::Default { parent.policy } else { options.policy },
            stripes: options.stripes,
            clock: parent.env.clock.clone(),
            seed: None,
            ttl_jitter: parent.lifetimes.jitter as f64 / 65_536.0,
            sliding: parent.lifetimes.sliding,
            event_bytes: 0,
            events: Reasons::default(),
        };
        let segment = parent.env.space.segment_size();
        let count = options.stripe_count(segment)?;
        if bound != UNBOUNDED && bound < least_segments(count as u64) * segment {
            return Err(Error::InvalidOptions(
                "a namespace's max_bytes has room for less than 2 * stripes + 6 segments",
            ));
        }
        let fixed = Parts::of(&options, count).for_good();
        if bound < fixed + (count as u64 + parent.env.space.spare() + 1) * segment {
            return Err(Error::InvalidOptions(
                "a namespace's max_bytes is too small for its own tables and stripes",
            ));
        }
        let share = parent.env.space.beside(count, fixed, bound);
        let share =
            share.ok_or(Error::InvalidOptions("max_bytes is too small for one more namespace"))?;
        Shared::build(
            &options,
            share,
            count,
            parent.env.hasher.clone(),
            parent.family.clone(),
            true,
        )
    }

    fn build(
        options: &Options,
        space: Quota,
        count: usize,
        hasher: KeyHasher,
        family: Arc<Family>,
        is_namespace: bool,
    ) -> Result<Shared, Error> {
        let default_ttl = match options.default_ttl {
            Some(ttl) if ttl.is_zero() => {
                return Err(Error::InvalidOptions("default_ttl must be positive"));
            }
            Some(ttl) => Some(millis(ttl)),
            None => None,
        };
        if !(0.0..=1.0).contains(&options.ttl_jitter) {
            return Err(Error::InvalidOptions("ttl_jitter must be between 0 and 1"));
        }
        let far = is_far(options);
        let index_space =
            IndexSpace::new(space.take_index(count).map_err(|_| Error::OutOfMemory)?, count);
        // Nor for a namespace: a huge page for each of many small tables would be more than is
        // counted.
        let index_huge =
            !is_namespace && options.max_bytes >= INDEX_HUGE_FROM && index_space.use_huge();
        let mut stripes = Vec::with_capacity(count);
        let mut hit_max = 0;
        if options.event_bytes > options.max_bytes / 8 {
            return Err(Error::InvalidOptions(
                "event_bytes must be at most an eighth of max_bytes",
            ));
        }
        let Parts { event_bytes, waits, leaves, own, .. } = Parts::of(options, count);
        if !space.reserve_bookkeeping(own) {
            return Err(TOO_MANY_STRIPES);
        }
        for s in 0..count {
            let policy = AnyPolicy::new(options.policy, policy::LEAST);
            hit_max = policy.hit_max();
            let (index, state) = index_space.table(s, &space).ok_or(TOO_MANY_STRIPES)?;
            let events = Queue::new(event_bytes, options.events).ok_or(Error::OutOfMemory)?;
            stripes.push(Stripe::new(
                index,
                state,
                policy,
                events,
                waits.then(WriteBuffer::new),
                leaves.then(|| Publications::new(options.max_bytes)),
            ));
        }
        let fixed_bytes = space.held();
        let env = Env {
            space,
            index_space,
            hasher,
            seqlocks: Seqlocks::new(options.max_bytes).ok_or(Error::OutOfMemory)?,
            clock: options.clock.clone(),
            max_entries: options.max_entries,
            entries: Entries::default(),
            hit_max,
            far,
            stripe_bits: count.trailing_zeros(),
            invalidations: Invalidations::new(),
            counters: Counters::new(),
        };
        let shared = Shared {
            env,
            family,
            is_namespace,
            policy: options.policy,
            stripes: stripes.into_boxed_slice(),
            lifetimes: Lifetimes {
                default_ttl,
                jitter: (options.ttl_jitter * 65_536.0) as u64,
                sliding: options.sliding,
            },
            rejections: AtomicU64::new(0),
            index_huge,
            // An event is written under the lock.
            overwrites_alone: options.max_bytes <= MOST_OVERWRITTEN_ALONE
                && options.event_bytes == 0,
            fixed_bytes,
            stripe_mask: count as u64 - 1,
        };
        for stripe in &shared.stripes {
            let mut state = stripe.state.lock();
            let (mut writer, policy) = state.writer(&shared.env, stripe);
            writer.update_capacity(policy);
        }
        Ok(shared)
    }

    /// When an entry stored now expires, and milliseconds by which that slides (if `sliding`, or
    /// the cache does so).
    #[inline]
    pub(crate) fn deadline(
        &self,
        ttl: Ttl,
        hash: u64,
        sliding: bool,
    ) -> (Option<u64>, Option<u64>) {
        self.lifetimes.deadline(&self.env.clock, ttl, hash, sliding)
    }

    /// The stripe of a hash.
    #[inline]
    pub fn stripe(&self, hash: u64) -> &Stripe {
        let number = (hash & self.stripe_mask) as usize;
        debug_assert_eq!(self.stripe_mask as usize + 1, self.stripes.len());
        // SAFETY: there is one stripe more than the mask, from the making of the cache on. (A
        // checked index could panic, which has no place on the fast path's stack.)
        unsafe { self.stripes.get_unchecked(number) }
    }

    /// This thread's line of counters.
    #[inline]
    pub(crate) fn line(&self, guard: &Guard) -> Handle<'_> {
        match self.env.counters.line(guard) {
            Some(line) => line,
            None => self.env.counters.line_or_make(
                guard,
                |bytes| self.env.space.reserve_for_good(bytes),
                |bytes| self.env.space.unreserve_for_good(bytes),
            ),
        }
    }

    /// This thread's line, if it was made before.
    #[inline]
    pub(crate) fn try_line(&self, guard: &Guard) -> Option<Handle<'_>> {
        self.env.counters.line(guard)
    }

    /// As [`Shared::try_line`], for the threads that don't share one.
    #[inline]
    pub(crate) fn own_line(&self, guard: &Guard) -> Option<Handle<'_>> {
        self.env.counters.own_line(guard)
    }

    /// Counts a hit or a miss.
    pub(crate) fn count(&self, hit: bool) {
        let guard = epoch::pin();
        let line = self.line(&guard);
        if hit { line.hit(1) } else { line.miss(1) }
    }

    pub(crate) fn check_lengths(&self, key: usize, value: usize) -> Result<(), Error> {
        if key > MAX_KEY {
            Err(Error::KeyTooLarge)
        } else if value as u64
            > (self.env.space.max().min(self.env.space.bound()) / 4).min(MAX_VALUE)
        {
            Err(Error::ValueTooLarge)
        } else {
            Ok(())
        }
    }

    /// Touches some of the memory that the cache will need next. Returns whether there is more to
    /// be touched.
    pub fn fault_ahead(&self) -> bool {
        // The index first. It is little; and while a cache fills as fast as memory can be touched,
        // or the thread lacks a processor, there is no end of segments.
        self.env.index_space.fault_ahead();
        self.env.space.fault_ahead()
    }

    /// Whether [`Shared::fault_ahead`] is due.
    #[inline]
    pub fn wants_ahead(&self) -> bool {
        self.env.space.wants_ahead() || self.env.index_space.wants_ahead()
    }

    /// Runs `f` on each stripe, locked.
    pub fn each_stripe(&self, mut f: impl FnMut(&Stripe, &mut StripeState)) {
        for stripe in &self.stripes {
            f(stripe, &mut stripe.state.lock());
        }
    }
}

/// Whether a cache is larger than what is near.
fn is_far(options: &Options) -> bool {
    let few = (1..FAR_FROM_ENTRIES).contains(&options.max_entries);
    options.max_bytes >= FAR_FROM && !few
}

/// What a cache is made of beside segments, index and policy.
struct Parts {
    /// Of a stripe's queue.
    event_bytes: u64,
    /// Sets wait in the stripe's hands.
    waits: bool,
    /// Sets are left for who has the lock.
    leaves: bool,
    /// Bytes of all that.
    own: u64,
    /// The least that its indexes and policies take.
    least: u64,
}

impl Parts {
    fn of(options: &Options, count: usize) -> Parts {
        let far = is_far(options);
        let event_bytes = events::ring_bytes(options.event_bytes.min(options.max_bytes), count);
        // Whoever listens to events is to hear of a set when it has returned.
        let (waits, leaves) = (far && options.event_bytes == 0, !far && options.event_bytes == 0);
        let pending_bytes = match (waits, leaves) {
            (true, _) => size_of::<WriteBuffer>() as u64,
            (_, true) => Publications::bytes(options.max_bytes),
            _ => 0,
        };
        let own = (size_of::<Shared>() + count * size_of::<Stripe>()) as u64
            + count as u64 * (event_bytes + pending_bytes)
            + Seqlocks::bytes_for(options.max_bytes);
        let least = count as u64 * (LEAST_BYTES + AnyPolicy::least_bytes(options.policy));
        Parts { event_bytes, waits, leaves, own, least }
    }

    /// Bytes that go only with the cache.
    fn for_good(&self) -> u64 {
        self.own + self.least
    }
}

/// Why the fast path gave up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TryError {
    /// Repeat it the slow way.
    Busy,
    /// The cache is closed.
    Closed,
    /// As the errors of the same names.
    KeyTooLarge,
    /// See above.
    ValueTooLarge,
}
