package layers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

func vary(lines ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Vary"] = lines // as a cache writes a stored header
		_, _ = w.Write([]byte("ok"))
	})
}

// Vary is a list of names: one that contains another is another.
func TestVaryOriginIsAddedByName(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"X-Origin-Region"}, "X-Origin-Region, Origin"},
		{[]string{"X-Original-Url, Accept"}, "X-Original-Url, Accept, Origin"},
		{[]string{"Accept", " oRIGIN "}, "Accept,  oRIGIN "},
		{[]string{"*"}, "*"},
	} {
		h := CORS(&config.CORS{Origins: []string{"https://app.example"}}, vary(c.lines...))
		w := ask(h, "GET", "Origin", "https://app.example")
		if got := strings.Join(w.Header()["Vary"], ", "); got != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

// The answer comes after an informational response.
func TestVaryOriginWaitsForTheAnswer(t *testing.T) {
	server := httptest.NewServer(CORS(&config.CORS{Origins: []string{"https://app.example"}},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header()["Vary"] = []string{"Accept"}
			_, _ = w.Write([]byte("ok"))
		})))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := strings.Join(resp.Header["Vary"], ", "); got != "Accept, Origin" {
		t.Errorf("%q", got)
	}
}

func TestPreflightAgeIsWholeSeconds(t *testing.T) {
	for age, want := range map[time.Duration]string{500 * time.Millisecond: "1", 1500 * time.Millisecond: "2", time.Minute: "60"} {
		h := CORS(&config.CORS{Origins: []string{"*"}, Methods: []string{"GET"}, MaxAge: age}, ok)
		w := ask(h, "OPTIONS", "Origin", "https://app.example", "Access-Control-Request-Method", "GET")
		if got := w.Header().Get("Access-Control-Max-Age"); got != want {
			t.Errorf("%v: %q, want %q", age, got, want)
		}
	}
}
