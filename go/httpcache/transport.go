package httpcache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// Transport returns a round tripper that answers from the cache and asks next
// for the rest: a cache on the client's side. A nil next means
// http.DefaultTransport. Errors of next reach the caller as they are. A fetch goes on
// for a while when the request's context ends, if others may want its response
// (Options.BackgroundTimeout). TLS, Proto and Uncompressed of a response that was
// fetched are those of next's; one from the cache has none.
//
// It is a shared cache unless Options.Private is set: most of what an API answers to requests
// with credentials is then not stored at all. With Private it is the cache of one user. Where
// there are several, each needs a Transport of its own, by WithOptions with another Partition;
// see the example.
//
// Credentials are best added before the cache, where it sees them. If next adds them (as
// oauth2.Transport does), the cache learns of it from http.Response.Request, and treats the
// response as one to a request with credentials. A next that sets another Request, or none,
// or adds them in fields other than Authorization and Cookie, needs Options.AddedBehind or a
// Partition.
func (c *Cache) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{handler{c: c, next: tripper{next}, client: true}}
}

type transport struct{ handler }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		return nil, errors.New("httpcache: nil Request.URL")
	}
	ctx, cancel := context.WithCancel(req.Context())
	r := req.WithContext(ctx)
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	w := &responseWriter{header: make(http.Header), ready: make(chan struct{}), cancel: cancel}
	w.pr, w.pw = io.Pipe()
	go t.respond(w, r)
	select {
	case <-w.ready:
	case <-ctx.Done():
		w.pr.CloseWithError(ctx.Err())
		return nil, context.Cause(ctx)
	}
	if w.status == 0 {
		cancel()
		return nil, w.err
	}
	return w.response(req), nil
}

// respond runs the handler and turns its panics into errors.
func (t *transport) respond(w *responseWriter, r *http.Request) {
	defer w.finish()
	defer func() {
		if v := recover(); v != nil {
			err, ok := v.(error)
			if !ok {
				err = errAborted
			}
			w.reportError(err)
		}
	}()
	t.serve(w, r)
}

var errAborted = errors.New("httpcache: the response ended early")

// responseWriter makes a Response of what is written into it.
type responseWriter struct {
	header http.Header // the handler's
	status int
	sent   http.Header // as it was when the status was written
	err    error
	pr     *io.PipeReader
	pw     *io.PipeWriter
	cancel context.CancelFunc

	origin *http.Response // see originReporter

	once    sync.Once
	ready   chan struct{} // closed when there is a status or an error
	trailer http.Header
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols || w.status != 0 {
		return // interim responses reach the client's httptrace directly
	}
	w.status = status
	w.sent = w.header.Clone()
	field.SplitList(w.sent["Trailer"], func(name string) bool {
		if w.trailer == nil {
			w.trailer = make(http.Header)
		}
		w.trailer[http.CanonicalHeaderKey(name)] = nil
		return true
	})
	delete(w.sent, "Trailer")
	w.once.Do(func() { close(w.ready) })
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.pw.Write(b)
}

// Flush does nothing: whatever is written is there for the reader.
func (w *responseWriter) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *responseWriter) reportOrigin(resp *http.Response) { w.origin = resp }

func (w *responseWriter) reportError(err error) {
	if w.err == nil {
		w.err = err
	}
}

// finish ends the body, with the error there was.
func (w *responseWriter) finish() {
	if w.status == 0 && w.err == nil {
		w.WriteHeader(http.StatusOK)
	}
	for name := range w.trailer {
		w.trailer[name] = w.header[name]
	}
	w.pw.CloseWithError(w.err)
	w.once.Do(func() { close(w.ready) })
}

func (w *responseWriter) response(req *http.Request) *http.Response {
	resp := &http.Response{
		Status:        strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          &body{w.pr, w.cancel},
		ContentLength: contentLength(w.sent),
		Trailer:       w.trailer,
		Request:       req,
	}
	if o := w.origin; o != nil {
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = o.Proto, o.ProtoMajor, o.ProtoMinor
		resp.TLS, resp.Uncompressed = o.TLS, o.Uncompressed
		if o.StatusCode == w.status && o.Status != "" {
			resp.Status = o.Status
		}
	}
	if req.Method == http.MethodHead || !allowsBody(w.status) {
		resp.Body.Close()
		resp.Body = http.NoBody
		if !allowsBody(w.status) {
			resp.ContentLength = 0
		}
	}
	return resp
}

// body is the body of a Response; closing it ends the request.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// tripper is a RoundTripper as a handler.
type tripper struct{ rt http.RoundTripper }

func (t tripper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := t.rt.RoundTrip(r)
	if err != nil {
		reportTo(w, err)
		return
	}
	defer resp.Body.Close()
	if o, ok := w.(originReporter); ok {
		o.reportOrigin(resp)
	}
	header := w.Header()
	for name, values := range resp.Header {
		header[name] = values
	}
	for name := range resp.Trailer {
		header.Add("Trailer", name)
	}
	w.WriteHeader(resp.StatusCode)
	if err := copyBody(w, resp); err != nil {
		reportTo(w, err)
		return
	}
	for name, values := range resp.Trailer {
		header[name] = values
	}
}

// originReporter is implemented by the ResponseWriters of this package, so that a
// Transport's response tells what a header cannot: the protocol and TLS state of the
// connection, and whether it was decompressed on the way. It tells nothing of the
// kind of one that was stored.
type originReporter interface{ reportOrigin(*http.Response) }

func (s *spool) reportOrigin(resp *http.Response) {
	s.origin = resp
	if resp.Request != nil {
		s.p.sent = resp.Request.Header
	}
}

func (p *passWriter) reportOrigin(resp *http.Response) {
	if resp.Request != nil {
		p.sent = resp.Request.Header
	}
	if o, ok := p.ResponseWriter.(originReporter); ok {
		o.reportOrigin(resp)
	}
}

func reportTo(w http.ResponseWriter, err error) {
	if e, ok := w.(errorReporter); ok {
		e.reportError(err)
		return
	}
	panic(http.ErrAbortHandler)
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// copyBody passes the body on. Bodies of unknown length are flushed as they
// come, since they may be events.
func copyBody(w http.ResponseWriter, resp *http.Response) error {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			if _, err := w.Write((*buf)[:n]); err != nil {
				return err
			}
			if resp.ContentLength < 0 {
				flush(w)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
