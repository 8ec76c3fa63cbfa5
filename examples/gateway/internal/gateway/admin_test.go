package gateway

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
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

// Without a token the pages are for people at this machine. A proxy there is none.
func TestAdminIsForThisMachine(t *testing.T) {
	c := config.Plain("http://127.0.0.1:1")
	behind := config.Plain("http://127.0.0.1:1")
	behind.TrustedProxies = []string{"127.0.0.0/8"}
	for _, c := range []struct {
		config             *config.Config
		remote, host, mark string
		ok                 bool
	}{
		{c, "127.0.0.1:5", "127.0.0.1:8080", "", true},
		{c, "[::1]:5", "localhost:8080", "", true},
		{c, "[::1]:5", "[::1]:8080", "", true},
		{c, "127.0.0.1:5", "evil.example:8080", "", false},
		{c, "10.0.0.5:5", "127.0.0.1:8080", "", false},
		{c, "10.0.0.5:5", "localhost", "", false},
		{c, "127.0.0.1:5", "127.0.0.1:8080", "X-Forwarded-For", false},
		{c, "127.0.0.1:5", "localhost", "X-Forwarded-Proto", false},
		{c, "127.0.0.1:5", "localhost", "Forwarded", false},
		{c, "127.0.0.1:5", "localhost", "Via", false},
		{c, "127.0.0.1:5", "localhost", "X-Real-Ip", false},
		{c, "127.0.0.1:5", "localhost", "X_Forwarded_For", false},
		{c, "127.0.0.1:5", "localhost", "CF-Connecting-IP", false},
		{c, "127.0.0.1:5", "localhost", "CDN-Loop", false},
		{c, "127.0.0.1:5", "localhost", "X-Envoy-Internal", false},
		{c, "127.0.0.1:5", "localhost", "User-Agent", true},
		{behind, "127.0.0.1:5", "localhost", "", false},
	} {
		r := httptest.NewRequest("GET", "/_larder/", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.mark != "" {
			r.Header.Set(c.mark, "203.0.113.9")
		}
		if why := mainGate(c.config)(r); (why == "") != c.ok {
			t.Errorf("%s asking for %s with %q: %q", c.remote, c.host, c.mark, why)
		}
	}
	old := httptest.NewRequest("GET", "/_larder/", nil)
	old.RemoteAddr, old.Host, old.ProtoMinor = "127.0.0.1:5", "localhost", 0
	if mainGate(c)(old) == "" {
		t.Error("HTTP/1.0, which proxies speak, is let in")
	}
}

// On an address of their own, a name that is not configured is a stranger's (DNS rebinding).
func TestAdminAddressChecksTheHost(t *testing.T) {
	c := config.Plain("http://127.0.0.1:1")
	c.Admin.Hosts = []string{"admin.internal"}
	for host, ok := range map[string]bool{
		"10.0.0.7:9090": true, "[fd00::1]:9090": true, "127.0.0.1": true, "localhost:9090": true, "Admin.internal:9090": true,
		"evil.example": false, "admin.internal.evil.example:9090": false, "": false,
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Host = host
		if why := ownGate(c)(r); (why == "") != ok {
			t.Errorf("%q: %q", host, why)
		}
	}
}

// With a token, only who shows it is let in, wherever from and on either address.
func TestAdminToken(t *testing.T) {
	c := origin(t, http.NotFound)
	c.Admin.Token = "0123456789abcdef"
	g, url, _ := start(t, c)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("anyone:0123456789abcdef"))
	for _, path := range []string{"/metrics", "/_larder/"} {
		for authorization, want := range map[string]int{
			"": 401, "Bearer 0123456789abcde": 401, "Bearer ": 401, "Basic eDp5": 401, "Digest 0123456789abcdef": 401,
			"Bearer 0123456789abcdef": 200, "bearer 0123456789abcdef": 200, basic: 200,
		} {
			header := []string{"X-Forwarded-For", "203.0.113.9"}
			if authorization != "" {
				header = append(header, "Authorization", authorization)
			}
			resp, _ := get(t, url+path, header...)
			if resp.StatusCode != want || want == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %d, want %d", path, authorization, resp.StatusCode, want)
			}
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "gateway.example"
			r.Header.Set("Authorization", authorization)
			w := httptest.NewRecorder()
			if g.serveAdmin(w, r); w.Code != want {
				t.Errorf("%s with %q on its own address: %d, want %d", path, authorization, w.Code, want)
			}
			r.URL.Path = "/debug/pprof/"
			w = httptest.NewRecorder()
			if g.servePprof(w, r); w.Code != want {
				t.Errorf("pprof with %q: %d, want %d", authorization, w.Code, want)
			}
		}
	}
	if resp, _ := do(t, "POST", url+"/_larder/purge?all=true"); resp.StatusCode != 401 {
		t.Errorf("a purge without the token: %d", resp.StatusCode)
	}
	if resp, _ := do(t, "POST", url+"/_larder/purge?all=true", "Authorization", "Bearer 0123456789abcdef"); resp.StatusCode != 200 {
		t.Errorf("a purge with the token: %d", resp.StatusCode)
	}
}

// A proxy on this machine must not lend its place to those behind it.
func TestPurgeThroughAProxyIsRefused(t *testing.T) {
	_, url, _ := start(t, origin(t, http.NotFound))
	for _, path := range []string{"/_larder/purge?all=true", "/metrics", "/_larder/events", "/_larder/%70urge?all=true"} {
		resp, _ := do(t, "POST", url+path, "X-Forwarded-For", "203.0.113.9", "Via", "1.1 nginx")
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestReadiness(t *testing.T) {
	var ill atomic.Bool
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(b.Close)
	_, url, _ := start(t, parse(t, strings.ReplaceAll(`
upstreams:
  a: {targets: ["%s"], required: true, health: {interval: 5ms, fall: 1}}
  b: {targets: ["http://127.0.0.1:1"], health: {interval: 5ms, fall: 1}}
routes: [{path: /, upstream: a}, {path: /b, upstream: b}]
`, "%s", b.URL)))
	ready := func() int {
		resp, _ := get(t, url+"/readyz")
		return resp.StatusCode
	}
	if got := ready(); got != http.StatusOK {
		t.Errorf("with what is required: %d", got)
	}
	ill.Store(true)
	eventually(t, "it is not ready without a required upstream", func() bool { return ready() == http.StatusServiceUnavailable })
	if resp, _ := get(t, url+"/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("/healthz of a process that is well: %d", resp.StatusCode)
	}
	ill.Store(false)
	eventually(t, "it is ready again", func() bool { return ready() == http.StatusOK })
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
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Host = "127.0.0.1:9090"
	g.serveAdmin(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("/metrics on its own address: %d", w.Code)
	}
}
