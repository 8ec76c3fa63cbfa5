package httpcache

import (
	"context"
	"errors"
	"log"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// spool is the ResponseWriter of a flight: what the next handler writes into.
type spool struct {
	f *flight
	p *plan

	ctx      context.Context // of the flight
	header   http.Header
	status   int
	declared int64 // Content-Length, -1 without one
	size     int64 // of the body so far, as the handler sees it
	verdict  verdict
	partial  contentRange

	discard bool // the body is not wanted
	again   bool // the request must be sent again without conditions
	failed  error
}

var errGone = errors.New("httpcache: all clients have gone")

// run sends the plan's request and receives the response. It is the only
// function that ends a flight.
func (h *handler) run(f *flight, p *plan) {
	defer f.cancel()
	for range 2 {
		s := &spool{f: f, p: p, ctx: p.req.Context(), header: make(http.Header), declared: -1}
		p.sentAt = h.c.now()
		failure := h.call(s, p.req)
		if s.again {
			p.retry()
			continue
		}
		s.finish(failure)
		return
	}
	// Not reached: an unconditional request is not sent again.
	h.c.shared.flights.remove(f)
	f.fail(http.ErrAbortHandler)
}

// call runs the next handler and returns what it panicked with, or the error
// it reported.
func (h *handler) call(w *spool, r *http.Request) (failure any) {
	finished := false
	defer func() {
		if finished {
			return
		}
		if failure = recover(); failure == nil {
			failure = http.ErrAbortHandler // runtime.Goexit
		} else if failure != http.ErrAbortHandler {
			// The panic goes on in another goroutine, or nowhere.
			logPanic(r, failure)
		}
	}()
	h.next.ServeHTTP(w, r)
	finished = true
	if w.failed != nil {
		return w.failed
	}
	return nil
}

// logPanic logs a panic with its stack where the server of the request would.
func logPanic(r *http.Request, v any) {
	logger := log.Default()
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && s.ErrorLog != nil {
		logger = s.ErrorLog
	}
	logger.Printf("httpcache: panic in the next handler: %v\n%s", v, debug.Stack())
}

// reportError implements errorReporter.
func (s *spool) reportError(err error) { s.failed = err }

func (s *spool) Header() http.Header { return s.header }

func (s *spool) WriteHeader(status int) {
	switch {
	case s.status != 0:
		return
	case status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols:
		s.f.addInterim(interim{status, s.header.Clone()})
		return
	}
	s.status = status
	if n, err := strconv.ParseInt(s.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		s.declared = n
	}
	s.receive()
}

func (s *spool) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.WriteHeader(http.StatusOK)
	}
	if s.declared >= 0 && s.size+int64(len(b)) > s.declared && allowsBody(s.status) {
		return 0, http.ErrContentLength
	}
	if !allowsBody(s.status) {
		return 0, http.ErrBodyNotAllowed
	}
	s.size += int64(len(b))
	if s.discard {
		return len(b), nil
	}
	if err := s.f.append(s.ctx, b, s.p.c.opt.MaxBodyBytes); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *spool) WriteString(b string) (int, error) { return s.Write([]byte(b)) }

func (s *spool) Flush() { s.FlushError() }

// FlushError implements what http.ResponseController looks for.
func (s *spool) FlushError() error {
	if s.status == 0 {
		s.WriteHeader(http.StatusOK)
	}
	if !s.discard {
		s.f.flush()
	}
	return nil
}

// receive decides what the response is good for, once its header is there.
func (s *spool) receive() {
	p, c, f := s.p, s.p.c, s.f
	now := c.now()
	if p.validating && s.status == http.StatusNotModified {
		s.discard = true
		r := c.refresh(p, s.header, now)
		if r == nil {
			s.again = true
			return
		}
		p.busy(!r.reuse)
		f.resolve(r.entry, report{fwd: fwdStale, fwdStatus: s.status, stored: r.stored}, r.reuse)
		return
	}
	if p.base != nil && p.staleOnError(s.status, now) {
		s.discard = true
		f.resolve(p.base, report{hit: true, fwd: fwdStale, fwdStatus: s.status}, true)
		return
	}
	if p.part != nil && (s.status == http.StatusPartialContent || s.status == http.StatusRequestedRangeNotSatisfiable) {
		if s.status != http.StatusPartialContent || !s.combine(now) {
			s.discard, s.again = true, true
		}
		return
	}
	x := p.exchange(s.status, s.header, now)
	s.verdict = c.judge(&x)
	if s.status == http.StatusPartialContent {
		s.judgePart()
	}
	if s.declared > c.opt.MaxBodyBytes {
		s.verdict.store, s.verdict.reuse = false, false
	}
	s.begin(nil)
}

// begin publishes the response, with the body so far.
func (s *spool) begin(body []byte) {
	c, v := s.p.c, &s.verdict
	f := s.f
	header := s.header.Clone()
	for name := range header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(header, name)
		}
	}
	var buf []byte
	var head *entry
	if v.store {
		fields, ok := c.storedFields(withDate(header, v.date), v.unstored)
		if ok {
			size := 1 << 10
			if s.declared >= 0 {
				size = int(s.declared) + len(body) + 64*len(fields)
			}
			buf = appendEnvelope(make([]byte, 0, size+fixedSize), &v.meta, fields, v.tags)
			head = new(entry)
			if head.decode(buf[:len(buf):len(buf)]) != nil {
				head, ok = nil, false
			}
		}
		if !ok {
			v.store, v.reuse, buf = false, false, nil
		}
	}
	shareable := v.reuse && v.store || sharedError(s.status, header)
	if s.status < 500 {
		s.p.busy(!shareable)
	}
	set := appendSet(nil, v.vary)
	variant, _ := appendVariantKey(nil, nil, 0, set, s.p.original, "")

	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.header, f.head = s.status, header, head
	f.bodyAt = len(buf)
	f.buf = append(buf, body...)
	f.retain = v.store
	f.keepOn = v.store && s.declared >= 0
	f.vary, f.variant = set, string(variant)
	f.outcome = outcomeStream
	f.shareable = shareable
	f.signal()
}

// sharedError reports whether the response is an error of the way to the
// origin rather than an answer of it: everyone who waited gets it, instead of
// knocking at a dead server one after the other. It is not stored.
func sharedError(status int, h http.Header) bool {
	return status >= 502 && status <= 504 && len(h["Set-Cookie"]) == 0 && len(h["Cache-Control"]) == 0
}

// finish ends the flight when the handler has returned. Before anyone can see
// that, the response has been stored and nobody can join the flight any more.
func (s *spool) finish(failure any) {
	f, p := s.f, s.p
	flights := &p.c.shared.flights
	if failure == nil && s.status == 0 {
		s.WriteHeader(http.StatusOK)
		if s.again {
			failure = http.ErrAbortHandler
		}
	}
	if failure == nil && !s.discard && s.declared >= 0 && s.size != s.declared && allowsBody(s.status) {
		failure = http.ErrAbortHandler // fewer bytes than it declared
	}
	if failure != nil {
		if s.status == 0 && p.base != nil && p.staleOnError(http.StatusBadGateway, p.c.now()) {
			flights.remove(f)
			f.resolve(p.base, report{hit: true, fwd: fwdStale}, true)
			f.complete(nil, false)
			return
		}
		flights.remove(f)
		f.fail(failure)
		return
	}
	stored := false
	if !s.discard {
		if value := f.whole(); value != nil {
			value, v := s.seal(value)
			stored = v.store && p.c.save(p, v, f.header, value)
		}
	}
	flights.remove(f)
	f.complete(s.trailers(), stored)
}

// seal completes an envelope whose body has been received.
func (s *spool) seal(value []byte) ([]byte, *verdict) {
	if s.verdict.flags&flagPart != 0 {
		s.sealPart(value)
	}
	return value, &s.verdict
}

// trailers returns what the handler set after the header: the fields announced
// in Trailer, and those with the prefix.
func (s *spool) trailers() http.Header {
	var t http.Header
	set := func(name string, values []string) {
		if t == nil {
			t = make(http.Header)
		}
		t[name] = values
	}
	for name, values := range s.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			set(name, values)
		}
	}
	field.SplitList(s.f.header["Trailer"], func(name string) bool {
		name = http.CanonicalHeaderKey(name)
		if values := s.header[name]; len(values) > 0 {
			set(name, values)
		}
		return true
	})
	return t
}
