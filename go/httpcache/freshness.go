package httpcache

import (
	"net/http"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 4.2 Freshness.

// lifetime returns the freshness lifetime in milliseconds (section 4.2.1) of a
// response with Date date, and whether the response states it.
//
// Invalid freshness information makes a response stale: an unusable value, a
// quoted string without an end, an Expires that is no date or is given twice. Beside a
// Cache-Control that can't be read in full Expires counts for nothing: what overrides it may
// stand in what can't be read.
func lifetime(
	d *field.Response, targeted bool, h http.Header, date, now int64,
) (ms int64, explicit bool) {
	switch {
	case d.Unterminated:
		return 0, true
	case d.SMaxAge != field.Absent:
		return max(d.SMaxAge, 0) * 1000, true
	case d.MaxAge != field.Absent:
		return max(d.MaxAge, 0) * 1000, true
	case targeted, d.Malformed:
		return 0, false // RFC 9213, 2.2: Expires is not for us
	}
	if lines := h["Expires"]; len(lines) > 0 {
		expires, ok := field.ParseDate(lines[0], now)
		if !ok || len(lines) > 1 {
			return 0, true
		}
		return min(max(expires-date, 0), field.MaxDelta) * 1000, true
	}
	return 0, false
}

// heuristicLifetime returns the lifetime in milliseconds given to a response that
// states none (section 4.2.2): that of the route; or a tenth of the time since
// Last-Modified; or DefaultTTL. Zero if the response is not eligible.
//
// Beyond the RFC, none is given to a response with Set-Cookie, or to a request
// with Cookie: a page made for one user must not be shared by guesswork. And none is given
// where Cache-Control can't be read in full.
func (c *Cache) heuristicLifetime(x *exchange, d *field.Response, date, lastModified int64) int64 {
	if !d.Public && !heuristicallyCacheable(x.status) || d.Malformed {
		return 0
	}
	if x.method != http.MethodGet || !d.Present && pragmaNoCache(x.header) {
		return 0
	}
	if !c.opt.Private && (x.cookie || len(x.header["Set-Cookie"]) > 0) {
		return 0
	}
	switch {
	case c.route.DefaultTTL > 0 && c.mayGuess(x):
		return milliseconds(c.route.DefaultTTL)
	case lastModified == noTime && c.mayGuess(x):
		return milliseconds(c.opt.DefaultTTL)
	case lastModified == noTime, lastModified > date:
		return 0
	}
	return min((date-lastModified)*1000/10, milliseconds(c.opt.HeuristicMax))
}

// mayGuess reports whether a lifetime that somebody configured may be given to a response:
// not to an error, which may have been provoked by something that is not in the key, and not
// to one that speaks to caches in a targeted field.
func (c *Cache) mayGuess(x *exchange) bool {
	return x.status < 400 && !hasTargeted(x.header, c.opt.TargetedFields)
}

// overridden returns the lifetime that a route gives to a response in place of its own
// (HandlerOptions.TTLOverride), or zero: to one that may be stored for all, as far as its
// directives go, and that was not made for one user, as far as that can be told.
func (c *Cache) overridden(x *exchange, d *field.Response, own int64, explicit bool) int64 {
	switch {
	case c.route.TTLOverride <= 0, !c.mayGuess(x), x.method != http.MethodGet,
		!d.Public && !heuristicallyCacheable(x.status),
		d.NoStore, d.Private, d.Malformed, !d.Present && pragmaNoCache(x.header),
		len(x.header["Set-Cookie"]) > 0,
		x.cookie && !d.Public && !(explicit && own > 0):
		return 0
	}
	return milliseconds(c.route.TTLOverride)
}

// milliseconds rounds up, so that nothing configured is lost.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// heuristicallyCacheable reports whether a status is defined as heuristically
// cacheable (RFC 9110, 15.1).
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// initialAge returns the corrected_initial_age in milliseconds (section
// 4.2.3) of a response received at a time of the wall clock, after a delay. An Age that is not
// delta-seconds is ignored; of several values the first counts (section 5.1).
func initialAge(h http.Header, date, received, delay int64) int64 {
	apparent := max(0, received/1000-date) * 1000
	return max(apparent, ageValue(h)*1000+max(0, delay))
}

// ageValue returns the Age field in seconds, zero without a valid one.
func ageValue(h http.Header) int64 {
	lines := h["Age"]
	if len(lines) == 0 {
		return 0
	}
	first := lines[0]
	if end := field.ListEnd(first); end < len(first) {
		first = first[:end]
	}
	age, ok := field.ParseDelta(field.TrimOWS(first))
	if !ok {
		return 0
	}
	return age
}

// age returns the current_age in milliseconds (section 4.2.3).
func (m *meta) age(now int64) int64 {
	return m.initialAge + max(0, now-m.responseTime)
}

// staleness returns for how many milliseconds the response has been stale;
// zero or less means it is fresh.
func (m *meta) staleness(now int64) int64 {
	return m.age(now) - m.lifetime + 1
}
