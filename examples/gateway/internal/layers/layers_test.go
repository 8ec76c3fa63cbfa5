package layers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

func ask(h http.Handler, method string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })

func TestRequestID(t *testing.T) {
	var seen string
	h := RequestID("x-request-id", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get("X-Request-Id") }))
	if w := ask(h, "GET", "X-Request-Id", "abc-1.2_3"); seen != "abc-1.2_3" || w.Header().Get("X-Request-Id") != seen {
		t.Errorf("the client's id became %q and %v", seen, w.Header())
	}
	made := map[string]bool{}
	for _, bad := range []string{"", "two words", "<script>", "a\x00b", strings.Repeat("x", 200)} {
		w := ask(h, "GET", "X-Request-Id", bad)
		if !plausible(seen) || made[seen] || w.Header().Get("X-Request-Id") != seen {
			t.Errorf("%q became %q and %v", bad, seen, w.Header())
		}
		made[seen] = true
	}
}

func TestRateLimit(t *testing.T) {
	h := RateLimit(&config.RateLimit{PerSecond: 0.001, Burst: 2}, ok)
	for i, want := range []int{200, 200, 429} {
		if w := ask(h, "GET"); w.Code != want || want == 429 && w.Header().Get("Retry-After") == "" {
			t.Errorf("request %d: %d %v", i, w.Code, w.Header())
		}
	}
}

func TestClientRateLimit(t *testing.T) {
	h := ClientRateLimit(&config.ClientRateLimit{Requests: 2, Per: time.Hour, Key: "X-Api-Key"}, ok)
	for _, c := range []struct {
		key  string
		want int
	}{{"a", 200}, {"a", 200}, {"a", 429}, {"b", 200}, {"", 200}, {"", 200}, {"", 429}} {
		if w := ask(h, "GET", "X-Api-Key", c.key); w.Code != c.want || c.want == 429 && w.Header().Get("Retry-After") == "" {
			t.Errorf("key %q: %d, want %d; %v", c.key, w.Code, c.want, w.Header())
		}
	}
}

func TestCORS(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Vary"] = []string{"Accept-Encoding"} // as a cache writes a stored header
		_, _ = w.Write([]byte("ok"))
	})
	h := CORS(&config.CORS{Origins: []string{"https://app.example"}, Methods: []string{"GET"}, MaxAge: time.Minute}, next)
	w := ask(h, "GET", "Origin", "https://app.example")
	if vary := strings.Join(w.Header()["Vary"], ", "); w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" ||
		vary != "Accept-Encoding, Origin" {
		t.Errorf("%v", w.Header())
	}
	if w := ask(h, "GET", "Origin", "https://evil.example"); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a stranger: %v", w.Header())
	}
	w = ask(h, "OPTIONS", "Origin", "https://app.example", "Access-Control-Request-Method", "GET")
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Methods") != "GET" || w.Header().Get("Access-Control-Max-Age") != "60" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
}
