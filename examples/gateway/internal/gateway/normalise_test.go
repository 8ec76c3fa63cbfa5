package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

func TestHostHasOneForm(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a.example": "a.example", "A.Example": "a.example", "a.example.": "a.example", "A.EXAMPLE.:80": "a.example",
		"a.example:80": "a.example", "a.example:": "a.example", "a.example:0080": "a.example", "a.example:8080": "a.example:8080",
		"a.example:443": "a.example:443", "127.0.0.1:8080": "127.0.0.1:8080", "[::1]": "[::1]", "[0:0::1]:80": "[::1]",
		"[2001:DB8::1]:8080": "[2001:db8::1]:8080", "under_score.example": "under_score.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
	} {
		if got, err := normalHost(text, false); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
		if again, err := normalHost(want, false); err != nil || again != want {
			t.Errorf("%q has another form, %q, %v", want, again, err)
		}
	}
	if got, _ := normalHost("a.example:443", true); got != "a.example" {
		t.Errorf("https: %q", got)
	}
	for _, text := range []string{
		".", "..", "a..example", ".a", "a.example..", "a b", "a/b", "a%2eexample", "user@a", "a:b", "a:80:80", "a:123456",
		"[::1", "::1", "[::1]x", "[fe80::1%25eth0]", "[127.0.0.1]", "bücher.example", "a\x00", "a,b", "a\\b", strings.Repeat("a", 300),
	} {
		if got, err := normalHost(text, false); err == nil {
			t.Errorf("%q passed as %q", text, got)
		}
	}
}

// pass returns the status with which a request is refused, or 200, and where it leads. It
// leaves what the upstream would be sent.
func pass(t *testing.T, n *normaliser, r *http.Request) (int, string) {
	t.Helper()
	var no *refusal
	var to redirection
	switch err := n.admit(r); {
	case errors.As(err, &no):
		return no.status, ""
	case errors.As(err, &to):
		return 307, string(to)
	case err != nil:
		t.Fatal(err)
	}
	n.complete(r)
	return 200, r.URL.RequestURI()
}

func named(name string) *normaliser { return &normaliser{name: name, via11: []string{"1.1 " + name}} }

func request(t *testing.T, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.URL, r.RequestURI = u, target
	return r
}

// What a path becomes in a plain proxy, in one for a base path, and with several routes.
func TestPaths(t *testing.T) {
	type is struct {
		status int
		target string
	}
	same := func(target string) is { return is{200, target} }
	no := is{status: 400}
	for target, want := range map[string][3]is{
		"/a/b?c=%2e%2e/../": {same("/a/b?c=%2e%2e/../"), same("/a/b?c=%2e%2e/../"), same("/a/b?c=%2e%2e/../")},
		"/a//b":             {same("/a//b"), same("/a//b"), {307, "/a/b"}},
		"//admin%20x?q=1":   {same("//admin%20x?q=1"), same("//admin%20x?q=1"), {307, "/admin%20x?q=1"}},
		"/a/./b":            {same("/a/./b"), same("/a/./b"), {307, "/a/b"}},
		"/a/../b":           {same("/a/../b"), same("/a/../b"), {307, "/b"}},
		"/a/..":             {same("/a/.."), same("/a/.."), {307, "/"}},
		"/a/b/..":           {same("/a/b/.."), same("/a/b/.."), {307, "/a/"}},
		"/a/%2e%2E/b":       {same("/a/%2e%2E/b"), same("/a/%2e%2E/b"), {307, "/b"}},
		"/a/.%2e/b%2Fc":     {same("/a/.%2e/b%2Fc"), same("/a/.%2e/b%2Fc"), {307, "/b%2Fc"}},
		"/../b":             {same("/../b"), no, {307, "/b"}},
		"/%2e%2e/b":         {same("/%2e%2e/b"), no, {307, "/b"}},
		"/a/../../b":        {same("/a/../../b"), no, {307, "/b"}},
		"/a//../../b":       {same("/a//../../b"), no, {307, "/b"}},
		"/a/..%2fb":         {same("/a/..%2fb"), no, no},
		"/a%2F..%2Fb":       {same("/a%2F..%2Fb"), no, no},
		"/a%2F%2e%2e%2Fb":   {same("/a%2F%2e%2e%2Fb"), no, no},
		"/a/..%5cb":         {same("/a/..%5cb"), no, no},
		"/a/..\\b":          {same("/a/..%5Cb"), no, no},
		"/a/..;x=1/b":       {same("/a/..;x=1/b"), no, no},
		"/a/%2e.;/b":        {same("/a/%2e.;/b"), no, no},
		"/a/...":            {same("/a/..."), same("/a/..."), same("/a/...")},
		"/a/..b/c..":        {same("/a/..b/c.."), same("/a/..b/c.."), same("/a/..b/c..")},
		"/a%2Fb;c=d":        {same("/a%2Fb;c=d"), same("/a%2Fb;c=d"), same("/a%2Fb;c=d")},
		"/a%2Fb\"|c":        {same("/a%2Fb%22%7Cc"), same("/a%2Fb%22%7Cc"), same("/a%2Fb%22%7Cc")},
		"/a%252e%252e/b":    {same("/a%252e%252e/b"), same("/a%252e%252e/b"), same("/a%252e%252e/b")},
		"http://h":          {same("/"), same("/"), same("/")},
		"http://h/a?b":      {same("/a?b"), same("/a?b"), same("/a?b")},
		"/?":                {same("/?"), same("/?"), same("/?")},
	} {
		for i, n := range []*normaliser{named("n"), {name: "n", via11: []string{"x"}, contained: true}, {name: "n", via11: []string{"x"}, routed: true}} {
			status, got := pass(t, n, request(t, target))
			if status != want[i].status || got != want[i].target {
				t.Errorf("%s, %d: %d %s, want %d %s", target, i, status, got, want[i].status, want[i].target)
			}
		}
	}
}

// A redirect leads to a path that is not redirected again, and to no other host.
func TestRedirectsEnd(t *testing.T) {
	n := &normaliser{name: "n", via11: []string{"1.1 n"}, routed: true}
	for _, target := range []string{"//evil.example/x", "///", "/.//evil", "/a/..//b", "/./", "/%2e/%2E%2e//x//", "/a/../..//.//b/."} {
		status, to := pass(t, n, request(t, target))
		if status != 307 || strings.HasPrefix(to, "//") {
			t.Errorf("%s: %d %s", target, status, to)
		}
		if status, again := pass(t, n, request(t, to)); status != 200 || again != to {
			t.Errorf("%s leads to %s, and that to %d %s", target, to, status, again)
		}
	}
}

func TestForwardedFields(t *testing.T) {
	c := config.Config{TrustedProxies: []string{"10.0.0.0/8", "192.0.2.1", "::1"}}
	n := &normaliser{name: "n", via11: []string{"1.1 n"}, trusted: c.Trusted()}
	for i, c := range []struct {
		peer, chain, host, proto string // what comes
		client, sent             string // what is made of it
		wantHost, wantProto      string
	}{
		{"203.0.113.9:5", "", "", "", "203.0.113.9:5", "203.0.113.9", "h.example", "http"},
		{"203.0.113.9:5", "1.1.1.1", "evil", "https", "203.0.113.9:5", "203.0.113.9", "h.example", "http"},
		{"10.0.0.1:5", "", "", "", "10.0.0.1:5", "10.0.0.1", "h.example", "http"},
		{"10.0.0.1:5", "203.0.113.9", "Shop.example", "https", "203.0.113.9", "203.0.113.9, 10.0.0.1", "shop.example", "https"},
		{"10.0.0.1:5", "1.1.1.1, 203.0.113.9", "", "", "203.0.113.9", "203.0.113.9, 10.0.0.1", "h.example", "http"},
		{"10.0.0.1:5", "1.1.1.1, 203.0.113.9, 10.9.9.9", "a.example, b.example", "https, http", "203.0.113.9", "203.0.113.9, 10.9.9.9, 10.0.0.1", "a.example", "https"},
		{"10.0.0.1:5", "1.1.1.1, 203.0.113.9, 10.9.9.9", "x, a.example, b.example", "http, https, http", "203.0.113.9", "203.0.113.9, 10.9.9.9, 10.0.0.1", "a.example", "https"},
		{"10.0.0.1:5", "10.1.1.1, 10.2.2.2", "", "wss", "10.1.1.1", "10.1.1.1, 10.2.2.2, 10.0.0.1", "h.example", "https"},
		{"10.0.0.1:5", "evil, 10.2.2.2", "", "gopher", "10.2.2.2", "10.2.2.2, 10.0.0.1", "h.example", "http"},
		{"10.0.0.1:5", "evil", "", "", "10.0.0.1:5", "10.0.0.1", "h.example", "http"},
		{"[::1]:5", "[2001:db8::7]:99", "", "", "2001:db8::7", "[2001:db8::7]:99, ::1", "h.example", "http"},
		{"[::ffff:192.0.2.1]:5", "203.0.113.9:1234", "", "", "203.0.113.9", "203.0.113.9:1234, ::ffff:192.0.2.1", "h.example", "http"},
	} {
		r := request(t, "/")
		r.Host, r.RemoteAddr = "h.example", c.peer
		for name, value := range map[string]string{"X-Forwarded-For": c.chain, "X-Forwarded-Host": c.host, "X-Forwarded-Proto": c.proto} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		r.Header.Set("Forwarded", "for=1.1.1.1")
		r.Header.Set("X-Forwarded-Port", "1")
		r.Header.Set("X-Real-Ip", "1.1.1.1")
		if status, _ := pass(t, n, r); status != 200 {
			t.Errorf("%d: %d", i, status)
		}
		h := r.Header
		if r.RemoteAddr != c.client || h.Get("X-Forwarded-For") != c.sent || len(h["X-Forwarded-For"]) != 1 {
			t.Errorf("%d: client %s, chain %q", i, r.RemoteAddr, h["X-Forwarded-For"])
		}
		if r.Host != c.wantHost || h.Get("X-Forwarded-Host") != c.wantHost || h.Get("X-Forwarded-Proto") != c.wantProto ||
			(r.URL.Scheme == "https") != (c.wantProto == "https") {
			t.Errorf("%d: %s, %v, %s", i, r.Host, h, r.URL.Scheme)
		}
		trusted := !strings.HasPrefix(c.peer, "203")
		if h.Get("Forwarded") != "" || (h.Get("X-Forwarded-Port") != "") != trusted || (h.Get("X-Real-Ip") != "") != trusted {
			t.Errorf("%d: what is left: %v", i, h)
		}
	}
	r := request(t, "/")
	r.RemoteAddr = "10.0.0.1:5"
	r.Header.Set("X-Forwarded-Host", "a/b")
	if status, _ := pass(t, n, r); status != 400 {
		t.Errorf("a host that is none, from a trusted proxy: %d", status)
	}
}

// Clients must not be able to have everything sampled.
func TestTracesOfStrangersAreNotJoined(t *testing.T) {
	c := config.Config{TrustedProxies: []string{"10.0.0.1"}}
	for peer, joined := range map[string]bool{"10.0.0.1:5": true, "10.0.0.2:5": false} {
		r := request(t, "/")
		r.RemoteAddr = peer
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		r.Header.Set("Baggage", "a=b")
		pass(t, &normaliser{name: "n", via11: []string{"1.1 n"}, trusted: c.Trusted(), traced: true}, r)
		if (r.Header.Get("Traceparent")+r.Header.Get("Baggage") != "") != joined {
			t.Errorf("%s: %v", peer, r.Header)
		}
	}
	r := request(t, "/")
	r.Header.Set("Traceparent", "x")
	if pass(t, named("n"), r); r.Header.Get("Traceparent") == "" {
		t.Error("a gateway that traces nothing passes no traces on")
	}
}

func TestFieldsForThisHopAreRemoved(t *testing.T) {
	r := request(t, "/")
	r.Header = http.Header{
		"Connection": {"close, x-hop", "Cookie, TE, Via"}, "X-Hop": {"1"}, "Cookie": {"a=b"}, "Te": {"trailers"}, "Keep-Alive": {"5"},
		"Proxy-Connection": {"x"}, "Proxy-Authorization": {"x"}, "Via": {"1.1 other"}, "X_forwarded_for": {"1.1.1.1"}, "Upgrade": {"websocket"},
		"X-Kept": {"1"},
	}
	pass(t, named("us"), r)
	for _, name := range []string{"Connection", "X-Hop", "Cookie", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "X_forwarded_for", "Upgrade"} {
		if v, ok := r.Header[name]; ok {
			t.Errorf("%s is left: %q", name, v)
		}
	}
	if r.Header.Get("Te") == "" || r.Header.Get("X-Kept") == "" || r.Header.Get("Via") != "1.1 other, 1.1 us" { // whatever Connection says
		t.Errorf("%v", r.Header)
	}
	r = request(t, "/")
	r.Header = http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "X_a": {"1"}, "Via": {"1.0 a", "1.1 b"}}
	pass(t, &normaliser{name: "us", via11: []string{"1.1 us"}, underscores: true}, r)
	if r.Header.Get("Upgrade") == "" || r.Header.Get("Connection") != "Upgrade" || len(r.Header["X_a"]) == 0 ||
		r.Header.Get("Via") != "1.0 a, 1.1 b, 1.1 us" || len(r.Header["Via"]) != 1 {
		t.Errorf("%v", r.Header)
	}
}

// hosts are two routes whose rules differ, for one upstream each.
const tenants = `
upstreams:
  a: {targets: ["%s/a"]}
  b: {targets: ["%s/b"]}
routes:
  - {name: a, host: api.example, path: /, upstream: a, client_rate_limit: {requests: 3, per: 1h}}
  - {name: b, path: /, upstream: b}
`

// Router, limits and cache agree on the host, however it is spelt.
func TestHostIsOneForAll(t *testing.T) {
	_, url, _ := startYAML(t, tenants, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s for %s", r.URL.Path, r.Header.Get("X-Forwarded-Host"))
	})
	ask := func(host string) (int, string) {
		return raw(t, url, "GET /index HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	}
	for i, host := range []string{"API.EXAMPLE", "api.example.", "Api.Example:80", "api.example"} {
		status, body := ask(host)
		if i < 3 && (status != 200 || body != "/a/index for api.example") || i == 3 && status != 429 {
			t.Errorf("%s: %d %q", host, status, body)
		}
	}
	if status, body := ask("other.example"); status != 200 || body != "/b/index for other.example" {
		t.Errorf("another host: %d %q", status, body)
	}
	for _, host := range []string{"api.example/", "api..example", "api.example\t\x0b", "a@b"} {
		if status, _ := ask(host); status != 400 {
			t.Errorf("%q: %d", host, status)
		}
	}
}

const guarded = `
upstreams: {u: {targets: ["%s/base"]}}
routes:
  - {name: public, path: /public/, upstream: u, strip_prefix: /public}
  - {name: item, path: "/items/{id}", upstream: u}
  - {name: admin, path: /admin/, methods: [POST], upstream: u, rate_limit: {per_second: 0.001, burst: 1}}
  - {name: rest, path: /, upstream: u}
`

// No spelling of a path leads past a route's rules, nor out of the base path.
func TestRoutesAreNotWalkedAround(t *testing.T) {
	var reached atomic.Value
	_, url, _ := startYAML(t, guarded, func(_ http.ResponseWriter, r *http.Request) { reached.Store(r.RequestURI) })
	for _, c := range []struct {
		target string
		status int
		want   string
	}{
		{"/public/x", 200, "/base/x"},
		{"/public/../admin/x", 307, ""},
		{"/public/%2e%2e/admin/x", 307, ""},
		{"/public/%2E./admin/x", 307, ""},
		{"/public/..%2Fadmin/x", 400, ""},
		{"/public/..%5Cadmin/x", 400, ""},
		{"/public/..;/admin/x", 400, ""},
		{"/public/../../x", 307, ""},
		{"//admin/x", 307, ""},
		{"/admin/x", 405, ""},
		{"/%61dmin/x", 405, ""},
		{"/admin%2Fx", 400, ""},
		{"/%61dmin%2fx", 400, ""},
		{"/x\\..\\admin", 400, ""},
		{"/admin%5Cx", 400, ""},
		{"/admin\\x", 400, ""},
		{"/admin;v=1/x", 400, ""},
		{"/admin;v=1%2fx", 400, ""},
		{"/items/1", 200, "/base/items/1"},
		{"/items/a%20b", 200, "/base/items/a%20b"},
		{"/items/a;b", 200, "/base/items/a;b"},
		{"/items/a%2Fb", 400, ""}, // read as /items/a/b it would be the rest's
		{"/x/a%2Fb", 200, "/base/x/a%2Fb"},
		{"/x/a;b=c/d", 200, "/base/x/a;b=c/d"},
	} {
		reached.Store("")
		status, _ := raw(t, url, "GET "+c.target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if status != c.status || reached.Load() != c.want {
			t.Errorf("%s: %d, and the upstream saw %v; want %d and %q", c.target, status, reached.Load(), c.status, c.want)
		}
	}
}

// A base path is joined byte for byte, and not left.
func TestBasePathIsNotLeft(t *testing.T) {
	_, url, _ := startYAML(t, `
upstreams: {u: {targets: ["%s/api"]}}
routes: [{path: /, upstream: u}]
`, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.RequestURI)) })
	for target, want := range map[string]string{
		"/x": "/api/x", "/": "/api/",
		"/../admin": "", "/a/../../admin": "", "/%2e%2e/admin": "", "/..%2fadmin": "", "/..;/admin": "", "//../admin": "",
	} {
		status, body := raw(t, url, "GET "+target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if want == "" && status != 400 || want != "" && body != want {
			t.Errorf("%s: %d %s, want %q", target, status, body, want)
		}
	}
}

// What a response varies on is compared as the upstream was sent it.
func TestVaryOnWhatTheDoorSets(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Vary", "X-Forwarded-For, X-Forwarded-Proto")
		fmt.Fprintf(w, "you are %s", r.Header.Get("X-Forwarded-For"))
	})
	c.TrustedProxies = []string{"127.0.0.1"}
	_, url, _ := start(t, c)
	for _, client := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.1"} {
		if _, body := get(t, url, "X-Forwarded-For", client); body != "you are "+client+", 127.0.0.1" {
			t.Errorf("%s was told %q", client, body)
		}
	}
	resp, _ := get(t, url, "X-Forwarded-For", "203.0.113.2")
	if !strings.Contains(cacheStatus(resp), "; hit") {
		t.Errorf("the same again: %s", cacheStatus(resp))
	}
}

// Clients that no proxy speaks for are told apart as well, though a cache may answer them
// before they have been written into the header.
func TestVaryOnClients(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Vary", "X-Forwarded-For")
		fmt.Fprintf(w, "you are %s", r.Header.Get("X-Forwarded-For"))
	})
	g, _, _ := start(t, c)
	ask := func(client string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/x", nil)
		r.RemoteAddr = client + ":1"
		r.Header.Set("X-Forwarded-For", "198.51.100.1") // is nobody's to claim
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	for _, client := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.1", "2001:db8::1"} {
		if w := ask("[" + client + "]"); w.Body.String() != "you are "+client {
			t.Errorf("%s was told %q", client, w.Body)
		}
	}
	if w := ask("[203.0.113.2]"); !strings.Contains(w.Header().Get("Cache-Status"), "; hit") {
		t.Errorf("the same again: %s", w.Header().Get("Cache-Status"))
	}
}

const everyWay = `
upstreams: {u: {targets: ["%s"]}}
routes:
  - {path: /cached/, upstream: u}
  - {path: /uncached/, upstream: u, cache: false}
  - {path: /fields/, upstream: u, fields: true}
  - {path: /compressed/, upstream: u, compress: [gzip]}
  - path: /both
    aggregate:
      parts:
        - {name: a, upstream: u, path: /part}
  - path: /uncached-both
    cache: false
    aggregate:
      parts:
        - {name: a, upstream: u, path: /part2}
`

// Whichever way a request takes, the upstream is told of the client.
func TestUpstreamIsToldOnEveryWay(t *testing.T) {
	sent := make(chan http.Header, 10)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent <- r.Header
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"a": 1}`)
	}))
	t.Cleanup(back.Close)
	c, err := config.Parse([]byte(strings.ReplaceAll(everyWay, "%s", back.URL)))
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := start(t, c)
	for _, way := range []string{
		"GET /cached/x", "GET /cached/x", // the second is revalidated in the background
		"HEAD /cached/y", "POST /cached/x", "GET /uncached/x", "POST /uncached/x",
		"GET /fields/x?fields=a", "GET /compressed/x", "GET /both", "GET /uncached-both",
	} {
		method, path, _ := strings.Cut(way, " ")
		do(t, method, url+path)
		h := <-sent
		if h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Proto") != "http" ||
			!strings.HasPrefix(h.Get("Via"), "1.1 larder-gateway-") {
			t.Errorf("%s: %v", way, h)
		}
		// What a part is sent is the gateway's own request.
		if own := strings.Contains(path, "both"); (h.Get("X-Forwarded-Host") == "") != own {
			t.Errorf("%s: X-Forwarded-Host: %q", way, h["X-Forwarded-Host"])
		}
	}
}

// Hits are spared the cost of what only an upstream is told.
func TestHitsAreNotCompleted(t *testing.T) {
	g := newHitGateway(t)
	for _, want := range []int{len(toldFields), 0} {
		r := httptest.NewRequest("GET", "/x", nil)
		g.ServeHTTP(httptest.NewRecorder(), r)
		if len(r.Header) != want {
			t.Errorf("%d fields, want %d: %v", len(r.Header), want, r.Header)
		}
	}
}

// https and http are not one resource, and a client that no proxy speaks for can't choose.
func TestSchemeIsInTheKey(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		c := origin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"))
		})
		if trusted {
			c.TrustedProxies = []string{"127.0.0.0/8"}
		}
		_, url, _ := start(t, c)
		for _, proto := range []string{"http", "https", "http", "https"} {
			want := proto
			if !trusted {
				want = "http"
			}
			if _, body := get(t, url, "X-Forwarded-Proto", proto); body != want {
				t.Errorf("trusted %v: asked by %s, the upstream saw %s", trusted, proto, body)
			}
		}
	}
}

// A gateway that is its own upstream says so at once.
func TestLoopsAreFound(t *testing.T) {
	back := httptest.NewUnstartedServer(nil)
	url := "http://" + back.Listener.Addr().String()
	c := config.Plain(url)
	g, _, _ := start(t, c)
	var asked atomic.Int64
	back.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		g.ServeHTTP(w, r)
	})
	back.Start()
	t.Cleanup(back.Close)
	for _, method := range []string{"GET", "POST"} {
		asked.Store(0)
		if resp, _ := do(t, method, url+"/x"); resp.StatusCode != http.StatusLoopDetected || asked.Load() != 2 {
			t.Errorf("%s: %d after %d rounds", method, resp.StatusCode, asked.Load())
		}
	}
	// Another gateway in front is none.
	if status, _ := raw(t, url, "GET /y HTTP/1.1\r\nHost: h\r\nVia: 1.1 larder-gateway, 1.1 larder-gateway-x\r\nConnection: close\r\n\r\n"); status != 508 {
		t.Errorf("%d", status) // by our own name, after the first round
	}
}
