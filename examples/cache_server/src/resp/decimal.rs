//! Decimal numbers of any size, for INCRBYFLOAT: added exactly, and told with at most 17 digits
//! behind the point, without an exponent, as Redis does. (Redis adds in the machine's longest
//! floating point; where that is exact to the last digit told, so is this.)

/// The largest power of ten that is a number, as of an extended double.
const MAX_EXPONENT: i64 = 4932;
/// The smallest that isn't nothing.
const MIN_EXPONENT: i64 = -5000;
/// Digits behind the point that are told.
const PLACES: i64 = 17;
/// The longest text that is looked at.
const MAX_TEXT: usize = 5 << 10;

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// A number.
    Finite(Decimal),
    /// Infinity, of either sign.
    Infinite,
}

/// A number: digits times ten to a power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// The most significant first, 0 to 9.
    digits: Vec<u8>,
    exponent: i64,
}

/// What a text says. None if it isn't a number.
pub fn parse(text: &[u8]) -> Option<Number> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if rest.len() > MAX_TEXT {
        return None;
    }
    let lower = rest.to_ascii_lowercase();
    match &lower[..] {
        b"inf" | b"infinity" => return Some(Number::Infinite),
        [b'0', b'x', hexadecimal @ ..] => {
            let text = std::str::from_utf8(hexadecimal).ok()?;
            let number = u64::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))?;
            return Some(Number::Finite(Decimal {
                negative,
                digits: number.to_string().bytes().map(|digit| digit - b'0').collect(),
                exponent: 0,
            }));
        }
        _ => {}
    }
    let (mantissa, exponent) = match lower.iter().position(|&byte| byte == b'e') {
        Some(at) => (&lower[..at], signed(&lower[at + 1..])?),
        None => (&lower[..], 0),
    };
    let mut digits = Vec::with_capacity(mantissa.len());
    let mut behind = None;
    for &byte in mantissa {
        match byte {
            b'0'..=b'9' => {
                digits.push(byte - b'0');
                behind = behind.map(|behind: i64| behind + 1);
            }
            b'.' if behind.is_none() => behind = Some(0),
            _ => return None,
        }
    }
    if digits.is_empty() {
        return None;
    }
    let number = Decimal { negative, digits, exponent: exponent - behind.unwrap_or(0) }.normal();
    let magnitude = number.digits.len() as i64 + number.exponent;
    if magnitude > MAX_EXPONENT + 1 {
        return Some(Number::Infinite);
    }
    let zero = Decimal { negative: false, digits: Vec::new(), exponent: 0 };
    Some(Number::Finite(if magnitude < MIN_EXPONENT { zero } else { number }))
}

fn signed(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0i64, |number, digit| {
        number.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(1_000_000)
    });
    Some(if negative { -number } else { number })
}

impl Decimal {
    /// Without zeros at either end.
    fn normal(mut self) -> Decimal {
        let leading = self.digits.iter().take_while(|&&digit| digit == 0).count();
        self.digits.drain(..leading);
        while self.digits.last() == Some(&0) {
            self.digits.pop();
            self.exponent += 1;
        }
        if self.digits.is_empty() {
            return Decimal { negative: false, digits: Vec::new(), exponent: 0 };
        }
        self
    }

    /// Digits of ten to the power `low` and up, the least significant first.
    fn column(&self, low: i64, len: usize) -> Vec<u8> {
        let mut column = vec![0; len];
        let shift = (self.exponent - low) as usize;
        for (i, &digit) in self.digits.iter().rev().enumerate() {
            column[shift + i] = digit;
        }
        column
    }

    /// The sum. None if it is beyond what is a number.
    pub fn plus(&self, other: &Decimal) -> Option<Decimal> {
        if self.digits.is_empty() {
            return Some(other.clone());
        }
        if other.digits.is_empty() {
            return Some(self.clone());
        }
        let low = self.exponent.min(other.exponent);
        let top = |number: &Decimal| number.exponent + number.digits.len() as i64;
        let len = (top(self).max(top(other)) - low + 1) as usize;
        let (mut large, mut small) = (self.column(low, len), other.column(low, len));
        let mut negative = self.negative;
        if self.negative == other.negative {
            add(&mut large, &small);
        } else {
            if large.iter().rev().lt(small.iter().rev()) {
                std::mem::swap(&mut large, &mut small);
                negative = other.negative;
            }
            subtract(&mut large, &small);
        }
        large.reverse();
        let sum = Decimal { negative, digits: large, exponent: low }.normal();
        (top(&sum) <= MAX_EXPONENT + 1).then_some(sum)
    }

    /// As it is told.
    pub fn text(&self) -> Vec<u8> {
        let rounded = self.rounded();
        let mut text = Vec::new();
        if rounded.digits.is_empty() {
            return b"0".to_vec();
        }
        if rounded.negative {
            text.push(b'-');
        }
        let before = rounded.digits.len() as i64 + rounded.exponent;
        if before <= 0 {
            text.extend_from_slice(b"0.");
            text.resize(text.len() + -before as usize, b'0');
        }
        for (i, digit) in rounded.digits.iter().enumerate() {
            if i as i64 == before && before > 0 {
                text.push(b'.');
            }
            text.push(b'0' + digit);
        }
        if rounded.exponent > 0 {
            text.resize(text.len() + rounded.exponent as usize, b'0');
        }
        text
    }

    fn rounded(&self) -> Decimal {
        let beyond = -self.exponent - PLACES;
        if beyond <= 0 {
            return self.clone();
        }
        let keep = self.digits.len() as i64 - beyond;
        if keep < 0 {
            return Decimal { negative: false, digits: Vec::new(), exponent: 0 };
        }
        // Half to even, as the machine rounds what it prints.
        let (first, rest) = (self.digits[keep as usize], &self.digits[keep as usize + 1..]);
        let odd = keep > 0 && self.digits[keep as usize - 1] % 2 == 1;
        let up = first > 5 || (first == 5 && (odd || rest.iter().any(|&digit| digit > 0)));
        let digits = self.digits[..keep as usize].to_vec();
        let kept = Decimal { negative: self.negative, digits, exponent: -PLACES }.normal();
        let one = Decimal { negative: self.negative, digits: vec![1], exponent: -PLACES };
        if up { kept.plus(&one).unwrap_or(kept) } else { kept }
    }
}

fn add(to: &mut [u8], other: &[u8]) {
    let mut carry = 0;
    for (digit, other) in to.iter_mut().zip(other) {
        let sum = *digit + other + carry;
        (*digit, carry) = (sum % 10, sum / 10);
    }
}

fn subtract(from: &mut [u8], other: &[u8]) {
    let mut borrow = 0;
    for (digit, other) in from.iter_mut().zip(other) {
        let less = other + borrow;
        borrow = u8::from(*digit < less);
        *digit = *digit + 10 * borrow - less;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let (Some(Number::Finite(a)), Some(Number::Finite(b))) =
            (parse(a.as_bytes()), parse(b.as_bytes()))
        else {
            panic!("{a} {b}")
        };
        String::from_utf8(a.plus(&b).unwrap().text()).unwrap()
    }

    #[test]
    fn sums_are_exact_and_told_in_full() {
        for (a, b, expected) in [
            ("0.1", "0.2", "0.3"),
            ("5.0e3", "2.0e2", "5200"),
            ("0", "1e20", "100000000000000000000"),
            ("0", "1e-18", "0"),
            ("0", "5e-18", "0"),
            ("0", "5.1e-18", "0.00000000000000001"),
            ("0", "15e-18", "0.00000000000000002"),
            ("1.5", "-1.5", "0"),
            ("3", "1.000", "4"),
            ("-1", "0.25", "-0.75"),
            ("10.50", "0.1", "10.6"),
            (".5", "5.", "5.5"),
            ("0x10", "1", "17"),
            ("+5", "05", "10"),
            ("1e3", "-1", "999"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
        assert_eq!(sum("0", "1e4000").len(), 4001);
    }

    #[test]
    fn what_is_no_number() {
        for text in ["", " 1", "1 ", "abc", "1e", "1.2.3", "-", "0x", "nan", "1e+"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        for text in ["inf", "-Infinity", "1e5000", "1e999999999999999"] {
            assert_eq!(parse(text.as_bytes()), Some(Number::Infinite), "{text:?}");
        }
    }
}
