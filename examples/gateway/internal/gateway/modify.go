package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
)

// modify returns what a route does to an upstream's responses before the cache
// sees them.
func (g *Gateway) modify(c *config.Config, r *config.Route) func(*http.Response) error {
	return func(resp *http.Response) error {
		keys := resp.Header["Surrogate-Key"]
		for _, value := range keys {
			for tag := range strings.FieldsSeq(value) {
				g.tags.Add(tag, 1)
			}
		}
		// The cache takes Surrogate-Key for itself. What is made of a stored
		// response needs the tags too.
		delete(resp.Header, traffic.InternalTags)
		if r.Fields && len(keys) > 0 {
			resp.Header[traffic.InternalTags] = keys
		}
		// These are the gateway's own to set; stored, they would be old ones.
		if c.RequestID != "" {
			resp.Header.Del(c.RequestID)
		}
		if r.CORS != nil {
			for name := range resp.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					delete(resp.Header, name)
				}
			}
		}
		if r.TTL > 0 && wantsTTL(r, resp) {
			// Our own targeted field (RFC 9213): obeyed by the cache in this
			// process, and taken out of what clients see.
			resp.Header.Set("Larder-Cache-Control", "max-age="+strconv.FormatInt(int64(r.TTL.Seconds()), 10))
		}
		return nil
	}
}

// wantsTTL tells whether the route's lifetime applies to a response: one that
// may be stored by its status, and that either says nothing of its lifetime or
// is to be overridden.
func wantsTTL(r *config.Route, resp *http.Response) bool {
	switch resp.StatusCode {
	case 200, 203, 204, 300, 301, 308, 404, 410:
	default:
		return false
	}
	if len(resp.Header["Set-Cookie"]) > 0 {
		return false
	}
	said := strings.ToLower(strings.Join(resp.Header["Cache-Control"], ","))
	if strings.Contains(said, "no-store") || strings.Contains(said, "private") {
		return false
	}
	return r.TTLOverride || said == "" && resp.Header.Get("Expires") == ""
}
