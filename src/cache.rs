//! The cache: picks the stripe by the hash of the key, and sees to it that what it hands out stays alive.

use crate::clock::Clock;
use crate::counters::{Counters, Handle};
use crate::drain::Given;
use crate::entry::{MAX_KEY, MAX_VALUE};
use crate::epoch::{self, Guard};
use crate::error::Error;
use crate::events::{self, Queue, Reasons};
use crate::family::{Family, NamespaceOptions};
use crate::hash::KeyHasher;
use crate::index::{self, IndexSpace};
use crate::mailbox::Mailbox;
use crate::maintenance;
use crate::options::Options;
use crate::overwrite;
use crate::pending::Pending;
use crate::policy::{self, AnyPolicy, Kind, Policy};
use crate::sequence::Sequences;
use crate::share::{Share, UNBOUNDED};
use crate::space::{MAX_BUDGET, MIN_BUDGET, Space, least_segments, segment_bytes};
use crate::stats::Stats;
use crate::stripe::{Condition, Reached, Store, Stripe};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use crate::tags::Invalidations;
use crate::ttl::{Ttl, millis};
use crate::wide;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// What all users of an open cache share. Lives until the cache is closed and the last view of it is released.
pub struct Shared {
    /// Memory: what this cache has of it.
    pub space: Share,
    /// The caches that share it.
    pub family: Arc<Family>,
    /// Whether another cache of the family owns this one.
    pub is_namespace: bool,
    policy: Kind,
    /// Address space of the indexes.
    pub index_space: IndexSpace,
    /// By the low bits of the hash.
    pub stripes: Box<[Stripe]>,
    /// Hashes keys.
    pub hasher: KeyHasher,
    /// By which readers notice that a value was overwritten in place.
    pub sequences: Sequences,
    /// Tells the time.
    pub clock: Clock,
    /// The bound on entries, or 0.
    pub max_entries: u64,
    /// Entries, counted only under a bound.
    pub entries: AtomicU64,
    /// Where the policy's counter of hits stops.
    pub hit_max: u8,
    /// In milliseconds.
    pub(crate) default_ttl: Option<u64>,
    /// In 65,536ths.
    pub(crate) jitter: u64,
    /// Whether all deadlines slide.
    pub(crate) sliding: bool,
    /// Tags that were invalidated.
    pub invalidations: Invalidations,
    pub(crate) counters: Counters,
    pub(crate) rejections: AtomicU64,
    pub(crate) index_huge: bool,
    /// What a set touches is likely to be further away than the second-level cache: it is asked for ahead. Where all is near, that
    /// costs an evicting set 3 per cent.
    pub(crate) far: bool,
    /// Whether sets that overwrite in place need no lock (see `overwrite`).
    pub(crate) overwrites_alone: bool,
    /// What an empty cache takes.
    fixed_bytes: u64,
    /// The stripes' number is two to this power.
    pub stripe_bits: u32,
    /// The bits of a hash that choose the stripe.
    stripe_mask: u64,
}

/// Budgets from here on have huge pages for the index. The last one is full only in part, which counts: in a cache of 64 MiB
/// it might be three bytes for each small entry.
const INDEX_HUGE_FROM: u64 = 128 << 20;

/// Budgets from here on are larger than the CPU's caches, as far as they can be the cache's.
const FAR_FROM: u64 = 64 << 20;
/// And bounds on entries, so that those of small caches are kept to the entry after each set.
const FAR_FROM_ENTRIES: u64 = 1 << 16;

/// How often a set that finds no room waits, 100 microseconds and more each time, for readers who are on their way out. They
/// take a microsecond, unless the system takes the processor from them: on a crowded machine for tenths of a second.
const READERS: u32 = 20_000;
/// The same for views, which may be held for ever.
const VIEWS: u32 = 2_000;

/// Waits between two looks at what the family's indexes and policies hold.
const SETTLE_EVERY: u32 = 64;

const TOO_MANY_STRIPES: Error = Error::InvalidOptions("max_bytes is too small for so many stripes");

impl Shared {
    fn new(options: &Options) -> Result<Shared, Error> {
        let max = options.max_bytes;
        if !(MIN_BUDGET..=MAX_BUDGET).contains(&max) {
            return Err(Error::InvalidOptions("max_bytes must be between 256 KiB and 256 GiB"));
        }
        let count = options.stripe_count(segment_bytes(max))?;
        let space = Space::new(max, count).map_err(|_| Error::OutOfMemory)?;
        let hasher = options.seed.map_or_else(KeyHasher::new, KeyHasher::with_seed);
        let share = Share::whole(space, count, Parts::of(options, count).for_good());
        let shared = Shared::build(options, share, count, hasher, Arc::new(Family::new()), false)?;
        // A value of a quarter of the budget must fit beside all this.
        if shared.space.committed() > max / 4 {
            return Err(TOO_MANY_STRIPES);
        }
        shared.space.prepare();
        if shared.index_huge {
            shared.index_space.fault_ahead();
        }
        Ok(shared)
    }

    /// A namespace. `TOO_MANY_STRIPES` if there is no room for its fixed parts.
    fn member(parent: &Shared, options: &NamespaceOptions) -> Result<Shared, Error> {
        let budget = parent.space.max();
        let bound = if options.max_bytes == 0 { UNBOUNDED } else { options.max_bytes };
        let options = Options {
            // Of no bound: as of one that comes to hold an eighth, or an equal part if there are more. With as many stripes as for an
            // eighth, what is open and half drained in them was a third of a cache of a hundred namespaces.
            max_bytes: bound.min(budget / (parent.family.len() as u64 + 1).max(8)),
            max_entries: options.max_entries,
            default_ttl: options.default_ttl,
            policy: if options.policy == Kind::Default { parent.policy } else { options.policy },
            stripes: options.stripes,
            clock: parent.clock.clone(),
            seed: None,
            ttl_jitter: parent.jitter as f64 / 65_536.0,
            sliding: parent.sliding,
            event_bytes: 0,
            events: Reasons::default(),
        };
        let segment = parent.space.segment_size();
        let count = options.stripe_count(segment)?;
        if bound != UNBOUNDED && bound < least_segments(count as u64) * segment {
            return Err(Error::InvalidOptions(
                "a namespace's max_bytes has room for less than 2 * stripes + 6 segments",
            ));
        }
        let fixed = Parts::of(&options, count).for_good();
        if bound < fixed + (count as u64 + parent.space.spare() + 1) * segment {
            return Err(Error::InvalidOptions("a namespace's max_bytes is too small for its own tables and stripes"));
        }
        let share = parent.space.beside(count, fixed, bound);
        let share = share.ok_or(Error::InvalidOptions("max_bytes is too small for one more namespace"))?;
        Shared::build(&options, share, count, parent.hasher.clone(), parent.family.clone(), true)
    }

    fn build(
        options: &Options,
        space: Share,
        count: usize,
        hasher: KeyHasher,
        family: Arc<Family>,
        is_namespace: bool,
    ) -> Result<Shared, Error> {
        let default_ttl = match options.default_ttl {
            Some(ttl) if ttl.is_zero() => return Err(Error::InvalidOptions("default_ttl must be positive")),
            Some(ttl) => Some(millis(ttl)),
            None => None,
        };
        if !(0.0..=1.0).contains(&options.ttl_jitter) {
            return Err(Error::InvalidOptions("ttl_jitter must be between 0 and 1"));
        }
        let far = is_far(options);
        let index_space = IndexSpace::new(space.take_index().map_err(|_| Error::OutOfMemory)?, count);
        // Nor for a namespace: a huge page for each of many small tables would be more than is counted.
        let index_huge = !is_namespace && options.max_bytes >= INDEX_HUGE_FROM && index_space.use_huge();
        let mut stripes = Vec::with_capacity(count);
        let mut hit_max = 0;
        if options.event_bytes > options.max_bytes / 8 {
            return Err(Error::InvalidOptions("event_bytes must be at most an eighth of max_bytes"));
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
                waits.then(Pending::new),
                leaves.then(|| Mailbox::new(options.max_bytes)),
            ));
        }
        let fixed_bytes = space.held();
        let shared = Shared {
            space,
            family,
            is_namespace,
            policy: options.policy,
            index_space,
            stripes: stripes.into_boxed_slice(),
            hasher,
            sequences: Sequences::new(options.max_bytes).ok_or(Error::OutOfMemory)?,
            clock: options.clock.clone(),
            max_entries: options.max_entries,
            entries: AtomicU64::new(0),
            hit_max,
            default_ttl,
            jitter: (options.ttl_jitter * 65_536.0) as u64,
            sliding: options.sliding,
            invalidations: Invalidations::new(),
            counters: Counters::new(),
            rejections: AtomicU64::new(0),
            index_huge,
            far,
            // An event is written under the lock.
            overwrites_alone: options.max_bytes <= overwrite::MOST_BYTES && options.event_bytes == 0,
            fixed_bytes,
            stripe_bits: count.trailing_zeros(),
            stripe_mask: count as u64 - 1,
        };
        for stripe in &shared.stripes {
            let mut state = stripe.state.lock();
            let (mut writer, policy) = state.writer(&shared, stripe);
            writer.inform(policy);
        }
        Ok(shared)
    }

    /// Hits so far.
    pub fn hits(&self) -> u64 {
        self.counters.sum().hits
    }

    /// Bytes that this cache's segments may have now.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.space.allowance(self.space.segment_budget())
    }

    /// Whether stripes must drain as much as they append. One that may take from others need not.
    #[inline]
    pub fn must_drain(&self) -> bool {
        self.space.is_pressed() || self.space.under_pressure() && !self.space.may_take(|| self.space.segment_budget())
    }

    /// Whether stripes that have had room so far should begin to drain.
    #[inline]
    pub fn is_nearly_full(&self) -> bool {
        self.space.is_nearly_full() && !self.space.may_take(|| self.space.segment_budget())
    }

    /// Evicts something: of this cache, if it is at its bound or holds its part of the memory (see `share`), else of the
    /// one that holds most. If nothing can be had there, of any: a set never fails because others are full.
    fn give_room(&self, hash: Option<u64>, bytes: u64, keeps: &mut usize) -> Given {
        let full = self.space.is_full(bytes);
        let alone = self.family.len() == 0;
        if full || alone || !self.space.may_take(|| self.space.segment_budget()) || self.is_sparse(hash) {
            let given = self.drain(hash, keeps);
            if given != Given::Nothing || full || alone {
                return given;
            }
        }
        let others = self.family.fullest_first();
        others
            .iter()
            .map(|other| other.drain(None, keeps))
            .find(|given| *given != Given::Nothing)
            .unwrap_or(Given::Nothing)
    }

    fn drain(&self, hash: Option<u64>, keeps: &mut usize) -> Given {
        let victim = self.victim(hash);
        let mut state = victim.state.lock();
        let (mut writer, policy) = state.writer(self, victim);
        writer.give_room(policy, keeps)
    }

    /// Whether a quarter of what the stripe of a hash holds is dead: then it is to compact, before it takes from others.
    fn is_sparse(&self, hash: Option<u64>) -> bool {
        hash.is_some_and(|hash| {
            let stripe = self.stripe(hash);
            let live: u64 = stripe.state.lock().core.logs.iter().map(|log| log.live).sum();
            let footprint = stripe.footprint.load(Ordering::Relaxed);
            footprint > 8 * self.space.segment_size() && live < footprint / 4 * 3
        })
    }

    /// The stripe of a hash.
    #[inline]
    pub fn stripe(&self, hash: u64) -> &Stripe {
        let number = (hash & self.stripe_mask) as usize;
        debug_assert_eq!(self.stripe_mask as usize + 1, self.stripes.len());
        // SAFETY: there is one stripe more than the mask, from the making of the cache on. (A checked index could panic, which
        // has no place on the fast door's stack.)
        unsafe { self.stripes.get_unchecked(number) }
    }

    /// The stripe that must give room for an entry with this hash: its own, unless it holds less than half of its share; then
    /// the fullest.
    fn victim(&self, hash: Option<u64>) -> &Stripe {
        let footprint = |stripe: &Stripe| stripe.footprint.load(Ordering::Relaxed);
        let total: u64 = self.stripes.iter().map(footprint).sum();
        let own = hash.map(|hash| self.stripe(hash)).filter(|own| {
            let held = footprint(own);
            held > 0 && held * self.stripes.len() as u64 >= total / 2
        });
        own.or_else(|| self.stripes.iter().max_by_key(|stripe| footprint(stripe))).expect("there are stripes")
    }

    /// This thread's line of counters.
    #[inline]
    pub(crate) fn line(&self, guard: &Guard) -> Handle<'_> {
        match self.counters.line(guard) {
            Some(line) => line,
            None => self.counters.line_or_make(
                guard,
                |bytes| self.space.reserve_for_good(bytes),
                |bytes| self.space.unreserve_for_good(bytes),
            ),
        }
    }

    /// This thread's line, if it was made before.
    #[inline]
    pub(crate) fn try_line(&self, guard: &Guard) -> Option<Handle<'_>> {
        self.counters.line(guard)
    }

    /// As [`Shared::try_line`], for the threads that don't share one.
    #[inline]
    pub(crate) fn own_line(&self, guard: &Guard) -> Option<Handle<'_>> {
        self.counters.own_line(guard)
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
        } else if value as u64 > (self.space.max().min(self.space.bound()) / 4).min(MAX_VALUE) {
            Err(Error::ValueTooLarge)
        } else {
            Ok(())
        }
    }

    /// Touches some of the memory that the cache will need next. Returns whether there is more to be touched.
    pub fn fault_ahead(&self) -> bool {
        // The index first. It is little; and while a cache fills as fast as memory can be touched, or the thread lacks a
        // processor, there is no end of segments.
        self.index_space.fault_ahead();
        self.space.fault_ahead()
    }

    /// Whether [`Shared::fault_ahead`] is due.
    #[inline]
    pub fn wants_ahead(&self) -> bool {
        self.space.wants_ahead() || self.index_space.wants_ahead()
    }

    /// Runs `f` on each stripe, locked.
    pub fn each_stripe(&self, mut f: impl FnMut(&Stripe, &mut crate::stripe::State)) {
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
            (true, _) => size_of::<Pending>() as u64,
            (_, true) => Mailbox::bytes(options.max_bytes),
            _ => 0,
        };
        let own = (size_of::<Shared>() + count * size_of::<Stripe>()) as u64
            + count as u64 * (event_bytes + pending_bytes)
            + Sequences::bytes_for(options.max_bytes);
        let least = count as u64 * (index::LEAST_BYTES + AnyPolicy::least_bytes(options.policy));
        Parts { event_bytes, waits, leaves, own, least }
    }

    /// Bytes that go only with the cache.
    fn for_good(&self) -> u64 {
        self.own + self.least
    }
}

/// What one call has done so far to get room, so that it comes to an end.
#[derive(Default)]
pub(crate) struct Effort {
    /// Times that it waited for readers.
    waits: u32,
    /// Entries that were kept instead of evicted.
    keeps: usize,
}

/// A cache of bytes. All methods may be called from any number of threads at once.
pub struct Cache {
    /// Null once closed. One strong count of the Arc is ours while it isn't.
    shared: AtomicPtr<Shared>,
}

impl Cache {
    /// An empty cache.
    ///
    /// # Errors
    /// [`Error::InvalidOptions`], or [`Error::OutOfMemory`] where the system refuses address space. Memory is taken as the
    /// cache fills; with a budget of 64 MiB or more, 4 to 18 MiB (a segment for each stripe) at once, in about as many tenths of a
    /// millisecond.
    pub fn new(options: Options) -> Result<Cache, Error> {
        epoch::start();
        wide::prepare();
        let shared = Arc::new(Shared::new(&options)?);
        shared.family.set_root(&shared);
        Ok(Cache::of(shared))
    }

    /// A handle of a new cache or namespace.
    pub(crate) fn of(shared: Arc<Shared>) -> Cache {
        {
            // The first threads' counters are paid for while there is room for sure.
            let guard = epoch::pin();
            shared.line(&guard);
        }
        maintenance::register(&shared);
        if shared.space.is_large() {
            // The first set would want the thread; to start it would cost that 100 microseconds.
            maintenance::wake_now();
        }
        Cache { shared: AtomicPtr::new(Arc::into_raw(shared).cast_mut()) }
    }

    /// What the users share, kept from going while it is held.
    pub(crate) fn hold(&self) -> Result<Arc<Shared>, Error> {
        let guard = epoch::pin();
        let shared = self.shared(&guard)?;
        // SAFETY: `shared` is inside the Arc that `of` was given; this handle has a count of it as long as anyone is pinned
        // that has seen it open.
        Ok(unsafe {
            Arc::increment_strong_count(shared);
            Arc::from_raw(shared)
        })
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.load(Ordering::Acquire).is_null()
    }

    /// A new namespace's insides, for which room is made if need be.
    pub(crate) fn new_member(&self, parent: &Shared, options: &NamespaceOptions) -> Result<Shared, Error> {
        let mut effort = Effort::default();
        loop {
            match Shared::member(parent, options) {
                Err(error) if error == TOO_MANY_STRIPES => self.make_room(None, 0, &mut effort)?,
                result => return result,
            }
        }
    }

    /// What the users share, as long as the guard lasts.
    #[inline]
    pub(crate) fn shared<'g>(&self, _guard: &'g Guard) -> Result<&'g Shared, Error> {
        let shared = self.shared.load(Ordering::Acquire);
        if shared.is_null() {
            return Err(Error::Closed);
        }
        // SAFETY: `close` takes the pointer away before it waits for all guards that were there, and gives its count up
        // only then. The guard was pinned before the pointer was read.
        Ok(unsafe { &*shared })
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&Shared) -> T) -> Result<T, Error> {
        let guard = epoch::pin();
        Ok(f(self.shared(&guard)?))
    }

    /// Evicts until a segment is free, from the stripe of a hash unless others hold more than their share, or from the
    /// fullest. Called with nothing pinned and nothing locked.
    pub(crate) fn make_room(&self, hash: Option<u64>, bytes: u64, effort: &mut Effort) -> Result<(), Error> {
        // Who is at its own bound has nothing to gain from what waits.
        let (waited, waiting) = self.with(|shared| {
            let space = &shared.space;
            if space.is_full(bytes) { (false, 0) } else { (space.is_waiting(), space.reclaim()) }
        })?;
        if waited && waiting == 0 {
            // What was waited for is free just now: that may be room enough, and nothing else has to go.
            return Ok(());
        }
        if waiting == 0 {
            let mut given = Given::More;
            while given == Given::More {
                given = self.with(|shared| shared.give_room(hash, bytes, &mut effort.keeps))?;
                // Mostly it was this thread's own pin that what it gave up had to wait for.
                if given == Given::Waits && self.with(|shared| shared.space.reclaim())? == 0 {
                    given = Given::More;
                }
            }
            if given == Given::Some {
                // With a fresh pin, else this thread would hold back what it has just given up.
                self.with(|shared| shared.space.reclaim())?;
                return Ok(());
            }
            // No entry is left that could go: what was kept for those that went, if it was not given back with them.
            if effort.waits.is_multiple_of(SETTLE_EVERY) {
                self.with(Shared::settle_family)?;
            }
        }
        // What was given up is still being read, or is held by views.
        effort.waits += 1;
        let most = if self.with(|shared| shared.space.is_waiting())? { READERS } else { VIEWS };
        match effort.waits {
            0..32 => std::thread::yield_now(),
            waits if waits < most => std::thread::sleep(Duration::from_micros(100)),
            _ => return Err(Error::Full),
        }
        Ok(())
    }

    /// As [`Cache::set_ttl`], but gives up where that would have to wait, take a segment or call the system. This is what
    /// the fast door runs.
    pub(crate) fn try_store(&self, key: &[u8], value: &[u8], ttl: Ttl) -> Result<(), TryError> {
        let guard = epoch::try_enter().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        match shared.check_lengths(key.len(), value.len()) {
            Ok(()) => {}
            Err(Error::KeyTooLarge) => return Err(TryError::KeyTooLarge),
            Err(_) => return Err(TryError::ValueTooLarge),
        }
        let hash = shared.hasher.hash(key);
        let (deadline, sliding) = shared.deadline(ttl, hash, false);
        // An extension would cost the fast door's stack more than it has.
        if sliding.is_some() || deadline.is_some() && maintenance::asleep() {
            return Err(TryError::Busy);
        }
        let store = Store { hash, key, value, deadline, extra: None, condition: Condition::Always };
        if shared.try_overwrite(&guard, &store) {
            return Ok(());
        }
        let stripe = shared.stripe(hash);
        stripe.index.prefetch(hash);
        let mut state = match stripe.try_state_or_leave(&store) {
            Reached::Lock(state) => state,
            Reached::Left => return Ok(()),
            Reached::Nothing => return Err(TryError::Busy),
        };
        if shared.far && shared.must_drain() {
            // If the key is new, the policy will be asked for its ghost: that arrives together with the bucket.
            state.policy.prefetch(hash);
        }
        if !state.admits_fast(shared, stripe) {
            return Err(TryError::Busy);
        }
        let (mut writer, policy) = state.fast_writer(shared, stripe);
        if writer.try_set(policy, &store) { Ok(()) } else { Err(TryError::Busy) }
    }

    /// Whether a set succeeds by the fast door. For tests.
    #[doc(hidden)]
    pub fn set_by_the_fast_door(&self, key: &[u8], value: &[u8]) -> bool {
        self.try_store(key, value, Ttl::Default).is_ok()
    }

    /// Runs something while another, so to speak, has the lock of a key's stripe. For tests.
    #[doc(hidden)]
    pub fn with_stripe_locked(&self, key: &[u8], f: impl FnOnce()) {
        // Not pinned meanwhile: the fast door doesn't enter twice.
        let shared = self.hold().expect("open");
        let _lock = shared.stripe(shared.hasher.hash(key)).state.lock();
        f();
    }

    /// How many sets overwrote in place without the stripe's lock. For tests.
    #[doc(hidden)]
    pub fn sets_without_the_lock(&self) -> u64 {
        self.with(|shared| shared.counters.sum().sets).unwrap_or(0)
    }

    /// As [`Cache::delete`], for the fast door.
    pub(crate) fn try_delete(&self, key: &[u8]) -> Result<bool, TryError> {
        let guard = epoch::try_enter().ok_or(TryError::Busy)?;
        let shared = self.shared(&guard).map_err(|_| TryError::Closed)?;
        let hash = shared.hasher.hash(key);
        let stripe = shared.stripe(hash);
        stripe.index.prefetch(hash);
        let mut state = stripe.try_state().ok_or(TryError::Busy)?;
        if !state.admits_fast(shared, stripe) {
            return Err(TryError::Busy);
        }
        let (mut writer, policy) = state.fast_writer(shared, stripe);
        writer.try_delete(policy, hash, key).ok_or(TryError::Busy)
    }

    /// Removes a key. True if it was there (and had not expired).
    pub fn delete(&self, key: &[u8]) -> bool {
        self.try_remove(key).unwrap_or(false)
    }

    /// As [`Cache::delete`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn try_remove(&self, key: &[u8]) -> Result<bool, Error> {
        self.settled(key, |_, shared, hash, drops| {
            let stripe = shared.stripe(hash);
            let mut state = stripe.state.lock();
            let (mut writer, policy) = state.writer(shared, stripe);
            writer.finish_key(policy, hash, drops).then(|| writer.delete(policy, hash, key))
        })
    }

    /// Removes everything, and gives the memory back to the system as soon as nobody reads it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn clear(&self) -> Result<(), Error> {
        self.with(|shared| {
            shared.each_stripe(|stripe, state| {
                let (mut writer, policy) = state.writer(shared, stripe);
                writer.clear(policy);
                // Of a namespace: the others have use for what its ghosts took.
                writer.follow(policy);
            });
        })?;
        // With a fresh pin, else this thread would hold back what it has just given up.
        self.with(|shared| shared.space.give_back_free())
    }

    /// Changes the budget, while in use. When it shrinks, entries are evicted until the rest fits. Of a namespace: gives it a
    /// bound, or another one.
    ///
    /// # Errors
    /// [`Error::InvalidOptions`] below 256 KiB or a 64th of the first budget (more with
    /// more than 8 stripes: two segments to a stripe, and six; with events: four times their memory; and with namespaces: what they hold for good), or above the larger of 16 GiB and four times
    /// the first budget (less where address space is limited); [`Error::Closed`], or [`Error::Full`] when readers or views hold what would have to go; the new
    /// budget is in force even then, and following sets shrink further.
    pub fn resize(&self, max_bytes: u64) -> Result<(), Error> {
        self.with(|shared| {
            if shared.is_namespace {
                let segments = least_segments(shared.stripes.len() as u64);
                let least = (segments * shared.space.segment_size()).max(4 * shared.fixed_bytes);
                if !(least..UNBOUNDED).contains(&max_bytes) {
                    return Err(Error::InvalidOptions("max_bytes is too small for this namespace"));
                }
                shared.space.set_bound(max_bytes);
                return Ok(());
            }
            // What all of its caches hold for good must leave them room to live.
            if max_bytes < MIN_BUDGET.max(4 * shared.fixed_bytes) || !shared.space.try_set_max(max_bytes) {
                return Err(Error::InvalidOptions("max_bytes is out of the range that this cache can be resized to"));
            }
            Ok(())
        })??;
        let mut effort = Effort::default();
        loop {
            let fits = self.with(|shared| {
                let fits = || {
                    let share = &shared.space;
                    if shared.is_namespace { share.held() <= share.bound() } else { share.trim_to_budget() }
                };
                if fits() {
                    return true;
                }
                if shared.is_namespace {
                    shared.settle()
                } else {
                    shared.settle_family()
                }
                fits()
            })?;
            if fits {
                return self.with(|shared| if shared.is_namespace { shared.settle() } else { shared.settle_family() });
            }
            self.make_room(None, 0, &mut effort)?;
        }
    }

    /// Entries now. Expired ones count until they are found.
    pub fn len(&self) -> u64 {
        self.with(|shared| {
            let mut entries = 0;
            shared.each_stripe(|stripe, state| {
                let (mut writer, policy) = state.writer(shared, stripe);
                // What there is no room for goes on waiting: to count is no reason to drop it.
                let _ = writer.complete_all(policy);
                entries += state.core.index.entries() as u64;
            });
            entries
        })
        .unwrap_or(0)
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it did and holds.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn stats(&self) -> Result<Stats, Error> {
        self.with(Shared::stats)
    }

    /// Gives all memory back and fails every later call with [`Error::Closed`] (a get finds nothing). Calls that are under
    /// way are waited for; memory that views hold goes with the last of them. Closing twice is fine. Its namespaces are closed
    /// with it; a namespace that is closed gives its memory to the others.
    pub fn close(&self) {
        assert!(!epoch::is_pinned(), "close was called from inside the cache");
        let shared = self.shared.swap(ptr::null_mut(), Ordering::AcqRel);
        if !shared.is_null() {
            epoch::synchronize();
            // SAFETY: the pointer came from Arc::into_raw in `of`, was taken by this call alone, and nobody who read it
            // is still inside.
            let shared = unsafe { Arc::from_raw(shared) };
            if shared.is_namespace {
                shared.family.remove(&shared);
                // Back to the pool now, even if views or the background thread hold the rest for a while.
                shared.each_stripe(|stripe, state| {
                    let (mut writer, policy) = state.writer(&shared, stripe);
                    writer.clear(policy);
                });
            } else {
                shared.family.close();
            }
        }
    }

    /// Checks everything that should be true of the cache at rest. For tests.
    #[doc(hidden)]
    pub fn check(&self) {
        self.with(|shared| {
            shared.each_stripe(|stripe, state| state.writer(shared, stripe).0.check());
            let usage = shared.space.usage();
            assert!(usage.committed <= shared.space.max(), "{usage:?}");
        })
        .expect("open");
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why the fast door gave up.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_door_gives_up_on_a_lock_that_is_held_and_changes_nothing() {
        let cache = Cache::new(Options { stripes: 1, ..Options::new(1 << 20) }).unwrap();
        cache.set(b"key", b"before").unwrap();
        cache
            .with(|shared| {
                let state = shared.stripes[0].state.lock();
                assert_eq!(cache.try_store(b"key", b"after", Ttl::Default), Err(TryError::Busy));
                assert_eq!(cache.try_delete(b"key"), Err(TryError::Busy));
                drop(state);
            })
            .unwrap();
        assert_eq!(cache.get(b"key").as_deref(), Some(b"before".as_slice()));
        cache.try_store(b"key", b"after", Ttl::Default).unwrap();
        assert_eq!(cache.get(b"key").as_deref(), Some(b"after".as_slice()));
        assert_eq!(cache.try_delete(b"key"), Ok(true));
        cache.check();
        let stats = cache.stats().unwrap();
        assert_eq!((stats.sets, stats.deletes, stats.entries), (2, 1, 0));
    }
}
