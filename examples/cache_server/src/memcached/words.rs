//! A command's line: where it ends, and its words.

/// Words of a line at most, as in memcached. What is behind them is the last word's.
pub(super) const MAX_WORDS: usize = 24;
/// Bytes of a key at most.
pub(super) const MAX_KEY: usize = 250;

/// A line without its end, and bytes with it. None if it isn't whole. `\n` ends it, and a `\r` before
/// that is part of the end.
pub(super) fn line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr::memchr(b'\n', input)?;
    let line = &input[..end];
    // As memcached: of a line that is nothing but "\r\n" the "\r" is a word.
    let line = if end > 1 { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    Some((line, end + 1))
}

/// The words of a line: what blanks separate.
pub(super) struct Words<'a> {
    words: [&'a [u8]; MAX_WORDS],
    len: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a [u8]) -> Words<'a> {
        let mut words = Words { words: [&[]; MAX_WORDS], len: 0 };
        let mut rest = line;
        while words.len < MAX_WORDS {
            let Some(start) = rest.iter().position(|&byte| byte != b' ') else { break };
            rest = &rest[start..];
            let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
            words.words[words.len] = &rest[..end];
            words.len += 1;
            rest = &rest[end..];
        }
        words
    }

    pub(super) fn all(&self) -> &[&'a [u8]] {
        &self.words[..self.len]
    }
}

/// Whether a word may be a key: neither too long nor with control characters.
pub(super) fn is_key(word: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&word.len()) && word.iter().all(|&byte| byte > b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_or_without_a_return() {
        assert_eq!(line(b"get a\r\nget"), Some((&b"get a"[..], 7)));
        assert_eq!(line(b"get a\n"), Some((&b"get a"[..], 6)));
        assert_eq!(line(b"\r\n"), Some((&b"\r"[..], 2)));
        assert_eq!(line(b"\n"), Some((&b""[..], 1)));
        assert_eq!(line(b"get a\r"), None);
    }

    #[test]
    fn words_are_what_blanks_separate() {
        assert_eq!(Words::new(b"  get  a b ").all(), [&b"get"[..], b"a", b"b"]);
        assert!(Words::new(b"   ").all().is_empty());
        assert_eq!(Words::new(&b"x ".repeat(100)).all().len(), MAX_WORDS);
    }

    #[test]
    fn keys_have_a_length_and_no_control_characters() {
        assert!(is_key(&[b'k'; 250]) && is_key("schlüssel".as_bytes()));
        assert!(!is_key(&[b'k'; 251]) && !is_key(b"") && !is_key(b"a\tb") && !is_key(b"a\x7f"));
    }
}
