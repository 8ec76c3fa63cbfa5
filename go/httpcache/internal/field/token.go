// Tokens and lists (RFC 9110, 5.6).

package field

import "strings"

// tokenChars marks the characters of a token (RFC 9110, 5.6.2).
var tokenChars = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// TokenLen returns the length of the token that s starts with.
func TokenLen(s string) int {
	n := 0
	for n < len(s) && tokenChars[s[n]] {
		n++
	}
	return n
}

// IsToken reports whether s is a token.
func IsToken(s string) bool { return s != "" && TokenLen(s) == len(s) }

// TrimOWS removes optional whitespace from both ends.
func TrimOWS(s string) string { return strings.Trim(s, " \t") }

// SplitList calls yield for each element of the comma-separated lists in lines
// (RFC 9110, 5.6.1), trimmed, until it returns false. Commas within quoted
// strings do not separate; empty elements are left out.
func SplitList(lines []string, yield func(string) bool) {
	for _, line := range lines {
		for line != "" {
			end := ListEnd(line)
			element := TrimOWS(line[:end])
			if end < len(line) {
				end++
			}
			line = line[end:]
			if element != "" && !yield(element) {
				return
			}
		}
	}
}

// ListEnd returns the index of the first comma of s that is not within a
// quoted string, or len(s).
func ListEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return i
		}
	}
	return len(s)
}

// Lower returns the ASCII lower case of c.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// AppendLower appends s in ASCII lower case.
func AppendLower(dst []byte, s string) []byte {
	at := len(dst)
	dst = append(dst, s...)
	for i, c := range dst[at:] {
		if 'A' <= c && c <= 'Z' {
			dst[at+i] = c + 'a' - 'A'
		}
	}
	return dst
}
