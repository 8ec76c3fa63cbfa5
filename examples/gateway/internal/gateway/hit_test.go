package gateway

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func newHitGateway(tb testing.TB) *Gateway {
	tb.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"abc"`)
		_, _ = w.Write(make([]byte, 1000))
	}))
	tb.Cleanup(upstream.Close)
	c := config.Plain(upstream.URL)
	c.Cache.MaxBytes = 8 << 20
	if err := c.Finish(); err != nil {
		tb.Fatal(err)
	}
	g, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = g.Close() })
	return g
}

func hit(g http.Handler, r *http.Request, w *discard) {
	clear(w.header)
	g.ServeHTTP(w, r)
}

// BenchmarkHit is a cached answer without the server around it.
func BenchmarkHit(b *testing.B) {
	g := newHitGateway(b)
	for name, h := range map[string]http.Handler{"gateway": g, "store": g.state.Load().http.HandlerWith(
		http.NotFoundHandler(), httpcache.HandlerOptions{Partition: partition(g.state.Load().config.Routes[0])})} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "http://example.org/x?a=1", nil)
			r.Header.Set("User-Agent", "benchmark")
			w := &discard{header: make(http.Header)}
			hit(h, r, w)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				hit(h, r, w)
			}
			if w.header.Get("Age") == "" {
				b.Fatal("not a hit")
			}
		})
	}
}
