package gateway

import (
	"net/http"
	"strings"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
)

// modify returns what a route does to an upstream's responses before the cache
// sees them.
func (g *Gateway) modify(c *config.Config, r *config.Route) func(*http.Response) error {
	var places *locations
	if u := c.Upstreams[r.Upstream]; u != nil {
		places = newLocations(u, r.StripPrefix)
	}
	return func(resp *http.Response) error {
		keys := resp.Header["Surrogate-Key"]
		for _, tag := range httpcache.SplitTags("Surrogate-Key", keys) {
			g.tags.Add(tag, 1)
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
		if places != nil {
			places.apply(resp)
		}
		return nil
	}
}
