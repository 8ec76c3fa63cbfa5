package httpcache

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// rawOrigin answers every request with the same bytes, and closes the connection.
func rawOrigin(t *testing.T, raw string) (*url.URL, *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				io.WriteString(conn, raw)
			}
			conn.Close()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}, asked
}

// Blanks before the colon: everybody else reads the field, so it is read; and a message that is
// framed by it is refused. Through a proxy and through a Transport.
func TestBlankBeforeColon(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nConnection: close\r\nLast-Modified: Mon, 01 Jun 2020 00:00:00 GMT\r\n"
	for name, c := range map[string]struct {
		raw  string
		want string // of the first answer: status, and a field that it must have
		hit  bool
	}{
		"Cache-Control":     {ok + "Cache-Control : no-store\r\n\r\nbody", "200 Cache-Control: no-store", false},
		"lower case":        {ok + "cache-control : private\r\n\r\nbody", "200 Cache-Control: private", false},
		"several blanks":    {ok + "Cache-Control   : no-store\r\n\r\nbody", "200 Cache-Control: no-store", false},
		"beside another":    {ok + "Cache-Control: max-age=60\r\nCache-Control : no-store\r\n\r\nbody", "200 Cache-Control: max-age=60, no-store", false},
		"Set-Cookie":        {ok + "Set-Cookie : a=b\r\n\r\nbody", "200 Set-Cookie: a=b", false},
		"Vary":              {ok + "Vary : *\r\n\r\nbody", "200 Vary: *", false},
		"CDN-Cache-Control": {ok + "CDN-Cache-Control : no-store\r\n\r\nbody", "200 Cdn-Cache-Control: no-store", false},
		"Expires":           {ok + "Expires : 0\r\n\r\nbody", "200 Expires: 0", false},
		"harmless":          {ok + "Cache-Control: max-age=60\r\nX-A : b\r\n\r\nbody", "200 X-A: b", true},
		"within the name":   {ok + "Cache-Control: max-age=60\r\nX A: b\r\n\r\nbody", "200 X-A: ", true},
		"Transfer-Encoding": {ok + "Cache-Control: max-age=60\r\nTransfer-Encoding : chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "502", false},
		"Content-Length":    {ok + "Cache-Control: max-age=60\r\nContent-Length : 2\r\n\r\nbody", "502", false},
		"Connection":        {"HTTP/1.1 200 OK\r\nConnection : close, X-A\r\nX-A: b\r\nCache-Control: max-age=60\r\n\r\nbody", "502", false},
	} {
		for _, method := range []string{"GET", "POST"} {
			for what, through := range map[string]func(c *Cache, u *url.URL) http.Handler{
				"proxy": func(c *Cache, u *url.URL) http.Handler {
					return c.Handler(httputil.NewSingleHostReverseProxy(u))
				},
				"Transport": func(c *Cache, u *url.URL) http.Handler {
					p := httputil.NewSingleHostReverseProxy(u)
					p.Transport = c.Transport(&http.Transport{DisableKeepAlives: true})
					return p
				},
			} {
				u, asked := rawOrigin(t, c.raw)
				r := newRig(t, Options{})
				r.h = through(r.cache, u)
				rec := r.do(r.request(method, "/", nil, ""))
				status, line, _ := strings.Cut(c.want, " ")
				field, value, _ := strings.Cut(line, ": ")
				if fmt.Sprint(rec.Code) != status || strings.Join(rec.Header().Values(field), ", ") != value {
					t.Errorf("%s, %s through a %s: got %d, %v", name, method, what, rec.Code, rec.Header())
				}
				if rec.Code == 502 && rec.Body.Len() > 0 {
					t.Errorf("%s, %s through a %s: body %q", name, method, what, rec.Body)
				}
				r.do(r.request(method, "/", nil, ""))
				if hit := asked.Load() == 1; hit != (c.hit && method == "GET") {
					t.Errorf("%s, %s through a %s: hit: %v", name, method, what, hit)
				}
			}
		}
	}
}

// A status that no answer has is a 502, with stale in its place where that may be served; and
// it is never stored.
func TestStatusesOutOfRange(t *testing.T) {
	for _, status := range []int{0, 1, 99, 101, 600, 799, 999, 1000, -1} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			r := newRig(t, Options{})
			r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				r.origin(httptest.NewRecorder(), req)
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Set-Cookie", "a=b")
				w.WriteHeader(status)
				io.WriteString(w, "body")
			}))
			for range 2 {
				rec := r.do(r.request(method, "/", nil, ""))
				if rec.Code != 502 && !(status == 101 && rec.Code == 101) || rec.Header().Get("Set-Cookie") != "" && status != 101 || rec.Body.Len() > 0 && status != 101 {
					t.Errorf("%s, %d: got %d %q, %v", method, status, rec.Code, rec.Body, rec.Header())
				}
			}
			if n := r.askedCount(); n != 2 {
				t.Errorf("%s, %d: asked %d times", method, status, n)
			}
		}
	}
	r := newRig(t, Options{})
	r.set(reply(200, "one", "Cache-Control: max-age=1, stale-if-error=60"))
	r.get("/")
	r.clock.advance(2 * sec)
	r.set(reply(99, "x"))
	if rec := r.get("/"); rec.Body.String() != "one" {
		t.Errorf("got %d %q, although stale is at hand", rec.Code, rec.Body)
	}
}

func TestCheckResponse(t *testing.T) {
	for _, status := range []int{101, 200, 599} {
		if err := CheckResponse(status, http.Header{}); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	for _, status := range []int{-1, 0, 99, 100, 103, 600, 999} {
		if err := CheckResponse(status, http.Header{}); !errors.Is(err, ErrMalformedResponse) {
			t.Errorf("%d: %v", status, err)
		}
	}
	h := http.Header{"vary ": {"a"}, "Vary": {"b"}, "X Y": {"c"}, "Date": {"d"}}
	if err := CheckResponse(200, h); err != nil || len(h) != 2 || strings.Join(h["Vary"], ",") != "b,a" {
		t.Errorf("%v, %v", h, err)
	}
}
