package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// errClientBody means that a request failed because its content could not be read
// from the client: it was cut off, or framed wrongly. That is no fault of the
// upstream's. Counted as one, a client could have any target's circuit breaker
// opened by a handful of broken requests.
var errClientBody = errors.New("the request's content is incomplete or malformed")

// clientBody remembers whether reading it failed.
type clientBody struct {
	io.ReadCloser
	failed atomic.Bool
}

// watchBody puts a clientBody around the content of a request that has any. It
// returns nil for one that has none.
func watchBody(r *http.Request) *clientBody {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b := &clientBody{ReadCloser: r.Body}
	r.Body = b
	return b
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	// The transport closes what it no longer wants to read: that is its own doing.
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.failed.Store(true)
	}
	return n, err
}

// blame joins errClientBody to an error that came of reading the content.
func (b *clientBody) blame(err error) error {
	if err != nil && b != nil && b.failed.Load() {
		return errors.Join(errClientBody, err)
	}
	return err
}
