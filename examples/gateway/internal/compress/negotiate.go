// Package compress compresses JSON and text inside the cache, so that each
// encoding of a response is made once and then served as often as it is asked
// for: Handler goes inside, Negotiate outside.
package compress

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// Negotiate returns next for requests whose Accept-Encoding is reduced to the
// one encoding that will be used, or to identity. Browsers send this field in
// dozens of spellings: without that the cache would hold a copy for each.
func Negotiate(next http.Handler, encodings []string) http.Handler {
	values := make(map[string][]string, len(encodings)+1)
	values[identity] = []string{identity}
	for _, e := range encodings {
		values[e] = []string{e}
	}
	var memo atomic.Pointer[choice]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header["Accept-Encoding"]
		if len(given) == 0 {
			r.Header["Accept-Encoding"] = values[identity]
			next.ServeHTTP(w, r)
			return
		}
		c := memo.Load()
		if c == nil || len(given) > 1 || c.given != given[0] {
			c = &choice{given: given[0], encoding: choose(strings.Join(given, ","), encodings)}
			if len(given) == 1 {
				memo.Store(c)
			}
		}
		r.Header["Accept-Encoding"] = values[c.encoding]
		next.ServeHTTP(w, r)
	})
}

// choice remembers what the last client's field came to: most send the same.
type choice struct{ given, encoding string }

// identity stands for no encoding.
const identity = "identity"

// choose returns the encoding with the highest weight in an Accept-Encoding
// field (RFC 9110, 12.5.3); among equals, the first of encodings. identity: none
// of them is acceptable, or no encoding is preferred.
func choose(field string, encodings []string) string {
	best, highest := identity, 0.0
	plain := weightOf(field, identity, false)
	for _, e := range encodings {
		if q := weightOf(field, e, true); q > highest && q >= plain {
			best, highest = e, q
		}
	}
	return best
}

// weightOf returns the weight of an encoding: its own, or else that of "*" if
// that counts for it; -1 if nothing is said.
func weightOf(field, encoding string, star bool) float64 {
	any := -1.0
	for item := range strings.SplitSeq(field, ",") {
		name, parameters, _ := strings.Cut(item, ";")
		name = strings.TrimSpace(name)
		q := 1.0
		if p := strings.TrimSpace(parameters); len(p) > 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=' {
			parsed, err := strconv.ParseFloat(p[2:], 64)
			if err != nil || !(parsed >= 0 && parsed <= 1) {
				continue
			}
			q = parsed
		}
		switch {
		case strings.EqualFold(name, encoding):
			return q
		case name == "*" && star:
			any = q
		}
	}
	return any
}
