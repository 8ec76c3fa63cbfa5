package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	_, url, _ := start(t, origin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write([]byte("12345"))
	}))
	get(t, url+"/a")
	get(t, url+"/a")
	resp, body := get(t, url+"/metrics")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	for _, want := range []string{
		`gateway_requests_total{cache="hit",code="2xx",route="upstream"} 1`,
		`gateway_requests_total{cache="miss",code="2xx",route="upstream"} 1`,
		`gateway_response_bytes_total{route="upstream"} 10`,
		`gateway_request_duration_seconds_count{cache="hit"} 1`,
		"gateway_upstream_up{", "larder_entries ", `larder_bytes{state="live"} `, "go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
}

func TestHealthFollowsTheDraining(t *testing.T) {
	g, url, _ := start(t, origin(t, http.NotFound))
	if resp, body := get(t, url+"/healthz"); resp.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	g.draining.Store(true)
	if resp, _ := get(t, url+"/healthz"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("while draining: %d", resp.StatusCode)
	}
}

func TestDashboardIsForThisMachine(t *testing.T) {
	h := onlyLoopback(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		remote, host string
		status       int
	}{
		{"127.0.0.1:5", "127.0.0.1:8080", http.StatusOK},
		{"[::1]:5", "localhost:8080", http.StatusOK},
		{"[::1]:5", "[::1]:8080", http.StatusOK},
		{"127.0.0.1:5", "evil.example:8080", http.StatusForbidden},
		{"10.0.0.5:5", "127.0.0.1:8080", http.StatusForbidden},
		{"10.0.0.5:5", "localhost", http.StatusForbidden},
	} {
		r := httptest.NewRequest("GET", "/_larder/", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("%s asking for %s: %d, want %d", c.remote, c.host, w.Code, c.status)
		}
	}
}

func TestAdminAddressOfItsOwn(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("upstream " + r.URL.Path)) })
	c.Admin.Listen = "127.0.0.1:0"
	g, url, _ := start(t, c)
	for _, path := range []string{"/metrics", "/_larder/"} {
		if _, body := get(t, url+path); body != "upstream "+path {
			t.Errorf("%s on the main address: %q", path, body)
		}
	}
	if _, body := get(t, url+"/healthz"); body != "ok\n" {
		t.Errorf("/healthz on the main address: %q", body)
	}
	w := httptest.NewRecorder()
	g.adminHandler(c).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Errorf("/metrics on its own address: %d", w.Code)
	}
}
