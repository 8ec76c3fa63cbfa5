//! One number for all that the headers declare. The build script has this file too.

/// FNV-1a of the headers' declarations: without comments and white space, and without the line that
/// tells the number.
pub const fn layout_of(headers: &[&[u8]]) -> u64 {
    const TELLS: &[u8] = b"#define LARDER_LAYOUT ";
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut which = 0;
    while which < headers.len() {
        let text = headers[which];
        let mut at = 0;
        while at < text.len() {
            if starts_with(text, at, TELLS) {
                at = behind(text, at, b"\n");
            } else if starts_with(text, at, b"/*") {
                at = behind(text, at + 2, b"*/");
            } else {
                if !text[at].is_ascii_whitespace() {
                    hash = (hash ^ text[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
                }
                at += 1;
            }
        }
        which += 1;
    }
    hash
}

const fn starts_with(text: &[u8], at: usize, word: &[u8]) -> bool {
    let mut i = 0;
    while i < word.len() {
        if at + i >= text.len() || text[at + i] != word[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn behind(text: &[u8], mut at: usize, word: &[u8]) -> usize {
    while at < text.len() && !starts_with(text, at, word) {
        at += 1;
    }
    at + word.len()
}
