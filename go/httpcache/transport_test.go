package httpcache

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport(t *testing.T) {
	asked := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch {
		case r.Method == "POST":
			io.Copy(w, r.Body)
		case r.URL.Path == "/trailer":
			w.Header().Set("Trailer", "X-T")
			io.WriteString(w, "t")
			w.Header().Set("X-T", "1")
		default:
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Etag", `"a"`)
			fmt.Fprintf(w, "%s %d", r.URL.Path, asked)
		}
	}))
	defer origin.Close()
	r := newRig(t, Options{})
	client := &http.Client{Transport: r.cache.Transport(origin.Client().Transport)}
	get := func(method, path, body string, with ...string) (*http.Response, string) {
		t.Helper()
		req, _ := http.NewRequest(method, origin.URL+path, strings.NewReader(body))
		if body == "" {
			req, _ = http.NewRequest(method, origin.URL+path, nil)
		}
		for _, line := range with {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_, body := get("GET", "/a", "")
	expect(body, "/a 1")
	resp, body := get("GET", "/a", "")
	expect(body, "/a 1")
	expect(resp.Header.Get("Cache-Status"), "larder; hit; ttl=60")
	if resp.ContentLength != 4 || resp.Request == nil || resp.Status != "200 OK" {
		t.Errorf("response is %+v", resp)
	}
	resp, body = get("GET", "/a", "", `If-None-Match: "a"`)
	expect(resp.Status+body, "304 Not Modified")
	resp, body = get("GET", "/a", "", "Range: bytes=1-")
	expect(resp.Status+body, "206 Partial Contenta 1")
	resp, body = get("HEAD", "/a", "")
	expect(resp.Status+body, "200 OK")
	if resp.ContentLength != 4 {
		t.Errorf("HEAD: Content-Length %d", resp.ContentLength)
	}
	_, body = get("POST", "/a", "content")
	expect(body, "content")
	_, body = get("GET", "/a", "")
	expect(body, "/a 3")
	resp, body = get("GET", "/trailer", "")
	expect(body+resp.Trailer.Get("X-T"), "t1")
	_, body = get("GET", "", "")
	_, body2 := get("GET", "/", "")
	expect(body, body2)
}

func TestTransportErrors(t *testing.T) {
	boom := errors.New("boom")
	r := newRig(t, Options{})
	rt := r.cache.Transport(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/body" {
			return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, ContentLength: -1,
				Body: io.NopCloser(io.MultiReader(strings.NewReader("some"), errReader{boom}))}, nil
		}
		return nil, boom
	}))
	for _, method := range []string{"GET", "POST", "HEAD"} {
		req, _ := http.NewRequest(method, "http://example.com/", nil)
		if _, err := rt.RoundTrip(req); !errors.Is(err, boom) {
			t.Errorf("%s: got %v", method, err)
		}
	}
	req, _ := http.NewRequest("GET", "http://example.com/body", nil)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, boom) {
		t.Errorf("body ended with %v", err)
	}
	if r.store.len() != 0 {
		t.Error("a truncated response was stored")
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func TestTransportCancelled(t *testing.T) {
	r := newRig(t, Options{BackgroundTimeout: time.Millisecond})
	ended := make(chan struct{})
	rt := r.cache.Transport(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		close(ended)
		return nil, req.Context().Err()
	}))
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
	go cancel()
	if _, err := rt.RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-ended
}

// A response that was fetched tells of its connection, for its own request and for
// those which waited with it.
func TestTransportKeepsTheConnectionsState(t *testing.T) {
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", r.Header.Get("X-Cc"))
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			io.WriteString(z, "zipped")
			return
		}
		io.WriteString(w, "plain")
	}))
	origin.EnableHTTP2 = true
	origin.StartTLS()
	defer origin.Close()
	r := newRig(t, Options{})
	client := &http.Client{Transport: r.cache.Transport(origin.Client().Transport)}
	for _, c := range []struct {
		cc     string
		method string
	}{{"max-age=60", "GET"}, {"no-store", "GET"}, {"no-store", "GET"}, {"no-store", "POST"}} {
		req, _ := http.NewRequest(c.method, origin.URL+"/"+c.cc, nil)
		req.Header.Set("X-Cc", c.cc)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.TLS == nil || resp.ProtoMajor != 2 || !resp.Uncompressed || string(body) != "zipped" {
			t.Errorf("%s %s: TLS %v, %s, uncompressed %v, %q", c.method, c.cc, resp.TLS != nil, resp.Proto, resp.Uncompressed, body)
		}
	}
}

// A body that stalls ends with an error, as those that break off.
func TestTransportStalledBody(t *testing.T) {
	r := newRig(t, Options{BodyIdleTimeout: 300 * time.Millisecond})
	ended := make(chan struct{})
	rt := r.cache.Transport(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		body, w := io.Pipe()
		go func() {
			w.Write(make([]byte, 8<<10))
			<-req.Context().Done()
			w.CloseWithError(req.Context().Err())
			close(ended)
		}()
		return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, ContentLength: -1, Body: body}, nil
	}))
	req, _ := http.NewRequest("GET", "http://example.com/", nil)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != 8<<10 || !errors.Is(err, ErrBodyIdle) {
		t.Errorf("got %d bytes, %v", n, err)
	}
	<-ended
	if r.store.len() != 0 {
		t.Error("stored")
	}
}

// The request belongs to the caller: it is not changed.
func TestTransportLeavesRequestAlone(t *testing.T) {
	r := newRig(t, Options{})
	rt := r.cache.Transport(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		req.Header.Set("X-Changed", "1")
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	}))
	req, _ := http.NewRequest("GET", "http://example.com/", nil)
	req.Header.Set("If-None-Match", `"a"`)
	req.Method = ""
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if req.Method != "" || len(req.Header) != 1 || req.Header.Get("If-None-Match") != `"a"` {
		t.Errorf("request is now %v %v", req.Method, req.Header)
	}
}
