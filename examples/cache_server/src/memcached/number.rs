//! Numbers as memcached reads them: by `strtoull` and `strtol`.

/// A number of 64 bits without a sign other than `+`, with nothing behind it.
pub(super) fn unsigned(word: &[u8]) -> Option<u64> {
    match leading(word) {
        Some((number, [])) => Some(number),
        _ => None,
    }
}

/// The number that a value begins with, if it ends there or at a blank: what `incr` counts from.
pub(super) fn counter(value: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let start = value.iter().position(|byte| !blank(byte))?;
    let (number, rest) = leading(&value[start..])?;
    rest.first().is_none_or(blank).then_some(number)
}

/// A number with a sign. What is beyond 64 bits is refused.
pub(super) fn signed(word: &[u8]) -> Option<i64> {
    match word.strip_prefix(b"-") {
        Some(digits) if digits.first().is_some_and(u8::is_ascii_digit) => {
            0i64.checked_sub_unsigned(unsigned(digits)?)
        }
        Some(_) => None,
        None => i64::try_from(unsigned(word)?).ok(),
    }
}

/// memcached's flags: of a number beyond 32 bits the low ones.
pub(super) fn flags(word: &[u8]) -> Option<u32> {
    unsigned(word).map(|number| number as u32)
}

fn leading(word: &[u8]) -> Option<(u64, &[u8])> {
    let digits = word.strip_prefix(b"+").unwrap_or(word);
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let number = digits[..end].iter().try_fold(0u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    Some((number?, &digits[end..]))
}

/// Appends a number in decimal digits.
pub(super) fn push(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_strtoull_reads_them() {
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(unsigned(b"18446744073709551616"), None);
        assert_eq!(
            (unsigned(b"+5"), unsigned(b"007"), unsigned(b"0")),
            (Some(5), Some(7), Some(0))
        );
        for word in [&b""[..], b"-1", b"1x", b" 1", b"0x1", b"+"] {
            assert_eq!(unsigned(word), None);
        }
        assert_eq!((signed(b"-5"), signed(b"--5"), signed(b"-+5")), (Some(-5), None, None));
        assert_eq!(signed(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(flags(b"4294967297"), Some(1));
    }

    #[test]
    fn a_counter_may_have_blanks_around_it() {
        assert_eq!(
            (counter(b" 12"), counter(b"9 "), counter(b"12 b")),
            (Some(12), Some(9), Some(12))
        );
        for value in [&b""[..], b" ", b"-12", b"12ab", b"18446744073709551616"] {
            assert_eq!(counter(value), None);
        }
    }

    #[test]
    fn digits_are_written_whole() {
        for number in [0, 9, 10, 1234567890, u64::MAX] {
            let mut out = Vec::new();
            push(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
