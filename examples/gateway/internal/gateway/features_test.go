package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// backend is an upstream for configurations in YAML, where %s stands for its
// URL. It counts how often each target was asked for.
type backend struct {
	asked atomic.Int64
	last  atomic.Pointer[http.Request]
}

func startYAML(t *testing.T, text string, h http.HandlerFunc) (*Gateway, string, *backend) {
	t.Helper()
	b := &backend{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		b.last.Store(r)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	g, url, _ := start(t, parse(t, strings.ReplaceAll(text, "%s", s.URL)))
	return g, url, b
}

// item answers with JSON that may be stored and has a tag.
func item(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/items/absent" {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("Surrogate-Key", "item:"+strings.TrimPrefix(r.URL.Path, "/items/"))
	h.Set("Etag", `"1"`)
	h.Set("X-Request-Id", "the upstream's")
	h.Set("Access-Control-Allow-Origin", "https://upstream.example")
	fmt.Fprintf(w, `{"path":%q,"text":%q,"other":1}`, r.URL.Path, strings.Repeat("abc", 1000))
}

const everything = `
request_id: X-Request-Id
upstreams: {u: {targets: ["%s"]}}
routes:
  - name: items
    path: /items/{id}
    upstream: u
    compress: [br, gzip]
    fields: true
    cors: {origins: ["https://app.example"]}
  - name: pair
    path: /pairs/{a}/{b}
    fields: true
    compress: [gzip]
    aggregate:
      parts:
        - {name: a, upstream: u, path: "/items/{a}"}
        - {name: b, upstream: u, path: "/items/{b}", optional: true}
`

func TestCompressedFormsAreCached(t *testing.T) {
	_, url, b := startYAML(t, everything, item)
	for i, c := range []struct{ accept, encoding, status string }{
		{"gzip, deflate, br", "br", "fwd=uri-miss"},
		{"br;q=1.0, gzip;q=0.8", "br", "; hit"},
		{"gzip", "gzip", "fwd=vary-miss"},
		{"gzip, deflate", "gzip", "; hit"},
		{"identity", "", "fwd=vary-miss"},
		{"zstd", "", "; hit"},
	} {
		resp, body := get(t, url+"/items/1", "Accept-Encoding", c.accept)
		if resp.Header.Get("Content-Encoding") != c.encoding || !strings.Contains(cacheStatus(resp), c.status) {
			t.Errorf("%d: %s: %q %q", i, c.accept, resp.Header.Get("Content-Encoding"), cacheStatus(resp))
		}
		if c.encoding != "" && len(body) > 500 {
			t.Errorf("%s: %d bytes", c.encoding, len(body))
		}
		if ae := b.last.Load().Header.Get("Accept-Encoding"); ae != "identity" {
			t.Errorf("the upstream was asked for %q", ae)
		}
	}
	resp, body := get(t, url+"/items/1", "Accept-Encoding", "br", "If-None-Match", `W/"1+br"`)
	if resp.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("If-None-Match of a compressed form: %d", resp.StatusCode)
	}
}

func TestFieldsComeFromTheStoredWhole(t *testing.T) {
	_, url, b := startYAML(t, everything, item)
	for i, c := range []struct{ fields, want string }{
		{"other", `{"other":1}`}, {"path,other", `{"path":"/items/1","other":1}`}, {"other,path", `{"path":"/items/1","other":1}`},
	} {
		resp, body := get(t, url+"/items/1?fields="+c.fields)
		if strings.TrimSpace(body) != c.want || i == 2 && !strings.Contains(cacheStatus(resp), "; hit") {
			t.Errorf("%s: %s (%s)", c.fields, body, cacheStatus(resp))
		}
		if resp.Header.Get("X-Larder-Internal-Tags") != "" || len(resp.Header["Cache-Status"]) != 1 {
			t.Errorf("%v", resp.Header)
		}
	}
	get(t, url+"/items/1")
	if b.asked.Load() != 1 {
		t.Errorf("the upstream was asked %d times for one item", b.asked.Load())
	}
	if resp, _ := get(t, url+"/items/1?fields="); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("no fields: %d", resp.StatusCode)
	}
}

func TestAggregates(t *testing.T) {
	_, url, b := startYAML(t, everything, item)
	resp, body := get(t, url+"/pairs/1/2")
	if !strings.HasPrefix(body, `{"a":{"path":"/items/1"`) || !strings.Contains(body, `"b":{"path":"/items/2"`) || resp.Header.Get("Cache-Control") != "public, max-age=60" {
		t.Errorf("%s %v", body, resp.Header)
	}
	if resp, _ := get(t, url+"/pairs/1/2"); !strings.Contains(cacheStatus(resp), "; hit") {
		t.Errorf("the whole is not stored: %s", cacheStatus(resp))
	}
	get(t, url+"/pairs/2/1")
	if b.asked.Load() != 2 {
		t.Errorf("the upstream was asked %d times for two items: parts are not stored", b.asked.Load())
	}
	if _, body := get(t, url+"/pairs/1/absent?fields=a.other,b"); strings.TrimSpace(body) != `{"a":{"other":1},"b":null}` {
		t.Errorf("without an optional part: %s", body)
	}
	if resp, _ := get(t, url+"/pairs/absent/1"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("without a required part: %d", resp.StatusCode)
	}
}

// A purge must reach everything that was made of the purged response.
func TestPurgeReachesWhatWasMade(t *testing.T) {
	_, url, b := startYAML(t, everything, item)
	made := []string{"/items/1", "/items/1?fields=other", "/pairs/1/2", "/pairs/1/2?fields=a.other"}
	for range 2 {
		for _, path := range made {
			get(t, url+path)
		}
	}
	for _, path := range made {
		if resp, _ := get(t, url+path); !strings.Contains(cacheStatus(resp), "; hit") {
			t.Fatalf("%s is not stored: %s", path, cacheStatus(resp))
		}
	}
	before := b.asked.Load()
	resp, err := client.Post(url+"/_larder/purge", "application/x-www-form-urlencoded", strings.NewReader("tag=item:1"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, path := range made {
		if resp, _ := get(t, url+path); strings.Contains(cacheStatus(resp), "; hit") {
			t.Errorf("%s is still there: %s", path, cacheStatus(resp))
		}
	}
	if b.asked.Load() == before {
		t.Error("nothing was fetched again")
	}
}

func TestRequestIDsAndCORSAreTheRequests(t *testing.T) {
	g, url, b := startYAML(t, everything, item)
	first, _ := get(t, url+"/items/1", "Origin", "https://app.example")
	second, _ := get(t, url+"/items/1", "X-Request-Id", "mine")
	if id := first.Header.Get("X-Request-Id"); id == "" || id == "the upstream's" || len(first.Header["X-Request-Id"]) != 1 || b.last.Load().Header.Get("X-Request-Id") != id {
		t.Errorf("made: %v", first.Header["X-Request-Id"])
	}
	if second.Header.Get("X-Request-Id") != "mine" || !strings.Contains(cacheStatus(second), "; hit") {
		t.Errorf("the client's: %v %s", second.Header["X-Request-Id"], cacheStatus(second))
	}
	if v := first.Header["Access-Control-Allow-Origin"]; len(v) != 1 || v[0] != "https://app.example" || !strings.Contains(strings.Join(first.Header["Vary"], ","), "Origin") {
		t.Errorf("%v", first.Header)
	}
	if v, ok := second.Header["Access-Control-Allow-Origin"]; ok {
		t.Errorf("without an Origin: %q", v)
	}
	if tags := g.tags.List(1); len(tags) != 1 || tags[0].Name != "item:1" {
		t.Errorf("top tags: %v", tags)
	}
}

func TestRouting(t *testing.T) {
	_, url, _ := startYAML(t, `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {name: get, path: /only/, methods: [GET], upstream: u}
  - {name: api, path: /api/, strip_prefix: /api, upstream: u, cache: false}
`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, r.URL.Path)
	})
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/only/x", "/only/x", 200},
		{"POST", "/only/x", "", 405},
		{"HEAD", "/only/x", "", 200},
		{"GET", "/api/x", "/x", 200},
		{"GET", "/elsewhere", "", 404},
		{"GET", "/api/../only/x", "", 307},
	} {
		resp, body := do(t, c.method, url+c.path)
		if resp.StatusCode != c.status || c.body != "" && body != c.body {
			t.Errorf("%s %s: %d %q", c.method, c.path, resp.StatusCode, body)
		}
		if c.path == "/api/x" && cacheStatus(resp) != "" {
			t.Errorf("cache: false, and yet %s", cacheStatus(resp))
		}
	}
}

func TestTTL(t *testing.T) {
	_, url, b := startYAML(t, `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {path: /default/, upstream: u, ttl: 60s}
  - {path: /override/, upstream: u, ttl: 60s, ttl_override: true}
`, func(w http.ResponseWriter, r *http.Request) {
		if cc := r.URL.Query().Get("cc"); cc != "" {
			w.Header().Set("Cache-Control", cc)
		}
		if r.URL.Query().Get("cookie") != "" {
			w.Header().Set("Set-Cookie", "a=b")
		}
		if r.URL.Query().Get("fail") != "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	for target, want := range map[string]int64{
		"/default/": 1, "/default/?cc=max-age=0": 2, "/default/?cc=no-store": 2, "/default/?fail=1": 2, "/default/?cookie=1": 2,
		"/override/": 1, "/override/?cc=max-age=0": 1, "/override/?cc=no-store": 2, "/override/?cc=private": 2, "/override/?fail=1": 2,
	} {
		before := b.asked.Load()
		var last *http.Response
		for range 2 {
			last, _ = get(t, url+target)
		}
		if got := b.asked.Load() - before; got != want || last.Header.Get("Larder-Cache-Control") != "" {
			t.Errorf("%s: asked %d times, want %d; %v", target, got, want, last.Header)
		}
	}
}

func TestLimits(t *testing.T) {
	_, url, _ := startYAML(t, `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {path: /all, upstream: u, rate_limit: {per_second: 0.001, burst: 2}}
  - {path: /each, upstream: u, client_rate_limit: {requests: 2, per: 1h}}
`, item)
	for _, path := range []string{"/all", "/each"} {
		for i, want := range []int{200, 200, 429} {
			if resp, _ := get(t, url+path); resp.StatusCode != want {
				t.Errorf("%s, request %d: %d, want %d", path, i, resp.StatusCode, want)
			}
		}
	}
}

// Waiters for a slow upstream time out by themselves, and nothing hangs.
func TestTimeouts(t *testing.T) {
	_, url, _ := startYAML(t, `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {path: /cached, upstream: u, timeout: 50ms}
  - {path: /uncached, upstream: u, timeout: 50ms, cache: false}
`, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, path := range []string{"/cached", "/uncached"} {
		results := make(chan string, 10)
		for range cap(results) {
			go func() {
				resp, err := client.Get(url + path)
				if err != nil {
					results <- err.Error()
					return
				}
				resp.Body.Close()
				results <- resp.Status
			}()
		}
		for range cap(results) {
			select {
			case got := <-results:
				if !strings.HasPrefix(got, "504") && !strings.HasPrefix(got, "503") {
					t.Errorf("%s: %s", path, got)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s hangs", path)
			}
		}
	}
}

func TestRetriesBehindTheCache(t *testing.T) {
	var first atomic.Bool
	_, url, b := startYAML(t, `
upstreams: {u: {targets: ["%s"], retry: {attempts: 3, backoff: 1ms}}}
routes: [{path: /, upstream: u}]
`, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		item(w, r)
	})
	if resp, _ := get(t, url+"/items/1"); resp.StatusCode != 200 || b.asked.Load() != 2 {
		t.Errorf("%d after %d attempts", resp.StatusCode, b.asked.Load())
	}
}
