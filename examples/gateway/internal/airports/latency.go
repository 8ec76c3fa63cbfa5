package airports

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// slow delays next by a time between the bounds, or until the client has gone.
func slow(o Options, next http.HandlerFunc) http.HandlerFunc {
	if o.MaxLatency <= 0 {
		return next
	}
	span := max(0, o.MaxLatency-o.MinLatency)
	return func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(o.MinLatency + rand.N(span+1))
		defer timer.Stop()
		select {
		case <-timer.C:
			next(w, r)
		case <-r.Context().Done():
		}
	}
}
