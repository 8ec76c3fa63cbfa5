package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What the gateway makes of resources is bound by what these said, and goes when they change.

// versioned answers GET with a number that other methods raise.
func versioned() http.HandlerFunc {
	var version atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			version.Add(1)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "max-age=600")
		h.Set("Surrogate-Key", "/items, /items/1")
		fmt.Fprintf(w, `{"v":%d,"pad":%q}`, version.Load(), strings.Repeat("x", 2000))
	}
}

const making = `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {name: items, path: "/items/", upstream: u, fields: true, compress: [gzip]}
  - {name: other, path: "/other/", upstream: u, strip_prefix: /other}
  - name: whole
    path: /whole/{id}
    fields: true
    aggregate: {parts: [{name: a, upstream: u, path: "/items/{id}"}]}
`

func TestWhatIsMadeGoesWithItsSource(t *testing.T) {
	for _, change := range []struct{ method, target string }{
		{"PUT", "/items/1"}, {"DELETE", "/other/items/1"}, {"PUT", "/items/%31"}, {"PUT", "/other/%69tems/1"},
		{"POST", "/_larder/purge?url=/items/1"}, {"POST", "/_larder/purge?tag=/items"}, {"POST", "/_larder/purge?tag=/items/1"},
		{"POST", "/_larder/purge?url=/items/%2531"}, {"POST", "/_larder/purge?url=/whole/1"}, {"POST", "/_larder/purge?url=/other/items/1"},
		{"POST", "/_larder/purge?prefix=/items"}, {"POST", "/_larder/purge?prefix=/whole/"}, {"POST", "/_larder/purge?prefix=/other/"},
	} {
		_, url, b := startYAML(t, making, versioned())
		made := []string{"/items/1", "/items/1?fields=v", "/whole/1", "/whole/1?fields=a.v", "/other/items/1"}
		for range 2 {
			for _, target := range made {
				get(t, url+target)
			}
		}
		if n := b.asked.Load(); n > 4 {
			t.Fatalf("the upstream was asked %d times before anything changed", n)
		}
		at := change.target
		at = strings.NewReplacer("url=/", "url="+url+"/", "prefix=/", "prefix="+url+"/").Replace(at)
		r, _ := http.NewRequest(change.method, url+at, nil)
		resp, err := client.Do(r)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
		for _, target := range made {
			resp, _ := get(t, url+target)
			if status := cacheStatus(resp); strings.Contains(status, "; hit") {
				t.Errorf("%s %s: then %s: %s", change.method, change.target, target, status)
			}
		}
	}
}

// Purges take URLs in any spelling of the host.
func TestPurgesTakeHostsAsTheDoorDoes(t *testing.T) {
	_, url, _ := startYAML(t, making, versioned())
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	for _, parameter := range []string{"url", "prefix"} {
		for range 2 {
			get(t, url+"/items/1")
		}
		resp, body := do(t, "POST", url+"/_larder/purge?"+parameter+"=http://127.0.0.1.:"+port+"/items/1")
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"matched":1`) {
			t.Errorf("%s: %d %s", parameter, resp.StatusCode, body)
		}
	}
}

func TestWhatIsMadeIsStoredNoMoreThanItsSource(t *testing.T) {
	for _, c := range []struct{ field, value string }{
		{"CDN-Cache-Control", "no-store"}, {"Larder-Cache-Control", "no-store"}, {"Cache-Control", "max-age=60, no-store; x"},
	} {
		_, url, b := startYAML(t, making, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set(c.field, c.value)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"v":1}`)
		})
		for _, target := range []string{"/items/1", "/items/1?fields=v", "/whole/1", "/whole/1?fields=a"} {
			before := b.asked.Load()
			for range 2 {
				resp, _ := get(t, url+target)
				for name := range resp.Header {
					if strings.HasPrefix(name, "X-Larder-Internal") {
						t.Errorf("%s: %s got out", target, name)
					}
				}
			}
			if n := b.asked.Load() - before; n != 2 {
				t.Errorf("%s: %s: %s: asked %d times for two requests", c.field, c.value, target, n)
			}
		}
	}
}

// A part that came first must not keep what follows from being compressed.
func TestARangeDoesNotEndCompression(t *testing.T) {
	body := strings.Repeat("abcdefgh", 1000)
	_, url, _ := startYAML(t, `
upstreams: {u: {targets: ["%s"]}}
routes: [{path: /, upstream: u, compress: [gzip]}]
`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	})
	resp, part := get(t, url+"/x", "Accept-Encoding", "gzip", "Range", "bytes=0-0")
	if resp.StatusCode != http.StatusPartialContent || part != "a" || resp.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%d %q %v", resp.StatusCode, part, resp.Header)
	}
	for range 2 {
		resp, whole := get(t, url+"/x", "Accept-Encoding", "gzip")
		if resp.Header.Get("Content-Encoding") != "gzip" || len(whole) > 1000 || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%d bytes, %v", len(whole), resp.Header)
		}
	}
	if resp, whole := get(t, url+"/x"); whole != body || resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("plain: %d bytes, %v", len(whole), resp.Header)
	}
}

// Who waits for an upstream that does not answer waits once, with all the others.
func TestErrorsOfTheWayAreShared(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
	}{
		"timeout": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504},
		"broken off": {func(http.ResponseWriter, *http.Request) {
			time.Sleep(300 * time.Millisecond)
			panic(http.ErrAbortHandler)
		}, 502},
	} {
		_, url, b := startYAML(t, `
upstreams: {u: {targets: ["%s"], timeout: {header: 500ms}}}
routes: [{path: /, upstream: u}]
`, c.handler)
		results := make(chan string, 40)
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				resp, err := client.Get(url + "/x")
				if err != nil {
					results <- err.Error()
					return
				}
				resp.Body.Close()
				results <- strconv.Itoa(resp.StatusCode)
			})
		}
		all.Wait()
		close(results)
		for got := range results {
			if got != strconv.Itoa(c.status) {
				t.Errorf("%s: %s", name, got)
			}
		}
		// A request or two may come when the answer has gone out already.
		if n := b.asked.Load(); n > 3 {
			t.Errorf("%s: the upstream was asked %d times", name, n)
		}
	}
}

// A route's timeout ends with the wait, for what has no end.
func TestTimeoutsAndStreams(t *testing.T) {
	_, url, b := startYAML(t, `
upstreams: {u: {targets: ["%s"], timeout: {body: 100ms}}}
routes: [{path: /, upstream: u, timeout: 100ms}]
`, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		for range 4 {
			fmt.Fprint(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	})
	if _, body := get(t, url+"/events"); strings.Count(body, "data: 1") != 4 || b.asked.Load() != 1 {
		t.Errorf("%q", body)
	}
}

func TestUpgradesOutliveTimeouts(t *testing.T) {
	_, url, _ := startYAML(t, `
upstreams: {u: {targets: ["%s"], timeout: {body: 100ms}}}
routes: [{path: /, upstream: u, timeout: 100ms}]
`, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	time.Sleep(300 * time.Millisecond)
	_, _ = io.WriteString(conn, "still here\n")
	if line, err := in.ReadString('\n'); line != "still here\n" {
		t.Errorf("%q, %v", line, err)
	}
}
