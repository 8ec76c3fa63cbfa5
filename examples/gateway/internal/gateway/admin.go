package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// withAdmin puts the gateway's own pages before the routes. With an address of
// their own, only /healthz is left on the main one.
func (g *Gateway) withAdmin(c *config.Config, routes http.Handler) http.Handler {
	metrics := g.metricsHandler()
	dashboard := onlyLoopback(g.dashboardHandler(c))
	separate := c.Admin.Listen != ""
	prefix := c.Admin.Path
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/healthz":
			g.health(w, r)
		case separate:
			routes.ServeHTTP(w, r)
		case path == "/metrics":
			metrics.ServeHTTP(w, r)
		case strings.HasPrefix(path, prefix):
			dashboard.ServeHTTP(w, r)
		default:
			routes.ServeHTTP(w, r)
		}
	})
}

// adminHandler serves the pages at an address of their own.
func (g *Gateway) adminHandler(c *config.Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", g.health)
	mux.Handle("/metrics", g.metricsHandler())
	mux.Handle(c.Admin.Path, g.dashboardHandler(c))
	mux.Handle("/{$}", http.RedirectHandler(c.Admin.Path, http.StatusFound))
	return mux
}

func (g *Gateway) metricsHandler() http.Handler {
	return promhttp.HandlerFor(g.registry, promhttp.HandlerOpts{Registry: g.registry})
}

// health tells balancers in front whether to send requests.
func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if g.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "draining\n")
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// onlyLoopback answers clients on this machine that asked for it by a name of
// its own: another site's page that makes a browser ask (DNS rebinding) uses
// that site's.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.RemoteAddr) || !isLoopback(r.Host) {
			http.Error(w, "only for this machine: set admin.listen to serve it elsewhere", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
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
