package gateway

import (
	"context"
	"errors"
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
//
// What it lets through it brings into its one form (normalise.go). refused gets the rest.
func guard(n *normaliser, next, refused http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.admit(r); err != nil {
			refused.ServeHTTP(w, withRefusal(r, err))
			return
		}
		if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
			w = &finalOnly{w}
		}
		next.ServeHTTP(w, r)
	})
}

// errForGateway is the fate of requests that the gateway answers itself.
var errForGateway = errors.New("the request is for the gateway itself")

// admit says what is to become of a request, and brings it into its one form if it is to
// go on.
func (n *normaliser) admit(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	case http.MethodConnect, http.MethodTrace, "PRI":
		return &refusal{http.StatusNotImplemented, ""}
	case http.MethodOptions:
		if r.Header.Get("Max-Forwards") == "0" {
			return errForGateway
		}
	}
	if u := r.URL; u.Opaque != "" || u.Path != "" && u.Path[0] != '/' ||
		u.Scheme != "" &&
			!strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
		return bad("the target is neither a path nor an http URL")
	}
	return n.apply(r)
}

type refusalKey struct{}

// withRefusal returns r with what answerRefused is to answer.
func withRefusal(r *http.Request, err error) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), refusalKey{}, err))
}

// answerRefused answers what was not admitted.
func answerRefused(w http.ResponseWriter, r *http.Request) {
	var no *refusal
	var to redirection
	switch err, _ := r.Context().Value(refusalKey{}).(error); {
	case errors.As(err, &no):
		upstream.Problem(w, no.status, no.detail)
	case errors.As(err, &to):
		w.Header().Set("Location", string(to))
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
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
