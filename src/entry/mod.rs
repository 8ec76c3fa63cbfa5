//! How an entry lies in a segment.
//!
//! ```text
//! word 0      header: bits  0..17  key length (0 to 65,536)
//!                          17..48  value length
//!                          48      has an extension word
//!                          49..53  bits of the policy: a hit counter of two, two flags
//!                          53      has a deadline
//!                          54      has an own run of pages (its segment number follows)
//!                          55      dead: overwritten, deleted, expired or evicted
//!                          56..64  when it was appended: steps of the policy's clock since its segment was opened
//! word 1      deadline in milliseconds of the cache's clock, if bit 53
//! word 1 or 2 segment number, if bit 54
//! then        the extension word and the words it announces (see `extra`), if bit 48
//! then        key, value, padding to 8 bytes
//! ```
//!
//! The header, the deadline, the stamp of tags and the stale word are atomics. The key, and a value
//! of more than [`IN_PLACE`] bytes, are written before the entry is published in the index and
//! never change until the segment's grace period has passed. A smaller value may be overwritten in
//! place ([`Entry::overwrite`]), with one that takes the same room: then its bytes are atomics too,
//! and readers tell by the key's `sync::seqlock` whether what they have copied is whole. A
//! published entry of 16 + 100 bytes costs 12 bytes over key and value without a deadline, 20 with
//! one.
//!
//! All raw access to segment memory is in this file.

pub mod extension;
pub mod freshness;

use crate::entry::extension::Extension;
use crate::sync::seqlock::IN_PLACE;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::bytes;
use std::marker::PhantomData;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1 << 16;
/// The longest value the header can describe, in bytes.
pub const MAX_VALUE: u64 = (1 << 31) - 1;
/// The most steps of the policy's clock that an entry can be younger than its segment.
pub const MAX_STEPS: u32 = 255;

const KEY_BITS: u32 = 17;
const VALUE_SHIFT: u32 = KEY_BITS;
const EXTRA: u64 = 1 << 48;
const POLICY_SHIFT: u32 = 49;
const POLICY_MASK: u64 = 0xf << POLICY_SHIFT;
const COUNTER_MASK: u64 = 0x3 << POLICY_SHIFT;
const DEADLINE: u64 = 1 << 53;
const RUN: u64 = 1 << 54;
const DEAD: u64 = 1 << 55;
const STEPS_SHIFT: u32 = 56;

/// What an entry is made of.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    /// Bytes of the key.
    pub key_len: usize,
    /// Bytes of the value.
    pub value_len: usize,
    /// Expires at this time of the cache's clock.
    pub deadline: Option<u64>,
    /// The segment that holds this entry alone.
    pub run: Option<u32>,
    /// What few entries have; not an empty one.
    pub extra: Option<&'a Extension<'a>>,
}

impl Shape<'_> {
    /// Bytes before the key.
    #[inline]
    fn prefix(&self) -> usize {
        8 + 8 * usize::from(self.deadline.is_some())
            + 8 * usize::from(self.run.is_some())
            + self.extra.map_or(0, |extra| extension::bytes(extra.word()))
    }

    /// Bytes in the log: a multiple of 8.
    #[inline]
    pub fn size(&self) -> usize {
        (self.prefix() + self.key_len + self.value_len).next_multiple_of(8)
    }

    /// Whether an entry of the same key, with this header, can be overwritten in place: it has the
    /// same words before the key, takes the same room, and its value is small both before and
    /// after.
    #[inline]
    pub fn fits_over(&self, header: Header) -> bool {
        self.value_len <= IN_PLACE
            && header.may_change()
            && self.extra.is_none()
            && self.deadline.is_some() == header.has_deadline()
            && self.size() == header.size()
    }
}

/// A copy of an entry's header at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    word: u64,
    /// The extension word, or 0.
    extra: u64,
}

impl Header {
    #[inline]
    fn new(shape: &Shape<'_>, policy_bits: u8, steps: u32) -> Header {
        debug_assert!(shape.key_len <= MAX_KEY && shape.value_len as u64 <= MAX_VALUE);
        let mut word = shape.key_len as u64 | (shape.value_len as u64) << VALUE_SHIFT;
        word |= moving_bits(policy_bits, steps);
        if shape.deadline.is_some() {
            word |= DEADLINE;
        }
        if shape.run.is_some() {
            word |= RUN;
        }
        let extra = shape.extra.map_or(0, Extension::word);
        if extra != 0 {
            word |= EXTRA;
        }
        Header { word, extra }
    }

    /// Whether there is an extension.
    #[inline]
    pub fn has_extra(self) -> bool {
        self.word & EXTRA != 0
    }

    /// The extension word, or 0.
    #[inline]
    pub fn extra(self) -> u64 {
        self.extra
    }

    /// Bytes of the key.
    #[inline]
    pub fn key_len(self) -> usize {
        (self.word & ((1 << KEY_BITS) - 1)) as usize
    }

    /// Bytes of the value.
    #[inline]
    pub fn value_len(self) -> usize {
        (self.word >> VALUE_SHIFT) as usize & MAX_VALUE as usize
    }

    /// The bits that belong to the policy; the low two are the hit counter.
    #[inline]
    pub fn policy_bits(self) -> u8 {
        ((self.word & POLICY_MASK) >> POLICY_SHIFT) as u8
    }

    /// Steps of the policy's clock from the opening of the segment to the appending of the entry.
    #[inline]
    pub fn steps(self) -> u32 {
        (self.word >> STEPS_SHIFT) as u32
    }

    /// Hits since the entry was last written, as far as the counter goes.
    #[inline]
    pub fn counter(self) -> u8 {
        self.policy_bits() & 3
    }

    /// Whether a deadline follows.
    #[inline]
    pub fn has_deadline(self) -> bool {
        self.word & DEADLINE != 0
    }

    /// Whether the entry has a run of pages of its own.
    #[inline]
    pub fn is_run(self) -> bool {
        self.word & RUN != 0
    }

    /// Whether at most a deadline stands between the header and the key.
    #[inline]
    pub fn is_plain(self) -> bool {
        self.word & (EXTRA | RUN) == 0
    }

    /// Whether the entry is gone from the index.
    #[inline]
    pub fn is_dead(self) -> bool {
        self.word & DEAD != 0
    }

    /// Words before the extension.
    #[inline]
    fn plain_words(self) -> usize {
        1 + usize::from(self.has_deadline()) + usize::from(self.is_run())
    }

    #[inline]
    fn prefix(self) -> usize {
        // 8 for each of the two bits: a size is asked for five times in an evicting set.
        let bytes = |bit: u64| (self.word >> (bit.trailing_zeros() - 3)) as usize & 8;
        let plain = 8 + bytes(DEADLINE) + bytes(RUN);
        if self.has_extra() { plain + extension::bytes(self.extra) } else { plain }
    }

    /// Bytes in the log.
    #[inline]
    pub fn size(self) -> usize {
        (self.prefix() + self.key_len() + self.value_len()).next_multiple_of(8)
    }

    /// Whether the value may be overwritten in place.
    #[inline]
    pub fn may_change(self) -> bool {
        self.value_len() <= IN_PLACE && self.is_plain()
    }

    /// The header after the value has been overwritten in place by one of this length, which counts
    /// as a use.
    #[inline]
    fn overwritten(self, value_len: usize, hit_max: u8) -> Header {
        let lengths = self.word & !(MAX_VALUE << VALUE_SHIFT) | (value_len as u64) << VALUE_SHIFT;
        let word = if self.counter() < hit_max { lengths + (1 << POLICY_SHIFT) } else { lengths };
        Header { word, ..self }
    }
}

/// A value as a reader finds it: perhaps about to be overwritten. It can be copied; whether the
/// copy is whole is known only when the key's sequence has been looked at again.
#[derive(Clone, Copy)]
pub struct Value<'g> {
    start: *const u8,
    len: usize,
    may_change: bool,
    _alive: PhantomData<&'g ()>,
}

impl Value<'_> {
    /// Bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies it.
    ///
    /// # Safety
    /// `to` is writable for as many bytes, outside of the cache, and nobody else accesses them
    /// meanwhile.
    #[inline(always)]
    pub unsafe fn copy_to(&self, to: *mut u8) {
        // SAFETY: the bytes were written before publication and stay for 'g; what may change is
        // written by `Entry::overwrite` only, as atomics. The target is the caller's promise.
        unsafe {
            if self.may_change {
                bytes::copy_out(self.start, to, self.len);
            } else {
                bytes::copy(self.start, to, self.len);
            }
        }
    }

    /// Copies it behind what `out` holds.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len);
        // SAFETY: there is room for so many bytes behind the vector's length, and they are written
        // before that covers them.
        unsafe {
            self.copy_to(out.as_mut_ptr().add(out.len()));
            out.set_len(out.len() + self.len);
        }
    }
}

/// A published entry, as long as whatever keeps its segment from being reused (`'g`: a guard or the
/// stripe's lock).
#[derive(Clone, Copy)]
pub struct Entry<'g> {
    start: *const u8,
    _alive: PhantomData<&'g ()>,
}

impl<'g> Entry<'g> {
    /// The entry at an address.
    ///
    /// # Safety
    /// `start` is 8-byte aligned and an entry was written there with [`write`], happening before
    /// this call, in a segment that isn't reused while `'g` lasts.
    #[inline]
    pub unsafe fn at(start: *const u8) -> Entry<'g> {
        Entry { start, _alive: PhantomData }
    }

    #[inline]
    fn word(&self, i: usize) -> &'g AtomicU64 {
        // SAFETY: `at` promised an entry here; callers ask only for words that its header says
        // exist. They are aligned and accessed as atomics by everyone once published.
        unsafe { &*self.start.cast::<AtomicU64>().add(i) }
    }

    /// Where it lies.
    #[inline]
    pub fn address(&self) -> *const u8 {
        self.start
    }

    /// The header as it is now.
    #[inline]
    pub fn header(&self) -> Header {
        let word = self.word(0).load(Ordering::Relaxed);
        let header = Header { word, extra: 0 };
        if header.has_extra() {
            return Header {
                extra: self.word(header.plain_words()).load(Ordering::Relaxed),
                ..header
            };
        }
        header
    }

    /// As [`Entry::header`], of an entry that [is plain](Header::is_plain).
    #[inline]
    pub fn plain_header(&self) -> Option<Header> {
        let header = Header { word: self.word(0).load(Ordering::Relaxed), extra: 0 };
        header.is_plain().then_some(header)
    }

    /// One of the words that the extension announces, if it does.
    #[inline]
    fn extra_word(&self, header: Header, which: u64) -> Option<&'g AtomicU64> {
        let place = extension::place(header.extra, which)?;
        Some(self.word(header.plain_words() + place))
    }

    /// The time from which the entry is stale, and the lease to refresh it (see `freshness`).
    #[inline]
    pub fn stale_word(&self, header: Header) -> Option<&'g AtomicU64> {
        self.extra_word(header, extension::STALE)
    }

    /// Milliseconds that the entry lives on from each read.
    #[inline]
    pub fn sliding(&self, header: Header) -> Option<u64> {
        self.extra_word(header, extension::SLIDING).map(|word| word.load(Ordering::Relaxed))
    }

    /// The version, if it was asked for since the entry was written.
    #[inline]
    pub fn version(&self, header: Header) -> Option<u64> {
        self.extra_word(header, extension::VERSION).map(|word| word.load(Ordering::Relaxed))
    }

    /// The tags, and when the entry got them.
    #[inline]
    pub fn tags(&self, header: Header) -> Option<extension::Tags<'g>> {
        let place = header.plain_words() + extension::place(header.extra, extension::TAGS)?;
        let stamp = self.word(place).load(Ordering::Relaxed);
        // SAFETY: the extension says that so many words follow the stamp. They were written before
        // publication and don't change during 'g, so a plain slice may be made of them: from the
        // entry's own pointer, since one made of the stamp's reference would be good for that word
        // only.
        let hashes = unsafe {
            let start = self.start.cast::<u64>().add(place + 1);
            std::slice::from_raw_parts(start, extension::tags(header.extra))
        };
        Some(extension::Tags { stamp, hashes })
    }

    /// Gives the tags another stamp.
    pub fn restamp(&self, header: Header, stamp: u64) {
        if let Some(word) = self.extra_word(header, extension::TAGS) {
            word.store(stamp, Ordering::Relaxed);
        }
    }

    /// All that the extension says.
    pub fn extra(&self, header: Header) -> Extension<'g> {
        Extension {
            absent: header.extra & extension::ABSENT != 0,
            stale: self.stale_word(header).map(|word| word.load(Ordering::Relaxed)),
            sliding: self.sliding(header),
            version: self.version(header),
            user: extension::user(header.extra),
            tags: self.tags(header),
        }
    }

    /// Changes the deadline, which must be there.
    #[inline]
    pub fn set_deadline(&self, header: Header, deadline: u64) {
        debug_assert!(header.has_deadline());
        if header.has_deadline() {
            self.word(1).store(deadline, Ordering::Relaxed);
        }
    }

    /// Changes the deadline if it still is what it was when it was read.
    #[inline]
    pub fn put_off(&self, header: Header, seen: u64, deadline: u64) {
        debug_assert!(header.has_deadline());
        if header.has_deadline() {
            let _ =
                self.word(1).compare_exchange(seen, deadline, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The key.
    #[inline]
    pub fn key(&self, header: Header) -> &'g [u8] {
        // SAFETY: the key lies behind the prefix, was written before publication and doesn't change
        // during 'g.
        unsafe { std::slice::from_raw_parts(self.start.add(header.prefix()), header.key_len()) }
    }

    /// The value, for a reader.
    #[inline]
    pub fn value(&self, header: Header) -> Value<'g> {
        let start = self.start.wrapping_add(header.prefix() + header.key_len());
        Value {
            start,
            len: header.value_len(),
            may_change: header.may_change(),
            _alive: PhantomData,
        }
    }

    /// The value's bytes where they lie.
    ///
    /// # Safety
    /// They don't change while the slice is in use: the stripe's lock is held, the key's sequence
    /// closed, and the holder doesn't call [`Entry::overwrite`]; or the segment has been pinned by
    /// the rules of `sequence`; or the header says that they never do.
    #[inline]
    pub unsafe fn value_bytes(&self, header: Header) -> &'g [u8] {
        // SAFETY: the value lies behind the key, was written before publication, and doesn't change
        // as the caller promises.
        unsafe {
            std::slice::from_raw_parts(
                self.start.add(header.prefix() + header.key_len()),
                header.value_len(),
            )
        }
    }

    /// Puts another value in the place of the one that is there, with its deadline, and counts it
    /// as a use.
    ///
    /// # Safety
    /// The key's sequence is odd, by the caller, and the header was read since it was, or is as
    /// then but for hits and death; `shape` [fits over](Shape::fits_over) it. The segment isn't
    /// pinned, and nobody has a slice of the value.
    #[inline]
    pub unsafe fn overwrite(&self, header: Header, shape: &Shape<'_>, value: &[u8], hit_max: u8) {
        debug_assert!(shape.fits_over(header) && value.len() == shape.value_len);
        if let Some(deadline) = shape.deadline {
            self.word(1).store(deadline, Ordering::Relaxed);
        }
        let mut word = header.word;
        loop {
            let after = Header { word, ..header }.overwritten(value.len(), hit_max).word;
            if after == word {
                break;
            }
            // A reader may count a hit, or who has the stripe's lock mark the entry as dead.
            match self.word(0).compare_exchange_weak(
                word,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(other) => word = other,
            }
        }
        let start = self.start.wrapping_add(header.prefix() + header.key_len()).cast_mut();
        // SAFETY: the value's room lies behind the key, within the entry; it is large enough, as
        // the entry's size stays the same. Everyone else who accesses it meanwhile is a reader, who
        // copies it out.
        unsafe { bytes::copy_in(value.as_ptr(), start, value.len()) };
    }

    /// When the entry expires.
    #[inline]
    pub fn deadline(&self, header: Header) -> Option<u64> {
        header.has_deadline().then(|| self.word(1).load(Ordering::Relaxed))
    }

    /// The number of the segment that is this entry's own run.
    #[inline]
    pub fn run(&self, header: Header) -> Option<u32> {
        let i = 1 + usize::from(header.has_deadline());
        header.is_run().then(|| self.word(i).load(Ordering::Relaxed) as u32)
    }

    /// Raises the hit counter if it is below `max`. One try: a hit lost to a race is a hit not
    /// counted, and an entry that is hot enough to race will be hit again. At `max` nothing is
    /// written, so a hot entry's line stays shared.
    #[inline]
    pub fn mark_hit(&self, header: Header, max: u8) {
        if header.counter() < max {
            let raised = header.word + (1 << POLICY_SHIFT);
            debug_assert_eq!(raised & !COUNTER_MASK, header.word & !COUNTER_MASK);
            let _ = self.word(0).compare_exchange(
                header.word,
                raised,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Sets the policy's bits. Under the stripe's lock; a concurrent hit may be lost.
    pub fn set_policy_bits(&self, bits: u8) {
        let word = self.word(0);
        let mut now = word.load(Ordering::Relaxed);
        loop {
            let new = now & !POLICY_MASK | (u64::from(bits) << POLICY_SHIFT) & POLICY_MASK;
            match word.compare_exchange_weak(now, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// Says anew how much younger than its segment the entry is. Under the stripe's lock.
    pub fn set_steps(&self, steps: u32) {
        let word = self.word(0);
        // Nobody else changes these bits.
        let other = (word.load(Ordering::Relaxed) >> STEPS_SHIFT) ^ u64::from(steps.min(MAX_STEPS));
        word.fetch_xor(other << STEPS_SHIFT, Ordering::Relaxed);
    }

    /// PendingFilter the entry as gone from the index. Under the stripe's lock.
    #[inline]
    pub fn mark_dead(&self) {
        self.word(0).fetch_or(DEAD, Ordering::Relaxed);
    }
}

/// The bits of a header that a copy has its own of.
#[inline]
fn moving_bits(policy_bits: u8, steps: u32) -> u64 {
    (u64::from(policy_bits) << POLICY_SHIFT) & POLICY_MASK
        | u64::from(steps.min(MAX_STEPS)) << STEPS_SHIFT
}

/// Writes a copy of an entry that is not a run. What its extension changes to meanwhile may be
/// lost.
///
/// # Safety
/// The key's sequence is odd, by the caller, and the header was read since it was. `start` is
/// 8-byte aligned; `header.size()` bytes from there are the caller's to write, and nobody reads
/// them.
#[inline]
pub unsafe fn write_copy(
    start: *mut u8,
    entry: Entry<'_>,
    header: Header,
    policy_bits: u8,
    steps: u32,
) {
    debug_assert!(start.align_offset(8) == 0 && !header.is_run());
    let prefix = header.prefix();
    // SAFETY: all of it lies within `header.size()` bytes that are ours, and within the bytes of
    // the entry. The words of the prefix, some of which may change, are read as atomics; what
    // follows is immutable.
    unsafe {
        let words = start.cast::<u64>();
        words.write(
            header.word & !(POLICY_MASK | DEAD | (u64::from(MAX_STEPS) << STEPS_SHIFT))
                | moving_bits(policy_bits, steps),
        );
        for i in 1..prefix / 8 {
            words.add(i).write(entry.word(i).load(Ordering::Relaxed));
        }
        bytes::copy(
            entry.start.add(prefix),
            start.add(prefix),
            header.key_len() + header.value_len(),
        );
    }
}

/// Writes an entry that isn't published yet.
///
/// # Safety
/// `start` is 8-byte aligned; `shape.size()` bytes from there are the caller's to write, and nobody
/// reads them.
#[inline(always)]
pub unsafe fn write(
    start: *mut u8,
    shape: &Shape<'_>,
    policy_bits: u8,
    steps: u32,
    key: &[u8],
    value: &[u8],
) {
    debug_assert!(start.align_offset(8) == 0);
    debug_assert!(key.len() == shape.key_len && value.len() == shape.value_len);
    // SAFETY: all of it lies within `shape.size()` bytes that are ours. Word accesses are aligned.
    // The header and the deadline may have been atomics of an earlier entry; its readers are gone.
    unsafe {
        let words = start.cast::<u64>();
        let body = if shape.run.is_none() && shape.extra.is_none() {
            words.write(
                Header::new(&Shape { run: None, extra: None, ..*shape }, policy_bits, steps).word,
            );
            match shape.deadline {
                Some(deadline) => {
                    words.add(1).write(deadline);
                    start.add(16)
                }
                None => start.add(8),
            }
        } else {
            start.add(write_prefix(words, shape, policy_bits, steps))
        };
        bytes::copy(key.as_ptr(), body, key.len());
        bytes::copy(value.as_ptr(), body.add(key.len()), value.len());
    }
}

/// Writes all words before the key, of an entry that isn't plain, and returns how many bytes they
/// are. (Apart: what it takes in registers, plain entries would pay for.)
///
/// # Safety
/// As of [`write`].
#[cold]
#[inline(never)]
unsafe fn write_prefix(words: *mut u64, shape: &Shape<'_>, policy_bits: u8, steps: u32) -> usize {
    // SAFETY: as in `write`.
    unsafe {
        words.write(Header::new(shape, policy_bits, steps).word);
        let mut at = 1;
        if let Some(deadline) = shape.deadline {
            words.add(at).write(deadline);
            at += 1;
        }
        if let Some(run) = shape.run {
            words.add(at).write(u64::from(run));
            at += 1;
        }
        if let Some(extra) = shape.extra {
            extra.each_word(|word| {
                words.add(at).write(word);
                at += 1;
            });
        }
        8 * at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut memory = vec![0u64; 64];
        for (deadline, run) in
            [(None, None), (Some(77), None), (None, Some(9)), (Some(u64::MAX), Some(u32::MAX))]
        {
            let (key, value) = (b"some key".as_slice(), b"and its value".as_slice());
            let shape =
                Shape { key_len: key.len(), value_len: value.len(), deadline, run, extra: None };
            let start = memory.as_mut_ptr().cast::<u8>();
            // SAFETY: 512 aligned bytes of our own.
            let entry = unsafe {
                write(start, &shape, 0b0110, 77, key, value);
                Entry::at(start)
            };
            let header = entry.header();
            assert_eq!(entry.key(header), key);
            let mut copy = b"behind ".to_vec();
            entry.value(header).append_to(&mut copy);
            assert_eq!(copy, b"behind and its value");
            assert_eq!(entry.deadline(header), deadline);
            assert_eq!(entry.run(header), run);
            assert_eq!(header.size(), shape.size());
            assert_eq!((header.policy_bits(), header.steps()), (0b0110, 77));
            assert!(!header.is_dead());
            entry.mark_hit(header, 3);
            assert_eq!(entry.header().counter(), 3);
            entry.mark_hit(entry.header(), 3);
            assert_eq!(entry.header().policy_bits(), 0b0111);
            entry.set_policy_bits(0b1001);
            entry.mark_dead();
            assert_eq!((entry.header().policy_bits(), entry.header().steps()), (0b1001, 77));
            assert!(entry.header().is_dead());
            assert_eq!(entry.header().size(), shape.size());
        }
    }

    #[test]
    fn what_fits_is_overwritten_in_place() {
        let mut memory = vec![0u64; 64];
        let start = memory.as_mut_ptr().cast::<u8>();
        for deadline in [None, Some(77)] {
            let shape = |value_len, deadline| Shape {
                key_len: 5,
                value_len,
                deadline,
                run: None,
                extra: None,
            };
            // SAFETY: 512 aligned bytes of our own.
            let entry = unsafe {
                write(start, &shape(30, deadline), 0b0110, 77, b"a key", &[1; 30]);
                Entry::at(start)
            };
            let header = entry.header();
            assert!(shape(35, deadline).fits_over(header) && shape(28, deadline).fits_over(header));
            assert!(
                !shape(36, deadline).fits_over(header) && !shape(27, deadline).fits_over(header)
            );
            assert!(!shape(30, deadline.xor(Some(1))).fits_over(header));
            let after = shape(35, deadline.map(|_| 99));
            // SAFETY: nobody else knows of it.
            unsafe { entry.overwrite(header, &after, &[2; 35], 3) };
            let header = entry.header();
            let mut copy = Vec::new();
            entry.value(header).append_to(&mut copy);
            assert_eq!(
                (entry.key(header), copy.as_slice()),
                (b"a key".as_slice(), [2; 35].as_slice())
            );
            assert_eq!(entry.deadline(header), after.deadline);
            assert_eq!(
                (header.policy_bits(), header.steps(), header.size()),
                (0b0111, 77, after.size())
            );
            // SAFETY: as above.
            unsafe { entry.overwrite(header, &after, &[3; 35], 3) };
            assert_eq!(entry.header(), header);
        }
        let large = Header::new(
            &Shape { key_len: 5, value_len: IN_PLACE + 1, deadline: None, run: None, extra: None },
            0,
            0,
        );
        assert!(
            !Shape { key_len: 5, value_len: IN_PLACE, deadline: None, run: None, extra: None }
                .fits_over(large)
        );
    }

    /// Under Miri this says whether each word is reached by a pointer that may.
    #[test]
    fn an_extension_is_read_as_it_was_written() {
        let mut memory = vec![0u64; 128];
        let start = memory.as_mut_ptr().cast::<u8>();
        let hashes: Vec<u64> = (1..=64).collect();
        for count in [1, 3, 64] {
            let tags = extension::Tags { stamp: 5, hashes: &hashes[..count] };
            let extra = Extension {
                absent: false,
                stale: Some(7),
                sliding: Some(8),
                version: Some(9),
                user: 10,
                tags: Some(tags),
            };
            let shape = Shape {
                key_len: 3,
                value_len: 5,
                deadline: Some(77),
                run: None,
                extra: Some(&extra),
            };
            // SAFETY: 1,024 aligned bytes of our own.
            let entry = unsafe {
                write(start, &shape, 0, 0, b"key", b"value");
                Entry::at(start)
            };
            let header = entry.header();
            let read = entry.tags(header).unwrap();
            assert_eq!((read.stamp, read.hashes), (5, &hashes[..count]));
            entry.restamp(header, 6);
            assert_eq!(entry.tags(header).unwrap().stamp, 6);
            assert_eq!((entry.sliding(header), entry.version(header)), (Some(8), Some(9)));
            assert_eq!(extension::user(header.extra()), 10);
            assert_eq!(entry.stale_word(header).unwrap().load(Ordering::Relaxed), 7);
            assert_eq!((entry.key(header), header.size()), (&b"key"[..], shape.size()));
        }
    }

    #[test]
    fn lengths_at_their_limits_fit_the_header() {
        let shape = Shape {
            key_len: MAX_KEY,
            value_len: MAX_VALUE as usize,
            deadline: Some(1),
            run: Some(2),
            extra: None,
        };
        let header = Header::new(&shape, 0xf, 300);
        assert_eq!((header.policy_bits(), header.steps()), (0xf, MAX_STEPS));
        assert_eq!(header.key_len(), MAX_KEY);
        assert_eq!(header.value_len() as u64, MAX_VALUE);
        assert_eq!(header.size(), shape.size());
        assert!(!header.is_dead());
    }
}
