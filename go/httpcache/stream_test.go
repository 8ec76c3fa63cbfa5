package httpcache

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
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
)

// proxyRig is a cache in a reverse proxy between real connections.
type proxyRig struct {
	*rig
	origin *httptest.Server
	front  *httptest.Server
}

func newProxyRig(t *testing.T, o Options, origin http.HandlerFunc) *proxyRig {
	p := &proxyRig{rig: newRig(t, o)}
	p.origin = httptest.NewServer(origin)
	target, _ := url.Parse(p.origin.URL)
	proxy := &httputil.ReverseProxy{
		ErrorLog:     quiet,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.front = httptest.NewUnstartedServer(p.cache.Handler(proxy))
	p.front.Config.ErrorLog = quiet
	p.front.Start()
	t.Cleanup(func() { p.front.Close(); p.origin.CloseClientConnections(); p.origin.Close() })
	return p
}

func (p *proxyRig) fetch(t *testing.T, path string) (*http.Response, string, error) {
	t.Helper()
	resp, err := p.front.Client().Get(p.front.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// A response that ends early is passed on as one that ends early, and never
// stored.
func TestTruncatedResponses(t *testing.T) {
	big := strings.Repeat("x", 100<<10)
	for name, origin := range map[string]http.HandlerFunc{
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, big)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"Content-Length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", "200000")
			io.WriteString(w, big)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxyRig(t, Options{}, origin)
			resp, err := p.front.Client().Get(p.front.URL)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Error("the client got a complete response")
			}
			if n := p.store.len(); n != 0 {
				t.Errorf("%d entries stored", n)
			}
		})
	}
}

// The same for a handler on its own, that writes less than it declared.
func TestHandlerWritesLessThanDeclared(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", fresh, "Content-Length: 4"))
	if rec := r.get("/"); rec.Code != 502 || rec.Body.Len() != 0 {
		t.Errorf("got %d %q", rec.Code, rec.Body) // nothing had been sent: it can be said
	}
	if n := r.store.len(); n != 0 {
		t.Errorf("%d entries stored", n)
	}
}

func TestHandlerWritesMoreThanDeclared(t *testing.T) {
	r := newRig(t, Options{})
	var got error
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "3")
		_, got = io.WriteString(w, "four")
	}))
	if rec := r.get("/"); rec.Body.Len() > 3 {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
	if got != http.ErrContentLength {
		t.Errorf("the handler got %v", got)
	}
	if n := r.store.len(); n != 0 {
		t.Errorf("%d entries stored", n)
	}
}

// Who comes when a body has turned out to be too large goes forward by itself.
func TestLateForHugeBody(t *testing.T) {
	r := newRig(t, Options{MaxBodyBytes: 300 << 10})
	asked, next := make(chan struct{}, 2), make(chan struct{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(make([]byte, 250<<10))
		w.Write(make([]byte, 250<<10))
		asked <- struct{}{}
		<-next
		w.Write(make([]byte, 100<<10))
	}))
	first := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "") })
	<-asked
	late := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "") })
	<-asked // the late one has a fetch of its own
	close(next)
	for _, rec := range append(first(), late()...) {
		if rec.Body.Len() != 600<<10 {
			t.Errorf("got %d bytes", rec.Body.Len())
		}
	}
}

// Bodies beyond MaxBodyBytes stream past the cache, with bounded memory and
// without being stored.
func TestHugeBodies(t *testing.T) {
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	const chunks = 100
	for _, declared := range []bool{true, false} {
		t.Run(fmt.Sprintf("declared %v", declared), func(t *testing.T) {
			p := newProxyRig(t, Options{MaxBodyBytes: 300 << 10}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if declared {
					w.Header().Set("Content-Length", fmt.Sprint(chunks*len(chunk)))
				}
				for range chunks {
					w.Write(chunk)
				}
			})
			for range 2 {
				_, body, err := p.fetch(t, "/")
				if err != nil || len(body) != chunks*len(chunk) || !strings.HasSuffix(body, "abcdef") || strings.Count(body, "0123456789abcdef") != chunks*len(chunk)/16 {
					t.Fatalf("got %d bytes, %v", len(body), err)
				}
			}
			if n := p.store.len(); n != 0 {
				t.Errorf("%d entries stored", n)
			}
		})
	}
}

// The handler is not let run ahead of a slow reader of a response that is not
// stored.
func TestBackpressure(t *testing.T) {
	f := newFlight("", moment{})
	rd := new(reader)
	f.readers = []*reader{rd}
	f.outcome = outcomeStream
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan int64)
	go func() {
		var n int64
		for f.append(ctx, make([]byte, 32<<10), 1<<20) == nil {
			n += 32 << 10
		}
		stopped <- n
	}()
	waitFor(func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.waiting > 0 })
	f.mu.Lock()
	ahead := f.written()
	rd.pos = ahead
	f.signal()
	f.mu.Unlock()
	if ahead > window+32<<10 {
		t.Errorf("%d bytes ahead", ahead)
	}
	waitFor(func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.waiting > 0 && f.written() > ahead })
	cancel()
	if n := <-stopped; n > ahead+window+64<<10 {
		t.Errorf("%d bytes written", n)
	}
}

// A reader that comes along while the body is being received gets all of it.
func TestReadersOfOneFlight(t *testing.T) {
	r := newRig(t, Options{})
	step := make(chan struct{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		for i := range 20 {
			fmt.Fprintf(w, "%04d%s", i, strings.Repeat("x", 5000))
			<-step
		}
	}))
	wait := crowd(r, 5, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(5)
	for range 10 {
		step <- struct{}{}
	}
	late := crowd(r, 5, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(10)
	for range 10 {
		step <- struct{}{}
	}
	first := wait()[0].Body.String()
	if len(first) != 20*5004 {
		t.Fatalf("got %d bytes", len(first))
	}
	for _, rec := range append(wait(), late()...) {
		if rec.Body.String() != first {
			t.Error("bodies differ")
		}
	}
	if rec := r.get("/"); rec.Body.String() != first || r.lastEvent().Outcome != Hit {
		t.Error("not stored as it was")
	}
}

// What the handler flushes reaches the client before the handler returns.
func TestFlush(t *testing.T) {
	for _, cc := range []string{"max-age=60", "no-store"} {
		t.Run(cc, func(t *testing.T) {
			next := make(chan struct{})
			p := newProxyRig(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", cc)
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 3 {
					fmt.Fprintf(w, "data: %d\n\n", i)
					w.(http.Flusher).Flush()
					<-next
				}
			})
			for range 2 { // fetched and passed
				resp, err := p.front.Client().Get(p.front.URL + "/" + cc)
				if err != nil {
					t.Fatal(err)
				}
				if resp.Header.Get("Age") != "" {
					resp.Body.Close()
					break // a hit has nothing to wait for
				}
				buf := make([]byte, len("data: 0\n\n"))
				for i := range 3 {
					if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != fmt.Sprintf("data: %d\n\n", i) {
						t.Fatalf("event %d: got %q, %v", i, buf, err)
					}
					next <- struct{}{}
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

func TestInterimResponses(t *testing.T) {
	p := newProxyRig(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "final")
	})
	var got []string
	get := func() *http.Response {
		got = nil
		req, _ := http.NewRequest("GET", p.front.URL, nil)
		req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				got = append(got, fmt.Sprint(code, " ", h.Get("Link")))
				return nil
			},
		}))
		resp, err := p.front.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	if resp := get(); len(got) != 1 || got[0] != "103 </a.css>" || resp.Header.Get("Link") != "" {
		t.Errorf("interim responses %q, Link %q", got, resp.Header.Get("Link"))
	}
	if resp := get(); len(got) != 0 || resp.Header.Get("Link") != "" || !strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
		t.Errorf("from the cache: interim responses %q, %v", got, resp.Header)
	}
}

// Trailers reach the client of the fetch and are not stored.
func TestTrailers(t *testing.T) {
	for _, cc := range []string{"max-age=60", "no-store"} {
		p := newProxyRig(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", cc)
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Sum", "42")
			w.Header().Set(http.TrailerPrefix+"X-Late", "43")
		})
		resp, body, err := p.fetch(t, "/")
		if body != "body" || err != nil || resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("X-Late") != "43" {
			t.Errorf("%s: got %q, %v, trailer %v", cc, body, err, resp.Trailer)
		}
		resp, body, _ = p.fetch(t, "/")
		if cc == "no-store" {
			if resp.Trailer.Get("X-Sum") != "42" {
				t.Errorf("passed: trailer %v", resp.Trailer)
			}
		} else if body != "body" || len(resp.Trailer) != 0 || resp.Header.Get("X-Sum") != "" || resp.Header.Get("Trailer") != "" {
			t.Errorf("from the cache: %q, trailer %v, header %v", body, resp.Trailer, resp.Header)
		}
	}
}

// Upgrades pass, with the connection.
func TestUpgradePasses(t *testing.T) {
	p := newProxyRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, _ := rw.ReadString('\n')
		io.WriteString(conn, "echo "+line)
	})
	conn, err := net.Dial("tcp", p.front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	back := bufio.NewReader(conn)
	resp, err := http.ReadResponse(back, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	io.WriteString(conn, "hello\n")
	if got, err := back.ReadString('\n'); got != "echo hello\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Fields that outer handlers have set stay, and are not stored.
func TestOuterFields(t *testing.T) {
	r := newRig(t, Options{})
	inner := r.h
	id := 0
	r.h = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id++
		w.Header().Set("X-Request-Id", fmt.Sprint(id))
		inner.ServeHTTP(w, req)
	})
	r.set(reply(200, "one", fresh))
	for want := 1; want <= 3; want++ {
		if got := r.get("/").Header().Get("X-Request-Id"); got != fmt.Sprint(want) {
			t.Errorf("X-Request-Id is %q, want %d", got, want)
		}
	}
}

// An origin that cannot be reached: stale while that is allowed, then errors.
func TestDeadOrigin(t *testing.T) {
	p := newProxyRig(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=10, stale-if-error=20")
		io.WriteString(w, "one")
	})
	p.fetch(t, "/")
	p.origin.CloseClientConnections()
	p.origin.Close()
	p.clock.advance(15 * sec)
	if resp, body, _ := p.fetch(t, "/"); resp.StatusCode != 200 || body != "one" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	p.clock.advance(20 * sec)
	if resp, _, _ := p.fetch(t, "/"); resp.StatusCode != 502 {
		t.Errorf("then got %d", resp.StatusCode)
	}
}
