package gateway

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// withAdmin puts the gateway's own pages before the routes. With an address of
// their own, only /healthz and /readyz are left on the main one.
func (g *Gateway) withAdmin(c *config.Config, routes http.Handler) http.Handler {
	guarded := admit(mainGate(c), http.HandlerFunc(g.pages(c)))
	separate := c.Admin.Listen != ""
	prefix := c.Admin.Path
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/healthz":
			g.health(w, r)
		case path == "/readyz":
			g.ready(w, r)
		case !separate && (path == "/metrics" || strings.HasPrefix(path, prefix)):
			guarded.ServeHTTP(w, r)
		default:
			routes.ServeHTTP(w, r)
		}
	})
}

// adminHandler serves the pages at an address of their own.
func (g *Gateway) adminHandler(c *config.Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", g.health)
	mux.HandleFunc("/readyz", g.ready)
	pages := admit(ownGate(c), http.HandlerFunc(g.pages(c)))
	mux.Handle("/metrics", pages)
	mux.Handle(c.Admin.Path, pages)
	mux.Handle("/{$}", http.RedirectHandler(c.Admin.Path, http.StatusFound))
	return mux
}

// pages are /metrics and the dashboard, for those who may see them.
func (g *Gateway) pages(c *config.Config) http.HandlerFunc {
	metrics := promhttp.HandlerFor(g.registry, promhttp.HandlerOpts{Registry: g.registry})
	board := g.dashboard.Handler(c.Admin.Path)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			metrics.ServeHTTP(w, r)
			return
		}
		board.ServeHTTP(w, r)
	}
}

// health tells whether the process is to be sent requests: it fails while draining.
func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) {
	if g.draining.Load() {
		tell(w, http.StatusServiceUnavailable, "draining")
		return
	}
	tell(w, http.StatusOK, "ok")
}

// ready is health, and besides fails while an upstream that is required has no target
// that is well.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	s := g.state.Load()
	for name, u := range s.config.Upstreams {
		if u.Required && !slices.ContainsFunc(s.pools[name].Status(), isUp) {
			tell(w, http.StatusServiceUnavailable, "no target of upstream "+name+" is well")
			return
		}
	}
	g.health(w, r)
}

func isUp(t upstream.TargetStatus) bool { return t.State == "up" }

func tell(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

// forget makes the top lists those of the last minutes.
func (g *Gateway) forget(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			g.tags.Halve()
			g.meter.HalveTop()
		case <-ctx.Done():
			return
		}
	}
}
