//! Numbers in arguments: what is one, exactly as Redis sees it.

/// A whole number of 64 bits in its one and only decimal form: no plus, no leading zeros, no blanks,
/// no minus before 0.
#[inline]
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        digits if digits.len() > 19 => return None,
        _ => {}
    }
    let mut number: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    match (negative, number) {
        (false, number) => i64::try_from(number).ok(),
        (true, number) if number == 1 << 63 => Some(i64::MIN),
        (true, number) => i64::try_from(number).ok().map(|number| -number),
    }
}

/// Appends a number in decimal digits.
#[inline]
pub fn write(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    write_unsigned(out, number.unsigned_abs());
}

/// Appends a number in decimal digits.
#[inline]
pub fn write_unsigned(out: &mut Vec<u8>, mut number: u64) {
    if number < 10 {
        out.push(b'0' + number as u8);
        return;
    }
    let mut digits = [0; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        for n in [0, 1, -1, 10, i64::MAX, i64::MIN, 1_234_567_890_123] {
            assert_eq!(integer(n.to_string().as_bytes()), Some(n));
            let mut out = Vec::new();
            write(&mut out, n);
            assert_eq!(out, n.to_string().as_bytes());
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            " 1",
            "1 ",
            "1.0",
            "9223372036854775808",
            "99999999999999999999",
            "-9223372036854775809",
            "0x1",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }
}
