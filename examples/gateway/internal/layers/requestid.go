// Package layers has the small handlers that stand between the server and the
// cache, for the routes that want them. What they do is done for every request.
package layers

import (
	"net/http"

	"github.com/rs/xid"
)

const maxRequestID = 128

// RequestID gives every request an id in the header field name, unless the
// client sent a plausible one. The upstream and the client are told.
func RequestID(name string, next http.Handler) http.Handler {
	name = http.CanonicalHeaderKey(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(name)
		if !plausible(id) {
			id = xid.New().String()
			r.Header[name] = []string{id}
		}
		w.Header()[name] = []string{id}
		next.ServeHTTP(w, r)
	})
}

// plausible keeps out of logs what is no id.
func plausible(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
