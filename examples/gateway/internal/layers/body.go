package layers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// Body bounds the content of requests: to max bytes, and to pauses of at most idle
// between its parts. 0 means no bound. What is announced to be too large is answered 413
// at once; other content fails when it is read.
func Body(max int64, idle time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		if max > 0 && r.ContentLength > max {
			upstream.Problem(w, http.StatusRequestEntityTooLarge,
				fmt.Sprintf("at most %d bytes are taken", max))
			return
		}
		// A copy: net/http looks at its own request's body after the handler.
		bounded := *r
		if max > 0 {
			bounded.Body = http.MaxBytesReader(w, r.Body, max)
		}
		bounded.Body = &idleBody{bounded.Body, r.Context(), http.NewResponseController(innermost(w)), idle}
		next.ServeHTTP(w, &bounded)
	})
}

// Unread gives clients the time idle to send content that nobody reads: net/http reads the
// rest of it itself before it answers, so that whoever announces some to a handler that has
// no use for it, or refuses the request, would hold the connection for as long as it likes.
// 0 means no bound. It belongs outside of everything; what is read has Body's deadlines.
func Unread(idle time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if idle <= 0 || r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		connection := http.NewResponseController(w)
		// Twice: an answer of some length is begun before the handler returns.
		_ = connection.SetReadDeadline(time.Now().Add(idle))
		next.ServeHTTP(w, r)
		_ = connection.SetReadDeadline(time.Now().Add(idle))
	})
}

// innermost is the writer at the bottom of those that wrap each other: the connection's own.
// A transport may still be reading content when the handler has returned, and then those in
// between may be somebody else's already.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// idleBody gives the client a time for each part of its content, at most until the
// request's context ends.
type idleBody struct {
	io.ReadCloser
	ctx context.Context
	// connection gets the deadlines. Tests' writers know none, which is ignored.
	connection *http.ResponseController
	idle       time.Duration // 0: no bound
}

func (b *idleBody) Read(p []byte) (int, error) {
	var deadline time.Time
	if b.idle > 0 {
		deadline = time.Now().Add(b.idle)
	}
	_ = b.connection.SetReadDeadline(deadline)
	stop := context.AfterFunc(b.ctx, func() { _ = b.connection.SetReadDeadline(time.Unix(1, 0)) })
	n, err := b.ReadCloser.Read(p)
	if stop() && err == io.EOF {
		// net/http goes on reading, to see whether the client leaves.
		_ = b.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}
