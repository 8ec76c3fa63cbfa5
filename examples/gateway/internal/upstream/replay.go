package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// A server may close a connection that was idle in the very moment in which a request takes
// it. net/http's transport then sends requests of safe methods again, on another connection,
// if not a byte of an answer has come. What RFC 9110, 9.2.2 allows beyond that, it has to be
// told: which other requests are idempotent, and how their content can be had again.

// replayBytes is how much of a request's content is kept for that.
const replayBytes = 64 << 10

// errNotKept means that a request's content was too long to be kept.
var errNotKept = errors.New("the connection was closed, and the request's content is not at hand any more")

// replayable prepares a request of an idempotent method (or one that says it is, by
// Idempotency-Key) to be sent again by the transport.
func replayable(r *http.Request) {
	switch {
	case r.Method == http.MethodPut || r.Method == http.MethodDelete:
		// This tells the transport, and is not sent: it has no value.
		if _, said := r.Header["X-Idempotency-Key"]; !said {
			r.Header = r.Header.Clone()
			r.Header["X-Idempotency-Key"] = nil
		}
	case len(r.Header["Idempotency-Key"]) == 0:
		return
	}
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	k := &keptBody{source: r.Body}
	r.Body, r.GetBody = &keptReader{kept: k}, k.again
}

// keptBody is a request's content that can be read again from its beginning, as long as
// little of it has been read.
type keptBody struct {
	mu     sync.Mutex
	source io.Reader
	text   []byte
	err    error // what the source ended with
	lost   bool  // more was read than is kept
}

func (k *keptBody) again() (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost {
		return nil, errNotKept
	}
	return &keptReader{kept: k}, nil
}

// keptReader is one reading of a keptBody. The one before may still be waiting for the client
// when the next begins: the lock puts them in order, and what it gets is kept for both.
type keptReader struct {
	kept   *keptBody
	at     int
	closed atomic.Bool
}

func (r *keptReader) Read(p []byte) (int, error) {
	k := r.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case r.closed.Load():
		return 0, http.ErrBodyReadAfterClose
	case !k.lost && r.at < len(k.text):
		n := copy(p, k.text[r.at:])
		r.at += n
		return n, nil
	case k.err != nil:
		return 0, k.err
	}
	n, err := k.source.Read(p)
	k.err = err
	if r.at += n; r.at > replayBytes {
		k.lost, k.text = true, nil
	} else {
		k.text = append(k.text, p[:n]...)
	}
	return n, err
}

// Close ends this reading; the content is closed by who it belongs to.
func (r *keptReader) Close() error {
	r.closed.Store(true)
	return nil
}
