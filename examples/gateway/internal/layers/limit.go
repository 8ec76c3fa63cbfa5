package layers

import (
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/httprate"
	"golang.org/x/time/rate"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// RateLimit is a token bucket for all clients together. It may stand in several chains of
// handlers, one after the other: a reload that leaves it as it is keeps what it knows.
type RateLimit struct{ bucket *rate.Limiter }

// NewRateLimit returns a full bucket.
func NewRateLimit(l *config.RateLimit) *RateLimit {
	return &RateLimit{rate.NewLimiter(rate.Limit(l.PerSecond), l.Burst)}
}

// Handler lets through to next what the bucket allows.
func (l *RateLimit) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.bucket.Allow() {
			w.Header().Set("Retry-After", "1")
			upstream.Problem(w, http.StatusTooManyRequests, "this route is at its rate limit")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ClientRateLimit counts each client's requests in a sliding window. A client is its
// address, an IPv6 one its /64; or else what it says in a header field. It may stand in
// several chains of handlers, as RateLimit.
//
// What a client says of itself is not proven. So a name that was not seen within the last
// two windows counts for its address as well: who invents names gets no further than who
// says none.
type ClientRateLimit struct {
	field  string // empty: the address
	retry  string
	limit  *httprate.RateLimiter
	counts *counts
}

// NewClientRateLimit returns a limit that has seen nobody.
func NewClientRateLimit(l *config.ClientRateLimit) *ClientRateLimit {
	c := &ClientRateLimit{
		retry:  strconv.Itoa(int(math.Ceil(l.Per.Seconds()))),
		counts: newCounts(l.Per),
	}
	if l.Key != "ip" {
		c.field = http.CanonicalHeaderKey(l.Key)
	}
	c.limit = httprate.NewRateLimiter(l.Requests, l.Per,
		httprate.WithLimitCounter(c.counts),
		httprate.WithResponseHeaders(httprate.ResponseHeaders{}))
	return c
}

// Handler lets through to next what each client may ask for.
func (c *ClientRateLimit) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.beyond(w, r) {
			w.Header().Set("Retry-After", c.retry)
			upstream.Problem(w, http.StatusTooManyRequests, "too many requests from this client")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// beyond counts a request, and tells whether it is one too many.
func (c *ClientRateLimit) beyond(w http.ResponseWriter, r *http.Request) bool {
	name := ""
	if c.field != "" {
		name = r.Header.Get(c.field)
	}
	if name == "" {
		return c.limit.OnLimit(w, r, "address "+Address(r))
	}
	key := "name " + name
	if !c.counts.known(key, time.Now()) && c.limit.OnLimit(w, r, "address "+Address(r)) {
		return true
	}
	return c.limit.OnLimit(w, r, key)
}

// Address returns the address of a request's client, an IPv6 one cut down to the /64 that
// it has for itself. The gateway's door has made RemoteAddr the client's, whatever proxies
// are in between.
func Address(r *http.Request) string {
	host := r.RemoteAddr
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return httprate.CanonicalizeIP(host)
}
