package httpcache

import (
	"net/http"
	"strings"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// discard is a ResponseWriter that costs next to nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func benchmarkHit(b *testing.B, method, body string, response, request []string) {
	cache, err := larder.New(larder.Options{MaxBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Close()
	origin := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(200, body, response...).write(w) })
	h := New(cache, Options{}).Handler(origin)
	r := (&rig{t: b}).request(method, "http://api.example.com/products/42?fields=name,price", append([]string{
		"Accept: */*", "User-Agent: curl/8.5.0", "Accept-Encoding: gzip, br",
	}, request...), "")
	if method == "" {
		h.ServeHTTP(&discard{http.Header{}}, r)
	}
	w := &discard{http.Header{}}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	for range b.N {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
	if s := w.header.Get("Cache-Status"); !strings.Contains(s, "hit") {
		b.Fatalf("Cache-Status is %q", s)
	}
}

var jsonHeader = []string{"Cache-Control: public, max-age=60", "Content-Type: application/json", `Etag: "5d8c72a5edda8d6a"`, "Date: " + field.FormatDate(time.Now().Unix())}

func BenchmarkHit(b *testing.B) {
	body := strings.Repeat("x", 1024)
	b.Run("1KiB", func(b *testing.B) { benchmarkHit(b, "", body, jsonHeader, nil) })
	b.Run("64KiB", func(b *testing.B) { benchmarkHit(b, "", strings.Repeat(body, 64), jsonHeader, nil) })
	b.Run("Vary", func(b *testing.B) {
		benchmarkHit(b, "", body, append([]string{"Vary: Accept-Encoding"}, jsonHeader...), nil)
	})
	b.Run("304", func(b *testing.B) {
		benchmarkHit(b, "", body, jsonHeader, []string{`If-None-Match: "5d8c72a5edda8d6a"`})
	})
	b.Run("RequestDirectives", func(b *testing.B) {
		benchmarkHit(b, "", body, jsonHeader, []string{"Cache-Control: max-stale=5"})
	})
}

func BenchmarkMiss(b *testing.B) {
	r := newRig(b, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(200, "body", jsonHeader...).write(w) }))
	req := r.request("", "/", []string{"Cache-Control: no-cache"}, "")
	b.ReportAllocs()
	for range b.N {
		r.h.ServeHTTP(&discard{http.Header{}}, req)
	}
}
