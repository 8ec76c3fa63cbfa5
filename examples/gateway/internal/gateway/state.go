package gateway

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/layers"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// state is what one configuration makes. It never changes.
type state struct {
	config  *config.Config
	pools   map[string]*upstream.Pool
	http    *httpcache.Cache
	limits  map[string]*limits // by route
	door    *normaliser
	handler http.Handler
	admin   http.Handler // of the admin pages' own address
}

// limits are a route's, with what they know of the requests so far. Either may be nil.
type limits struct {
	route  *layers.RateLimit
	client *layers.ClientRateLimit
}

// newLimits returns a route's limits: those of old where they are configured as before.
func newLimits(r, oldRoute *config.Route, old *limits) *limits {
	l := &limits{}
	if r.RateLimit != nil {
		l.route = layers.NewRateLimit(r.RateLimit)
		if old != nil && reflect.DeepEqual(r.RateLimit, oldRoute.RateLimit) {
			l.route = old.route
		}
	}
	if r.ClientRateLimit != nil {
		l.client = layers.NewClientRateLimit(r.ClientRateLimit)
		if old != nil && reflect.DeepEqual(r.ClientRateLimit, oldRoute.ClientRateLimit) {
			l.client = old.client
		}
	}
	return l
}

func (l *limits) handler(h http.Handler) http.Handler {
	if l.route != nil {
		h = l.route.Handler(h)
	}
	if l.client != nil {
		h = l.client.Handler(h)
	}
	return h
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
		if old != nil && old.pools[name] != nil &&
			reflect.DeepEqual(old.config.Upstreams[name], u) {
			s.pools[name] = old.pools[name]
			continue
		}
		if s.pools[name], err = upstream.NewPool(name, u, upstream.Options{
			Resolve: g.replicas.resolve, Wrap: g.tracer.Transport, Log: g.log,
		}); err != nil {
			return nil, fmt.Errorf("upstream %s: %w", name, err)
		}
	}
	s.takeLimits(old)
	s.http = g.http.WithOptions(cacheOptions(c))
	s.door = newNormaliser(c, g.name, g.tracer != nil)
	refused := g.meter.Wrap(g.meter.Route(unmatchedRoute), http.HandlerFunc(answerRefused))
	idle := c.Server.BodyTimeout
	s.handler = layers.Unread(idle, g.withAdmin(c, guard(s.door, newRoutes(g, s), refused)))
	s.admin = layers.Unread(idle, g.adminHandler(c))
	return s, nil
}

// takeLimits makes the limits of all routes, or takes them over from old.
func (s *state) takeLimits(old *state) {
	s.limits = make(map[string]*limits)
	for _, r := range s.config.Routes {
		var before *limits
		var oldRoute *config.Route
		if old != nil {
			before = old.limits[r.Name]
			for _, o := range old.config.Routes {
				if o.Name == r.Name {
					oldRoute = o
				}
			}
		}
		s.limits[r.Name] = newLimits(r, oldRoute, before)
	}
}

// closeUnlessIn closes the pools that other does not use as well.
func (s *state) closeUnlessIn(other *state) {
	for name, p := range s.pools {
		if p != nil && (other == nil || other.pools[name] != p) {
			p.Close()
		}
	}
}

// impliedVary are the fields that upstreams are taken to listen to, without those that the
// door makes of what is in the key, or drops.
var impliedVary = slices.DeleteFunc(slices.Clone(httpcache.DefaultImpliedVary),
	func(name string) bool {
		switch name {
		case "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto":
			return true
		}
		return false
	})

func cacheOptions(c *config.Config) httpcache.Options {
	return httpcache.Options{
		ImpliedVary:             impliedVary,
		AddedBehind:             []string{}, // the door adds all there is
		IgnoreQuery:             c.Cache.IgnoreQuery,
		NeverStoreSetCookie:     !c.Cache.StoreSetCookie,
		MaxBodyBytes:            int64(c.Cache.MaxBodyBytes),
		DefaultTTL:              c.Cache.DefaultTTL,
		StaleWhileRevalidate:    c.Cache.StaleWhileRevalidate,
		StaleIfError:            c.Cache.StaleIfError,
		IgnoreRequestDirectives: c.Cache.IgnoreRequestDirectives,
	}
}
