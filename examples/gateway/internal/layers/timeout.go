package layers

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Timeout bounds how long a request may take. Who waits for an upstream by then answers with
// an error; an answer that is under way is cut off, and log says so. (Cut, inside, ends what
// looks at no context.)
//
// A stream is no answer that ends: what begins as text/event-stream, or switches protocols,
// is bounded until then and goes on without a bound.
func Timeout(d time.Duration, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		t := &timed{ResponseWriter: w}
		t.clock = time.AfterFunc(d, func() {
			cancel(context.DeadlineExceeded)
			if t.isUnderWay() {
				log.Warn("answer cut off", "reason", "the route's timeout", "timeout", d,
					"method", r.Method, "path", r.URL.Path)
			}
		})
		defer t.end()
		next.ServeHTTP(t, r.WithContext(deadline{ctx}))
	})
}

// deadline is a context with a deadline that can be taken back: it says that it ended by
// one if that is its cause.
type deadline struct{ context.Context }

// Err implements context.Context.
func (d deadline) Err() error {
	err := d.Context.Err()
	if err != nil && context.Cause(d.Context) == context.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return err
}

// timed is the ResponseWriter of a request with a timeout.
type timed struct {
	http.ResponseWriter
	clock *time.Timer

	written bool

	mu       sync.Mutex
	underWay bool // an answer is that ends some time
}

// WriteHeader stops the clock for streams.
func (t *timed) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		t.begin(status)
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *timed) begin(status int) {
	if t.written {
		return
	}
	t.written = true
	if status == http.StatusSwitchingProtocols || isEventStream(t.Header()) {
		t.clock.Stop()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay = true
}

func isEventStream(h http.Header) bool {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

// end is called when the handler returns.
func (t *timed) end() {
	t.clock.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay = false
}

func (t *timed) isUnderWay() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.underWay
}

func (t *timed) Write(p []byte) (int, error) {
	if !t.written {
		t.WriteHeader(http.StatusOK)
	}
	return t.ResponseWriter.Write(p)
}

// FlushError implements what http.ResponseController looks for.
func (t *timed) FlushError() error {
	if !t.written {
		t.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (t *timed) Flush() { _ = t.FlushError() }

// Hijack implements http.Hijacker: whose connection it is now, has its own ideas of time.
func (t *timed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err == nil {
		t.begin(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}

// Unwrap serves http.ResponseController.
func (t *timed) Unwrap() http.ResponseWriter { return t.ResponseWriter }
