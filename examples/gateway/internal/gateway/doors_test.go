package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// idle waits until an upstream has no request in flight.
func idle(t *testing.T, g *Gateway) {
	t.Helper()
	eventually(t, "the upstream's connection is free", func() bool {
		for _, p := range g.state.Load().pools {
			for _, s := range p.Status() {
				if s.InFlight > 0 {
					return false
				}
			}
		}
		return true
	})
}

// connect opens a connection that reads nothing unless asked to.
func connect(t *testing.T, url, request string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c
}

// endless answers with more than any buffers take.
func endless(w http.ResponseWriter, r *http.Request) {
	block := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// A client that takes nothing of an answer doesn't hold the upstream's connection: neither
// past the idle timeout, nor past the route's.
func TestClientsThatDoNotRead(t *testing.T) {
	for name, set := range map[string]func(c *config.Config){
		"idle":  func(c *config.Config) { c.Server.SendTimeout = 300 * time.Millisecond },
		"route": func(c *config.Config) { c.Routes[0].Timeout = 300 * time.Millisecond },
	} {
		for _, method := range []string{"GET", "POST"} {
			for _, cached := range []bool{true, false} {
				var began atomic.Bool
				c := origin(t, func(w http.ResponseWriter, r *http.Request) {
					began.Store(true)
					endless(w, r)
				})
				set(c)
				c.Routes[0].Cache = &cached
				g, url, _ := start(t, c)
				connect(t, url, method+" / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
				eventually(t, name+": the upstream is asked", began.Load)
				idle(t, g)
			}
		}
	}
}

// A slow client is not a dead one.
func TestSlowReadersAreServed(t *testing.T) {
	const size = 4 << 20
	c := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write(make([]byte, size))
	})
	c.Server.SendTimeout = 400 * time.Millisecond
	_, url, _ := start(t, c)
	for _, what := range []string{"miss", "hit"} {
		conn := connect(t, url, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		n, block := 0, make([]byte, 256<<10)
		for {
			k, err := io.ReadFull(conn, block)
			n += k
			if err != nil {
				break
			}
			time.Sleep(60 * time.Millisecond) // a second for it all, more than the timeout
		}
		if n < size {
			t.Errorf("%s: cut off after %d bytes", what, n)
		}
	}
}

// A client that announces content and doesn't send it is cut off, and its connection is
// good for more if it sends it after all.
func TestClientsThatDoNotSend(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	c.Server.BodyTimeout = 300 * time.Millisecond
	g, url, _ := start(t, c)
	connect(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nx")
	eventually(t, "the upstream is asked", func() bool { return g.state.Load().pools["upstream"].Status()[0].Requests > 0 })
	idle(t, g)

	conn := connect(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
	r := bufio.NewReader(conn)
	for range 2 {
		_, _ = io.WriteString(conn, "ok")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || string(body) != "ok" {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
		time.Sleep(400 * time.Millisecond) // the deadline of the content must not be the connection's
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
	}
}

// Content that nobody reads has to come as well, and within the time.
func TestClientsThatDoNotSendWhatNobodyReads(t *testing.T) {
	_, url, _ := startYAML(t, `
server: {body_timeout: 100ms}
upstreams: {u: {targets: ["%s"]}}
routes:
  - {name: u, path: /u/, methods: [GET], upstream: u}
  - {name: a, path: /a, aggregate: {parts: [{name: a, upstream: u, path: /u/x}]}}
  - {name: l, path: /l, upstream: u, client_rate_limit: {requests: 1, per: 1h}}
`, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "%q", strings.Repeat("x", 5000))
	})
	get(t, url+"/l")
	for target, want := range map[string]int{
		"GET /a": 200, "POST /u/x": 405, "POST /a": 405, "PUT /l": 429, "PUT /u/..%2f": 400, "TRACE /": 501,
		"POST /none": 404, "POST /healthz": 200, "GET /_larder/purge": 405, "POST /_larder/purge": 400,
	} {
		for _, length := range []string{"Content-Length: 1000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"} {
			host := strings.TrimPrefix(url, "http://")
			conn := connect(t, url, target+" HTTP/1.1\r\nHost: "+host+
				"\r\nContent-Type: application/x-www-form-urlencoded\r\n"+length)
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != want {
				t.Errorf("%s, %q: %v %v, want %d", target, length, resp, err, want)
				continue
			}
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("%s, %q: the connection stays open: %v", target, length, err)
			}
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	c.Server.MaxRequestBytes = 10
	_, url, _ := start(t, c)
	for body, ok := range map[string]bool{
		"Content-Length: 10\r\n\r\n0123456789": true, "Content-Length: 11\r\n\r\n0123456789x": false,
		"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n":  true,
		"Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n0\r\n\r\n": false,
	} {
		status, answer := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+body)
		if ok && (status != 200 || answer != "10 <nil>") || !ok && status < 400 {
			t.Errorf("%q: %d %s", body, status, answer)
		}
		if strings.HasPrefix(body, "Content-Length: 11") && status != http.StatusRequestEntityTooLarge {
			t.Errorf("announced: %d", status)
		}
	}
}

// After a reload, a limit that did not change knows what it has counted.
func TestReloadKeepsLimits(t *testing.T) {
	const text = `
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  - {name: same, path: /same, upstream: u, client_rate_limit: {requests: 2, per: 1h}}
  - {name: all, path: /all, upstream: u, rate_limit: {per_second: 0.001, burst: 2}}
  - {name: changed, path: /changed, upstream: u, rate_limit: {per_second: 0.001, burst: %d}}
`
	g, url, _ := start(t, parse(t, fmt.Sprintf(text, 2)))
	ask := func(path string) int {
		resp, _ := get(t, url+path)
		return resp.StatusCode
	}
	for range 2 {
		for _, path := range []string{"/same", "/all", "/changed"} {
			if got := ask(path); got == 429 {
				t.Fatalf("%s: limited too early", path)
			}
		}
	}
	next := parse(t, fmt.Sprintf(text, 3))
	next.Cache.MaxBytes = 8 << 20
	if err := g.Reload(next); err != nil {
		t.Fatal(err)
	}
	for path, limited := range map[string]bool{"/same": true, "/all": true, "/changed": false} {
		if got := ask(path); (got == 429) != limited {
			t.Errorf("%s after a reload: %d", path, got)
		}
	}
}

// What a reload does not change is said, by name.
func TestReloadTellsWhatNeedsARestart(t *testing.T) {
	c := config.Plain("http://127.0.0.1:1")
	g, _, log := start(t, c)
	next := *c
	next.Listen, next.Server.MaxConnections, next.Log.Access = "127.0.0.1:9", 7, "off"
	if err := g.Reload(&next); err != nil {
		t.Fatal(err)
	}
	text := log.String()
	for _, want := range []string{"needs a restart\" setting=listen", "configured=127.0.0.1:9", "setting=server.max_connections"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %s:\n%s", want, text)
		}
	}
	if strings.Count(text, "needs a restart") != 2 {
		t.Errorf("more is told than has changed:\n%s", text)
	}
}

// A path that a reload points elsewhere is not answered with what was stored before.
func TestReloadElsewhere(t *testing.T) {
	one := origin(t, fresh("one")).Upstreams["upstream"].Targets[0]
	two := origin(t, fresh("two")).Upstreams["upstream"].Targets[0]
	text := fmt.Sprintf("upstreams: {one: {targets: [%q]}, two: {targets: [%q]}}\nroutes: [{path: /, upstream: %%s}]", one, two)
	g, url, _ := start(t, parse(t, fmt.Sprintf(text, "one")))
	for i, name := range []string{"one", "two", "one"} {
		if i > 0 {
			next := parse(t, fmt.Sprintf(text, name))
			next.Cache.MaxBytes = 8 << 20
			if err := g.Reload(next); err != nil {
				t.Fatal(err)
			}
		}
		if _, body := get(t, url+"/x"); body != name {
			t.Errorf("routed to %s, answered by %s", name, body)
		}
	}
	// A purge by URL reaches what either has stored.
	resp, _ := do(t, "POST", url+"/_larder/purge?url="+url+"/x")
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	if resp, _ := get(t, url+"/x"); strings.Contains(cacheStatus(resp), "; hit") {
		t.Error("a purge by URL missed the route's partition")
	}
}

func fresh(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, body)
	}
}

// Cookies that are set for one client are not given to another, unless that is wanted.
func TestSetCookieIsNotStored(t *testing.T) {
	for _, store := range []bool{false, true} {
		c := origin(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Set-Cookie", "sid=alice")
		})
		c.Cache.StoreSetCookie = store
		_, url, _ := start(t, c)
		get(t, url)
		if resp, _ := get(t, url); strings.Contains(cacheStatus(resp), "; hit") != store {
			t.Errorf("store_set_cookie %v: %s", store, cacheStatus(resp))
		}
	}
}

// A route's lifetime is for responses that say nothing to anybody, down to milliseconds.
func TestTTLLeavesTheOriginsWord(t *testing.T) {
	_, url, b := startYAML(t, `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {path: /short/, upstream: u, ttl: 900ms}
  - {path: /default/, upstream: u, ttl: 60s}
  - {path: /override/, upstream: u, ttl: 60s, ttl_override: true}
`, func(w http.ResponseWriter, r *http.Request) {
		if name, value, ok := strings.Cut(r.URL.RawQuery, "="); ok {
			w.Header().Set(name, strings.ReplaceAll(value, "+", " "))
		}
	})
	asked := func(target string, header ...string) int64 {
		before := b.asked.Load()
		get(t, url+target, header...)
		get(t, url+target, header...)
		return b.asked.Load() - before
	}
	for target, want := range map[string]int64{
		"/default/": 1, "/short/": 1, "/default/?Cache-Control=public": 1,
		"/default/?CDN-Cache-Control=no-store": 2, "/default/?Larder-Cache-Control=no-store": 2, "/default/?Surrogate-Control=no-store": 2,
		"/override/?CDN-Cache-Control=no-store": 2, "/override/?Larder-Cache-Control=no-store": 2, "/override/?Cache-Control=no-store": 2,
	} {
		if got := asked(target); got != want {
			t.Errorf("%s: asked %d times, want %d", target, got, want)
		}
	}
	for _, target := range []string{"/default/?Vary=X", "/override/?Vary=X"} {
		if got := asked(target, "Cookie", "sid=alice"); got != 2 {
			t.Errorf("%s with a cookie: asked %d times", target, got)
		}
	}
}

// A browser's question before a request reaches the route of the method that it asks for,
// and it may read what a limit answers.
func TestCORSWithMethodsAndLimits(t *testing.T) {
	_, url, b := startYAML(t, `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {name: get, path: /x, methods: [GET], upstream: u, cors: {origins: ["https://a.example"], methods: [GET]}, client_rate_limit: {requests: 1, per: 1h}}
  - {name: put, path: /x, methods: [PUT], upstream: u, cors: {origins: ["https://b.example"], methods: [PUT]}}
  - {name: none, path: /none, methods: [GET], upstream: u}
`, item)
	for _, c := range []struct{ origin, method, path, allowed string }{
		{"https://a.example", "GET", "/x", "https://a.example"},
		{"https://b.example", "PUT", "/x", "https://b.example"},
		{"https://b.example", "GET", "/x", ""},
		{"https://b.example", "DELETE", "/x", ""},
	} {
		resp, _ := do(t, "OPTIONS", url+c.path, "Origin", c.origin, "Access-Control-Request-Method", c.method)
		if got := resp.Header.Get("Access-Control-Allow-Origin"); resp.StatusCode != 204 || got != c.allowed {
			t.Errorf("%v: %d, %q", c, resp.StatusCode, got)
		}
	}
	for _, path := range []string{"/x", "/none"} {
		header := []string{"Origin", "https://a.example", "Access-Control-Request-Method", "GET"}
		if path == "/x" {
			header = nil
		}
		if resp, _ := do(t, "OPTIONS", url+path, header...); resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
			t.Errorf("OPTIONS %s that is no question of a browser's: %d", path, resp.StatusCode)
		}
	}
	if b.asked.Load() != 0 {
		t.Errorf("the upstream was asked %d times", b.asked.Load())
	}
	get(t, url+"/x", "Origin", "https://a.example")
	resp, _ := get(t, url+"/x", "Origin", "https://a.example")
	if resp.StatusCode != 429 || resp.Header.Get("Access-Control-Allow-Origin") != "https://a.example" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// upgraded opens a WebSocket, or what passes for one.
func upgraded(t *testing.T, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := connect(t, url, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	return c, r
}

// echo takes an upgrade and sends back what comes.
func echo(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}

// Stopping waits for a WebSocket that ends in time, cuts one that doesn't, says so, and is
// no failure either way.
func TestStopWithOpenConnections(t *testing.T) {
	for name, c := range map[string]struct {
		grace time.Duration
		ends  bool
	}{"ends": {20 * time.Second, true}, "stays": {300 * time.Millisecond, false}} {
		t.Run(name, func(t *testing.T) {
			out := &lines{}
			conf := origin(t, echo)
			conf.Listen, conf.Cache.MaxBytes, conf.Shutdown.Timeout = "127.0.0.1:0", 8<<20, c.grace
			if err := conf.Finish(); err != nil {
				t.Fatal(err)
			}
			g, err := New(conf, slog.New(slog.NewTextHandler(out, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			address, served := make(chan string, 1), make(chan error, 1)
			go func() { served <- g.Serve(ctx, func(a string) { address <- a }) }()
			conn, r := upgraded(t, "http://"+<-address)
			stop()
			eventually(t, "it drains", g.draining.Load)
			if c.ends {
				time.Sleep(50 * time.Millisecond)
				_, _ = io.WriteString(conn, "still here\n")
				if line, err := r.ReadString('\n'); err != nil || line != "still here\n" {
					t.Fatalf("%q, %v while stopping", line, err)
				}
				conn.Close()
			}
			select {
			case err := <-served:
				if err != nil {
					t.Errorf("Serve: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it did not stop")
			}
			if told := strings.Contains(out.String(), "upgraded connections were still open"); told == c.ends {
				t.Errorf("the log:\n%s", out)
			}
		})
	}
}

// A stream that outlasts the grace is cut and told of, and is no failure.
func TestStopWithAStream(t *testing.T) {
	var began sync.WaitGroup
	began.Add(1)
	out := &lines{}
	c := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		began.Done()
		<-r.Context().Done()
	})
	c.Listen, c.Cache.MaxBytes, c.Shutdown.Timeout = "127.0.0.1:0", 8<<20, 200*time.Millisecond
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	g, err := New(c, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	address, served := make(chan string, 1), make(chan error, 1)
	go func() { served <- g.Serve(ctx, func(a string) { address <- a }) }()
	connect(t, "http://"+<-address, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	began.Wait()
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if !strings.Contains(out.String(), "requests were still in flight") {
		t.Errorf("the log:\n%s", out)
	}
}

// While draining, kept-alive clients are told to go elsewhere.
func TestDrainingClosesKeptConnections(t *testing.T) {
	g, url, _ := start(t, origin(t, fresh("x")))
	if resp, _ := get(t, url); resp.Close {
		t.Error("before")
	}
	g.draining.Store(true)
	if resp, body := get(t, url); !resp.Close || body != "x" {
		t.Errorf("while draining: %v %q", resp.Header, body)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	c := origin(t, fresh("x"))
	c.Server.MaxConnections = 1
	_, url, _ := start(t, c)
	first := connect(t, url, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil {
		t.Fatal(err)
	}
	second := connect(t, url, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	_ = second.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("two connections are served at once")
	}
	first.Close()
	_ = second.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := http.ReadResponse(bufio.NewReader(second), nil); err != nil {
		t.Errorf("after the first has gone: %v", err)
	}
}

// What an upstream says of its own URLs leads clients back through the gateway.
func TestLocations(t *testing.T) {
	u := &config.Upstream{Targets: []string{"http://10.0.0.1:8080/app", "http://10.0.0.2/app/", "https://back.example"}}
	asked := func(base string) *http.Request {
		r, err := http.NewRequest("GET", base, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-Host", "shop.example")
		return r
	}
	for _, c := range []struct{ prefix, base, reference, want string }{
		{"", "http://10.0.0.1:8080/app/x", "http://10.0.0.1:8080/app/login?next=%2Fa#top", "/login?next=%2Fa#top"},
		{"", "http://10.0.0.1:8080/app/x", "http://10.0.0.1:8080/app", "/"},
		{"", "http://10.0.0.1:8080/app/x", "http://10.0.0.2:80/app/a%2Fb", "/a%2Fb"}, // another target of the pool
		{"", "http://10.0.0.1:8080/app/x", "/app/login", "/login"},
		{"", "http://10.0.0.1:8080/app/x", "http://shop.example/app/login", "/login"},
		{"", "http://10.0.0.1:8080/app/x", "//10.0.0.1:8080/app/x", "/x"},
		{"", "http://10.0.0.1:8080/app/x", "http://10.0.0.1:8080/app//evil.example", "/.//evil.example"},
		{"/shop", "http://10.0.0.1:8080/app/x", "http://10.0.0.1:8080/app/login", "/shop/login"},
		{"/shop", "https://back.example/x", "/login", "/shop/login"},
		{"", "https://back.example/x", "https://back.example:443/login", "/login"},
		// These stay.
		{"", "https://back.example/x", "/login", "/login"},
		{"", "https://back.example/x", "login", "login"},
		{"/shop", "https://back.example/x", "../login", "../login"},
		{"", "http://10.0.0.1:8080/app/x", "http://10.0.0.1:8080/other", "http://10.0.0.1:8080/other"},
		{"", "http://10.0.0.1:8080/app/x", "http://10.0.0.1:8080/application", "http://10.0.0.1:8080/application"},
		{"", "http://10.0.0.1:8080/app/x", "https://elsewhere.example/app/login", "https://elsewhere.example/app/login"},
		{"", "http://10.0.0.1:8080/app/x", "mailto:a@b", "mailto:a@b"},
		{"", "http://10.0.0.1:8080/app/x", "http://user@10.0.0.1:8080/app/x", "http://user@10.0.0.1:8080/app/x"},
		{"", "http://10.0.0.1:8080/app/x", "%zz", "%zz"},
	} {
		resp := &http.Response{Header: http.Header{"Location": {c.reference}, "Content-Location": {c.reference}}, Request: asked(c.base)}
		newLocations(u, c.prefix).apply(resp)
		if l, cl := resp.Header.Get("Location"), resp.Header.Get("Content-Location"); l != c.want || cl != c.want {
			t.Errorf("%s from %s, prefix %q: %q and %q, want %q", c.reference, c.base, c.prefix, l, cl, c.want)
		}
	}
}

// What a POST has created is invalidated under the name that clients know it by.
func TestCreatedItemIsInvalidated(t *testing.T) {
	var asked atomic.Int64
	_, url, _ := start(t, origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Location", "http://"+r.Host+"/items/7")
			w.WriteHeader(http.StatusCreated)
			return
		}
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	get(t, url+"/items/7")
	get(t, url+"/items/7")
	resp, _ := do(t, "POST", url+"/items")
	if got := resp.Header.Get("Location"); got != "/items/7" {
		t.Errorf("the client is sent to %s", got)
	}
	get(t, url+"/items/7")
	if asked.Load() != 2 {
		t.Errorf("asked %d times, want once before and once after the POST", asked.Load())
	}
}

func TestParametersThatMakeNoDifference(t *testing.T) {
	_, url, b := startYAML(t, `
cache: {ignore_query: ["utm_*"]}
upstreams: {u: {targets: ["%s"]}}
routes:
  - {path: /, upstream: u}
  - {path: /r/, upstream: u, ignore_query: [sid]}
`, fresh("x"))
	for _, c := range []struct {
		target string
		asked  int64
	}{{"/?a=1", 1}, {"/?a=1&utm_source=x", 0}, {"/?a=1&sid=3", 1}, {"/r/?a=1&sid=1", 1}, {"/r/?a=1&utm_x=1&sid=2", 0}, {"/r/?a=2", 1}} {
		before := b.asked.Load()
		get(t, url+c.target)
		if got := b.asked.Load() - before; got != c.asked {
			t.Errorf("%s: asked %d times, want %d", c.target, got, c.asked)
		}
	}
	if last := b.last.Load(); last.RequestURI != "/r/?a=2" {
		t.Errorf("the upstream saw %s", last.RequestURI)
	}
}

// A handler that panics is an error that somebody must see; noise of clients is none.
func TestServerErrorsHaveLevels(t *testing.T) {
	out := &lines{}
	e := serverErrors{slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	fmt.Fprintln(e, "http: panic serving 127.0.0.1:1: boom")
	fmt.Fprintln(e, "http: TLS handshake error from 127.0.0.1:2")
	if text := out.String(); !strings.Contains(text, `level=ERROR msg="http: panic`) || !strings.Contains(text, `level=DEBUG msg="http: TLS`) {
		t.Error(text)
	}
}
