//! Invalidating by tags: the calls, and the pass over the entries that forgets what was invalidated
//! (`stripe::tags` says how they are judged).

use crate::cache::handle::Cache;
use crate::cache::room::Effort;
use crate::cache::shared::Shared;
use crate::error::Error;
use crate::index::TAG_END;
use crate::sync::epoch;
use crate::sync::waker;
use crate::sys::atomic::Ordering;

/// Index buckets visited for each time a stripe's lock is taken.
const BATCH: usize = 64;
/// How often an invalidation tries to make room for a larger table.
const TRIES: usize = 100;
/// Invalidated tags that are remembered before a pass over the entries: [`Cache::settle_tags`].
const SETTLE_FROM: usize = 4096;

/// How far a pass over the entries has come.
#[derive(Default)]
pub(crate) struct Pass {
    stamp: Option<u64>,
    stripe: usize,
    tag: u32,
}

impl Shared {
    fn pay_for_tags(&self) -> impl FnMut(i64) -> bool + use<'_> {
        |bytes| {
            if bytes >= 0 {
                self.env.space.reserve_bookkeeping(bytes as u64)
            } else {
                self.env.space.unreserve_bookkeeping(-bytes as u64);
                true
            }
        }
    }

    /// Removes some of what was invalidated, and forgets the invalidations when it has seen all.
    /// Returns whether it has.
    pub(crate) fn settle_tags(&self, pass: &mut Pass) -> bool {
        let _guard = epoch::pin();
        let stamp = *pass.stamp.get_or_insert_with(|| self.env.invalidations.stamp());
        let Some(stripe) = self.stripes.get(pass.stripe) else {
            self.env.invalidations.forget(stamp, self.pay_for_tags());
            return true;
        };
        let mut state = stripe.state.lock();
        let (mut writer, _) = state.writer(&self.env, stripe);
        for _ in 0..BATCH {
            pass.tag = writer.settle(pass.tag, stamp);
            if pass.tag >= TAG_END {
                pass.tag = 0;
                pass.stripe += 1;
                break;
            }
        }
        false
    }

    /// Whether it is time for [`Shared::settle_tags`].
    pub(crate) fn wants_settling(&self) -> bool {
        self.env.invalidations.len() >= SETTLE_FROM
            || self.env.invalidations.short.load(Ordering::Relaxed)
    }
}

impl Cache {
    /// Invalidates all entries that carry a tag and were stored before: none of them is served once
    /// this has returned. `soft`: they are stale from then on instead. Takes the same time however
    /// many there are. In a full cache, entries are evicted when there are more invalidated tags to
    /// remember than ever before (48 to 96 bytes for each); where nothing can be evicted, all
    /// entries with tags are invalidated instead.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn invalidate_tag(&self, tag: &[u8], soft: bool) -> Result<(), Error> {
        let (mut effort, mut wanted, mut must) = (Effort::default(), 0, false);
        for tries in 1.. {
            must |= tries == TRIES;
            let done = self.with(|shared| {
                let hash = shared.env.hasher.hash(tag);
                let mut pay = shared.pay_for_tags();
                let pay = |bytes: i64| {
                    let paid = pay(bytes);
                    wanted = if paid { 0 } else { bytes.unsigned_abs() };
                    paid
                };
                let done = shared.env.invalidations.invalidate(hash, soft, must, pay);
                if shared.wants_settling() {
                    waker::wake();
                }
                done || must
            })?;
            if done {
                break;
            }
            if wanted == 0 {
                // The budget has room, and the system has none: to evict is no use.
                must = true;
            } else if let Err(Error::Closed) = self.make_room(None, wanted, &mut effort) {
                return Err(Error::Closed);
            }
        }
        Ok(())
    }

    /// Where invalidations of tags stand: for [`SetOptions::as_of`](crate::SetOptions::as_of),
    /// taken before a value is fetched.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn stamp(&self) -> Result<u64, Error> {
        let guard = epoch::pin();
        Ok(self.shared(&guard)?.env.invalidations.stamp())
    }

    /// Removes now what invalidated tags have made invalid, and forgets the tags. The background
    /// thread does it when there are thousands. Visits every entry.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn settle_tags(&self) -> Result<(), Error> {
        let mut pass = Pass::default();
        loop {
            let guard = epoch::pin();
            if self.shared(&guard)?.settle_tags(&mut pass) {
                return Ok(());
            }
        }
    }
}
