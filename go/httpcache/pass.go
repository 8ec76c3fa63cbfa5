package httpcache

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
)

// pass hands a request to the next handler as it is, on its own goroutine and
// with its own ResponseWriter. The cache only looks at the response's header:
// to invalidate what an unsafe method changed, to freshen what a HEAD tells
// about, and to add Cache-Status.
func (h *handler) pass(w http.ResponseWriter, r *http.Request, t *txn, reason string) {
	t.complete(r)
	p := passWriter{ResponseWriter: w, h: h, t: t, r: r, reason: reason}
	if r.Method == http.MethodHead && t.found || r.Method == http.MethodPost {
		p.since = h.c.shared.present(t.key)
	}
	if r.Method == http.MethodHead && t.found {
		p.outer = maps.Clone(w.Header())
	}
	h.next.ServeHTTP(&p, r)
	if p.status == 0 && !p.hijacked && !p.failed {
		p.WriteHeader(http.StatusOK)
	}
	p.storePost()
	ev := Event{Outcome: Bypass, Status: p.status, Bytes: p.bytes, Stored: p.stored}
	if p.stale {
		ev.Outcome = Stale
	}
	h.observe(r, ev)
}

// passWriter is the ResponseWriter of a request that passes by the cache.
type passWriter struct {
	http.ResponseWriter
	h      *handler
	t      *txn
	r      *http.Request
	reason string
	since  moment      // when the request was sent; for HEAD and POST
	sent   http.Header // what it was sent with, if that is known

	status   int
	bytes    int64
	hijacked bool
	failed   bool        // the next handler reported an error
	refused  bool        // the response was, and so is its body
	stale    bool        // a stored one was sent instead
	outer    http.Header // what handlers around the cache had set before; for HEAD
	post     *postCapture
	stored   bool
}

// Unwrap lets http.ResponseController find the connection's deadlines.
func (p *passWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *passWriter) reportError(err error) {
	if e, ok := p.ResponseWriter.(errorReporter); ok {
		p.failed = true
		e.reportError(err)
		return
	}
	panic(http.ErrAbortHandler)
}

func (p *passWriter) WriteHeader(status int) {
	if status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols && p.status == 0 {
		if p.r.ProtoMajor != 1 || p.r.ProtoMinor != 0 {
			p.ResponseWriter.WriteHeader(status)
		}
		return
	}
	if p.status != 0 {
		return
	}
	if mendNames(p.Header()) != nil || !p.h.client && !finalStatus(status) && status != http.StatusSwitchingProtocols {
		status = p.refuse()
	}
	p.status = status
	if p.standIn() {
		return
	}
	p.receive()
	p.ResponseWriter.WriteHeader(p.status)
}

// standIn answers a HEAD from a stale response in place of an error, if it may.
func (p *passWriter) standIn() bool {
	t, after := p.t, troubleOf(p.status)
	if p.outer == nil || after == notAsked || !t.standby(after) {
		return false
	}
	h := p.Header()
	clear(h)
	maps.Copy(h, p.outer)
	now := p.h.c.now()
	rep := report{
		hit: true, fwd: fwdStale, fwdStatus: p.status,
		ttl: (t.e.lifetime - t.e.age(now)) / 1000, hasTTL: true,
	}
	ev := p.h.c.answer(p.ResponseWriter, p.r, &t.info, &t.e, nil, now, &rep)
	p.status, p.refused, p.stale = ev.Status, true, true
	return true
}

// refuse makes a 502 of our own of a response that cannot be passed on. Fields of
// outer handlers stay.
func (p *passWriter) refuse() (status int) {
	p.refused = true
	h := p.Header()
	for name := range h {
		if describesContent(name) || name == "Etag" || name == "Last-Modified" || name == "Set-Cookie" {
			delete(h, name)
		}
	}
	h["Cache-Control"] = []string{"no-store"}
	h["Content-Length"] = []string{"0"}
	return http.StatusBadGateway
}

// receive acts on the response's header before the client sees it.
func (p *passWriter) receive() {
	c, t, header := p.h.c, p.t, p.Header()
	switch {
	case !t.keyed():
	case p.r.Method == http.MethodGet:
		if p.reason != fwdBypass && p.reason != fwdRequest {
			p.peek(header)
		}
	case p.r.Method == http.MethodHead:
		if t.found && p.status == http.StatusOK {
			plan := t.plan(p.r, p.since)
			plan.sent = p.sent
			c.headUpdate(plan, header)
		}
	case !safeMethod(p.r.Method):
		seq, untouched := c.invalidateAfter(p.r, t.key, p.status, header, p.since.seq)
		if p.r.Method == http.MethodPost && untouched {
			p.capturePost(header, seq)
		}
	}
	c.removeOurs(header)
	delete(header, sourceField)
	delete(header, sentField)
	c.addStatus(header, report{fwd: p.reason, fwdStatus: p.status})
}

// peek clears the busy mark of a URI whose responses have become worth waiting
// for.
func (p *passWriter) peek(header http.Header) {
	c, t := p.h.c, p.t
	now := c.now()
	x := exchange{
		method: p.r.Method, authorization: t.info.has&hasAuthorization != 0, cookie: t.info.has&hasCookie != 0,
		request: p.r.Header, origin: origin(t.key), status: p.status, header: header, requestTime: t.now, responseTime: now,
		sent: sentWith(header, p.sent),
	}
	if v := c.judge(&x); v.reuse {
		c.shared.busy.clear(c.shared.hash(t.key))
	}
}

func (p *passWriter) Write(b []byte) (int, error) {
	if p.status == 0 {
		p.WriteHeader(http.StatusOK)
	}
	if p.refused {
		return len(b), nil
	}
	n, err := p.ResponseWriter.Write(b)
	p.bytes += int64(n)
	if p.post != nil {
		p.post.write(b[:n], p.h.c.opt.MaxBodyBytes)
	}
	return n, err
}

// ReadFrom keeps the connection's own way of copying, such as sendfile.
func (p *passWriter) ReadFrom(src io.Reader) (int64, error) {
	if p.status == 0 {
		p.WriteHeader(http.StatusOK)
	}
	to, ok := p.ResponseWriter.(io.ReaderFrom)
	if !ok || p.post != nil || p.refused {
		return io.Copy(writerOnly{p}, src)
	}
	n, err := to.ReadFrom(src)
	p.bytes += n
	return n, err
}

type writerOnly struct{ io.Writer }

func (p *passWriter) Flush() {
	if p.status == 0 {
		p.WriteHeader(http.StatusOK)
	}
	flush(p.ResponseWriter)
}

func (p *passWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(p.ResponseWriter).Hijack()
	p.hijacked = p.hijacked || err == nil
	return conn, rw, err
}
