//! Taking a stripe in hand, by either path: what comes before anything else.

use crate::policy::{AnyPolicy, Policy};
use crate::stripe::env::Env;
use crate::stripe::evict::MAX_FAST_DRAIN;
use crate::stripe::writer::Writer;
use crate::stripe::{Stripe, StripeState};

impl StripeState {
    /// Takes the stripe in hand. `self` is what `stripe`'s lock protects.
    pub fn writer<'a>(
        &'a mut self,
        env: &'a Env,
        stripe: &'a Stripe,
    ) -> (Writer<'a, false>, &'a mut AnyPolicy) {
        self.core.owed.patience = usize::MAX;
        let mut writer = Writer::of(env, stripe, &mut self.core, &mut self.pending);
        writer.flush();
        writer.apply_deferred(self.policy.clock());
        (writer, &mut self.policy)
    }

    /// Whether the fast path may have the stripe: not if there is something to do before that it
    /// can't. (Apart from [`StripeState::fast_writer`]: to take a writer out of an Option is a
    /// copy.)
    #[inline(always)]
    pub fn admits_fast(&mut self, env: &Env, stripe: &Stripe) -> bool {
        self.core.deferred_keep.is_none()
            && (!stripe.index.wants_steps(&self.core.index)
                || stripe.index.grow_on(&mut self.core.index, &env.index_space))
            && (self.core.owed.deferred_len == 0 || self.flush(env, stripe))
    }

    /// As [`StripeState::writer`], for the fast path, which must be
    /// [admitted](StripeState::admits_fast).
    #[inline]
    pub fn fast_writer<'a>(
        &'a mut self,
        env: &'a Env,
        stripe: &'a Stripe,
    ) -> (Writer<'a, true>, &'a mut AnyPolicy) {
        self.core.owed.patience = 4 * MAX_FAST_DRAIN;
        (Writer::of(env, stripe, &mut self.core, &mut self.pending), &mut self.policy)
    }

    /// Gives up what the fast path has left, as the fast path does.
    #[cold]
    #[inline(never)]
    fn flush(&mut self, env: &Env, stripe: &Stripe) -> bool {
        Writer::<true>::of(env, stripe, &mut self.core, &mut self.pending).flush()
    }
}
