package upstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"strings"
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
		"User-Agent": nil, "Connection": {"X-Hop"}, "X-Hop": {"1"}, "X-Forwarded-Host": {"front"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Own": {"a", "b"},
	})
	if got.RequestURI != "/a%2Fb?x=1;y=2&z=%zz" {
		t.Errorf("target: %s", got.RequestURI)
	}
	for _, name := range []string{"Accept-Encoding", "User-Agent", "X-Hop", "Connection"} {
		if v, ok := got.Header[name]; ok {
			t.Errorf("%s was added or passed on: %q", name, v)
		}
	}
	// The gateway's door has seen to these.
	if f, h := got.Header.Get("X-Forwarded-For"), got.Header.Get("X-Forwarded-Host"); f != "10.0.0.1" || h != "front" {
		t.Errorf("X-Forwarded-For: %q, X-Forwarded-Host: %q", f, h)
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
	for in, want := range map[string]string{
		"/api/x": "/x", "/api/a%2Fb": "/a%2Fb", "/api": "/", "/api/": "/", "/api//x": "//x", "/other": "/other", "/apix": "/apix",
	} {
		if fetch(t, "GET", url+in, nil); path != want {
			t.Errorf("%s became %s, want %s", in, path, want)
		}
	}
}

// Behind a base path every byte of a path stays, and nothing leaves it.
func TestTargetWithBasePath(t *testing.T) {
	var target string
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { target = r.RequestURI }))
	defer back.Close()
	for _, base := range []string{"/base", "/base/", "/b%2Fa", "/", ""} {
		p := newPool(t, config.Upstream{Targets: []string{back.URL + base}, Breaker: &config.Breaker{Failures: 1}})
		front := Proxy(p, ProxyOptions{Log: quiet})
		for path, inside := range map[string]bool{
			"/": true, "/a%2Fb?q": true, "/files//a": true, "/img/https://x/y.png": true, "/x/./y": true, "/x/../y": true,
			"//admin": true, "/a%20b": true, "/a..b/..c": true, "/%E9": true, "/a;b=..": true, "/a[1]": true,
			"/../admin": false, "/a/../../admin": false, "/%2e%2E/admin": false, "/a/..%2f../admin": false, "/.%2e": false,
			"/..\\admin": false, "/..%5cadmin": false, "/..;x/admin": false, "//../admin": false, "/./../admin": false,
		} {
			target = ""
			r := httptest.NewRequest("GET", "/", nil)
			u, err := url.ParseRequestURI(path)
			if err != nil {
				t.Fatal(err)
			}
			r.URL = u
			w := httptest.NewRecorder()
			front.ServeHTTP(w, r)
			want, status := strings.TrimSuffix(base, "/")+path, http.StatusOK
			if !inside && base != "" && base != "/" {
				want, status = "", http.StatusBadRequest
			}
			if want = strings.ReplaceAll(want, "\\", "%5C"); target != want || w.Code != status {
				t.Errorf("%q below %q: %d, asked for %q, want %q", path, base, w.Code, target, want)
			}
		}
	}
}

func TestHealthChecksKeepTheirPath(t *testing.T) {
	asked := make(chan string, 100)
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.RequestURI:
		default:
		}
	}))
	defer back.Close()
	newPool(t, config.Upstream{
		Targets: []string{back.URL + "/base/"}, Health: &config.Health{Path: "/a//b%2Fc?full=1", Interval: time.Hour},
	})
	if got := <-asked; got != "/base/a//b%2Fc?full=1" {
		t.Errorf("asked for %s", got)
	}
}

// What layers outside have set for the answer is there whatever comes before it.
func TestFieldsOfLayersSurviveInformationalResponses(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		for range 30 {
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Del("Link")
		w.Header().Set("Vary", "Accept")
		_, _ = io.WriteString(w, "ok")
	}))
	defer back.Close()
	proxy := Proxy(newPool(t, config.Upstream{}, &server{Server: back}), ProxyOptions{Log: quiet})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "1")
		w.Header().Set("Vary", "Origin")
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	hints := 0
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			hints++
			return nil
		},
	})
	r, _ := http.NewRequestWithContext(ctx, "POST", front.URL, nil)
	resp, err := plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if h := resp.Header; h.Get("X-Request-Id") != "1" || strings.Join(h["Vary"], ", ") != "Origin, Accept" || h.Get("Link") != "" {
		t.Errorf("%v", h)
	}
	if hints == 0 || hints > maxInterim {
		t.Errorf("%d informational responses", hints)
	}
}

// The client is told to go on when the upstream is ready, once, or not at all if it isn't.
func TestContinueComesFromTheUpstream(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		sends        bool
	}{
		{"accepted", "HTTP/1.1 100 Continue\r\n\r\n", true},
		{"refused", "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", false},
		{"no word", "", true},
	} {
		back := listen(t, func(conn *net.TCPConn) {
			in := bufio.NewReader(conn)
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, c.answer)
			if !c.sends {
				_, _ = io.Copy(io.Discard, in)
				return
			}
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		})
		p := newPool(t, config.Upstream{Targets: []string{back}, Timeout: config.Timeout{Continue: 200 * time.Millisecond}})
		front := httptest.NewServer(Proxy(p, ProxyOptions{Log: quiet}))
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		in := bufio.NewReader(conn)
		first, err := in.ReadString('\n')
		if told := strings.Contains(first, "100"); err != nil || told != c.sends {
			t.Errorf("%s: the client was told %q, %v", c.name, first, err)
		}
		if c.sends {
			_, _ = io.WriteString(conn, "body")
			rest, _ := io.ReadAll(in)
			if strings.Contains(string(rest), "100 Continue") || !strings.HasSuffix(string(rest), "body") {
				t.Errorf("%s: then %q", c.name, rest)
			}
		}
		conn.Close()
		front.Close()
	}
}

func TestWhatIsWrongWithARequestIsSaid(t *testing.T) {
	s := newServer(t)
	h := Proxy(newPool(t, config.Upstream{}, s), ProxyOptions{Log: quiet})
	for _, c := range []struct {
		err    error
		status int
	}{
		{&http.MaxBytesError{Limit: 1}, http.StatusRequestEntityTooLarge},
		{os.ErrDeadlineExceeded, http.StatusRequestTimeout},
		{io.ErrUnexpectedEOF, http.StatusBadRequest},
	} {
		r := httptest.NewRequest("POST", "/", failing{c.err})
		r.ContentLength = 100
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("%v: %d, want %d", c.err, w.Code, c.status)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

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
