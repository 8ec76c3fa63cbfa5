package httpcache

import (
	"context"
	"errors"
	"log"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// spool is the ResponseWriter of a flight: what the next handler writes into.
type spool struct {
	f *flight
	p *plan

	ctx      context.Context // of the flight
	base     *entry          // the plan's, or nil
	info     requestInfo     // the plan's
	client   bool            // of a Transport
	idle     *time.Timer     // rings when the body has stalled, or nil
	header   http.Header
	status   int
	declared int64 // Content-Length, -1 without one
	size     int64 // of the body so far, as the handler sees it
	verdict  verdict
	partial  contentRange

	discard     bool // the body is not wanted
	refused     bool // the response was, and so is its body
	credentials bool // the request was sent with some

	again  bool // the request must be sent again without conditions
	failed error
	origin *http.Response // see originReporter
}

var errGone = errors.New("httpcache: all clients have gone")

// ErrBodyIdle ends the body of a response that has brought nothing for
// Options.BodyIdleTimeout. Who reads a Transport's response gets it.
var ErrBodyIdle = errors.New("httpcache: the response has stalled")

// run sends the plan's request and receives the response. It is the only
// function that ends a flight.
func (h *handler) run(f *flight, p *plan) {
	defer f.cancel()
	for range 2 {
		s := &spool{
			f: f, p: p, ctx: p.req.Context(), base: p.base, info: p.info, client: h.client,
			header: make(http.Header), declared: -1,
		}
		p.sentAt = h.c.now()
		failure := h.call(s, p.req)
		if s.idle != nil {
			s.idle.Stop()
		}
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
		} else if err, _ := failure.(error); !errors.Is(err, http.ErrAbortHandler) {
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
	if mendNames(s.header) != nil || !s.client && !finalStatus(status) {
		s.refuse()
	}
	if n, err := strconv.ParseInt(s.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		s.declared = n
	}
	s.receive()
	s.watch()
}

// refuse makes a 502 of our own of a response that cannot be passed on.
func (s *spool) refuse() {
	s.status, s.refused = http.StatusBadGateway, true
	clear(s.header)
	GatewayError(s.header)
	s.header["Content-Length"] = []string{"0"}
}

// watch cuts the response if its body stalls: not while nobody takes it, which is
// not the next hop's fault, and not if it is a stream of events, which may be rare.
func (s *spool) watch() {
	d := s.p.c.opt.BodyIdleTimeout
	if d <= 0 || strings.HasPrefix(s.header.Get("Content-Type"), "text/event-stream") {
		return
	}
	s.idle = time.AfterFunc(d, func() {
		s.end(ErrBodyIdle)
		s.f.cancel()
	})
}

func (s *spool) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.WriteHeader(http.StatusOK)
	}
	if s.refused {
		return len(b), nil
	}
	if s.idle != nil {
		s.idle.Stop()
		defer s.idle.Reset(s.p.c.opt.BodyIdleTimeout)
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
		c.shared.silent.clear(p.hash)
		r := c.refresh(p, s.header, now)
		if r == nil {
			s.again = true
			return
		}
		p.busy(!r.reuse)
		rep := report{fwd: fwdStale, fwdStatus: s.status, stored: r.stored}
		f.resolve(r.entry, rep, r.reuse, pick(s.header, r.unstored))
		return
	}
	if allowed, shared := s.standIn(s.status, now); allowed {
		s.discard = true
		c.shared.silent.renew(p.hash, now+silentFor)
		f.resolve(p.base, report{hit: true, fwd: fwdStale, fwdStatus: s.status}, shared, nil)
		return
	}
	if s.status < http.StatusInternalServerError {
		c.shared.silent.clear(p.hash)
	}
	if p.part != nil && (s.status == http.StatusPartialContent || s.status == http.StatusRequestedRangeNotSatisfiable) {
		if s.status != http.StatusPartialContent || !s.combine(now) {
			s.discard, s.again = true, true
		}
		return
	}
	x := p.exchange(s.status, s.header, now)
	s.verdict = c.judge(&x)
	s.credentials = x.authorization || x.cookie
	if s.status == http.StatusPartialContent {
		s.judgePart()
	}
	switch {
	case isGatewayError(s.header):
		s.verdict.refuse("error")
	case s.declared > c.opt.MaxBodyBytes:
		s.verdict.refuse("too-large")
	}
	s.begin(nil)
}

// pick returns the named fields of a header, or nil if there are none.
func pick(h http.Header, names []string) http.Header {
	var picked http.Header
	for _, name := range names {
		name = http.CanonicalHeaderKey(name)
		if values := h[name]; len(values) > 0 && !hopByHop[name] {
			if picked == nil {
				picked = make(http.Header)
			}
			picked[name] = values
		}
	}
	return picked
}

// begin publishes the response, with the body so far.
func (s *spool) begin(body []byte) {
	c, v := s.p.c, &s.verdict
	f := s.f
	header := s.header.Clone()
	for name := range header {
		if strings.HasPrefix(name, http.TrailerPrefix) || strings.HasPrefix(name, processPrefix) {
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
			v.refuse("header-too-large")
			buf = nil
		}
	}
	ours := s.status >= 500 && isGatewayError(s.header)
	bare := !ours && s.bareError()
	shareable := v.reuse && v.store || bare || ours
	if s.status < 500 {
		s.p.busy(!shareable)
	}
	set := appendSet(nil, v.vary)
	variant, _ := appendVariantKey(nil, nil, 0, set, s.p.original, "")

	if s.publish(&flight{
		status: s.status, header: header, head: head, meta: v.meta,
		bodyAt: len(buf), buf: append(buf, body...), retain: v.store,
		withheld: append(connectionOptions(header), v.unstored...),
		ours:     ours, bare: bare, refusal: v.refusal,
		vary: set, variant: string(variant), shareable: shareable,
	}) {
		c.abandon(f)
	}
}

// publish makes what is known of a response known to the flight's readers. It
// reports whether nobody wants it: all have left, and it is not to be stored.
func (s *spool) publish(from *flight) (unwanted bool) {
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return false
	}
	f.status, f.header, f.head, f.meta = from.status, from.header, from.head, from.meta
	f.bodyAt, f.buf, f.retain = from.bodyAt, from.buf, from.retain
	f.withheld, f.ours, f.bare, f.refusal = from.withheld, from.ours, from.bare, from.refusal
	f.vary, f.variant, f.shareable = from.vary, from.variant, from.shareable
	f.origin = s.origin
	f.outcome = outcomeStream
	f.progress = time.Now()
	f.signal()
	unwanted = len(f.readers) == 0 && !f.retain
	f.dead = f.dead || unwanted
	return unwanted
}

// bareError reports whether the response is an error of a gateway behind this one,
// which says that it got no answer (502, 504), and was not provoked by who the
// client is, as far as the request tells. Everyone who waited is told so, instead
// of knocking at a dead server one after the other, but by a response of our own
// with the same status: the error was made for one request, and may quote it.
func (s *spool) bareError() bool {
	return (s.status == http.StatusBadGateway || s.status == http.StatusGatewayTimeout) &&
		!s.credentials &&
		len(s.header["Set-Cookie"]) == 0 && len(s.header["Cache-Control"]) == 0
}

// finish ends the flight when the handler has returned. Before anyone can see
// that, the response has been stored and nobody can join the flight any more.
func (s *spool) finish(failure any) {
	f, p := s.f, s.p
	if failure == nil && s.status == 0 {
		s.WriteHeader(http.StatusOK)
		if s.again {
			failure = http.ErrAbortHandler
		}
	}
	if failure == nil && s.declared >= 0 && s.size != s.declared && s.wanted() {
		failure = http.ErrAbortHandler // fewer bytes than it declared
	}
	if failure != nil {
		s.end(failure)
		return
	}
	stored := false
	if !s.discard {
		if value := f.whole(); value != nil {
			value, v := s.seal(value)
			stored = v.store && p.c.save(p, v, f.header, value)
		}
	}
	p.c.shared.flights.remove(f)
	f.complete(s.trailers(), stored)
}

// wanted reports whether the body is taken from the handler.
func (s *spool) wanted() bool { return !s.discard && !s.refused && allowsBody(s.status) }

// end ends the flight early: with the stored response if nobody has seen anything
// of the new one and the old one may be served instead. It may be called by any
// goroutine.
func (s *spool) end(failure any) {
	c, f := s.p.c, s.f
	c.shared.flights.remove(f)
	allowed, shared := s.standIn(http.StatusBadGateway, c.now())
	if !allowed || !f.standIn(s.base, report{hit: true, fwd: fwdStale}, shared) {
		f.fail(failure)
	}
}

// standIn is plan.staleOnError of the plan as it was when the request was sent.
func (s *spool) standIn(status int, now int64) (allowed, shared bool) {
	p := plan{base: s.base, info: s.info}
	return p.staleOnError(status, now)
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
