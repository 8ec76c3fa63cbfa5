package layers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func TestTimeoutEndsTheContext(t *testing.T) {
	h := Timeout(10*time.Millisecond, quiet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner, cancel := context.WithCancel(r.Context())
		defer cancel()
		<-inner.Done()
		for _, err := range []error{r.Context().Err(), context.Cause(inner), context.Cause(r.Context())} {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		w.WriteHeader(http.StatusGatewayTimeout)
	}))
	if w := ask(h, "GET"); w.Code != http.StatusGatewayTimeout {
		t.Errorf("%d", w.Code)
	}
}

func TestTimeoutPassesOnThatTheClientHasGone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	h := Timeout(time.Hour, quiet, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
		if err := r.Context().Err(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
}

func TestContextsEndWithTheRequest(t *testing.T) {
	var kept context.Context
	h := Timeout(time.Hour, quiet, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { kept = r.Context() }))
	ask(h, "GET")
	<-kept.Done()
	if err := kept.Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Streams are bounded until they begin.
func TestStreamsGoOn(t *testing.T) {
	server := httptest.NewServer(Timeout(50*time.Millisecond, quiet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(150 * time.Millisecond)
		if err := r.Context().Err(); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "data: 2\n\n")
	})))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "data: 1\n\ndata: 2\n\n" {
		t.Errorf("%q, %v", body, err)
	}
}

// A client that reads nothing holds a write that looks at no context.
func TestTimeoutCutsAnswersThatNobodyReads(t *testing.T) {
	var log lines
	ended := make(chan error, 1)
	server := httptest.NewServer(Timeout(50*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil)),
		Cut(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for block := make([]byte, 1<<20); err == nil; {
				_, err = w.Write(block)
			}
			ended <- err
			panic(http.ErrAbortHandler)
		}))))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the write goes on")
	}
	if !strings.Contains(log.String(), "route's timeout") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

// A deadline that was in time leaves the connection as it was.
func TestConnectionsOutliveTimeouts(t *testing.T) {
	server := httptest.NewServer(Timeout(40*time.Millisecond, quiet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			<-r.Context().Done()
			w.WriteHeader(http.StatusGatewayTimeout)
		}
	})))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, path := range []string{"/", "/late", "/", "/late", "/"} {
		_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		resp.Body.Close()
		time.Sleep(60 * time.Millisecond)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
