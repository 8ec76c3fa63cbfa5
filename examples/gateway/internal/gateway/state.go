package gateway

import (
	"fmt"
	"net/http"
	"reflect"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// state is what one configuration makes. It never changes.
type state struct {
	config  *config.Config
	pools   map[string]*upstream.Pool
	http    *httpcache.Cache
	handler http.Handler
}

// newState builds a state. Pools whose configuration is as in old are taken
// over, with their connections and what they know of their targets.
func newState(g *Gateway, c *config.Config, old *state) (_ *state, err error) {
	s := &state{config: c, pools: make(map[string]*upstream.Pool)}
	defer func() {
		if err != nil {
			s.closeUnlessIn(old)
		}
	}()
	for name, u := range c.Upstreams {
		if old != nil && old.pools[name] != nil && reflect.DeepEqual(old.config.Upstreams[name], u) {
			s.pools[name] = old.pools[name]
			continue
		}
		if s.pools[name], err = upstream.NewPool(name, u, upstream.Options{
			Resolve: g.replicas.resolve, Wrap: g.tracer.Transport, Log: g.log,
		}); err != nil {
			return nil, fmt.Errorf("upstream %s: %w", name, err)
		}
	}
	s.http = g.http.WithOptions(cacheOptions(c))
	s.handler = g.withAdmin(c, guard(newRoutes(g, s)))
	return s, nil
}

// closeUnlessIn closes the pools that other does not use as well.
func (s *state) closeUnlessIn(other *state) {
	for name, p := range s.pools {
		if p != nil && (other == nil || other.pools[name] != p) {
			p.Close()
		}
	}
}

func cacheOptions(c *config.Config) httpcache.Options {
	return httpcache.Options{
		MaxBodyBytes:            int64(c.Cache.MaxBodyBytes),
		DefaultTTL:              c.Cache.DefaultTTL,
		StaleWhileRevalidate:    c.Cache.StaleWhileRevalidate,
		StaleIfError:            c.Cache.StaleIfError,
		IgnoreRequestDirectives: c.Cache.IgnoreRequestDirectives,
	}
}
