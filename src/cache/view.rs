//! Borrowed reads: a value where it lies, without a copy.
//!
//! A view pins its segment: the memory is not used again until the last view of it is released,
//! whatever happens to the entry or the cache meanwhile (overwriting, eviction, `clear`, `resize`,
//! `close`). The segment goes on counting against the budget, and small values in it are not
//! overwritten in place (`sync::seqlock`). Taking and releasing a view costs two atomic increments
//! each on lines that others may share, so for small values a copy is cheaper.

use crate::cache::handle::Cache;
use crate::cache::shared::Shared;
use crate::error::Error;
use crate::index::Moving;
use crate::sync::epoch::Guard;
use crate::sys::atomic::Ordering;
use std::ops::Deref;
use std::sync::Arc;

/// A value that stays where it is. May be sent to and dropped on any thread.
#[must_use = "a view that is dropped at once was taken for nothing"]
pub struct View {
    data: *const u8,
    len: usize,
    segment: u32,
    shared: Arc<Shared>,
}

// SAFETY: the bytes behind `data` are immutable while the view lives, and the rest is Send and Sync
// itself.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the segment is pinned, so the published value doesn't change or go away before
        // the view does.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Release: what was read through the view was read before the segment is used again.
        self.shared.env.space.segment(self.segment).pins.fetch_sub(1, Ordering::Release);
    }
}

impl View {
    /// Takes a view apart, for a boundary that can't hold an Arc. Undone by [`View::from_parts`].
    pub(crate) fn into_parts(self) -> (*const u8, usize, *const Shared, u32) {
        let view = std::mem::ManuallyDrop::new(self);
        // SAFETY: `view` is never dropped, so its Arc is moved out exactly once.
        let shared = unsafe { std::ptr::read(&view.shared) };
        (view.data, view.len, Arc::into_raw(shared), view.segment)
    }

    /// Puts a view together again.
    ///
    /// # Safety
    /// The parts come from one [`View::into_parts`], and are used once.
    pub(crate) unsafe fn from_parts(
        data: *const u8,
        len: usize,
        shared: *const Shared,
        segment: u32,
    ) -> View {
        // SAFETY: as the caller promises.
        View { data, len, segment, shared: unsafe { Arc::from_raw(shared) } }
    }
}

impl Cache {
    /// A view of the value of a key. Counts as a hit or a miss as [`Cache::get`] does.
    ///
    /// ```
    /// # use larder::{Cache, Options};
    /// # let cache = Cache::new(Options::new(1 << 20))?;
    /// cache.set(b"key", &[7; 10_000])?;
    /// let view = cache.view(b"key")?.expect("just stored");
    /// cache.delete(b"key");
    /// assert_eq!(view[9_999], 7); // it stays as long as the view
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn view(&self, key: &[u8]) -> Result<Option<View>, Error> {
        self.with_applied(key, |guard, shared, hash, drops| shared.view(guard, hash, key, drops))
    }
}

impl Shared {
    /// None if a set of the key waits and wants room, unless `drops`.
    fn view(&self, guard: &Guard, hash: u64, key: &[u8], drops: bool) -> Option<Option<View>> {
        let sequence = self.env.seqlocks.of(hash);
        let line = self.line(guard);
        let found = self.retry_until_stable(hash, drops, || {
            let number = sequence.number();
            let Some((entry, header)) = self.lookup(guard, hash, key)? else { return Ok(None) };
            let segment = entry.run(header).unwrap_or_else(|| {
                let offset = entry.address() as usize - self.env.space.base() as usize;
                self.env.space.segment_at(offset as u64)
            });
            let pins = &self.env.space.segment(segment).pins;
            // While the epoch is pinned the segment isn't reused; from here on the count keeps it.
            pins.fetch_add(1, Ordering::SeqCst);
            if header.may_change() && !sequence.is_still_pinned(number) {
                pins.fetch_sub(1, Ordering::Release);
                return Err(Moving);
            }
            Ok(Some((segment, entry, header)))
        })?;
        let Some((segment, entry, header)) = found else {
            line.miss(1);
            return Some(None);
        };
        // SAFETY: larger values never change. Others don't while the segment is pinned: the
        // sequence says that no writer had begun to overwrite it, and one that begins now sees the
        // pin.
        let value = unsafe { entry.value_bytes(header) };
        // SAFETY: this is inside the Arc that Cache::new made; the cache holds a count of it as
        // long as anyone is pinned that has seen it open.
        let owner = unsafe {
            Arc::increment_strong_count(self);
            Arc::from_raw(self)
        };
        self.mark(entry, header);
        line.hit(1);
        Some(Some(View { data: value.as_ptr(), len: value.len(), segment, shared: owner }))
    }
}
