//! Replies: bytes, and between them large values where they lie.
//!
//! What a batch of commands answers is gathered here and written at once. A value that is large is
//! not copied: the cache lends it ([`View`]), and it is written from where it is.

use super::number;
use larder::View;
use std::io::IoSlice;

/// Values from here on are lent, not copied. Smaller ones could be overwritten in place meanwhile,
/// which a view prevents at the cost of two shared counts.
pub const LEND_FROM: usize = 16 << 10;

/// Replies that were not written yet.
#[derive(Default)]
pub struct Output {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the client speaks RESP3.
    pub resp3: bool,
    /// Values, and where in the bytes each belongs.
    views: Vec<(usize, View)>,
    view_bytes: usize,
    /// Bytes of all that which were written already.
    written: usize,
}

/// Where the output stood.
#[derive(Clone, Copy)]
pub struct Mark {
    bytes: usize,
    views: usize,
}

impl Output {
    /// Bytes still to be written.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.view_bytes - self.written
    }

    /// Whether all was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it stands now.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), views: self.views.len() }
    }

    /// Takes back what came since.
    pub fn back_to(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        for (_, view) in self.views.drain(mark.views..) {
            self.view_bytes -= view.len();
        }
    }

    /// Makes it empty. Its memory is kept up to `keep` bytes.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.views.clear();
        (self.view_bytes, self.written) = (0, 0);
    }

    /// What is to be written next, as slices; returns how many there are.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut count, mut skip, mut at) = (0, self.written, 0);
        let mut put = |piece: &'a [u8]| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            if skipped < piece.len() && count < slices.len() {
                slices[count] = IoSlice::new(&piece[skipped..]);
                count += 1;
            }
        };
        for (end, view) in &self.views {
            put(&self.bytes[at..*end]);
            put(view);
            at = *end;
        }
        put(&self.bytes[at..]);
        count
    }

    /// Bytes of values that were lent.
    pub fn view_bytes(&self) -> usize {
        self.view_bytes
    }

    /// Copies the values that were lent, and gives them back.
    pub fn copy_views(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + self.view_bytes);
        let mut at = 0;
        for (end, view) in self.views.drain(..) {
            bytes.extend_from_slice(&self.bytes[at..end]);
            bytes.extend_from_slice(&view);
            at = end;
        }
        bytes.extend_from_slice(&self.bytes[at..]);
        bytes.drain(..self.written);
        (self.bytes, self.view_bytes, self.written) = (bytes, 0, 0);
    }

    /// So many bytes were written.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Moves everything behind what another one holds.
    pub fn move_to(&mut self, other: &mut Output) {
        let base = other.bytes.len();
        if other.is_empty() {
            other.clear(usize::MAX);
            std::mem::swap(&mut self.bytes, &mut other.bytes);
            std::mem::swap(&mut self.views, &mut other.views);
            std::mem::swap(&mut self.view_bytes, &mut other.view_bytes);
            std::mem::swap(&mut self.written, &mut other.written);
            return;
        }
        debug_assert_eq!(self.written, 0);
        other.bytes.append(&mut self.bytes);
        other.views.extend(self.views.drain(..).map(|(at, view)| (base + at, view)));
        other.view_bytes += std::mem::take(&mut self.view_bytes);
    }

    /// A value where it lies.
    pub fn lend(&mut self, view: View) {
        self.header(b'$', view.len());
        self.view_bytes += view.len();
        self.views.push((self.bytes.len(), view));
        self.bytes.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn header(&mut self, kind: u8, len: usize) {
        header(&mut self.bytes, kind, len);
    }

    /// A status without line breaks.
    #[inline]
    pub fn status(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    /// An error, with its code. Line breaks in it become blanks.
    #[cold]
    pub fn error(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// As [`Output::error`].
    #[cold]
    pub fn error_bytes(&mut self, text: &[u8]) {
        self.bytes.push(b'-');
        self.bytes.extend(
            text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }),
        );
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A whole number.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        self.bytes.push(b':');
        number::write(&mut self.bytes, number);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A text for people: a verbatim string in RESP3.
    pub fn text(&mut self, text: &str) {
        if self.resp3 {
            self.header(b'=', text.len() + 4);
            self.bytes.extend_from_slice(b"txt:");
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// Nothing, where a string might be.
    #[inline]
    pub fn null(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Nothing, where an array might be.
    pub fn null_array(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// So many elements follow.
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// So many pairs follow.
    pub fn map(&mut self, len: usize) {
        if self.resp3 { self.header(b'%', len) } else { self.header(b'*', 2 * len) }
    }

    /// So many elements follow, in no order.
    pub fn set(&mut self, len: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, len);
    }

    /// So many elements follow, as no reply: RESP3 only.
    pub fn push(&mut self, len: usize) {
        self.header(if self.resp3 { b'>' } else { b'*' }, len);
    }
}

/// Appends a kind, a length and the end of the line.
#[inline]
pub fn header(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    number::write_unsigned(out, len as u64);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder::{Cache, Options};

    #[test]
    fn lent_values_stand_where_they_belong() {
        let cache = Cache::new(Options::new(4 << 20)).unwrap();
        let value: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        cache.set(b"key", &value).unwrap();
        let mut all = Output::default();
        let mut one = Output::default();
        one.ok();
        one.lend(cache.view(b"key").unwrap().unwrap());
        one.integer(7);
        let expected = [b"+OK\r\n$100000\r\n", &value[..], b"\r\n:7\r\n"].concat();
        one.move_to(&mut all);
        one.clear(0);
        one.ok();
        one.lend(cache.view(b"key").unwrap().unwrap());
        let mark = one.mark();
        one.lend(cache.view(b"key").unwrap().unwrap());
        one.back_to(mark);
        one.move_to(&mut all);
        let expected = [&expected[..], b"+OK\r\n$100000\r\n", &value, b"\r\n"].concat();
        let mut written = Vec::new();
        while !all.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let count = all.slices(&mut slices);
            let piece: Vec<u8> =
                slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            let piece = &piece[..piece.len().min(777)];
            written.extend_from_slice(piece);
            all.wrote(piece.len());
        }
        assert!(written == expected);
    }
}
