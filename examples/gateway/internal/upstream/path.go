package upstream

import (
	"errors"
	"net/url"
	"strings"
)

// errOutside means that a path climbs out of the target's base path.
var errOutside = errors.New("the path leaves the upstream's base path")

// join puts path, as it is written, after the base path of u, as that is written: nothing
// is cleaned, folded or decoded.
func join(base *url.URL, path *url.URL) (*url.URL, error) {
	joined := *path
	joined.Scheme, joined.Host = base.Scheme, base.Host
	prefix := strings.TrimSuffix(base.EscapedPath(), "/")
	if prefix == "" {
		return &joined, nil
	}
	escaped := path.EscapedPath()
	if climbs(escaped) {
		return nil, errOutside
	}
	if !strings.HasPrefix(escaped, "/") {
		escaped = "/" + escaped
	}
	text := prefix + escaped
	unescaped, err := url.PathUnescape(text)
	if err != nil {
		return nil, err
	}
	joined.Path, joined.RawPath = unescaped, text
	return &joined, nil
}

// climbs tells whether dot segments lead above where the path begins, for whoever resolves
// them most eagerly: dots and slashes may be encoded (RFC 3986, 6.2.2.2), backslashes may be
// slashes, empty segments nothing, and what follows a semicolon no part of the name.
func climbs(path string) bool {
	text, err := url.PathUnescape(path)
	if err != nil {
		return true
	}
	depth := 0
	for segment := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == '\\' }) {
		name, _, _ := strings.Cut(segment, ";")
		switch name {
		case ".", "":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
