//! Patterns of KEYS and SCAN: `*`, `?`, `[a-c]`, `[^a]`, and `\` before what is meant literally.

/// Whether a text matches a pattern. Takes time in the order of both lengths multiplied, at most.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last star doesn't match here.
    let mut again: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            again = Some((p, t));
            continue;
        }
        if t == text.len() && p == pattern.len() {
            return true;
        }
        if t < text.len()
            && p < pattern.len()
            && let Some(next) = one(pattern, p, text[t])
        {
            (p, t) = (next, t + 1);
            continue;
        }
        match again {
            Some((after, from)) if from < text.len() => {
                again = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether what stands at `p` matches a byte, and where the pattern goes on then.
fn one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match pattern[p] {
        b'?' => Some(p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// A class without an end goes to the end of the pattern.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    while let Some(&first) = pattern.get(p) {
        match (first, pattern.get(p + 1), pattern.get(p + 2)) {
            (b']', ..) => {
                p += 1;
                break;
            }
            (b'\\', Some(&literal), _) => {
                found |= literal == byte;
                p += 2;
            }
            (_, Some(b'-'), Some(&last)) => {
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                p += 3;
            }
            _ => {
                found |= first == byte;
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("*foo*bar", "xfooybar", true),
            ("*foo*bar", "xfooyba", false),
            ("", "a", false),
            ("[", "[", false),
            ("a*", "ab", true),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        let (pattern, text) = ("a*".repeat(50) + "b", "a".repeat(5000));
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
    }
}
