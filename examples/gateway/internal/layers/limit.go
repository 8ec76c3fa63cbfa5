package layers

import (
	"net/http"

	"github.com/go-chi/httprate"
	"golang.org/x/time/rate"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// RateLimit lets through what a token bucket allows, of all clients together.
func RateLimit(l *config.RateLimit, next http.Handler) http.Handler {
	bucket := rate.NewLimiter(rate.Limit(l.PerSecond), l.Burst)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !bucket.Allow() {
			w.Header().Set("Retry-After", "1")
			upstream.Problem(w, http.StatusTooManyRequests, "this route is at its rate limit")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ClientRateLimit counts each client's requests in a sliding window. Only the
// clients of the last two windows are remembered.
func ClientRateLimit(l *config.ClientRateLimit, next http.Handler) http.Handler {
	key := httprate.KeyByIP
	if l.Key != "ip" {
		name := http.CanonicalHeaderKey(l.Key)
		key = func(r *http.Request) (string, error) {
			if value := r.Header.Get(name); value != "" {
				return "h:" + value, nil
			}
			// Who does not say who it is shares its address's allowance.
			ip, err := httprate.KeyByIP(r)
			return "i:" + ip, err
		}
	}
	return httprate.LimitBy(l.Requests, l.Per, key,
		httprate.WithResponseHeaders(httprate.ResponseHeaders{RetryAfter: "Retry-After"}),
		httprate.WithLimitHandler(func(w http.ResponseWriter, _ *http.Request) {
			upstream.Problem(w, http.StatusTooManyRequests, "too many requests from this client")
		}),
	)(next)
}
