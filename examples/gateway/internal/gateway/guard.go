package gateway

import (
	"net/http"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// guard keeps from the routes what net/http lets through but no gateway should
// pass on:
//
//   - CONNECT, which would make an upstream that is a proxy open a tunnel; TRACE, which
//     sends a client's cookies back to scripts; PRI, the start of a connection in HTTP/2.
//   - Targets that are neither a path nor an absolute http URL, such as "foo:bar" or "*":
//     what is behind would be sent something else than what was asked for here.
//   - OPTIONS and Max-Forwards: 0, which asks for the gateway itself (RFC 9110, 7.6.2).
//   - Interim responses to clients of HTTP/1.0, which would take one for the answer
//     (RFC 9110, 15.2).
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodPost:
		case http.MethodConnect, http.MethodTrace, "PRI":
			upstream.Problem(w, http.StatusNotImplemented, "")
			return
		case http.MethodOptions:
			if r.Header.Get("Max-Forwards") == "0" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		if u := r.URL; u.Opaque != "" || u.Path != "" && u.Path[0] != '/' ||
			u.Scheme != "" && !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
			upstream.Problem(w, http.StatusBadRequest, "the target is neither a path nor an http URL")
			return
		}
		if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
			w = &finalOnly{w}
		}
		next.ServeHTTP(w, r)
	})
}

// finalOnly leaves out interim responses.
type finalOnly struct{ http.ResponseWriter }

func (w *finalOnly) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap serves http.ResponseController.
func (w *finalOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }
