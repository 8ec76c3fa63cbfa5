package httpcache

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// What hostile clients try; see docs/security.md.

// echo is an origin that answers with what it saw, as vulnerable ones do.
func echo(header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Set(name, value)
		}
		fmt.Fprintf(w, "%s %s %s", r.Host, r.URL.RequestURI(), r.Header.Get("X-Forwarded-Host"))
		for _, name := range DefaultImpliedVary {
			fmt.Fprintf(w, " %s", r.Header.Get(name))
		}
	})
}

// An unkeyed field that changes the response must not change it for others.
func TestSecurityPoisoningByUnkeyedFields(t *testing.T) {
	for _, name := range DefaultImpliedVary {
		t.Run(name, func(t *testing.T) {
			value := "evil.example"
			if name == "Forwarded" {
				value = "for=1.2.3.4;host=evil.example"
			}
			for _, attackerFirst := range []bool{true, false} {
				r := newRig(t, Options{})
				r.h = r.cache.Handler(echo(fresh))
				attack := func() string { return r.get("/", name+": "+value).Body.String() }
				visit := func() string { return r.get("/").Body.String() }
				var attacked, visited string
				if attackerFirst {
					attacked, visited = attack(), visit()
				} else {
					visited, attacked = visit(), attack()
				}
				if strings.Contains(visited, "evil") || !strings.Contains(attacked, "evil") {
					t.Fatalf("visitor got %q, attacker %q", visited, attacked)
				}
				// Nor must the attacker displace what visitors get.
				if again := visit(); again != visited || r.lastEvent().Outcome != Hit {
					t.Errorf("visitor then got %q, %v", again, r.lastEvent().Outcome)
				}
				// A proxy in front that always sets the field does not lose its hits.
				if attack(); r.lastEvent().Outcome != Hit {
					t.Error("the same value again was not a hit")
				}
			}
		})
	}
}

// Underscores in place of hyphens reach applications under the same name, so such requests
// have no part in the cache.
func TestSecurityPoisoningByUnderscores(t *testing.T) {
	for _, name := range []string{"X_Forwarded_Host", "x_forwarded-proto", "X-Original_URL", "X_HTTP_METHOD_OVERRIDE"} {
		r := newRig(t, Options{})
		r.set(reply(200, "for evil", fresh))
		r.get("/", name+": evil")
		r.set(reply(200, "one", fresh))
		if rec := r.get("/"); rec.Body.String() != "one" {
			t.Errorf("%s: a visitor got %q", name, rec.Body)
		}
		if r.get("/", "X_Other: 1"); r.lastEvent().Outcome != Hit {
			t.Errorf("another underscore: %v", r.lastEvent().Outcome)
		}
	}
}

// The same where the responses have Vary of their own.
func TestSecurityPoisoningOfVariants(t *testing.T) {
	r := newRig(t, Options{})
	r.h = r.cache.Handler(echo(fresh, "Vary: Foo"))
	visited := r.get("/", "Foo: 1").Body.String()
	if attacked := r.get("/", "Foo: 1", "X-Host: evil").Body.String(); !strings.Contains(attacked, "evil") {
		t.Errorf("an implied field was ignored: %q", attacked)
	}
	if again := r.get("/", "Foo: 1").Body.String(); again != visited {
		t.Errorf("visitor then got %q", again)
	}
}

// The client's address in Forwarded is not part of what is compared.
func TestSecurityForwardedFor(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", fresh))
	r.get("/", "Forwarded: for=1.2.3.4;proto=https")
	if r.get("/", `Forwarded: for="[::1]";proto=HTTPS`); r.lastEvent().Outcome != Hit {
		t.Error("another client's address was a miss")
	}
	if r.get("/", "Forwarded: for=1.2.3.4;proto=http"); r.lastEvent().Outcome != Miss {
		t.Error("another scheme was a hit")
	}
	for _, odd := range []string{"for=1;host =evil", "for=1;foo=evil", `for="1;host=evil"`, "for=host=evil", "evil"} {
		if r.get("/", "Forwarded: proto=https;"+odd); r.lastEvent().Outcome != Miss {
			t.Errorf("%s was no miss", odd)
		}
	}
}

// URIs that an origin may tell apart must have different keys.
func TestSecurityKeyConfusion(t *testing.T) {
	urls := []string{
		"/", "http://example.com//", "/a", "/a/", "/A", "/a?", "/a?b", "/a?b=", "/a?b=1&c=2", "/a?c=2&b=1", "/a?b=1;c=2", "/a?b=1%26c=2", "/a?b=1&b=2", "/a?b=2&b=1",
		"/a%3Fb", "/a%3fb", "/a;b", "/a%3Bb", "/a%2Fb", "/a%2fb", "/a/b", "/a/./b", "/a/../a/b", "/a//b", "/a%00", "/a%00b", "/a%0a", "/a%20", "/a+", "/%61",
		"/a.css", "/a%2e.css", "/a#b", "/a%23b", "/a%25", "/a%2525", "/a\\b", "/a%5Cb", "/é", "/%C3%A9", "/e%CC%81", "/a?é", "/a?%C3%A9", "/a?/../b",
		"http://example.com:8080/", "http://example.com.evil/", "http://evil/example.com/", "http://example.com%00/", "https://example.com/", "http://xexample.com/",
		"http://example.com/a%00%01b", "http://example.com/a%00%00b",
	}
	seen := map[string]string{}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			continue
		}
		req := &http.Request{URL: u, Host: "example.com", Header: http.Header{}}
		if u.Host != "" {
			req.Host = u.Host
		}
		key, ok := (&Cache{}).appendKey(nil, req)
		if !ok {
			continue
		}
		if other, dup := seen[string(key)]; dup && other != strings.Split(raw, "#")[0] {
			t.Errorf("%q and %q have one key", raw, other)
		}
		seen[string(key)] = strings.Split(raw, "#")[0]
	}
	for _, same := range [][2]string{
		{"http://example.com/", "http://EXAMPLE.com/"}, {"http://example.com/", "http://example.com:80/"}, {"https://example.com/", "https://example.com:443/"},
		{"http://example.com/", "http://example.com:/"}, {"http://example.com", "http://example.com/"},
	} {
		if a, b := keyOf(t, same[0]), keyOf(t, same[1]); a != b {
			t.Errorf("%q and %q have different keys", same[0], same[1])
		}
	}
	for _, different := range [][2]string{
		{"http://example.com:443/", "http://example.com/"}, {"https://example.com:80/", "https://example.com/"}, {"http://example.com./", "http://example.com/"},
	} {
		if a, b := keyOf(t, different[0]), keyOf(t, different[1]); a == b {
			t.Errorf("%q and %q have one key", different[0], different[1])
		}
	}
}

func keyOf(t *testing.T, raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := (&Cache{}).appendKey(nil, &http.Request{URL: u, Host: u.Host})
	if !ok {
		t.Fatalf("%q has no key", raw)
	}
	return string(key)
}

// Keys are equal only if all that reaches the next handler is.
func FuzzKeyConfusion(f *testing.F) {
	f.Add("a", "", "q", "a\x00=", "/a%00=", "")
	f.Add("", "\x00\x00x", "", "\x00\x00", "x", "")
	f.Add("", "\x00\x01", "", "\x00", "\x01", "")
	f.Add("", "", "x", "", "\x00\x00?x", "")
	f.Fuzz(func(t *testing.T, path1, raw1, query1, path2, raw2, query2 string) {
		a := &url.URL{Path: "/" + path1, RawPath: raw1, RawQuery: query1}
		b := &url.URL{Path: "/" + path2, RawPath: raw2, RawQuery: query2}
		c := &Cache{}
		ka, kb := c.appendURI(nil, 0, "h", a, ""), c.appendURI(nil, 0, "h", b, "")
		if bytes.Equal(ka, kb) != (*a == *b) {
			t.Errorf("%+v and %+v: keys equal %v", a, b, bytes.Equal(ka, kb))
		}
	})
}

// Content in a GET is not in the key, so such requests have no part in the
// cache.
func TestSecurityGETWithContent(t *testing.T) {
	r := newRig(t, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		b, _ := io.ReadAll(req.Body)
		fmt.Fprintf(w, "param=%s", b)
	}))
	if rec := r.do(r.request("GET", "/", nil, "evil")); rec.Body.String() != "param=evil" {
		t.Fatalf("got %q", rec.Body)
	}
	chunked := r.request("GET", "/", nil, "evil")
	chunked.ContentLength = -1
	r.do(chunked)
	if rec := r.get("/"); rec.Body.String() != "param=" {
		t.Errorf("visitor got %q", rec.Body)
	}
	if rec := r.do(r.request("GET", "/", nil, "other")); rec.Body.String() != "param=other" {
		t.Errorf("content was ignored: %q", rec.Body)
	}
}

// A page for one user is not stored because its URL ends like an asset's, nor by
// guesswork.
func TestSecurityCacheDeception(t *testing.T) {
	l := func(v ...string) []string { return v }
	cookie := l("Cookie: session=1")
	second := step{url: "/account/x.css", origin: reply(200, "login"), want: "200 login"}
	for name, header := range map[string][]string{
		"nothing said":      nil,
		"private":           l("Cache-Control: private, max-age=60"),
		"no-store":          l("Cache-Control: no-store"),
		"Last-Modified":     l("Last-Modified: {-86400s}"),
		"new session":       l("Last-Modified: {-86400s}", "Set-Cookie: session=2"),
		"ETag, to validate": l(etag),
	} {
		t.Run(name, func(t *testing.T) {
			runStory(t, story{opt: Options{}, steps: []step{
				{url: "/account/x.css", with: cookie, origin: reply(200, "secret", header...)}, second,
			}})
		})
	}
	t.Run("default TTL", func(t *testing.T) {
		runStory(t, story{opt: Options{DefaultTTL: 60 * sec}, steps: []step{
			{url: "/account/x.css", with: cookie, origin: reply(200, "secret")}, second,
		}})
	})
	t.Run("default TTL and Authorization", func(t *testing.T) {
		runStory(t, story{opt: Options{DefaultTTL: 60 * sec}, steps: []step{
			{url: "/account/x.css", with: l("Authorization: x"), origin: reply(200, "secret")}, second,
		}})
	})
}

// A validator alone lets a response be stored, but never reused without asking.
func TestSecurityValidatedIsAskedFor(t *testing.T) {
	runStory(t, story{steps: []step{
		{with: []string{"Cookie: session=1"}, origin: reply(200, "secret", etag)},
		{origin: reply(200, "login", `Etag: "b"`), want: "200 login"},
	}})
}

// Requests provoke errors with fields that are not in the key.
func TestSecurityErrorsAreNotStoredByGuesswork(t *testing.T) {
	for _, status := range []int{400, 403, 404, 405, 413, 414, 431, 500, 501, 502, 503} {
		r := newRig(t, Options{DefaultTTL: 60 * sec})
		r.set(reply(status, "error"))
		r.get("/", "X-Meta: \\n")
		r.set(reply(200, "one", fresh))
		for range 3 {
			if rec := r.get("/"); rec.Code != 200 {
				t.Errorf("after a %d got %d", status, rec.Code)
			}
		}
		if r.lastEvent().Outcome != Hit {
			t.Errorf("after a %d: %v", status, r.lastEvent().Outcome)
		}
	}
}

func TestSecurityHeaderFlood(t *testing.T) {
	r := newRig(t, Options{})
	flood := func(line string) []string {
		var with []string
		for i := range 5000 {
			with = append(with, strings.ReplaceAll(line, "#", fmt.Sprint(i)))
		}
		return with
	}
	r.set(reply(200, "one", fresh, "Vary: Accept-Language, Foo"))
	r.get("/")
	for _, line := range []string{"X-Flood-#: 1", "Cache-Control: x#=y", "Accept-Language: a#;q=0.#", "If-None-Match: \"#\"", "Foo: #", "Range: bytes=#-", "Forwarded: for=#;host=#", "Cookie: #"} {
		if rec := r.get("/", flood(line)...); rec.Code != 200 {
			t.Errorf("%s: got %d", line, rec.Code)
		}
	}
	for _, line := range []string{"Cache-Control: x#=y", "Vary: X-#", "Surrogate-Key: #", `Cache-Groups: "#"`, "Link: <#>", "Etag: \"#\"", "Age: #", "Date: #", "Cache-Status: #"} {
		r.set(reply(200, "one", append(flood(line), fresh)...))
		if rec := r.get("/other"); rec.Code != 200 {
			t.Errorf("%s in a response: got %d", line, rec.Code)
		}
	}
	for _, s := range r.store.m {
		if len(s.value) > maxFieldText+fixedSize+8*maxTags+4*maxFields+16 {
			t.Errorf("an entry of %d bytes", len(s.value))
		}
	}
}

func TestSecurityOversizedVary(t *testing.T) {
	var names []string
	for i := range maxVaryNames + 1 {
		names = append(names, fmt.Sprintf("X-%d", i))
	}
	long := "Foo: " + longString(maxVariantKey)
	runStories(t, map[string]story{
		"too many names": twice([]string{fresh, "Vary: " + strings.Join(names, ", ")}, sec, false),
		"values too long": {steps: []step{
			{with: []string{long}, origin: reply(200, "one", fresh, "Vary: Foo")},
			{with: []string{long}, origin: reply(200, "two", fresh, "Vary: Foo"), want: "200 two"},
		}},
		"URI too long": {steps: []step{
			{url: "/" + longString(maxKey), origin: reply(200, "one", fresh)},
			{url: "/" + longString(maxKey), origin: reply(200, "two", fresh), want: "200 two"},
		}},
	})
	// Ever new sets of names do not make the index grow.
	r := newRig(t, Options{})
	for i := range 100 {
		r.set(reply(200, "one", fresh, fmt.Sprintf("Vary: X-%d", i)))
		r.get("/", fmt.Sprintf("X-%d: 1", i), "Cache-Control: no-cache")
	}
	raw, _ := r.store.Get(nil, []byte(keyOf(t, "http://example.com/")))
	var x index
	if !x.decode(raw) || x.n > maxVarySets || len(raw) > 200 {
		t.Errorf("the index has %d sets in %d bytes", x.n, len(raw))
	}
}

// Connection names a field that responses vary on: it would be removed before
// the origin sees it, and its answer stored for those who really sent it.
func TestSecurityHopByHopAbuse(t *testing.T) {
	r := newRig(t, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for _, name := range connectionOptions(req.Header) {
			req.Header.Del(name) // as proxies do
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Foo")
		fmt.Fprintf(w, "foo=%s", req.Header.Get("Foo"))
	}))
	r.get("/", "Foo: 1", "Connection: close, foo")
	if rec := r.get("/", "Foo: 1"); rec.Body.String() != "foo=1" {
		t.Errorf("visitor got %q", rec.Body)
	}
	for _, plain := range []string{"keep-alive", "close", "Keep-Alive, TE"} {
		if r.get("/", "Foo: 1", "Connection: "+plain); r.lastEvent().Outcome != Hit {
			t.Errorf("Connection: %s was no hit", plain)
		}
	}
}

// A response with a line break in a field must not become two.
func TestSecurityResponseSplitting(t *testing.T) {
	r := newRig(t, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Cache-Control"] = []string{"max-age=60"}
		w.Header()["X-Evil"] = []string{"a\r\nSet-Cookie: evil=1"}
		w.Header()["X Evil"] = []string{"b"}
	}))
	r.get("/")
	h := r.get("/").Header()
	if r.lastEvent().Outcome != Hit || h["X-Evil"] != nil || h["X Evil"] != nil {
		t.Errorf("from the cache: %v, %v", r.lastEvent().Outcome, h)
	}
}

// A response to a request with credentials is not given to those who wait for
// the same URI.
func TestSecurityCollapsingKeepsUsersApart(t *testing.T) {
	r := newRig(t, Options{})
	g := newGate()
	r.h = r.cache.Handler(g)
	leader := crowd(r, 1, func(int) *http.Request { return r.request("", "/", []string{"Authorization: joe"}, "") })
	<-g.asked
	others := crowd(r, 10, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(11)
	g.release <- reply(200, "joe's", fresh)
	leader()
	for range 10 {
		g.release <- reply(200, "public", fresh)
	}
	for _, rec := range others() {
		if rec.Body.String() != "public" {
			t.Fatalf("another client got %q", rec.Body)
		}
	}
}

// A client that reads slowly, or not at all, does not hold up others that wait
// for the same response.
func TestSecuritySlowLeader(t *testing.T) {
	r := newRig(t, Options{})
	g := newGate()
	r.h = r.cache.Handler(g)
	stuck := make(chan struct{})
	defer close(stuck)
	go r.h.ServeHTTP(&stuckWriter{httptest.NewRecorder(), stuck}, r.request("", "/", nil, ""))
	<-g.asked
	others := crowd(r, 10, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(11)
	body := longString(1 << 20)
	g.release <- reply(200, body, fresh)
	for _, rec := range others() {
		if rec.Body.String() != body {
			t.Fatalf("got %d bytes", rec.Body.Len())
		}
	}
}

type stuckWriter struct {
	*httptest.ResponseRecorder
	stuck chan struct{}
}

func (s *stuckWriter) Write(b []byte) (int, error) { <-s.stuck; return 0, io.ErrClosedPipe }

// What one connection sends must reach the origin as the same requests.
func TestSecuritySmuggling(t *testing.T) {
	var asked atomic.Int64
	p := newProxyRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	})
	send := func(raw string, n int) (statuses []int, bodies []string) {
		conn, err := net.Dial("tcp", p.front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, raw)
		back := bufio.NewReader(conn)
		for len(statuses) < n {
			resp, err := http.ReadResponse(back, nil)
			if err != nil {
				break
			}
			b, _ := io.ReadAll(resp.Body)
			statuses, bodies = append(statuses, resp.StatusCode), append(bodies, string(b))
		}
		return statuses, bodies
	}
	// Ambiguous messages are refused by net/http and end the connection.
	for name, raw := range map[string]string{
		"two hosts":          "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"two lengths":        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
		"unknown coding":     "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"space before colon": "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
		"folded field":       "GET /a HTTP/1.1\r\n Host: a\r\n\r\n",
		"control in URI":     "GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		if statuses, _ := send(raw, 2); len(statuses) != 1 || statuses[0] < 400 {
			t.Errorf("%s: got %v", name, statuses)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d ambiguous requests reached the origin", n)
	}
	// The content of a GET is not taken for another request.
	statuses, bodies := send("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\nxxxxGET /b HTTP/1.1\r\nHost: a\r\n\r\n", 2)
	if fmt.Sprint(statuses, bodies) != "[200 200] [GET /a GET /b]" {
		t.Errorf("got %v %q", statuses, bodies)
	}
	// The host of an absolute target is the one that counts.
	_, bodies = send("GET http://a/x HTTP/1.1\r\nHost: b\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 2)
	if len(bodies) != 2 || p.lastEvent().Outcome != Hit {
		t.Errorf("got %q, %v", bodies, p.lastEvent().Outcome)
	}
}
