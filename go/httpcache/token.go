package httpcache

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

// tokenLen returns the length of the token that s starts with.
func tokenLen(s string) int {
	n := 0
	for n < len(s) && tokenChars[s[n]] {
		n++
	}
	return n
}

func isToken(s string) bool { return s != "" && tokenLen(s) == len(s) }

func trimOWS(s string) string { return strings.Trim(s, " \t") }

// splitList calls yield for each element of the comma-separated lists in lines
// (RFC 9110, 5.6.1), trimmed, until it returns false. Commas within quoted
// strings do not separate; empty elements are left out.
func splitList(lines []string, yield func(string) bool) {
	for _, line := range lines {
		for line != "" {
			end := listEnd(line)
			element := trimOWS(line[:end])
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

// listEnd returns the index of the first comma of s that is not within a
// quoted string, or len(s).
func listEnd(s string) int {
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

// lower returns the ASCII lower case of c.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// appendLower appends s in ASCII lower case.
func appendLower(dst []byte, s string) []byte {
	at := len(dst)
	dst = append(dst, s...)
	for i, c := range dst[at:] {
		if 'A' <= c && c <= 'Z' {
			dst[at+i] = c + 'a' - 'A'
		}
	}
	return dst
}
