package httpcache

import (
	"context"
	"errors"
	"net/http"
)

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r)
}

// serve answers one request, from the cache if it can.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	c := h.c
	t := c.begin()
	if c.late.first {
		t.complete(r)
	}
	t.info = c.classify(r.Header)
	var ok bool
	t.key, ok = c.appendKey(t.key[:0], r)
	switch {
	case !ok, t.info.has&hasForeign != 0, r.Method == http.MethodGet && r.ContentLength != 0,
		r.Method == http.MethodHead && r.ContentLength != 0:
		// Content in a GET means nothing in HTTP, but may to the next hop.
		h.pass(w, r, t, fwdBypass)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.pass(w, r, t, fwdMethod)
	case t.info.directed.NoStore:
		h.pass(w, r, t, fwdRequest)
	case h.serveStored(w, r, t):
	case t.info.directed.OnlyIfCached:
		h.gatewayTimeout(w, r, t)
	case r.Method == http.MethodHead:
		h.pass(w, r, t, t.forwardReason())
	default:
		h.fetch(w, r, t)
		return // fetch releases t
	}
	t.release()
}

// serveStored looks the request up and answers it if a stored response can be
// used without asking anyone.
func (h *handler) serveStored(w http.ResponseWriter, r *http.Request, t *txn) bool {
	t.lookup(r)
	d := t.decide()
	if d != decideHit && d != decideStale {
		t.complete(r)
		t.own()
	}
	switch d {
	case decideHit:
		h.hit(w, r, t, Hit)
		return true
	case decideStale:
		h.hit(w, r, t, Stale)
		return true
	case decideBackground:
		h.refreshInBackground(r, t)
		h.hit(w, r, t, Stale)
		return true
	case decideRevalidate:
		return h.serveSilent(w, r, t)
	case decideMiss:
		if t.info.has&hasRange == 0 {
			return false
		}
		if t.lookupPart(r.Header); t.found {
			if _, result := selectRange(&t.e, &t.info, r, t.now); result == rangeOK {
				h.hit(w, r, t, Hit)
				return true
			}
			t.found = false
		}
	}
	return false
}

// hit answers from the txn's entry.
func (h *handler) hit(w http.ResponseWriter, r *http.Request, t *txn, o Outcome) {
	rep := report{hit: true, ttl: (t.e.lifetime - t.e.age(t.now)) / 1000, hasTTL: true}
	if t.lent {
		defer t.dropView() // a ResponseWriter may panic
	}
	ev := h.c.answer(w, r, &t.info, &t.e, h.c.shared.prepared.get(&t.e), t.now, &rep)
	if h.c.opt.Observe != nil {
		ev.Outcome = o
		h.c.opt.Observe(r, ev)
	}
}

func (h *handler) observe(r *http.Request, ev Event) {
	if h.c.opt.Observe != nil {
		h.c.opt.Observe(r, ev)
	}
}

// forwardReason says why the request goes forward (RFC 9211, 2.2).
func (t *txn) forwardReason() string {
	switch {
	case t.found && (t.soft || t.e.staleness(t.now) > 0 || t.e.flags&flagNoCache != 0):
		return fwdStale
	case t.found:
		return fwdRequest
	case t.indexed:
		return fwdVary
	}
	return fwdURIMiss
}

// gatewayTimeout answers only-if-cached requests that nothing stored satisfies
// (RFC 9111, 5.2.1.7).
func (h *handler) gatewayTimeout(w http.ResponseWriter, r *http.Request, t *txn) {
	h.c.addStatus(w.Header(), report{detail: "only-if-cached"})
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusGatewayTimeout)
	h.observe(r, Event{Outcome: Miss, Status: http.StatusGatewayTimeout})
}

// mayCollapse reports whether the request may be answered by the fetch of
// another one: not if it asks for something newer than what may be underway,
// or for a range.
func (t *txn) mayCollapse() bool {
	d := &t.info.directed
	if d.NoCache || d.MaxAge >= 0 || d.MinFresh >= 0 || t.info.has&hasRange != 0 && !t.found {
		return false
	}
	return !t.found || t.e.flags&flagNoCache == 0
}

// fetch answers from the next hop, with others if possible. It releases t.
func (h *handler) fetch(w http.ResponseWriter, r *http.Request, t *txn) {
	c := h.c
	if c.shared.busy.has(c.shared.hash(t.key), t.now) || !t.mayCollapse() {
		if !t.found && t.info.has&hasRange == 0 && t.mayCollapse() {
			h.pass(w, r, t, t.forwardReason())
			t.release()
			return
		}
		h.fetchAlone(w, r, t)
		return
	}
	key := t.flightKey(r.Header)
	for {
		f, rd, leader := c.join(key, t.key)
		if leader {
			// The response may have been stored between lookup and join.
			t.now = c.now()
			if h.serveStored(w, r, t) {
				c.shared.flights.remove(f)
				f.retryAll()
				t.release()
				return
			}
			h.start(f, t, r)
		}
		d := delivery{h: h, w: w, r: r, t: t, f: f, rd: rd, leader: leader, reason: t.forwardReason()}
		next, done := d.deliver()
		if done {
			t.release()
			return
		}
		switch next {
		case "":
			h.fetchAlone(w, r, t)
			return
		case retryKey:
			t.now = c.now()
			if h.serveStored(w, r, t) {
				t.release()
				return
			}
		default:
			key = next
		}
	}
}

// retryKey makes fetch look into the cache again and join under the same key.
const retryKey = "retry"

// fetchAlone answers from the next hop with a flight of the request's own. It
// releases t.
func (h *handler) fetchAlone(w http.ResponseWriter, r *http.Request, t *txn) {
	f := newFlight("", h.c.shared.present(t.key))
	rd := new(reader)
	f.readers = []*reader{rd}
	h.start(f, t, r)
	d := delivery{h: h, w: w, r: r, t: t, f: f, rd: rd, leader: true, reason: t.forwardReason()}
	d.deliver()
	t.release()
}

// start sets a flight going.
func (h *handler) start(f *flight, t *txn, r *http.Request) {
	p := t.plan(r, f.since)
	if !t.found && t.info.has&hasRange == 0 {
		if t.lookupPart(r.Header); t.found && completable(&t.e) && !codable(&t.e, r.Header) {
			p.completePart(t.e.clone())
		}
		t.found = false
	}
	f.baseKey = string(p.baseKey)
	f.cancel = p.withContext()
	f.lingers = f.lingers || p.base != nil
	go h.run(f, p)
}

// flightKey returns the key of the flight that the request would join.
func (t *txn) flightKey(h http.Header) string {
	if !t.indexed {
		return string(t.key)
	}
	set, _ := cutSet(t.x.sets) // the newest is the likeliest
	return flightKey(t.key, set, variantOf(set, h))
}

// flightKey is the key of requests for one variant, known by its set of names
// and the request's values of them.
func flightKey(primary, set []byte, variant string) string {
	return string(primary) + "\x00" + string(set) + "\x00" + variant
}

func variantOf(set []byte, h http.Header) string {
	v, _ := appendVariantKey(nil, nil, 0, set, h, "")
	return string(v)
}

// retryAll makes everyone who has joined the flight look into the cache again.
func (f *flight) retryAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcome = outcomeRetry
	f.done = true
	f.signal()
}

// errorReporter is implemented by the ResponseWriters of this package, so that
// a Transport's error reaches its caller.
type errorReporter interface{ reportError(error) }

// giveUp ends a request whose context ended before there was a response. One that
// has run out of time gets a stale response if there is one that may be served.
func (h *handler) giveUp(w http.ResponseWriter, r *http.Request, t *txn, err error) {
	if e, ok := w.(errorReporter); ok {
		e.reportError(context.Cause(r.Context()))
		h.observe(r, Event{Outcome: Miss, Status: StatusClientClosedRequest, Aborted: true})
		return
	}
	ev := Event{Outcome: Miss, Status: StatusClientClosedRequest, Aborted: true}
	detail := "cancelled"
	if errors.Is(err, context.DeadlineExceeded) {
		if t.standby(unreachable) {
			h.serveStandby(w, r, t, "timeout")
			return
		}
		ev.Status, ev.Aborted = http.StatusGatewayTimeout, false
		detail = "timeout"
	}
	h.c.addStatus(w.Header(), report{fwd: t.forwardReason(), detail: detail})
	w.WriteHeader(ev.Status)
	h.observe(r, ev)
}
