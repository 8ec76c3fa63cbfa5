//! What became of entries, for whoever wants to hear of it: evicted, expired, a set rejected; on
//! demand deleted, overwritten, invalidated.
//!
//! The core never calls anybody. Each stripe has a ring of bytes under its own lock, so telling
//! takes no further lock and shares nothing between stripes. Whoever empties an entry's place
//! writes a record there: reason, length of the key, length of the value, key. The caller *drains*
//! the rings when it likes. A ring that is full takes no more: the newest event is dropped and
//! counted, so that what was there before stays, in order, and nobody waits.
//!
//! Memory for the rings is taken when the cache is made, from its budget: a push allocates nothing,
//! can't panic and is as fit for the fast path as the rest of a set. Off, which is the default, it
//! is one test of a byte that is always zero.
//!
//! Per key, records are in the order in which things happened, for a key has one stripe. Between
//! stripes there is no order.
//!
//! A *pass* visits each ring once, and takes no more of it than it can hold: so a pass ends,
//! however fast events come, and returns everything that was there when it began and that no other
//! pass took meanwhile.

use crate::sys::bytes::copy_most as copy;
use crate::sys::os::{PAGE, Zeroed};
use std::fmt;

/// Bytes of a record before the key: reason, length of the key, length of the value, four bytes
/// each, little endian.
const HEADER: usize = 12;

/// Why an event came. The numbers are those of the C ABI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reason {
    /// An entry was dropped to make room. Counted as an eviction.
    Evicted = 1,
    /// An entry was removed after its time had come: when it was found, or by the background
    /// thread, at most about 0.6 s after. Counted as an expiration.
    Expired = 2,
    /// A set, or another change, failed with [`Error::Full`](crate::Error::Full). An older value of
    /// the key is still there. Counted as a rejection.
    Rejected = 4,
    /// An entry was deleted by the caller. Counted as a delete.
    Deleted = 8,
    /// An entry's value was replaced by a set.
    Overwritten = 16,
    /// An entry was removed because a tag of it was invalidated: when it was found, or by the
    /// background thread, which may be long after. Counted as an invalidation.
    Invalidated = 32,
}

impl Reason {
    const ALL: [Reason; 6] = [
        Reason::Evicted,
        Reason::Expired,
        Reason::Rejected,
        Reason::Deleted,
        Reason::Overwritten,
        Reason::Invalidated,
    ];

    /// The reason of the C ABI's bit.
    pub(crate) fn from_bits(bits: u32) -> Option<Reason> {
        Reason::ALL.into_iter().find(|&reason| reason as u32 == bits)
    }
}

/// A set of reasons. The default: what happens without the caller's doing, which is
/// [`Reason::Evicted`], [`Reason::Expired`] and [`Reason::Rejected`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    /// All of them.
    pub const ALL: Reasons = Reasons::of(&Reason::ALL);

    /// The set of these.
    pub const fn of(reasons: &[Reason]) -> Reasons {
        let (mut bits, mut i) = (0, 0);
        while i < reasons.len() {
            bits |= reasons[i] as u8;
            i += 1;
        }
        Reasons(bits)
    }

    /// Whether a reason is in the set.
    pub const fn contains(self, reason: Reason) -> bool {
        self.0 & reason as u8 != 0
    }

    /// The set of the C ABI's bits. None if there is one without a meaning.
    pub(crate) fn from_bits(bits: u64) -> Option<Reasons> {
        u8::try_from(bits).ok().filter(|bits| bits & !Reasons::ALL.0 == 0).map(Reasons)
    }
}

impl Default for Reasons {
    fn default() -> Reasons {
        Reasons::of(&[Reason::Evicted, Reason::Expired, Reason::Rejected])
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Reason::ALL.into_iter().filter(|&reason| self.contains(reason)))
            .finish()
    }
}

/// Something that became of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// What.
    pub reason: Reason,
    /// The key.
    pub key: &'a [u8],
    /// Bytes of the value that is gone, or that was rejected (for an increment that was, 20; for
    /// what changes no value, 0).
    pub value_len: usize,
}

/// Bytes of each stripe's ring: an equal part of what the options say, in whole pages.
pub fn ring_bytes(event_bytes: u64, stripes: usize) -> u64 {
    event_bytes.div_ceil(stripes as u64).next_multiple_of(PAGE as u64)
}

/// The events of a stripe that nobody has drained yet.
pub struct Queue {
    /// Which events are wanted: none when there is no ring.
    wanted: Reasons,
    ring: Option<Zeroed<u8>>,
    /// Where the oldest record begins.
    start: usize,
    /// Bytes of all records.
    used: usize,
    /// Events that found no room.
    dropped: u64,
    /// How many of those drains have reported.
    reported: u64,
}

/// What was taken of a queue at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Bytes.
    pub bytes: usize,
    /// Bytes of the record that comes next, 0 if there is none.
    pub next: usize,
}

impl Queue {
    /// A queue with a ring of so many bytes; without one, for 0. None if the system refuses memory.
    pub fn new(bytes: u64, wanted: Reasons) -> Option<Queue> {
        let off = bytes == 0;
        let ring = if off { None } else { Some(Zeroed::try_new(bytes as usize).ok()?) };
        let wanted = if off { Reasons(0) } else { wanted };
        Some(Queue { wanted, ring, start: 0, used: 0, dropped: 0, reported: 0 })
    }

    /// Whether events for any of these reasons, as bits, are wanted.
    #[inline]
    pub fn wants(&self, bits: u8) -> bool {
        self.wanted.0 & bits != 0
    }

    /// Events that found no room so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Notes an event, or drops it and counts that. Not inlined, and out of the way of those who
    /// want no events. For the fast path too: no index is checked here that could be wrong, and
    /// copies stop where the shorter side ends.
    #[cold]
    #[inline(never)]
    pub fn push(&mut self, bits: u8, key: &[u8], value_len: usize) {
        let Some(ring) = self.ring.as_deref_mut() else { return };
        let size = HEADER + key.len();
        if size > ring.len().saturating_sub(self.used) {
            self.dropped += 1;
            return;
        }
        let words =
            [u32::from(bits), key.len() as u32, u32::try_from(value_len).unwrap_or(u32::MAX)];
        let mut header = [0; HEADER];
        for (bytes, word) in header.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        let at = wrap(ring.len(), self.start + self.used);
        match ring.get_mut(at..).and_then(|rest| rest.split_first_chunk_mut()) {
            // Nearly always.
            Some((to, rest)) if rest.len() >= key.len() => {
                *to = header;
                copy(rest, key);
            }
            _ => {
                put(ring, at, &header);
                put(ring, at + HEADER, key);
            }
        }
        self.used += size;
    }

    /// Moves whole records to `out`, the oldest first: as many as fit, and if there is more than
    /// one, at most `most` bytes.
    pub fn take(&mut self, out: &mut [u8], most: usize) -> Taken {
        let Some(ring) = self.ring.as_deref() else { return Taken { bytes: 0, next: 0 } };
        let (mut bytes, mut next) = (0, 0);
        while bytes < self.used {
            let mut header = [0; HEADER];
            get(ring, self.start + bytes, &mut header);
            next = Record::new(&header).size();
            if bytes + next > out.len() || bytes > 0 && bytes + next > most {
                break;
            }
            bytes += next;
            next = 0;
        }
        get(ring, self.start, &mut out[..bytes]);
        self.start = (self.start + bytes) % ring.len();
        self.used -= bytes;
        Taken { bytes, next }
    }

    /// Events dropped since the last call.
    pub fn report(&mut self) -> u64 {
        self.dropped - std::mem::replace(&mut self.reported, self.dropped)
    }

    pub fn capacity(&self) -> usize {
        self.ring.as_ref().map_or(0, |ring| ring.len())
    }
}

/// A place in a ring, which may be given one turn ahead.
fn wrap(len: usize, at: usize) -> usize {
    if at >= len { at - len } else { at }
}

/// Copies bytes into a ring, around its end.
fn put(ring: &mut [u8], at: usize, bytes: &[u8]) {
    let at = wrap(ring.len(), at);
    let Some((front, back)) = ring.split_at_mut_checked(at) else { return };
    copy(back, bytes);
    copy(front, bytes.get(back.len()..).unwrap_or_default());
}

/// Copies bytes out of a ring, around its end.
fn get(ring: &[u8], at: usize, bytes: &mut [u8]) {
    let at = wrap(ring.len(), at);
    let Some((front, back)) = ring.split_at_checked(at) else { return };
    copy(bytes, back);
    copy(bytes.get_mut(back.len()..).unwrap_or_default(), front);
}

/// The beginning of a record.
pub struct Record {
    pub reason: u32,
    pub key_len: usize,
    pub value_len: usize,
}

impl Record {
    pub fn new(header: &[u8; HEADER]) -> Record {
        let word =
            |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        Record { reason: word(0), key_len: word(4) as usize, value_len: word(8) as usize }
    }

    pub fn size(&self) -> usize {
        HEADER + self.key_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const HOLD: usize = 16 << 10;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// A record as it should be.
    fn record(bits: u8, key: &[u8], value_len: u32) -> Vec<u8> {
        let words = [u32::from(bits), key.len() as u32, value_len];
        [&words.map(u32::to_le_bytes).concat(), key].concat()
    }

    #[test]
    fn a_queue_that_is_off_wants_nothing() {
        let mut queue = Queue::new(0, Reasons::ALL).unwrap();
        assert!(!queue.wants(u8::MAX));
        queue.push(1, b"key", 5);
        assert_eq!(queue.take(&mut [0; 64], HOLD), Taken { bytes: 0, next: 0 });
        assert_eq!((queue.dropped(), queue.report()), (0, 0));
    }

    #[test]
    fn reasons_are_sets() {
        let some = Reasons::of(&[Reason::Evicted, Reason::Deleted]);
        assert!(
            some.contains(Reason::Evicted)
                && some.contains(Reason::Deleted)
                && !some.contains(Reason::Expired)
        );
        assert_eq!(format!("{some:?}"), "{Evicted, Deleted}");
        assert_eq!(Reasons::from_bits(9), Some(some));
        assert_eq!(Reasons::from_bits(63), Some(Reasons::ALL));
        assert_eq!(Reasons::from_bits(64), None);
        assert_eq!(Reasons::from_bits(1 << 32 | 1), None);
        for reason in Reason::ALL {
            assert_eq!(Reason::from_bits(reason as u32), Some(reason));
        }
    }

    #[test]
    fn rings_are_whole_pages_and_hold_what_was_asked_for() {
        for stripes in [1, 2, 64, 256] {
            for bytes in [1, 4096, 4097, 100_000, 1 << 20] {
                let ring = ring_bytes(bytes, stripes);
                assert!(ring.is_multiple_of(PAGE as u64) && ring > 0);
                assert!(
                    ring * stripes as u64 >= bytes
                        && ring * (stripes as u64) < bytes + (stripes * PAGE) as u64 + 256
                );
            }
            assert_eq!(ring_bytes(0, stripes), 0);
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push { bits: u8, key_len: usize, value_len: u32 },
        Take { room: usize, most: usize },
    }

    fn op() -> impl Strategy<Value = Op> {
        let key_len = prop_oneof![5 => 0..60usize, 3 => 0..1500usize, 1 => 4000..4200usize];
        let room = prop_oneof![2 => 0..64usize, 2 => 0..4500usize];
        prop_oneof![
            3 => (0..5u32, key_len, any::<u32>())
                .prop_map(|(bit, key_len, value_len)| Op::Push { bits: 1 << bit, key_len, value_len }),
            2 => (room, 1..5000usize).prop_map(|(room, most)| Op::Take { room, most }),
        ]
    }

    proptest! {
        /// Records of all sizes, around the end of the ring, against a list of records.
        #[test]
        fn a_ring_is_a_bounded_queue_of_records(ops in prop::collection::vec(op(), 1..400)) {
            let mut queue = Queue::new(PAGE as u64, Reasons::ALL).unwrap();
            let (mut model, mut held, mut dropped) = (VecDeque::new(), 0, 0);
            for (n, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Push { bits, key_len, value_len } => {
                        let key: Vec<u8> = (0..key_len).map(|i| (i * 31 + n * 7) as u8).collect();
                        queue.push(bits, &key, value_len as usize);
                        let record = record(bits, &key, value_len);
                        if held + record.len() <= PAGE {
                            held += record.len();
                            model.push_back(record);
                        } else {
                            dropped += 1;
                        }
                    }
                    Op::Take { room, most } => {
                        let mut out = vec![0xaa; room];
                        let taken = queue.take(&mut out, most);
                        let mut expected = Vec::new();
                        while let Some(record) = model.pop_front_if(|record: &mut Vec<u8>| {
                            let end = expected.len() + record.len();
                            end <= room && (expected.is_empty() || end <= most)
                        }) {
                            expected.extend(record);
                        }
                        held -= expected.len();
                        prop_assert_eq!(&out[..taken.bytes], &expected[..]);
                        prop_assert!(out[taken.bytes..].iter().all(|&byte| byte == 0xaa));
                        prop_assert_eq!(taken.next, model.front().map_or(0, Vec::len));
                    }
                }
                prop_assert_eq!((queue.used, queue.dropped()), (held, dropped));
            }
            prop_assert_eq!((queue.report(), queue.report()), (dropped, 0));
        }
    }
}
