package layers

import (
	"context"
	"net/http"
	"time"
)

// Cut ends a write that a client does not take when the request's context ends. Only between
// two writes would the context be looked at, and so an upstream's connection be held for as
// long as a client likes. What a client does not send, Body ends.
func Cut(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		cut := make(chan struct{})
		stop := context.AfterFunc(r.Context(), func() {
			defer close(cut)
			// An error may still be told: a few bytes, which fit or don't.
			_ = connection.SetWriteDeadline(time.Now().Add(time.Second))
		})
		defer func() {
			if !stop() {
				// The connection may have other requests after this one.
				<-cut
				_ = connection.SetWriteDeadline(time.Time{})
			}
		}()
		next.ServeHTTP(w, r)
	})
}
