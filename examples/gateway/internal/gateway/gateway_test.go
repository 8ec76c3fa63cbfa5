package gateway

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// lines is a log that tests can read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a gateway for a configuration, which is completed with a small
// cache, and returns it with its URL and its log.
func start(t *testing.T, c *config.Config) (*Gateway, string, *lines) {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	c.Cache.MaxBytes = 8 << 20
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	out := &lines{}
	g, err := New(c, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	address, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- g.Serve(ctx, func(a string) { address <- a }) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	select {
	case a := <-address:
		return g, "http://" + a, out
	case err := <-done:
		done <- err
		t.Fatalf("Serve: %v", err)
		return nil, "", nil
	}
}

// origin starts an upstream and returns a configuration for it.
func origin(t *testing.T, h http.HandlerFunc) *config.Config {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return config.Plain(s.URL)
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       30 * time.Second,
}

func do(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
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

func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	return do(t, http.MethodGet, url, header...)
}

func cacheStatus(resp *http.Response) string { return resp.Header.Get("Cache-Status") }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it never came to be that %s", what)
}

func TestMissThenHit(t *testing.T) {
	var asked atomic.Int64
	_, url, log := start(t, origin(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, `{"n":1}`)
	}))
	first, body := get(t, url+"/x?a=1")
	second, again := get(t, url+"/x?a=1")
	if !strings.Contains(cacheStatus(first), "fwd=uri-miss") || !strings.Contains(cacheStatus(second), "; hit") ||
		second.Header.Get("Age") == "" || body != again || asked.Load() != 1 {
		t.Errorf("%v\n%v\n%q %q, asked %d times", first.Header, second.Header, body, again, asked.Load())
	}
	get(t, url+"/x?a=2")
	if asked.Load() != 2 {
		t.Errorf("another query was answered from the cache")
	}
	eventually(t, "the access log tells of a miss and a hit", func() bool {
		return strings.Contains(log.String(), "cache=miss method=GET") && strings.Contains(log.String(), "cache=hit method=GET")
	})
}

func TestRequestAndResponseDirectives(t *testing.T) {
	var asked atomic.Int64
	_, url, _ := start(t, origin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", r.URL.Query().Get("cc"))
		_, _ = io.WriteString(w, "x")
	}))
	for _, c := range []struct {
		response, request string
		want              int64 // upstream requests for two of the client's
	}{
		{"max-age=60", "", 1},
		{"s-maxage=60", "", 1},
		{"s-maxage=60, max-age=0", "", 1},
		{"no-store", "", 2},
		{"private, max-age=60", "", 2},
		{"max-age=60", "no-cache", 2},
		{"max-age=60", "no-store", 2},
		{"max-age=0", "", 2},
	} {
		before := asked.Load()
		for range 2 {
			get(t, url+"/?cc="+strings.ReplaceAll(c.response, " ", "+")+"&t="+c.request, "Cache-Control", c.request)
		}
		if got := asked.Load() - before; got != c.want {
			t.Errorf("response %q, request %q: %d upstream requests, want %d", c.response, c.request, got, c.want)
		}
	}
}

func TestConcurrentMissesGoUpstreamOnce(t *testing.T) {
	var asked atomic.Int64
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	g, url, _ := start(t, origin(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-gate
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "once")
	}))
	const clients = 50
	var waiting sync.WaitGroup
	for range clients {
		waiting.Go(func() {
			if _, body := get(t, url); body != "once" {
				t.Errorf("%q", body)
			}
		})
	}
	eventually(t, "the upstream is asked", func() bool { return asked.Load() > 0 })
	time.Sleep(50 * time.Millisecond) // lets the others arrive; they would be hits otherwise
	release()
	waiting.Wait()
	if asked.Load() != 1 {
		t.Errorf("%d upstream requests for %d clients", asked.Load(), clients)
	}
	total := g.meter.Total()
	if total.Total() != clients || total.Saved() != clients-1 {
		t.Errorf("%d requests counted, %d of them saved", total.Total(), total.Saved())
	}
}

func TestPlainProxyIsTransparent(t *testing.T) {
	var target atomic.Value
	_, url, _ := start(t, origin(t, func(w http.ResponseWriter, r *http.Request) {
		target.Store(r.RequestURI)
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	}))
	for _, path := range []string{"/a//b", "/a/../b", "/a%2fb?q=1;2", "/_larder", "/healthz/x"} {
		resp, body := get(t, url+path)
		if target.Load() != path || body != "<html>" {
			t.Errorf("%s reached the upstream as %v", path, target.Load())
		}
		if ct, ok := resp.Header["Content-Type"]; ok {
			t.Errorf("a content type was made up: %q", ct)
		}
		for _, name := range []string{"Content-Encoding", "X-Request-Id", "Server", "Vary", "Via"} {
			if v, ok := resp.Header[name]; ok {
				t.Errorf("%s was added: %q", name, v)
			}
		}
	}
}

func TestPlainProxyPassesMethodsAndBodies(t *testing.T) {
	_, url, _ := start(t, origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, r.Method+" "+string(body))
	}))
	resp, err := client.Post(url+"/x", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusCreated || string(body) != "POST hello" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

func TestUpstreamDead(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	_, url, _ := start(t, config.Plain(s.URL))
	if resp, _ := get(t, url); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestStaleWhileUpstreamIsDead(t *testing.T) {
	var dead atomic.Bool
	_, url, _ := start(t, origin(t, func(w http.ResponseWriter, _ *http.Request) {
		if dead.Load() {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
		w.Header().Set("Etag", `"1"`)
		_, _ = io.WriteString(w, "old")
	}))
	get(t, url)
	dead.Store(true)
	if resp, body := get(t, url); resp.StatusCode != http.StatusOK || body != "old" {
		t.Errorf("status %d, %q, %s", resp.StatusCode, body, cacheStatus(resp))
	}
}
