package layers

import (
	"net/http"
	"net/http/httptest"
	"strconv"
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
	h := NewRateLimit(&config.RateLimit{PerSecond: 0.001, Burst: 2}).Handler(ok)
	for i, want := range []int{200, 200, 429} {
		if w := ask(h, "GET"); w.Code != want || want == 429 && w.Header().Get("Retry-After") == "" {
			t.Errorf("request %d: %d %v", i, w.Code, w.Header())
		}
	}
}

// ask of a client's address and name.
func askFrom(h http.Handler, address, name string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = address
	r.Header.Set("X-Api-Key", name)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestClientRateLimit(t *testing.T) {
	h := NewClientRateLimit(&config.ClientRateLimit{Requests: 2, Per: time.Hour, Key: "ip"}).Handler(ok)
	for _, c := range []struct {
		address string
		want    int
	}{
		{"192.0.2.1:1", 200}, {"192.0.2.1:2", 200}, {"192.0.2.1:3", 429}, {"192.0.2.2", 200},
		{"[2001:db8::1]:1", 200}, {"[2001:db8::2]:1", 200}, {"[2001:db8::3]:1", 429}, {"[2001:db8:0:1::1]:1", 200},
	} {
		if w := askFrom(h, c.address, ""); w.Code != c.want || c.want == 429 && w.Header().Get("Retry-After") != "3600" {
			t.Errorf("%s: %d, want %d; %v", c.address, w.Code, c.want, w.Header())
		}
	}
}

// Who invents names gets no further than who says none, and who has one is not touched
// by those that share its address.
func TestInventedNamesAreLimitedByAddress(t *testing.T) {
	h := NewClientRateLimit(&config.ClientRateLimit{Requests: 2, Per: time.Hour, Key: "X-Api-Key"}).Handler(ok)
	for _, c := range []struct {
		address, name string
		want          int
	}{
		{"192.0.2.1:1", "a", 200}, {"192.0.2.1:1", "b", 200}, {"192.0.2.1:1", "c", 429}, {"192.0.2.1:1", "", 429},
		{"192.0.2.1:1", "a", 200}, {"192.0.2.1:1", "a", 429}, {"192.0.2.9:1", "a", 429}, {"192.0.2.9:1", "c", 200},
	} {
		if w := askFrom(h, c.address, c.name); w.Code != c.want {
			t.Errorf("%s as %q: %d, want %d", c.address, c.name, w.Code, c.want)
		}
	}
}

func TestLimitsRememberABoundedNumberOfClients(t *testing.T) {
	c := newCounts(time.Hour)
	window := time.Now().UTC().Truncate(time.Hour)
	for i := range maxClients + 1000 {
		_ = c.Increment(strconv.Itoa(i), window)
	}
	if n := len(c.now); n > maxClients+1 {
		t.Errorf("%d clients are remembered", n)
	}
	if n, _, _ := c.Get("another", window, window); n != 1000 {
		t.Errorf("a client beyond them has %d requests to its name, want those of all of them", n)
	}
	if n, _, _ := c.Get("7", window, window); n != 1 {
		t.Errorf("one of them has %d requests", n)
	}
	later := window.Add(time.Hour)
	if now, before, _ := c.Get("7", later, window); now != 0 || before != 1 {
		t.Errorf("in the next window: %d, %d", now, before)
	}
	if now, before, _ := c.Get("7", later.Add(2*time.Hour), later); now != 0 || before != 0 {
		t.Errorf("long after: %d, %d", now, before)
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
