//! Commands as one types them: words between blanks, or in quotes as in a shell.
//!
//! An argument is a range of the input, so a quoted one with escapes can't be unescaped into it.
//! Those are so rare (typed by hand, into a socket) that they are refused with a text that says
//! what to do instead; quotes without escapes are taken as they are.

use super::parse::Fault;

/// Calls `word` with start and length of each word of a line.
pub fn split(line: &[u8], mut word: impl FnMut(usize, usize)) -> Result<(), Fault> {
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            byte if is_blank(byte) => at += 1,
            quote @ (b'"' | b'\'') => {
                let start = at + 1;
                let end = quoted_end(line, start, quote)?;
                word(start, end - start);
                at = end + 1;
                if line.get(at).is_some_and(|&next| !is_blank(next)) {
                    return Err(UNBALANCED);
                }
            }
            _ => {
                let start = at;
                while at < line.len() && !is_blank(line[at]) {
                    if matches!(line[at], b'"' | b'\'') {
                        return Err(UNBALANCED);
                    }
                    at += 1;
                }
                word(start, at - start);
            }
        }
    }
    Ok(())
}

const UNBALANCED: Fault = "Protocol error: unbalanced quotes in request";

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0 || byte == 11
}

fn quoted_end(line: &[u8], start: usize, quote: u8) -> Result<usize, Fault> {
    let rest = &line[start..];
    let end = memchr::memchr(quote, rest).ok_or(UNBALANCED)?;
    if memchr::memchr(b'\\', &rest[..end]).is_some() {
        return Err("Protocol error: escapes in inline commands are not supported; send an array");
    }
    Ok(start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<String>, Fault> {
        let mut words = Vec::new();
        split(line, |start, len| {
            words.push(String::from_utf8_lossy(&line[start..start + len]).into_owned());
        })?;
        Ok(words)
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(words(b" SET  k 'a b' ").unwrap(), ["SET", "k", "a b"]);
        assert_eq!(words(b"SET k \"\"").unwrap(), ["SET", "k", ""]);
        assert_eq!(words(b"").unwrap(), [""; 0]);
        assert_eq!(words(b"SET k 'a"), Err(UNBALANCED));
        assert_eq!(words(b"SET k 'a'b"), Err(UNBALANCED));
        assert_eq!(words(b"SET k a'b'"), Err(UNBALANCED));
        assert!(words(b"SET k \"\\n\"").is_err());
    }
}
