package layers

import (
	"context"
	"net/http"
	"time"
)

// Timeout ends a request's context after a time. Who waits for an upstream by
// then answers with an error; an answer that is under way is cut off.
func Timeout(d time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
