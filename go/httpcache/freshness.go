package httpcache

import (
	"net/http"
	"time"
)

// RFC 9111, 4.2 Freshness.

// lifetime returns the freshness lifetime in seconds (section 4.2.1) of a
// response with Date date, and whether the response states it.
//
// Invalid freshness information makes a response stale: an unusable value, a
// quoted string without an end, an Expires that is no date or is given twice.
func lifetime(d *responseDirectives, targeted bool, h http.Header, date, now int64) (seconds int64, explicit bool) {
	switch {
	case d.malformed:
		return 0, true
	case d.sMaxAge != absent:
		return max(d.sMaxAge, 0), true
	case d.maxAge != absent:
		return max(d.maxAge, 0), true
	case targeted:
		return 0, false // RFC 9213, 2.2: Expires is not for us
	}
	if lines := h["Expires"]; len(lines) > 0 {
		expires, ok := parseHTTPDate(lines[0], now)
		if !ok || len(lines) > 1 {
			return 0, true
		}
		return min(max(expires-date, 0), maxDelta), true
	}
	return 0, false
}

// heuristicLifetime returns the lifetime in seconds given to a response that
// states none (section 4.2.2): a tenth of the time since Last-Modified, or
// DefaultTTL. Zero if the response is not eligible.
//
// Beyond the RFC, none is given to a response with Set-Cookie, or to a request
// with Cookie: a page made for one user must not be shared by guesswork.
func (c *Cache) heuristicLifetime(x *exchange, d *responseDirectives, date, lastModified int64) int64 {
	if !d.public && !heuristicallyCacheable(x.status) {
		return 0
	}
	if x.method != http.MethodGet || x.cookie || len(x.header["Set-Cookie"]) > 0 || !d.present && pragmaNoCache(x.header) {
		return 0
	}
	if lastModified == noTime {
		if x.status >= 400 {
			return 0 // it may have been provoked by something that is not in the key
		}
		return int64(c.opt.DefaultTTL / time.Second)
	}
	if lastModified > date {
		return 0
	}
	return min((date-lastModified)/10, int64(c.opt.HeuristicMax/time.Second))
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
// 4.2.3). An Age that is not delta-seconds is ignored; of several values the
// first counts (section 5.1).
func initialAge(h http.Header, date, requestTime, responseTime int64) int64 {
	apparent := max(0, responseTime/1000-date) * 1000
	return max(apparent, ageValue(h)*1000+max(0, responseTime-requestTime))
}

// ageValue returns the Age field in seconds, zero without a valid one.
func ageValue(h http.Header) int64 {
	lines := h["Age"]
	if len(lines) == 0 {
		return 0
	}
	first := lines[0]
	if end := listEnd(first); end < len(first) {
		first = first[:end]
	}
	age, ok := parseDelta(trimOWS(first))
	if !ok {
		return 0
	}
	return age
}

// age returns the current_age in milliseconds (section 4.2.3). A clock set
// back does not make responses younger than they arrived.
func (m *meta) age(now int64) int64 {
	return m.initialAge + max(0, now-m.responseTime)
}

// staleness returns for how many milliseconds the response has been stale;
// zero or less means it is fresh.
func (m *meta) staleness(now int64) int64 {
	return m.age(now) - m.lifetime + 1
}
