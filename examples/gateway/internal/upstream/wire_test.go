package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// listen serves each connection with handle, which is to return at its end.
func listen(t *testing.T, handle func(conn *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// hiding is a transport that wraps bodies, as those for tracing do.
type hiding struct{ http.RoundTripper }

func (h hiding) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(r)
	if err == nil {
		if both, ok := resp.Body.(io.ReadWriteCloser); ok {
			resp.Body = struct{ io.ReadWriteCloser }{both}
		}
	}
	return resp, err
}

// After a 101 either side may close its half, and the other may go on.
func TestHalfClosedUpgradesGetTheLateAnswer(t *testing.T) {
	back := listen(t, func(conn *net.TCPConn) {
		in := bufio.NewReader(conn)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		said, _ := io.ReadAll(in)
		_, _ = fmt.Fprintf(conn, "late answer to %s", said)
	})
	for _, wrap := range []func(http.RoundTripper) http.RoundTripper{nil, func(rt http.RoundTripper) http.RoundTripper { return hiding{rt} }} {
		base, _ := url.Parse(back)
		pool, err := NewPool("p", &config.Upstream{Targets: []string{base.String()}}, Options{Wrap: wrap, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		front := httptest.NewServer(Proxy(pool, ProxyOptions{Log: quiet}))
		defer front.Close()
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		in := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(resp, err)
		}
		_, _ = io.WriteString(conn, "hello")
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, err := io.ReadAll(in)
		if err != nil || !strings.HasSuffix(string(answer), "late answer to hello") {
			t.Errorf("%q, %v", answer, err)
		}
		eventually(t, "nothing is in flight", func() bool { return pool.Status()[0].InFlight == 0 })
	}
}

// A server that answers without reading on, and closes, has answered.
func TestEarlyAnswersArePassedOn(t *testing.T) {
	back := listen(t, func(conn *net.TCPConn) {
		in := bufio.NewReader(conn)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		// What was not read makes this a reset.
	})
	p := newPool(t, config.Upstream{Targets: []string{back}, Breaker: &config.Breaker{Failures: 1}})
	answered := 0
	for range 40 {
		r := request("POST", "/")
		r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, 4<<20)), -1
		resp, err := p.RoundTrip(r)
		if errors.Is(err, ErrUnavailable) {
			t.Fatal("counted against the target")
		}
		if err != nil {
			continue // reset before the answer was read: lost with it
		}
		if resp.Body.Close(); resp.StatusCode == http.StatusRequestEntityTooLarge {
			answered++
		}
	}
	if answered < 36 {
		t.Errorf("%d of 40 answers came through", answered)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// closingServer answers the first request of each connection, and closes it when the second
// comes: the worst that a server with a short keep-alive can do.
func closingServer(t *testing.T) (url string, bodies *atomic.Pointer[string]) {
	bodies = new(atomic.Pointer[string])
	return listen(t, func(conn *net.TCPConn) {
		in := bufio.NewReader(conn)
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		text := string(body)
		bodies.Store(&text)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = in.Peek(1)
		_ = conn.SetLinger(0)
	}), bodies
}

func TestIdempotentRequestsSurviveStaleConnections(t *testing.T) {
	for _, c := range []struct {
		method, key, body string
	}{
		{"GET", "", ""}, {"DELETE", "", ""}, {"PUT", "", "content"}, {"PUT", "", strings.Repeat("long", 10_000)}, {"POST", "k", "content"},
	} {
		back, bodies := closingServer(t)
		p := newPool(t, config.Upstream{Targets: []string{back}, Breaker: &config.Breaker{Failures: 1}})
		for range 6 {
			r := request(c.method, "/")
			if c.body != "" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(c.body)), int64(len(c.body))
			}
			if c.key != "" {
				r.Header.Set("Idempotency-Key", c.key)
			}
			resp, err := p.RoundTrip(r)
			if err != nil {
				t.Fatalf("%s: %v", c.method, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if got := *bodies.Load(); got != c.body {
				t.Errorf("%s: the server got %d bytes of %d", c.method, len(got), len(c.body))
			}
		}
	}
}

// A request that may not be repeated fails, and that is not the target's failure.
func TestStaleConnectionsAreNoFailures(t *testing.T) {
	back, _ := closingServer(t)
	p := newPool(t, config.Upstream{Targets: []string{back}, Breaker: &config.Breaker{Failures: 1}})
	failed := 0
	for range 6 {
		r := request("POST", "/")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("content")), 7
		resp, err := p.RoundTrip(r)
		switch {
		case errors.Is(err, ErrUnavailable):
			t.Fatal("the breaker is open")
		case err != nil:
			failed++
		default:
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	if n := p.Status()[0].Failures; failed == 0 || n != 0 {
		t.Errorf("%d requests failed, %d were counted", failed, n)
	}
}

func TestKeptBodiesAreBounded(t *testing.T) {
	k := &keptBody{source: io.LimitReader(zeros{}, replayBytes+1)}
	first := &keptReader{kept: k}
	if n, err := io.Copy(io.Discard, first); n != replayBytes+1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := k.again(); !errors.Is(err, errNotKept) {
		t.Errorf("again: %v", err)
	}
	// The second reading goes on where the first left the source.
	k = &keptBody{source: strings.NewReader("0123456789")}
	first = &keptReader{kept: k}
	_, _ = io.ReadFull(first, make([]byte, 4))
	first.Close()
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("after Close: %v", err)
	}
	second, err := k.again()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(second); string(text) != "0123456789" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestBodiesThatStallAreCut(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/events" {
			time.Sleep(200 * time.Millisecond)
			return
		}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer back.Close()
	p := newPool(t, config.Upstream{Targets: []string{back.URL}, Timeout: config.Timeout{Body: 50 * time.Millisecond}})
	resp, err := p.RoundTrip(request("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	var timeout net.Error
	if string(text) != "begin" || !errors.As(err, &timeout) && !errors.As(err, new(stalled)) {
		t.Errorf("%q, %v", text, err)
	}
	resp.Body.Close()
	if n := p.Status()[0].InFlight; n != 0 {
		t.Errorf("%d in flight", n)
	}
	resp, err = p.RoundTrip(request("GET", "/events"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != "begin" || err != nil {
		t.Errorf("an event stream that pauses: %q, %v", text, err)
	}
}

// A target that takes nothing holds what the client sends.
func TestUploadsThatStallAreCut(t *testing.T) {
	hang := make(chan struct{})
	back := listen(t, func(conn *net.TCPConn) {
		_ = conn.SetReadBuffer(4096)
		<-hang
	})
	defer close(hang)
	p := newPool(t, config.Upstream{Targets: []string{back}, Timeout: config.Timeout{Body: 100 * time.Millisecond}})
	r := httptest.NewRequest("POST", "/", io.NopCloser(io.LimitReader(zeros{}, 64<<20)))
	r.ContentLength = 64 << 20
	w := httptest.NewRecorder()
	Proxy(p, ProxyOptions{Log: quiet}).ServeHTTP(w, r)
	if w.Code != http.StatusGatewayTimeout || p.Status()[0].InFlight != 0 {
		t.Errorf("%d, %+v", w.Code, p.Status()[0])
	}
}

// A reader that takes its time is no stall of the upstream's.
func TestSlowReadersAreNoStall(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	}))
	defer back.Close()
	p := newPool(t, config.Upstream{Targets: []string{back.URL}, Timeout: config.Timeout{Body: 100 * time.Millisecond}})
	resp, err := p.RoundTrip(request("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if n, err := io.Copy(io.Discard, resp.Body); n != 1<<20-100 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestTheWaitForAConnectionIsBounded(t *testing.T) {
	hang, arrived := make(chan struct{}), make(chan struct{})
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			arrived <- struct{}{}
			<-hang
		}
	}))
	defer back.Close()
	p := newPool(t, config.Upstream{
		Targets: []string{back.URL}, MaxConnections: 2, Breaker: &config.Breaker{Failures: 1},
		Timeout: config.Timeout{Queue: 50 * time.Millisecond},
		Health:  &config.Health{Interval: 5 * time.Millisecond, Fall: 1},
	})
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() { send(t, p, "GET", "/hang") })
	}
	// A request is in flight before it has a connection: only what has arrived holds one.
	for range 2 {
		<-arrived
	}
	if in := p.Status()[0].InFlight; in != 2 {
		t.Errorf("%d in flight", in)
	}
	for range 3 {
		w := httptest.NewRecorder()
		Proxy(p, ProxyOptions{Log: quiet}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
	// Nor do the health checks want for one, or the breaker take it for a failure.
	time.Sleep(100 * time.Millisecond)
	if state := p.Status()[0].State; state != "up" {
		t.Errorf("the target is %q", state)
	}
	close(hang)
	busy.Wait()
	if got := send(t, p, "GET", "/"); got != http.StatusOK {
		t.Errorf("when they are free again: %d", got)
	}
}

func TestConnectionsAge(t *testing.T) {
	var opened atomic.Int64
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	back.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	back.Start()
	defer back.Close()
	now := time.Now()
	c := &config.Upstream{MaxConnections: 1}
	d := &dialer{max: 1}
	a := &aging{age: time.Minute, fresh: func() *http.Transport { return newTransport(c, d) }, now: func() time.Time { return now }}
	defer a.CloseIdleConnections()
	ask := func() {
		r, _ := http.NewRequest("GET", back.URL, nil)
		resp, err := a.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	for range 3 {
		ask()
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for requests one by one", n)
	}
	now = now.Add(time.Minute)
	ask() // although only one connection is allowed: the old one gives its place
	if n := opened.Load(); n != 2 {
		t.Errorf("%d connections, want another one after their age", n)
	}
}

func TestClosedConnectionsGiveTheirPlaceOnce(t *testing.T) {
	back := listen(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	d := &dialer{max: 1}
	address := strings.TrimPrefix(back, "http://")
	first, err := d.dial(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.dial(ctx, "tcp", address); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second one: %v", err)
	}
	first.Close()
	first.Close()
	second, err := d.dial(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if n := len(d.places[address]); n != 1 {
		t.Errorf("%d places are taken", n)
	}
}

// relay passes bytes on until it is told to swallow those of the connections that it has.
type relay struct {
	to         string
	generation atomic.Int64
}

func (r *relay) serve(conn *net.TCPConn) {
	mine := r.generation.Load()
	other, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer other.Close()
	pass := func(to io.Writer, from io.Reader) {
		block := make([]byte, 32<<10)
		for {
			n, err := from.Read(block)
			if err != nil {
				return
			}
			if r.generation.Load() == mine {
				_, _ = to.Write(block[:n])
			}
		}
	}
	go pass(other, conn)
	pass(conn, other)
}

// The bytes of an HTTP/2 connection may go nowhere, without a word from anyone. All requests
// are on it.
func TestDeadHTTP2ConnectionsAreFound(t *testing.T) {
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	back.EnableHTTP2 = true
	back.StartTLS()
	defer back.Close()
	r := &relay{to: back.Listener.Addr().String()}
	front := listen(t, r.serve)
	c := &config.Upstream{Timeout: config.Timeout{Header: time.Second, Ping: 5 * time.Second}}
	transport := newTransport(c, &dialer{})
	transport.TLSClientConfig = &tls.Config{RootCAs: back.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
	defer transport.CloseIdleConnections()
	ask := func() (string, error) {
		resp, err := transport.RoundTrip(request2("https" + strings.TrimPrefix(front, "http")))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
	if proto, err := ask(); proto != "HTTP/2.0" || err != nil {
		t.Fatal(proto, err)
	}
	r.generation.Add(1)
	failed := 0
	eventually(t, "a new connection is made", func() bool {
		_, err := ask()
		if err != nil {
			failed++
		}
		return err == nil
	})
	if failed > 3 {
		t.Errorf("%d requests were lost on the dead connection", failed)
	}
}

func request2(url string) *http.Request {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	return r
}

func TestPingsFitIntoTheHeadersTimeout(t *testing.T) {
	for _, c := range []struct{ ping, header, want time.Duration }{
		{5 * time.Second, 30 * time.Second, 5 * time.Second},
		{5 * time.Second, 2 * time.Second, time.Second},
		{5 * time.Second, 0, 5 * time.Second},
		{0, 30 * time.Second, 0},
	} {
		if got := pingAfter(config.Timeout{Ping: c.ping, Header: c.header}); got != c.want {
			t.Errorf("%v in %v: %v, want %v", c.ping, c.header, got, c.want)
		}
	}
}
