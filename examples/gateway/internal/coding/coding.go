// Package coding undoes the content codings of origins that code what nobody asked them to.
//
// The gateway asks for "identity" wherever it looks into a response or codes it itself. That
// is a wish (RFC 9110, 12.5.3): files that lie compressed on a disk, or a server behind a
// server, may bring a coded response anyway, and then the client that cannot read it, the
// selection of fields or the aggregate would be wrong.
package coding

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/larder-cache/larder/examples/gateway/internal/etags"
)

// Limits of what is undone.
const (
	maxCodings = 2       // one after the other
	maxWindow  = 8 << 20 // of zstd, as RFC 9659 has it
)

var (
	// ErrUnknown means that a response is coded in a way that is not known here.
	ErrUnknown = errors.New("the response's content coding is unknown")
	// ErrTooLarge means that a response is larger, decoded, than it may be.
	ErrTooLarge = errors.New("the decoded response is too large")
)

// names returns the codings of a response, in the order in which they were applied.
func names(h http.Header) (out []string) {
	for name := range strings.SplitSeq(strings.Join(h["Content-Encoding"], ","), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" && name != "identity" {
			out = append(out, strings.TrimPrefix(name, "x-"))
		}
	}
	return out
}

// newReader returns the decoder of one coding. What it needs is bounded, whatever it reads.
func newReader(name string, r io.Reader) (io.Reader, error) {
	switch name {
	case "gzip":
		return gzip.NewReader(r)
	case "deflate":
		return newInflater(r)
	case "br":
		return brotli.NewReader(r), nil
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
}

// newInflater reads what is called deflate: zlib's format (RFC 9110, 8.4.1.2), or the bare
// one that some send.
func newInflater(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if head, err := b.Peek(2); err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}

// decoded reads a coded body. The decoders are made at the first read: they begin to read
// themselves, and nothing has to come before the header has been passed on.
type decoded struct {
	source  io.ReadCloser
	codings []string
	reader  io.Reader
	closers []io.Closer
	err     error
}

func (d *decoded) Read(p []byte) (int, error) {
	if d.reader == nil && d.err == nil {
		d.open()
	}
	if d.err != nil {
		return 0, d.err
	}
	return d.reader.Read(p)
}

func (d *decoded) open() {
	source := bufio.NewReader(d.source)
	if _, err := source.Peek(1); err != nil {
		d.err = err // nothing, coded, is often nothing
		return
	}
	d.reader = source
	for i := len(d.codings) - 1; i >= 0 && d.err == nil; i-- {
		d.reader, d.err = newReader(d.codings[i], d.reader)
		if c, ok := d.reader.(io.Closer); ok && d.err == nil {
			d.closers = append(d.closers, c)
		}
	}
}

// Close gives back what the decoders hold, and closes the coded body.
func (d *decoded) Close() error {
	for i := len(d.closers) - 1; i >= 0; i-- {
		_ = d.closers[i].Close()
	}
	return d.source.Close()
}

// known tells whether all of some codings can be undone.
func known(codings []string) bool {
	if len(codings) > maxCodings {
		return false
	}
	for _, name := range codings {
		switch name {
		case "gzip", "deflate", "br", "zstd":
		default:
			return false
		}
	}
	return len(codings) > 0
}

// forget takes out of a header what was true of the coded bytes only.
func forget(h http.Header) {
	for _, name := range []string{
		"Content-Encoding", "Content-Length", "Accept-Ranges",
		"Content-Digest", "Repr-Digest", "Digest", "Content-Md5",
	} {
		h.Del(name)
	}
	etags.Mark(h, etags.Identity)
}

// Bytes undoes the codings of a whole response and takes them out of its header. The result
// has at most limit bytes. A response without any is returned as it is.
func Bytes(h http.Header, body []byte, limit int) ([]byte, error) {
	codings := names(h)
	if len(codings) == 0 {
		return body, nil
	}
	if !known(codings) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, codings)
	}
	d := &decoded{source: io.NopCloser(strings.NewReader(string(body))), codings: codings}
	defer d.Close()
	out, err := io.ReadAll(io.LimitReader(d, int64(limit)+1))
	switch {
	case err != nil:
		return nil, err
	case len(out) > limit:
		return nil, ErrTooLarge
	}
	forget(h)
	return out, nil
}

// Accepted says which codings of a response may stay.
type Accepted struct {
	coding string   // empty: none
	asked  []string // If-None-Match, as it was asked for what has no coding
}

type acceptKey struct{}

// Accept returns r for a handler of this process that is to undo codings other than accepted
// (all, if that is empty), by Undo.
func Accept(r *http.Request, accepted string) *http.Request {
	a := &Accepted{coding: accepted, asked: r.Header["If-None-Match"]}
	return r.WithContext(context.WithValue(r.Context(), acceptKey{}, a))
}

// AcceptedBy returns what Accept said; nil if nothing.
func AcceptedBy(ctx context.Context) *Accepted {
	a, _ := ctx.Value(acceptKey{}).(*Accepted)
	return a
}

// NoTransform reports whether a response must keep its form (RFC 9110, 7.7). It errs on the
// safe side: any mention will do.
func NoTransform(h http.Header) bool {
	return strings.Contains(strings.ToLower(strings.Join(h["Cache-Control"], ",")), "no-transform")
}

// Undo undoes a response's codings as it is read, if they are known and other than accepted.
// Memory is bounded; the length of what comes out is not, as it isn't for a response that
// was never coded. Parts of a coded response and forms that must stay (no-transform) are
// left alone.
func (a *Accepted) Undo(resp *http.Response) {
	if resp.StatusCode == http.StatusNotModified {
		etags.NotModified(resp.Header, a.asked, etags.Identity)
		return
	}
	codings := names(resp.Header)
	accepted := len(codings) == 1 && codings[0] == a.coding
	if !known(codings) || accepted || resp.StatusCode == http.StatusPartialContent {
		return
	}
	if NoTransform(resp.Header) {
		return
	}
	forget(resp.Header)
	head := resp.Request != nil && resp.Request.Method == http.MethodHead
	if head || resp.StatusCode == http.StatusNoContent {
		return
	}
	resp.ContentLength = -1
	resp.Body = &decoded{source: resp.Body, codings: codings}
}
