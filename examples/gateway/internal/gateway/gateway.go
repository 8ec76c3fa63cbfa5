// Package gateway puts the parts together: the cache, the upstreams, the routes
// with what each of them wants, and the servers in front.
//
// What a configuration describes is built into a state (state.go), which is
// replaced whole when the configuration changes; requests in flight finish in
// the state in which they began. What outlives a configuration is here: the
// cache with its contents, the counters, the embedded upstream.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/xid"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/accesslog"
	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/dashboard"
	"github.com/larder-cache/larder/examples/gateway/internal/tracing"
	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
)

// Gateway is the whole program but its flags. It is safe for concurrent use.
type Gateway struct {
	// name is what it calls itself in Via: no other gateway, nor this one started again,
	// has the same.
	name      string
	log       *slog.Logger
	store     *larder.Cache
	http      *httpcache.Cache
	meter     *traffic.Meter
	tags      *traffic.Top
	access    *accesslog.Log
	registry  *prometheus.Registry
	tracer    *tracing.Tracer // nil: no traces
	dashboard *dashboard.Dashboard
	fleet     *fleetPart // nil: on its own
	replicas  replicas
	draining  atomic.Bool

	reloading sync.Mutex
	state     atomic.Pointer[state]
}

// New returns a gateway for the configuration. Serve makes it answer; Close
// gives back what it holds.
func New(c *config.Config, log *slog.Logger) (*Gateway, error) {
	store, err := larder.New(larder.Options{MaxBytes: int64(c.Cache.MaxBytes)})
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		name:  "larder-gateway-" + xid.New().String(),
		log:   log,
		store: store,
		http:  httpcache.New(store, httpcache.Options{}),
		meter: traffic.NewMeter(),
		tags:  new(traffic.Top),
	}
	g.access = accesslog.New(log, accessOptions(c))
	g.meter.Observe = g.access.Observe
	if g.tracer, err = tracing.New(c.Tracing); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if g.fleet, err = joinFleet(c.Fleet, g.http, log); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if g.registry, err = newRegistry(g); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	g.dashboard = newDashboard(g)
	if err := g.Reload(c); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func accessOptions(c *config.Config) accesslog.Options {
	o := accesslog.Options{Off: c.Log.Access == "off", RequestID: c.RequestID}
	if c.Log.Access == "sampled" {
		o.PerSecond = c.Log.AccessPerSecond
	}
	return o
}

// Reload replaces the configuration. When it fails, the old one stays. The
// addresses to listen on, limits of the server, tracing and the demo's load are
// read at the start only.
func (g *Gateway) Reload(c *config.Config) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	old := g.state.Load()
	next, err := newState(g, c, old)
	if err != nil {
		return err
	}
	if old != nil && old.config.Cache.MaxBytes != c.Cache.MaxBytes {
		if err := g.store.Resize(int64(c.Cache.MaxBytes)); err != nil {
			next.closeUnlessIn(old)
			return err
		}
	}
	if old != nil {
		g.warnOfRestart(old.config, c)
	}
	g.access.Configure(accessOptions(c))
	g.meter.MeasureAll(c.Log.Access == "all")
	g.state.Store(next)
	if old != nil {
		old.closeUnlessIn(next)
	}
	return nil
}

// warnOfRestart tells of changes that a reload does not bring about.
func (g *Gateway) warnOfRestart(old, c *config.Config) {
	for _, part := range []struct {
		name     string
		old, now any
	}{
		{"listen", old.Listen, c.Listen},
		{"admin.listen", old.Admin.Listen, c.Admin.Listen},
		{"pprof", old.Pprof, c.Pprof},
		{"server.read_header_timeout", old.Server.ReadHeaderTimeout, c.Server.ReadHeaderTimeout},
		{"server.idle_timeout", old.Server.IdleTimeout, c.Server.IdleTimeout},
		{"server.send_timeout", old.Server.SendTimeout, c.Server.SendTimeout},
		{"server.max_header_bytes", old.Server.MaxHeaderBytes, c.Server.MaxHeaderBytes},
		{"server.max_connections", old.Server.MaxConnections, c.Server.MaxConnections},
		{"tracing", old.Tracing, c.Tracing},
		{"log.format", old.Log.Format, c.Log.Format},
		{"fleet", old.Fleet, c.Fleet},
		{"demo", old.Demo, c.Demo},
	} {
		if !reflect.DeepEqual(part.old, part.now) {
			g.log.Warn("a changed setting needs a restart", "setting", part.name,
				"running", part.old, "configured", part.now)
		}
	}
}

// ServeHTTP answers one request of a client.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.draining.Load() {
		// Who keeps this connection for later would find it closed.
		w.Header().Set("Connection", "close")
	}
	g.fleet.trusted()
	g.state.Load().handler.ServeHTTP(w, r)
}

// Background does what has to be done regularly, until ctx ends.
func (g *Gateway) Background(ctx context.Context) {
	var tasks sync.WaitGroup
	tasks.Go(func() { g.meter.Run(ctx) })
	tasks.Go(func() { g.access.Summarize(ctx, g.meter) })
	tasks.Go(func() { g.dashboard.Run(ctx) })
	tasks.Go(func() { g.forget(ctx) })
	tasks.Go(func() { g.demoLoad(ctx, g.state.Load().config.Demo) })
	tasks.Wait()
}

// Close stops everything and gives the cache's memory back.
func (g *Gateway) Close() error {
	var errs []error
	if s := g.state.Load(); s != nil {
		s.closeUnlessIn(nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	errs = append(errs, g.tracer.Close(ctx), g.replicas.close(), g.fleet.close(), g.http.Close(), g.store.Close())
	return errors.Join(errs...)
}
