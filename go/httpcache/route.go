package httpcache

import (
	"net/http"
	"time"
)

// HandlerOptions is the policy of one route (Cache.HandlerWith). Zero fields mean what the
// Cache's Options say.
type HandlerOptions struct {
	// DefaultTTL is the freshness lifetime of responses that state none, with or without
	// Last-Modified. As with Options.DefaultTTL, none is given to errors, to responses with
	// Set-Cookie, with Pragma: no-cache or with any targeted field (CDN-Cache-Control and the
	// like, whoever they are for), to those that are no-store or private, or whose
	// Cache-Control can't be read; and not if the request had a Cookie.
	DefaultTTL time.Duration

	// TTLOverride replaces the lifetime that responses state, and no-cache, with the same
	// exceptions. Responses to requests with a Cookie get it only if they are public or
	// state a lifetime themselves.
	TTLOverride time.Duration

	// StaleWhileRevalidate and StaleIfError are the windows (RFC 5861) of responses that
	// state none themselves. Negative means none.
	StaleWhileRevalidate time.Duration
	StaleIfError         time.Duration

	// Partition is Options.Partition for this route.
	Partition func(*http.Request) string

	// Late are fields which next is sent that requests need not have when they come.
	Late LateFields
}

// use makes c follow the policy of a route.
func (c *Cache) use(o HandlerOptions) {
	c.route.DefaultTTL = min(max(o.DefaultTTL, 0), maxWindow)
	c.route.TTLOverride = min(max(o.TTLOverride, 0), maxWindow)
	if o.StaleWhileRevalidate != 0 {
		c.opt.StaleWhileRevalidate = min(max(o.StaleWhileRevalidate, 0), maxWindow)
	}
	if o.StaleIfError != 0 {
		c.opt.StaleIfError = min(max(o.StaleIfError, 0), maxWindow)
	}
	if o.Partition != nil {
		c.opt.Partition = o.Partition
		c.notePartition()
	}
	c.late = c.prepareLate(o.Late)
}
