package httpcache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 3 Storing Responses in Caches.

// exchange is a request and the header of its response, as far as storing
// depends on them. Times are those of clock.go.
type exchange struct {
	method        string
	authorization bool // the request has Authorization
	cookie        bool
	ranged        bool // the request has Range
	request       http.Header
	sent          http.Header // what the origin was sent, nil if that is not known
	origin        string      // scheme and authority, for groups
	tags          []uint64    // that the response has beside its own

	status       int
	header       http.Header
	requestTime  int64
	responseTime int64
	seq          uint64 // purge sequence number at requestTime
}

// verdict is what storing.go makes of an exchange.
type verdict struct {
	meta
	store    bool   // may be stored
	refusal  string // why not, a token
	reuse    bool   // may be reused for other requests without validation now
	vary     []string
	tags     []uint64
	unstored []string      // fields that must not be stored
	keep     time.Duration // for how long it is worth storing
}

// Reasons that lie in the request.
const (
	refusedAuthorization = "authorization"
	refusedCookie        = "cookie"
)

// refuse takes back that the response may be stored.
func (v *verdict) refuse(why string) { v.store, v.reuse, v.refusal = false, false, why }

// judge decides whether a response may be stored (section 3), and for how long
// it can be reused.
func (c *Cache) judge(x *exchange) verdict {
	x.learn()
	d, targeted := effectiveDirectives(x.header, c.opt.TargetedFields)
	if c.opt.Private {
		asPrivateCache(&d)
	}
	var v verdict
	v.status = x.status
	v.responseTime = x.responseTime
	v.seq = x.seq
	v.unstored = append(d.NoCacheFields, d.PrivateFields...)
	received := c.wall()
	now := received / 1000

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
	v.initialAge = initialAge(x.header, v.date, received, x.responseTime-x.requestTime)
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
	c.staleTerms(&v, &d)

	v.refusal = c.refusal(x, &d, explicit)
	if v.refusal != "" {
		return v
	}
	var ok bool
	if v.vary, ok = c.varyNames(x); !ok {
		v.refusal = "vary"
		return v
	}
	v.tags = c.responseTags(x)
	v.keep = c.keep(&v, &d)
	switch {
	case len(v.tags) > maxTags:
		v.refusal = "tags"
	case v.keep <= 0 && v.lifetime > 0 && v.initialAge >= v.lifetime:
		v.refusal = "stale-on-arrival" // often the origin's clock
	case v.keep <= 0:
		v.refusal = "no-lifetime"
	}
	v.store = v.refusal == ""
	v.reuse = v.store && v.flags&flagNoCache == 0 && v.staleness(x.responseTime) <= 0
	return v
}

// refusal applies the conditions of section 3 one by one, and returns the name of the first
// that a response does not meet, or "".
func (c *Cache) refusal(x *exchange, d *field.Response, explicit bool) string {
	shared := !c.opt.Private
	switch {
	case x.method == http.MethodPost && (!explicit || x.status != http.StatusOK):
		// RFC 9110, 9.3.3; that the Content-Location is right is checked in post.go.
		return "method"
	case x.method != http.MethodGet && x.method != http.MethodPost:
		return "method"
	case !storableStatus(x.status, x.ranged):
		return "status"
	case d.MustUnderstand && !understood(x.status):
		return "must-understand"
	case forbidsStoring(d):
		return "no-store"
	case d.Private:
		return "private"
	case shared && x.authorization && !allowsAuthorization(d):
		return refusedAuthorization // section 3.5
	case shared && x.cookie && !explicit && !d.Public && !d.NoCache:
		// Beyond the RFC: what was made for a Cookie, and says nothing, might be confirmed to
		// another user by an origin whose validators don't tell users apart.
		return refusedCookie
	case len(x.header["Set-Cookie"]) > 0 &&
		(shared && !explicit || c.opt.NeverStoreSetCookie && !withholdsCookies(d)):
		return "set-cookie"
	case !explicit && !d.Public && !heuristicallyCacheable(x.status):
		return "no-lifetime"
	}
	return ""
}

// withholdsCookies reports whether the response itself keeps Set-Cookie from all others, by
// private="Set-Cookie" or no-cache="Set-Cookie": then it is not stored with the rest.
func withholdsCookies(d *field.Response) bool {
	is := func(name string) bool { return strings.EqualFold(name, "Set-Cookie") }
	return !d.Malformed &&
		(slices.ContainsFunc(d.PrivateFields, is) || slices.ContainsFunc(d.NoCacheFields, is))
}

// storableStatus reports whether responses with the status may be stored at all.
func storableStatus(status int, ranged bool) bool {
	switch {
	case status < 200, status > 599, status == http.StatusNotModified:
		return false
	case ranged && status != http.StatusOK:
		// An error that a Range provoked, a 416 most of all, says nothing about
		// requests without it.
		return status == http.StatusPartialContent
	}
	switch status {
	case http.StatusPartialContent,
		http.StatusProxyAuthRequired,                                // between this hop and the next
		http.StatusPreconditionRequired, http.StatusTooManyRequests, // RFC 6585, 3 to 6
		http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		return false
	}
	return true
}

// forbidsStoring reports whether no-store counts: must-understand overrides it (section
// 5.2.2.3), where all of Cache-Control can be read.
func forbidsStoring(d *field.Response) bool {
	return d.NoStore && (!d.MustUnderstand || d.Malformed)
}

// asPrivateCache leaves out what is addressed to shared caches (section 5.2.2).
func asPrivateCache(d *field.Response) {
	d.Private, d.PrivateFields = false, nil
	d.ProxyRevalidate = false
	d.SMaxAge = field.Absent
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

// keep returns for how long to keep the response: while it is fresh, and then
// while it can be served stale or be validated. Zero if it can never be
// reused.
func (c *Cache) keep(v *verdict, d *field.Response) time.Duration {
	usable := v.lifetime > v.initialAge && !d.NoCache || v.flags&flagValidator != 0 ||
		d.StaleWhileRevalidate > 0 || d.StaleIfError > 0
	if !usable {
		return 0
	}
	stale := v.longest()
	if v.flags&flagValidator != 0 {
		stale = max(stale, milliseconds(c.opt.KeepStale))
	}
	return msDuration(max(v.lifetime-v.initialAge, 0) + stale)
}

// responseTags returns the hashes of the response's tags and groups.
func (c *Cache) responseTags(x *exchange) []uint64 {
	tags := x.tags
	for _, name := range c.opt.TagFields {
		tags = appendTags(tags, name, x.header[name])
	}
	tags = appendGroups(tags, x.origin, x.header["Cache-Groups"])
	slices.Sort(tags)
	return slices.Compact(tags)
}
