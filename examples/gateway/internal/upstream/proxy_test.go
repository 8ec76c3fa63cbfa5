package upstream

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// front starts a proxy in front of an origin and returns its URL.
func front(t *testing.T, c config.Upstream, o ProxyOptions, origin http.HandlerFunc) string {
	t.Helper()
	back := httptest.NewServer(origin)
	t.Cleanup(back.Close)
	o.Log = quiet
	proxy := httptest.NewServer(Proxy(newPool(t, c, &server{Server: back}), o))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

var plain = &http.Client{Transport: &http.Transport{DisableCompression: true}}

func fetch(t *testing.T, method, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestProxyAddsOnlyItsDuties(t *testing.T) {
	var got *http.Request
	url := front(t, config.Upstream{}, ProxyOptions{}, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		w.Header()["Date"] = []string{"Mon, 01 Jan 2024 00:00:00 GMT"}
		w.Header().Set("Content-Type", "text/x")
		_, _ = io.WriteString(w, "hello")
	})
	resp, _ := fetch(t, "GET", url+"/a%2Fb?x=1;y=2&z=%zz", http.Header{
		"User-Agent": nil, "Connection": {"X-Hop"}, "X-Hop": {"1"}, "X-Forwarded-Host": {"door.example"}, "X-Forwarded-For": {"10.0.0.1"}, "Via": {"1.1 door"}, "X-Own": {"a", "b"},
	})
	if got.RequestURI != "/a%2Fb?x=1;y=2&z=%zz" {
		t.Errorf("target: %s", got.RequestURI)
	}
	for _, name := range []string{"Accept-Encoding", "User-Agent", "X-Hop", "Connection"} {
		if v, ok := got.Header[name]; ok {
			t.Errorf("%s was added or passed on: %q", name, v)
		}
	}
	// The gateway's door has set these.
	if h := got.Header; h.Get("X-Forwarded-For") != "10.0.0.1" || h.Get("X-Forwarded-Host") != "door.example" || h.Get("Via") != "1.1 door" {
		t.Errorf("what the door has set: %v", h)
	}
	if v := got.Header["X-Own"]; len(v) != 2 {
		t.Errorf("X-Own: %q", v)
	}
	if len(resp.Header) != 3 || resp.Header.Get("Content-Type") != "text/x" || resp.Header.Get("Date") != "Mon, 01 Jan 2024 00:00:00 GMT" || resp.ContentLength != 5 {
		t.Errorf("response header: %v", resp.Header)
	}
}

func TestProxyHost(t *testing.T) {
	for _, preserve := range []bool{false, true} {
		var host string
		url := front(t, config.Upstream{PreserveHost: preserve}, ProxyOptions{}, func(_ http.ResponseWriter, r *http.Request) { host = r.Host })
		fetch(t, "GET", url, nil)
		if same := "http://"+host == url; same != preserve {
			t.Errorf("preserve_host %v: the upstream saw %q behind %s", preserve, host, url)
		}
	}
}

func TestInternalRequestsHaveNoClientsHost(t *testing.T) {
	var got *http.Request
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer back.Close()
	pool := newPool(t, config.Upstream{PreserveHost: true}, &server{Server: back})
	r := httptest.NewRequest("GET", "/x", nil)
	r.Host = "pool/part"
	w := httptest.NewRecorder()
	Proxy(pool, ProxyOptions{Internal: true, Log: quiet}).ServeHTTP(w, r)
	if w.Code != http.StatusOK || "http://"+got.Host != back.URL || got.Header.Get("X-Forwarded-Host") != "" {
		t.Errorf("%d, host %q, %v", w.Code, got.Host, got.Header)
	}
}

func TestProxyStripsPrefix(t *testing.T) {
	var path string
	url := front(t, config.Upstream{}, ProxyOptions{StripPrefix: "/api"}, func(_ http.ResponseWriter, r *http.Request) { path = r.RequestURI })
	for in, want := range map[string]string{"/api/x": "/x", "/api/a%2Fb": "/a%2Fb", "/api": "/", "/other": "/other"} {
		if fetch(t, "GET", url+in, nil); path != want {
			t.Errorf("%s became %s, want %s", in, path, want)
		}
	}
}

func TestTargetWithBasePath(t *testing.T) {
	var path string
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { path = r.RequestURI }))
	defer back.Close()
	p := newPool(t, config.Upstream{Targets: []string{back.URL + "/base/"}})
	send(t, p, "GET", "/a%2Fb?q")
	if path != "/base/a%2Fb?q" {
		t.Errorf("asked for %s", path)
	}
}

func TestProxyPassesInformationalAndTrailers(t *testing.T) {
	url := front(t, config.Upstream{}, ProxyOptions{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	})
	for range 3 { // each request has hooks of its own
		var hints int
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints && h.Get("Link") != "" {
					hints++
				}
				return nil
			},
		})
		r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		resp, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(resp.Body)
		resp.Body.Close()
		if hints != 1 || resp.Trailer.Get("X-Sum") != "42" {
			t.Errorf("%d early hints, trailer %v", hints, resp.Trailer)
		}
	}
}

func TestProxyPassesAborts(t *testing.T) {
	url := front(t, config.Upstream{}, ProxyOptions{}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 100_000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := plain.Get(url)
	if err != nil {
		return // Aborted before the header: also an error.
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("a truncated response of %d bytes looked whole", n)
	}
}

func TestProxyStreams(t *testing.T) {
	next := make(chan struct{})
	defer close(next)
	url := front(t, config.Upstream{}, ProxyOptions{}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-next
	})
	resp, err := plain.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" {
		t.Errorf("%q, %v", first, err)
	}
}

func TestProxyErrors(t *testing.T) {
	down := newServer(t)
	down.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	for _, c := range []struct {
		pool   *Pool
		status int
	}{
		{newPool(t, config.Upstream{}, down), http.StatusBadGateway},
		{newPool(t, config.Upstream{Timeout: config.Timeout{Header: 20 * time.Millisecond}}, &server{Server: slow}), http.StatusGatewayTimeout},
		{newPool(t, config.Upstream{Breaker: &config.Breaker{Failures: 1, Open: time.Hour}}, down), http.StatusServiceUnavailable},
	} {
		h := Proxy(c.pool, ProxyOptions{Log: quiet})
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) // opens the breaker
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, want %d; header %v", w.Code, c.status, w.Header())
		}
	}
}
