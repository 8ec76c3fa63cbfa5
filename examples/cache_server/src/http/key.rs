//! Keys in paths: all that follows `/cache/`, with `%41` decoded. Slashes are part of the key.

use super::problem::Problem;
use hyper::StatusCode;
use std::borrow::Cow;

/// Bytes of a key at most, as the cache has it.
const MAX_KEY: usize = 64 << 10;

/// The key that a path names.
pub(super) fn key(path: &str) -> Result<Cow<'_, [u8]>, Problem> {
    if path.is_empty() {
        return Err(Problem::bad("the path has no key: /cache/{key}"));
    }
    let key = decode(path)
        .ok_or_else(|| Problem::bad("the key has a % that isn't followed by two hex digits"))?;
    if key.len() > MAX_KEY {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "a key has at most 65536 bytes"));
    }
    Ok(key)
}

fn decode(path: &str) -> Option<Cow<'_, [u8]>> {
    let bytes = path.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() {
        return Some(Cow::Borrowed(bytes));
    }
    let mut key = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            key.push(byte);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        key.push(hex(digits[0])? << 4 | hex(digits[1])?);
        rest = after;
    }
    Some(Cow::Owned(key))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded() {
        assert_eq!(&*key("a/b:c").unwrap(), b"a/b:c");
        assert_eq!(&*key("a%2Fb%00%ff").unwrap(), b"a/b\x00\xff");
        for path in ["", "%", "%4", "%4x", "a%"] {
            assert!(key(path).is_err(), "{path}");
        }
    }
}
