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
// an error; an answer that is under way is cut off, and log says so.
//
// A stream is no answer that ends: what begins as text/event-stream, or switches protocols,
// is bounded until then and goes on without a bound.
func Timeout(d time.Duration, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &timed{ResponseWriter: w}
		t.deadline = newDeadline(r.Context(), d, func() {
			if t.cut() {
				log.Warn("answer cut off", "reason", "the route's timeout", "timeout", d,
					"method", r.Method, "path", r.URL.Path)
			}
		})
		defer t.end()
		next.ServeHTTP(t, r.WithContext(t.deadline))
	})
}

// timed is the ResponseWriter of a request with a timeout.
type timed struct {
	http.ResponseWriter
	deadline *deadline

	written bool

	mu       sync.Mutex
	underWay bool // an answer that may be cut is
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
		t.deadline.stop()
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

// end is called when the handler returns: the connection is the next request's then.
func (t *timed) end() {
	t.deadline.end()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay = false
}

// cut ends an answer that has begun. A client that does not read may hold a write, which
// looks at no context; so the connection's own deadline is moved to now.
func (t *timed) cut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.underWay {
		_ = http.NewResponseController(t.ResponseWriter).SetWriteDeadline(time.Now())
	}
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

// deadline is a context with a deadline that can be taken back.
type deadline struct {
	context.Context // its values, and its end
	done            chan struct{}
	timer           *time.Timer
	unhook          func() bool

	mu    sync.Mutex
	err   error
	after map[*func()]struct{}
}

// newDeadline returns a context that ends after d, and calls expired if that is why it ends.
func newDeadline(parent context.Context, d time.Duration, expired func()) *deadline {
	c := &deadline{Context: parent, done: make(chan struct{})}
	c.mu.Lock() // nobody ends it before it has its timer
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(d, func() {
		if c.finish(context.DeadlineExceeded) {
			expired()
		}
	})
	c.unhook = context.AfterFunc(parent, func() { c.finish(parent.Err()) })
	return c
}

// finish ends the context, if it hasn't ended.
func (c *deadline) finish(err error) bool {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return false
	}
	c.err = err
	after := c.after
	c.after = nil
	c.timer.Stop()
	c.mu.Unlock()
	close(c.done)
	for f := range after {
		go (*f)()
	}
	return true
}

// stop takes the deadline back. The context then ends when its parent does.
func (c *deadline) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
}

// end ends the context when the request is over.
func (c *deadline) end() {
	c.unhook()
	c.finish(context.Canceled)
}

// Deadline implements context.Context. There is none that is certain.
func (c *deadline) Deadline() (time.Time, bool) { return c.Context.Deadline() }

// Done implements context.Context.
func (c *deadline) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *deadline) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc lets contexts made of this one learn of its end without a goroutine each.
func (c *deadline) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = make(map[*func()]struct{})
	}
	key := &f
	c.after[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waiting := c.after[key]
		delete(c.after, key)
		return waiting
	}
}
