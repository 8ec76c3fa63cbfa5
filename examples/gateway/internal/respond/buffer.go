// Package respond holds responses that one handler of the gateway makes for
// another.
package respond

import (
	"bytes"
	"errors"
	"net/http"
)

// ErrTooLarge is returned to a handler that writes more than a Buffer takes.
var ErrTooLarge = errors.New("respond: the response is larger than the buffer may be")

// Buffer is a ResponseWriter that keeps a whole response, up to a number of
// bytes.
type Buffer struct {
	Status int
	Body   bytes.Buffer
	// Whole is false while the handler is running, and stays so if it aborts or
	// writes more than Limit.
	Whole bool
	Limit int

	header http.Header
}

// Serve lets h answer r into a new buffer of at most limit bytes. A handler
// that aborts leaves a buffer that is not whole.
func Serve(h http.Handler, r *http.Request, limit int) (b *Buffer) {
	b = &Buffer{Limit: limit, header: make(http.Header)}
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	h.ServeHTTP(b, r)
	if b.Status == 0 {
		b.Status = http.StatusOK
	}
	b.Whole = b.Limit >= 0
	return b
}

// Header implements http.ResponseWriter.
func (b *Buffer) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter. Informational statuses are left
// out: there is no client to inform.
func (b *Buffer) WriteHeader(status int) {
	if b.Status == 0 && status >= 200 {
		b.Status = status
	}
}

// Write implements http.ResponseWriter.
func (b *Buffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	if b.Limit < 0 || b.Body.Len()+len(p) > b.Limit {
		b.Limit = -1
		return 0, ErrTooLarge
	}
	return b.Body.Write(p)
}
