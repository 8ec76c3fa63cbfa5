// Package respond holds responses that one handler of the gateway makes for
// another.
package respond

import (
	"bytes"
	"errors"
	"net/http"
	"runtime/debug"

	"github.com/larder-cache/larder/examples/gateway/internal/coding"
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
	// Panic is what the handler panicked with, http.ErrAbortHandler for one; Stack is where.
	Panic any
	Stack []byte

	header http.Header
}

// Serve lets h answer r into a new buffer of at most limit bytes. A handler that panics
// leaves a buffer that is not whole and says so: Serve may run in a goroutine of its own,
// where a panic that nobody catches is the end of the process.
func Serve(h http.Handler, r *http.Request, limit int) (b *Buffer) {
	b = &Buffer{Limit: limit, header: make(http.Header)}
	defer func() {
		if p := recover(); p != nil {
			b.Panic = p
			if p != http.ErrAbortHandler {
				b.Stack = debug.Stack()
			}
		}
	}()
	h.ServeHTTP(b, r)
	if b.Status == 0 {
		b.Status = http.StatusOK
	}
	b.Whole = b.Limit >= 0
	return b
}

// Decode undoes the content codings of a whole response, and forgets that the response was
// negotiated by them. What it holds then has at most limit bytes. When it fails, the response
// is as it was.
func (b *Buffer) Decode(limit int) error {
	text, err := coding.Bytes(b.header, b.Body.Bytes(), limit)
	if err == nil {
		b.Body = *bytes.NewBuffer(text)
	}
	return err
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
