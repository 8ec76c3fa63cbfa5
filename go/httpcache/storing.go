package httpcache

import (
	"net/http"
	"slices"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 3 Storing Responses in Caches.

// exchange is a request and the header of its response, as far as storing
// depends on them. Times are milliseconds since 1970.
type exchange struct {
	method        string
	authorization bool // the request has Authorization
	cookie        bool
	ranged        bool // the request has Range
	request       http.Header
	origin        string   // scheme and authority, for groups
	tags          []uint64 // that the response has beside its own

	status       int
	header       http.Header
	requestTime  int64
	responseTime int64
	seq          uint64 // purge sequence number at requestTime
}

// verdict is what storing.go makes of an exchange.
type verdict struct {
	meta
	store    bool // may be stored
	reuse    bool // may be reused for other requests without validation now
	vary     []string
	tags     []uint64
	unstored []string      // fields that must not be stored
	keep     time.Duration // for how long it is worth storing
}

// judge decides whether a response may be stored (section 3), and for how long
// it can be reused.
func (c *Cache) judge(x *exchange) verdict {
	d, targeted := effectiveDirectives(x.header, c.opt.TargetedFields)
	var v verdict
	v.status = x.status
	v.responseTime = x.responseTime
	v.seq = x.seq
	v.unstored = append(d.NoCacheFields, d.PrivateFields...)
	now := x.responseTime / 1000

	v.date = now
	if lines := x.header["Date"]; len(lines) > 0 {
		if date, ok := field.ParseDate(lines[0], now); ok {
			v.date = date
		}
	}
	v.lastModified = noTime
	if lines := x.header["Last-Modified"]; len(lines) == 1 {
		if t, ok := field.ParseDate(lines[0], now); ok {
			v.lastModified = t
		}
	}
	v.total = -1
	v.initialAge = initialAge(x.header, v.date, x.requestTime, x.responseTime)
	own, explicit := lifetime(&d, targeted, x.header, v.date, now)
	if v.lifetime = c.overridden(x, &d, own, explicit); v.lifetime > 0 {
		explicit, d.NoCache = true, false
	} else if v.lifetime = own; !explicit {
		v.lifetime = c.heuristicLifetime(x, &d, v.date, v.lastModified)
	}
	if v.lastModified != noTime || len(x.header["Etag"]) == 1 {
		v.flags |= flagValidator
	}
	if d.NoCache {
		v.flags |= flagNoCache
	}
	c.staleWindows(&v, &d)

	if !c.mayStore(x, &d, explicit) {
		return v
	}
	var ok bool
	if v.vary, ok = c.varyNames(x.header, x.request); !ok {
		return v
	}
	v.tags = c.responseTags(x)
	v.reuse = v.flags&flagNoCache == 0 && v.staleness(x.responseTime) <= 0
	v.keep = c.keep(&v, &d)
	v.store = v.keep > 0 && len(v.tags) <= maxTags
	v.reuse = v.reuse && v.store
	return v
}

// mayStore applies the conditions of section 3 one by one.
func (c *Cache) mayStore(x *exchange, d *field.Response, explicit bool) bool {
	switch {
	case x.method == http.MethodPost:
		// RFC 9110, 9.3.3; that the Content-Location is right is checked in post.go.
		if !explicit || x.status != http.StatusOK {
			return false
		}
	case x.method != http.MethodGet:
		return false
	}
	switch {
	case x.status < 200 || x.status == http.StatusNotModified:
		return false
	case x.status == http.StatusPartialContent && !x.ranged:
		return false
	case x.ranged && x.status != http.StatusOK && x.status != http.StatusPartialContent:
		// An error that a Range provoked, a 416 most of all, says nothing about
		// requests without it.
		return false
	}
	if d.MustUnderstand {
		if !understood(x.status) {
			return false
		}
	} else if d.NoStore {
		return false
	}
	if d.Private {
		return false
	}
	// Section 3.5, Storing Responses to Authenticated Requests.
	if x.authorization && !allowsAuthorization(d) {
		return false
	}
	if len(x.header["Set-Cookie"]) > 0 && (!explicit || c.opt.NeverStoreSetCookie) {
		return false
	}
	return explicit || d.Public || heuristicallyCacheable(x.status)
}

// allowsAuthorization reports whether the directives let a response to a request with
// Authorization be shared (section 3.5). Malformed ones let nothing.
func allowsAuthorization(d *field.Response) bool {
	return !d.Malformed && (d.Public || d.MustRevalidate || d.SMaxAge >= 0)
}

// understood reports whether this cache knows what a status means for caching
// (must-understand, section 5.2.2.3): those of RFC 9110.
func understood(status int) bool {
	switch {
	case 200 <= status && status <= 206, 300 <= status && status <= 305, status == 307, status == 308,
		400 <= status && status <= 417, status == 421, status == 422, status == 426,
		500 <= status && status <= 505:
		return true
	}
	return false
}

// staleWindows sets for how long the response may be used once it is stale
// (section 4.2.4, RFC 5861).
//
// must-revalidate, proxy-revalidate and no-cache forbid it. s-maxage implies
// proxy-revalidate (section 5.2.2.10), so it does too, unless the same response
// permits it explicitly with a directive of RFC 5861.
func (c *Cache) staleWindows(v *verdict, d *field.Response) {
	if d.MustRevalidate || d.ProxyRevalidate || d.NoCache || d.Malformed {
		v.flags |= flagNoStale
		return
	}
	v.swr = int64(c.opt.StaleWhileRevalidate / time.Second)
	v.sie = int64(c.opt.StaleIfError / time.Second)
	v.unreachable = max(v.sie, int64(c.opt.StaleIfUnreachable/time.Second))
	if d.SMaxAge != field.Absent {
		v.flags |= flagNoStale
		v.swr, v.sie, v.unreachable = 0, 0, 0
	}
	if d.StaleWhileRevalidate != field.Absent {
		v.swr = max(d.StaleWhileRevalidate, 0)
	}
	if d.StaleIfError != field.Absent {
		v.sie = max(d.StaleIfError, 0)
		v.unreachable = v.sie
	}
}

// keep returns for how long to keep the response: while it is fresh, and then
// while it can be served stale or be validated. Zero if it can never be
// reused.
func (c *Cache) keep(v *verdict, d *field.Response) time.Duration {
	usable := v.lifetime > v.initialAge && !d.NoCache || v.flags&flagValidator != 0 ||
		d.StaleWhileRevalidate > 0 || d.StaleIfError > 0
	if !usable {
		return 0
	}
	stale := time.Duration(max(v.swr, v.sie, v.unreachable)) * time.Second
	if v.flags&flagValidator != 0 {
		stale = max(stale, c.opt.KeepStale)
	}
	fresh := time.Duration(v.lifetime-v.initialAge) * time.Millisecond
	return min(max(fresh, 0)+stale, maxWindow)
}

// responseTags returns the hashes of the response's tags and groups.
func (c *Cache) responseTags(x *exchange) []uint64 {
	tags := x.tags
	for _, name := range c.opt.TagFields {
		tags = appendTags(tags, x.header[name])
	}
	tags = appendGroups(tags, x.origin, x.header["Cache-Groups"])
	slices.Sort(tags)
	return slices.Compact(tags)
}
