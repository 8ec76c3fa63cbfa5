//! Going through the keys with a cursor that the caller keeps, a number: what a cache server's SCAN
//! is made of. The guarantee is that of `cache::iter`.

use crate::cache::handle::Cache;
use crate::cache::iter::Cursor;
use crate::error::Error;
use crate::index::TAG_END;

impl Cache {
    /// Visits the live entries of the next few places from `cursor` on, and returns the cursor to
    /// go on with; `None` at the end. 0 is the beginning, and no other cursor is 0. A cursor that
    /// was never given is as good as the one behind it: nothing goes wrong. What stays in the cache
    /// from the first step to the last is visited exactly once.
    ///
    /// `visit` is told the key and the value. It runs inside the cache: it must be short and must
    /// not call it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn scan(&self, cursor: u64, visit: impl FnMut(&[u8], &[u8])) -> Result<Option<u64>, Error> {
        let mut at = Cursor { position: cursor };
        Ok(self.visit(&mut at, visit)?.then_some(at.position))
    }

    /// A cursor at `random` of the way through all places, as a part of 2^64.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn cursor_at(&self, random: u64) -> Result<u64, Error> {
        self.with(|shared| {
            let places = (shared.stripes.len() as u128) << TAG_END.trailing_zeros();
            ((u128::from(random) * places) >> 64) as u64
        })
    }
}
