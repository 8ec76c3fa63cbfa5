//! Draining events: the caller takes what became of entries out of the stripes' rings
//! (`stripe::events`).
//!
//! A *pass* visits each ring once, and takes no more of it than it can hold: so a pass ends,
//! however fast events come, and returns everything that was there when it began and that no other
//! pass took meanwhile.

use crate::cache::handle::Cache;
use crate::cache::iter::{Cursor, Filled};
use crate::error::Error;
use crate::stripe::events::{Event, Reason, Record, Taken};

/// Bytes that a drain copies for each time it takes a stripe's lock, or one record if that is
/// longer: a microsecond or two.
const HOLD: usize = 16 << 10;
/// Bytes of the buffer that [`Cache::drain_events`] begins with.
const BUFFER: usize = 16 << 10;
/// A cursor holds the number of the stripe above so many bits, and the bytes already taken of it
/// below.
const TAKEN_BITS: u32 = 40;

impl Cache {
    /// Takes what became of entries since it was last asked, and calls `visit` with each event,
    /// outside of any lock: it may call the cache. Returns how many events were dropped meanwhile
    /// because their stripe's queue was full.
    ///
    /// One call takes what is there when it begins (and perhaps some of what comes meanwhile), so
    /// it comes to an end. Events of one key come in order; those of different keys may not.
    /// Several threads may drain at once: each event, and each count of dropped ones, goes to one
    /// of them. What nobody has drained is lost when the cache is closed. `clear` makes no events.
    ///
    /// Without [`Options::event_bytes`](crate::Options::event_bytes) there are none.
    ///
    /// ```
    /// # use larder::{Cache, Options, Reason, Reasons};
    /// # let cache = Cache::new(Options { event_bytes: 64 << 10, events: Reasons::ALL, ..Options::new(1 << 20) })?;
    /// cache.set(b"key", b"value")?;
    /// cache.delete(b"key");
    /// let mut seen = Vec::new();
    /// cache.drain_events(|event| seen.push((event.reason, event.key.to_vec())))?;
    /// assert_eq!(seen, [(Reason::Deleted, b"key".to_vec())]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn drain_events(&self, mut visit: impl FnMut(Event<'_>)) -> Result<u64, Error> {
        let (mut cursor, mut dropped) = (Cursor::default(), 0);
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.fill_events(&mut cursor, &mut buffer, Some(&mut dropped))? {
                Filled::Some(bytes) => {
                    let mut rest = &buffer[..bytes];
                    while let Some((header, after)) = rest.split_first_chunk() {
                        let record = Record::new(header);
                        let (key, after) = after.split_at(record.key_len);
                        let reason =
                            Reason::from_bits(record.reason).expect("a record has a reason");
                        visit(Event { reason, key, value_len: record.value_len });
                        rest = after;
                    }
                }
                Filled::Needs(bytes) => buffer.resize(bytes, 0),
                Filled::End => return Ok(dropped),
            }
        }
    }

    /// Moves whole records of the next events to a buffer, and adds the number of events that were
    /// dropped to `dropped`, where it is wanted. A pass begins with a cursor of zero.
    ///
    /// # Errors
    /// [`Error::Closed`], with nothing taken.
    pub(crate) fn fill_events(
        &self,
        cursor: &mut Cursor,
        out: &mut [u8],
        mut dropped: Option<&mut u64>,
    ) -> Result<Filled, Error> {
        let mut used = 0;
        loop {
            // A pin for each step: nobody waits for this thread longer than for one.
            let step = self.with(|shared| {
                let (number, taken) =
                    (cursor.position >> TAKEN_BITS, cursor.position & ((1 << TAKEN_BITS) - 1));
                let stripe = shared.stripes.get(usize::try_from(number).ok()?)?;
                let mut state = stripe.state.lock();
                let queue = &mut state.core.events;
                if let Some(dropped) = &mut dropped {
                    **dropped += queue.report();
                }
                let step = queue.take(&mut out[used..], HOLD);
                let taken = taken + step.bytes as u64;
                let next = if step.next == 0 || taken >= queue.capacity() as u64 {
                    cursor.position = (number + 1) << TAKEN_BITS;
                    0
                } else {
                    cursor.position = number << TAKEN_BITS | taken;
                    step.next
                };
                Some(Taken { bytes: step.bytes, next })
            });
            match step {
                Ok(Some(Taken { bytes, next })) => {
                    used += bytes;
                    if next > out.len() - used {
                        return Ok(if used > 0 { Filled::Some(used) } else { Filled::Needs(next) });
                    }
                }
                Ok(None) => return Ok(if used > 0 { Filled::Some(used) } else { Filled::End }),
                // What was taken before it was closed isn't lost: the next call says that it is.
                Err(error) => return if used > 0 { Ok(Filled::Some(used)) } else { Err(error) },
            }
        }
    }
}
