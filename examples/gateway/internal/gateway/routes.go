package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/aggregate"
	"github.com/larder-cache/larder/examples/gateway/internal/compress"
	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/fields"
	"github.com/larder-cache/larder/examples/gateway/internal/layers"
	"github.com/larder-cache/larder/examples/gateway/internal/respond"
	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// plain tells whether a configuration is a plain reverse proxy: a single route that takes
// everything. It sees every request as the client sent it.
func plain(c *config.Config) bool {
	all := c.Routes
	return len(all) == 1 && all[0].Host == "" && all[0].Path == "/" && len(all[0].Methods) == 0 &&
		all[0].StripPrefix == ""
}

// based tells whether an upstream has a base path, which no path may lead out of.
func based(c *config.Config) bool {
	for _, u := range c.Upstreams {
		for _, text := range u.Targets {
			if target, err := url.Parse(text); err == nil && strings.Trim(target.Path, "/") != "" {
				return true
			}
		}
	}
	return false
}

// table chooses a route for each request, as net/http's ServeMux does: the most specific
// pattern wins. Paths come to it clean (normalise.go). One that an upstream could read as
// another route's is refused, so that no route's rules can be walked around.
type table struct {
	mux *http.ServeMux
	// places are the patterns of all routes, each with its route's name. Patterns that are
	// there to refuse other methods have a name of their own.
	places  map[string]string
	refused http.Handler
}

// newRoutes returns the handler of all routes.
func newRoutes(g *Gateway, s *state) http.Handler {
	if plain(s.config) {
		return newRoute(g, s, s.config.Routes[0])
	}
	unmatched := g.meter.Route(unmatchedRoute)
	t := &table{
		mux: http.NewServeMux(), places: make(map[string]string),
		refused: g.meter.Wrap(unmatched, http.HandlerFunc(answerRefused)),
	}
	pages := make(preflights)
	for _, r := range s.config.Routes {
		h := newRoute(g, s, r)
		for _, pattern := range r.Patterns() {
			t.mux.Handle(pattern, h)
			t.places[pattern] = r.Name
		}
		pages.add(r, h)
	}
	for place, allowed := range methods(s.config.Routes) {
		no := g.meter.Wrap(unmatched, methodNotAllowed(allowed))
		t.fill(place, "! "+place, no)
		if handlers := pages[place]; handlers != nil {
			t.fill("OPTIONS "+place, "! "+place, handlers.or(no))
		}
	}
	t.fill("/", "", g.meter.Wrap(unmatched, http.HandlerFunc(noRoute)))
	return t
}

// unmatchedRoute is the name under which requests count that reached no route.
const unmatchedRoute = "(no route)"

// fill registers a handler unless its pattern is taken or conflicts with another one,
// which ServeMux says by panicking.
func (t *table) fill(pattern, name string, h http.Handler) {
	defer func() { _ = recover() }()
	t.mux.Handle(pattern, h)
	t.places[pattern] = name
}

// ServeHTTP implements http.Handler.
func (t *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if others := otherReadings(r.URL.EscapedPath()); others != nil && t.ambiguous(r, others) {
		t.refused.ServeHTTP(w, withRefusal(r,
			bad("an upstream could read the path as another route's")))
		return
	}
	t.mux.ServeHTTP(w, r)
}

// ambiguous tells whether another reading of a path leads to another route than its own.
// One that leads to none is harmless.
func (t *table) ambiguous(r *http.Request, readings []string) bool {
	_, pattern := t.mux.Handler(r)
	own := t.places[pattern]
	for _, path := range readings {
		other := &http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Path: path}}
		_, pattern := t.mux.Handler(other)
		if name := t.places[pattern]; name != "" && name != own {
			return true
		}
	}
	return false
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

// preflights are the routes with CORS of each place, by method. A browser asks before some
// requests whether it may send them (Fetch, 4.8), with OPTIONS, which such routes seldom
// take; the route of the method that it asks for has the answer.
type preflights map[string]preflight

type preflight map[string]http.Handler

func (p preflights) add(r *config.Route, h http.Handler) {
	if r.CORS == nil || slices.Contains(r.Methods, http.MethodOptions) {
		return
	}
	place := r.Host + r.Path
	if p[place] == nil {
		p[place] = make(preflight)
	}
	for _, m := range r.Methods {
		p[place][m] = h
		if m == http.MethodGet {
			p[place][http.MethodHead] = h
		}
	}
}

// or answers preflight requests, and leaves other ones to no. Whoever asks for a method
// that no route has is answered by any of them, with the methods that there are.
func (p preflight) or(no http.Handler) http.Handler {
	anyone := p[slices.Min(slices.Collect(maps.Keys(p)))]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Header.Get("Access-Control-Request-Method")
		switch h := p[asked]; {
		case asked == "" || r.Header.Get("Origin") == "":
			no.ServeHTTP(w, r)
		case h != nil:
			h.ServeHTTP(w, r)
		default:
			anyone.ServeHTTP(w, r)
		}
	})
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
	h := g.cached(s, r, s.door.completed(g.content(s, r)))
	if len(r.Compress) > 0 {
		h = compress.Negotiate(h, r.Compress)
	}
	h = layers.Body(int64(s.config.Server.MaxRequestBytes), s.config.Server.BodyTimeout, h)
	if r.Timeout > 0 {
		h = layers.Timeout(r.Timeout, g.log.With("route", r.Name), layers.Cut(h))
	}
	h = s.limits[r.Name].handler(h)
	// Outside of the limits, so that a browser may read what they answer.
	if r.CORS != nil {
		h = layers.CORS(r.CORS, h)
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
		Name:        r.Upstream,
		Modify:      respond.Keep(g.modify(s.config, r)),
		Log:         g.log.With("route", r.Name),
	})
}

// cached puts the cache around a route's content, and inside of the cache what
// changes the content: compression, and the selection of fields, which starts
// from the stored whole.
func (g *Gateway) cached(s *state, r *config.Route, content http.Handler) http.Handler {
	cache := s.http
	if len(r.IgnoreQuery) > 0 {
		o := cacheOptions(s.config)
		o.IgnoreQuery = append(slices.Clone(o.IgnoreQuery), r.IgnoreQuery...)
		cache = s.http.WithOptions(o)
	}
	policy := httpcache.HandlerOptions{Partition: partition(r), Late: s.door.late()}
	if r.TTLOverride {
		policy.TTLOverride = r.TTL
	} else {
		policy.DefaultTTL = r.TTL
	}
	store := func(h http.Handler) http.Handler {
		if len(r.Compress) > 0 {
			h = compress.Handler(h)
		}
		if r.Cached() {
			h = cache.HandlerWith(h, policy)
		}
		return h
	}
	whole := store(content)
	if !r.Fields {
		return whole
	}
	selected := fields.Handler(whole, int(s.config.Cache.MaxBodyBytes),
		func(inner *http.Request) string {
			return upstream.Source(r.Upstream, r.StripPrefix, inner)
		})
	return fields.Route(whole, store(retag(selected)))
}

// aggregated fetches each part through the cache as well.
func (g *Gateway) aggregated(s *state, r *config.Route) http.Handler {
	var parts []aggregate.Part
	for _, p := range r.Aggregate.Parts {
		// The slash keeps clients out: no Host field may contain one.
		host := p.Upstream + "/part"
		// What is done to responses is a matter of the part, not of the route.
		options := &config.Route{Name: r.Name, Upstream: p.Upstream, Fields: true}
		h := upstream.Proxy(s.pools[p.Upstream], upstream.ProxyOptions{
			Internal: true,
			Name:     p.Upstream,
			Modify:   respond.Keep(g.modify(s.config, options)),
			Log:      g.log.With("route", r.Name, "part", p.Name),
		})
		if r.Cached() {
			h = s.http.Handler(h)
		}
		parts = append(parts, aggregate.Part{Part: p, Handler: asPart(h), Host: host})
	}
	return aggregate.Handler(parts, aggregate.Options{
		MaxPartBytes: int(s.config.Cache.MaxBodyBytes), TagField: traffic.InternalTags,
		Log: g.log.With("route", r.Name),
	})
}

// asPart is the door of a part, which has a request of its own: the scheme is in its key
// as in a client's, and the host that the client asked for, which the upstream isn't told
// of, makes no difference to it.
func asPart(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if proto := r.Header["X-Forwarded-Proto"]; len(proto) == 1 && proto[0] == "https" {
			r.URL.Scheme = "https"
		}
		delete(r.Header, "X-Forwarded-Host") // the header is the part's own copy
		next.ServeHTTP(w, r)
	})
}

// partition keeps a route's responses apart from those that others store for the same URL:
// after a reload that has it answered by something else, what was stored before is not
// reused. Other targets of the same upstream are not something else.
func partition(r *config.Route) func(*http.Request) string {
	source := r.Upstream + "\x00" + r.StripPrefix
	if r.Aggregate != nil {
		text, _ := json.Marshal(r.Aggregate) // plain values: cannot fail
		sum := sha256.Sum256(text)
		source = "=" + string(sum[:12])
	}
	return func(*http.Request) string { return source }
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
