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
			upstream.Problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("at most %d bytes are taken", max))
			return
		}
		// A copy: net/http looks at its own request's body after the handler.
		bounded := *r
		if max > 0 {
			bounded.Body = http.MaxBytesReader(w, r.Body, max)
		}
		if idle > 0 {
			bounded.Body = &idleBody{bounded.Body, r.Context(), http.NewResponseController(w), idle}
		}
		next.ServeHTTP(w, &bounded)
	})
}

// idleBody gives the client a time for each part of its content.
type idleBody struct {
	io.ReadCloser
	ctx        context.Context
	connection *http.ResponseController
	idle       time.Duration
}

func (b *idleBody) Read(p []byte) (int, error) {
	if b.ctx.Err() == nil {
		_ = b.connection.SetReadDeadline(time.Now().Add(b.idle)) // tests' writers have none
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		// net/http goes on reading, to see whether the client leaves.
		_ = b.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}
