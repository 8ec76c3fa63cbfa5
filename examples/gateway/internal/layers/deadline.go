package layers

import (
	"context"
	"net/http"
	"time"
)

// Cut ends what a client keeps waiting when the request's context ends: a write that it
// does not take, a read of what it does not send. Only between two of these would the
// context be looked at, and so an upstream's connection be held for as long as a client
// likes.
func Cut(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		cut := make(chan struct{})
		stop := context.AfterFunc(r.Context(), func() {
			defer close(cut)
			_ = connection.SetReadDeadline(time.Unix(1, 0))
			// An error may still be told: a few bytes, which fit or don't.
			_ = connection.SetWriteDeadline(time.Now().Add(time.Second))
		})
		defer func() {
			if !stop() {
				// The connection may have other requests after this one.
				<-cut
				_ = connection.SetReadDeadline(time.Time{})
				_ = connection.SetWriteDeadline(time.Time{})
			}
		}()
		next.ServeHTTP(w, r)
	})
}
