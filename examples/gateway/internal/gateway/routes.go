package gateway

import (
	"maps"
	"net/http"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/aggregate"
	"github.com/larder-cache/larder/examples/gateway/internal/compress"
	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/fields"
	"github.com/larder-cache/larder/examples/gateway/internal/layers"
	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// newRoutes returns the handler of all routes. A configuration with a single
// one that takes everything is a plain reverse proxy: it sees every request as
// the client sent it. Otherwise net/http's ServeMux chooses, which redirects
// paths that are not clean, so that /a//b and /a/../b reach no route under a
// name that its rules did not expect.
func newRoutes(g *Gateway, s *state) http.Handler {
	if all := s.config.Routes; len(all) == 1 && all[0].Host == "" && all[0].Path == "/" && len(all[0].Methods) == 0 {
		return newRoute(g, s, all[0])
	}
	mux := http.NewServeMux()
	catchAll := false
	for _, r := range s.config.Routes {
		h := newRoute(g, s, r)
		for _, pattern := range r.Patterns() {
			mux.Handle(pattern, h)
			catchAll = catchAll || pattern == "/"
		}
	}
	unmatched := g.meter.Route("(no route)")
	for place, allowed := range methods(s.config.Routes) {
		tryHandle(mux, place, g.meter.Wrap(unmatched, methodNotAllowed(allowed)))
	}
	if !catchAll {
		mux.Handle("/", g.meter.Wrap(unmatched, http.HandlerFunc(noRoute)))
	}
	return mux
}

// methods returns the methods of the places that take only some.
func methods(routes []*config.Route) map[string][]string {
	limited, open := make(map[string][]string), make(map[string]bool)
	for _, r := range routes {
		place := r.Host + r.Path
		limited[place] = append(limited[place], r.Methods...)
		open[place] = open[place] || len(r.Methods) == 0
	}
	maps.DeleteFunc(limited, func(place string, _ []string) bool { return open[place] })
	return limited
}

// tryHandle registers a handler unless its pattern conflicts with another one,
// which ServeMux says by panicking.
func tryHandle(mux *http.ServeMux, pattern string, h http.Handler) {
	defer func() { _ = recover() }()
	mux.Handle(pattern, h)
}

func methodNotAllowed(allowed []string) http.Handler {
	allow := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allow)
		upstream.Problem(w, http.StatusMethodNotAllowed, "")
	})
}

func noRoute(w http.ResponseWriter, _ *http.Request) {
	upstream.Problem(w, http.StatusNotFound, "no route matches")
}

// newRoute puts the layers of one route together, from the inside out. What is
// inside the cache is done once for each stored response, what is outside for
// every request; a layer that is not configured is not there.
func newRoute(g *Gateway, s *state, r *config.Route) http.Handler {
	h := g.cached(s, r, g.content(s, r))
	if len(r.Compress) > 0 {
		h = compress.Negotiate(h, r.Compress)
	}
	if r.Timeout > 0 {
		h = layers.Timeout(r.Timeout, g.log.With("route", r.Name), h)
	}
	if r.CORS != nil {
		h = layers.CORS(r.CORS, h)
	}
	if r.RateLimit != nil {
		h = layers.RateLimit(r.RateLimit, h)
	}
	if r.ClientRateLimit != nil {
		h = layers.ClientRateLimit(r.ClientRateLimit, h)
	}
	h = g.tracer.Handler(r.Name, h)
	if s.config.RequestID != "" {
		h = layers.RequestID(s.config.RequestID, h)
	}
	return g.meter.Wrap(g.meter.Route(r.Name), h)
}

// content is where a route's answers come from.
func (g *Gateway) content(s *state, r *config.Route) http.Handler {
	if r.Aggregate != nil {
		return g.aggregated(s, r)
	}
	return upstream.Proxy(s.pools[r.Upstream], upstream.ProxyOptions{
		StripPrefix: r.StripPrefix,
		Modify:      g.modify(s.config, r),
		Log:         g.log.With("route", r.Name),
	})
}

// cached puts the cache around a route's content, and inside of the cache what
// changes the content: compression, and the selection of fields, which starts
// from the stored whole.
func (g *Gateway) cached(s *state, r *config.Route, content http.Handler) http.Handler {
	store := func(h http.Handler) http.Handler {
		if len(r.Compress) > 0 {
			h = compress.Handler(h)
		}
		if r.Cached() {
			h = s.http.Handler(h)
		}
		return h
	}
	whole := store(content)
	if !r.Fields {
		return whole
	}
	selected := fields.Handler(whole, int(s.config.Cache.MaxBodyBytes))
	return fields.Route(whole, store(retag(selected)))
}

// aggregated fetches each part through the cache as well.
func (g *Gateway) aggregated(s *state, r *config.Route) http.Handler {
	var parts []aggregate.Part
	for _, p := range r.Aggregate.Parts {
		// The slash keeps clients out: no Host field may contain one.
		host := p.Upstream + "/part"
		// What is done to responses is a matter of the part, not of the route.
		options := &config.Route{Name: r.Name, Fields: true}
		h := upstream.Proxy(s.pools[p.Upstream], upstream.ProxyOptions{
			Internal: true,
			Modify:   g.modify(s.config, options),
			Log:      g.log.With("route", r.Name, "part", p.Name),
		})
		if r.Cached() {
			h = s.http.Handler(h)
		}
		parts = append(parts, aggregate.Part{Part: p, Handler: h, Host: host})
	}
	return aggregate.Handler(parts, aggregate.Options{
		MaxPartBytes: int(s.config.Cache.MaxBodyBytes), TagField: traffic.InternalTags,
	})
}

// retag gives the tags of a stored whole to what is made of it.
func retag(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&retagWriter{w}, r)
	})
}

type retagWriter struct{ http.ResponseWriter }

func (w *retagWriter) WriteHeader(status int) {
	h := w.Header()
	if tags, ok := h[traffic.InternalTags]; ok {
		h["Surrogate-Key"] = tags
	}
	w.ResponseWriter.WriteHeader(status)
}
