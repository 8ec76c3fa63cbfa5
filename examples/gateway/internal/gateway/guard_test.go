package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// speak sends bytes as they are and returns the answer's status and all lines of status that came.
func speak(t *testing.T, url, request string) (status int, statuses []string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", statuses, err)
		}
		statuses = append(statuses, strings.TrimSpace(line))
		if _, err := fmt.Sscanf(line, "HTTP/1.%d %d", new(int), &status); err != nil {
			t.Fatalf("%q is no status: %v", line, err)
		}
		for strings.TrimSpace(line) != "" {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if status >= 200 || status == http.StatusSwitchingProtocols {
			return status, statuses
		}
	}
}

func TestGuard(t *testing.T) {
	var asked atomic.Int64
	_, url, _ := start(t, origin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Upgrade") != "" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	for name, c := range map[string]struct {
		request string
		status  int
		asked   int64
	}{
		"path":              {"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1},
		"absolute":          {"GET HTTP://a/y HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1},
		"absolute, no path": {"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1},
		"CONNECT":           {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, 0},
		"TRACE":             {"TRACE / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n", 501, 0},
		"HTTP/2 preface":    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501, 0},
		"opaque":            {"GET foo:bar HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0},
		"another scheme":    {"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0},
		"asterisk":          {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0},
		"Max-Forwards 0":    {"OPTIONS /o HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", 204, 0},
		"Max-Forwards 1":    {"OPTIONS /o HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n", 200, 1},
		"h2c":               {"GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 200, 1},
		"two upgrades":      {"GET /two HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n", 200, 1},
		"WebSocket":         {"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n", 418, 1},
	} {
		before := asked.Load()
		status, _ := speak(t, url, c.request)
		if n := asked.Load() - before; status != c.status || n != c.asked {
			t.Errorf("%s: status %d with %d requests upstream, want %d with %d", name, status, n, c.status, c.asked)
		}
	}
}

// Whoever speaks HTTP/1.0 takes the first status for the answer.
func TestNoInterimResponsesForHTTP10(t *testing.T) {
	early := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Cache-Control", r.URL.Query().Get("cc"))
		_, _ = io.WriteString(w, "final")
	}
	for name, cached := range map[string]bool{"cached": true, "not cached": false} {
		c := origin(t, early)
		if !cached {
			off := false
			c.Routes[0].Cache = &off
		}
		_, url, _ := start(t, c)
		for _, cc := range []string{"max-age=60", "no-store"} {
			for _, method := range []string{"GET", "POST"} {
				target := fmt.Sprintf("%s /?cc=%s", method, cc)
				if _, got := speak(t, url, target+" HTTP/1.0\r\n\r\n"); len(got) != 1 {
					t.Errorf("%s, %s: HTTP/1.0 got %q", name, target, got)
				}
				if _, got := speak(t, url, target+"1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"); len(got) != 2 {
					t.Errorf("%s, %s: HTTP/1.1 got %q", name, target, got)
				}
			}
		}
	}
}

// A client that breaks its own requests off must not have the circuit breaker
// opened for everyone else.
func TestBrokenRequestsDoNotOpenTheBreaker(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	c.Upstreams["upstream"].Breaker = &config.Breaker{Failures: 2, Open: time.Hour}
	g, url, _ := start(t, c)
	for range 10 {
		status, _ := speak(t, url, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n")
		if status != http.StatusBadRequest {
			t.Fatalf("status %d for malformed content", status)
		}
		cut, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(cut, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
		cut.Close()
	}
	pool := g.state.Load().pools["upstream"]
	eventually(t, "all requests have ended", func() bool { return pool.Status()[0].InFlight == 0 })
	if s := pool.Status()[0]; s.State != "up" || s.Failures != 0 {
		t.Errorf("the upstream is %s after %d failures", s.State, s.Failures)
	}
	if resp, _ := do(t, http.MethodPost, url); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d for a good request", resp.StatusCode)
	}
}

// raw sends bytes as they are and returns the answer's status and body. The connection
// must be closed after it.
func raw(t *testing.T, url, request string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return resp.StatusCode, string(text)
}
