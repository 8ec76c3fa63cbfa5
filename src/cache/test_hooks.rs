//! What tests need of the inside of a cache, with the feature `test-hooks`. No part of the public
//! API: it may change at any time.

use crate::cache::handle::Cache;
use crate::cache::ttl::Ttl;

impl Cache {
    /// Whether a set succeeds by the fast path. For tests.
    pub fn set_by_the_fast_door(&self, key: &[u8], value: &[u8]) -> bool {
        self.try_store(key, value, Ttl::Default).is_ok()
    }

    /// Runs something while another, so to speak, has the lock of a key's stripe. For tests.
    pub fn with_stripe_locked(&self, key: &[u8], f: impl FnOnce()) {
        // Not pinned meanwhile: the fast path doesn't enter twice.
        let shared = self.hold().expect("open");
        let _lock = shared.stripe(shared.env.hasher.hash(key)).state.lock();
        f();
    }

    /// How many sets overwrote in place without the stripe's lock. For tests.
    pub fn sets_without_the_lock(&self) -> u64 {
        self.with(|shared| shared.env.counters.sum().sets).unwrap_or(0)
    }

    /// Checks everything that should be true of the cache at rest. For tests.
    pub fn check(&self) {
        self.with(|shared| {
            shared.each_stripe(|stripe, state| state.writer(&shared.env, stripe).0.check());
            let usage = shared.env.space.usage();
            assert!(usage.committed <= shared.env.space.max(), "{usage:?}");
        })
        .expect("open");
    }
}
