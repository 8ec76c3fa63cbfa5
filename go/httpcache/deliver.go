package httpcache

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// delivery is the part of one request in a flight.
type delivery struct {
	h      *handler
	w      http.ResponseWriter
	r      *http.Request
	t      *txn
	f      *flight
	rd     *reader
	leader bool
	reason string // why the request goes forward
}

// deliver answers a request from a flight. If the flight turns out to be of no
// use for it, done is false and next says how to go on: retryKey, the key of a
// flight that suits it, or "" for one of its own.
func (d *delivery) deliver() (next string, done bool) {
	h, r, t, f := d.h, d.r, d.t, d.f
	c := h.c
	defer c.leave(f, d.rd)

	switch stale, err := d.await(); {
	case err == errImpatient && stale:
		c.leave(f, d.rd) // what comes may be more than it is let ahead of its readers
		h.serveStandby(d.w, r, t, "timeout")
		return "", true
	case err == errImpatient:
		return "", false
	case err != nil:
		h.giveUp(d.w, r, t, err)
		return "", true
	}

	f.mu.Lock()
	outcome, shareable := f.outcome, f.shareable
	purged := !d.leader && f.purged(c.shared.purges, t.key)
	f.mu.Unlock()

	switch {
	case outcome == outcomeRetry:
		return retryKey, false
	case outcome == outcomeFailed:
		d.abort()
		return "", true
	case !d.leader && !shareable:
		return "", false
	case purged:
		return retryKey, false
	case outcome == outcomeStored:
		if !d.leader && !(t.found && string(t.entryKey) == f.baseKey) {
			return "", false // by its own lookup it selects another response, or none
		}
		d.deliverStored()
		return "", true
	}
	switch {
	case d.leader:
	case f.bare:
		if t.info.has&(hasAuthorization|hasCookie) != 0 {
			return "", false
		}
		d.answerOwn(f.status, report{fwd: d.reason, fwdStatus: f.status, collapsed: true})
		return "", true
	case f.ours: // it is the same for all
	case variantOf(f.vary, r.Header) != f.variant || t.info.implied != 0 && !t.covers(f.vary):
		return flightKey(t.key, f.vary, variantOf(f.vary, r.Header)), false
	}
	d.stream()
	return "", true
}

// await waits until it is known what has become of the flight, and passes interim
// responses on to the leader's client meanwhile. stale tells, if the time is up,
// that the txn's stale response may be served.
func (d *delivery) await() (stale bool, err error) {
	f := d.f
	var timer <-chan time.Time
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if d.leader && len(f.interim) > 0 {
			i := f.interim[0]
			f.interim = f.interim[1:]
			f.mu.Unlock()
			sendInterim(d.w, d.r, i)
			f.mu.Lock()
			continue
		}
		if f.known(d.leader) {
			return false, nil
		}
		if timer == nil {
			var patience time.Duration
			if patience, stale = d.t.patience(d.leader); patience > 0 {
				ring := time.NewTimer(patience)
				defer ring.Stop()
				timer = ring.C
			}
		}
		err := f.wait(d.r.Context(), timer)
		if err == errImpatient && stale && !d.t.standby(unreachable) {
			timer = nil // it has been purged meanwhile, or is too old by now
			continue
		}
		if err != nil {
			return stale, err
		}
	}
}

// known reports whether a request need not wait any longer to know what has become
// of the flight. f.mu must be held.
func (f *flight) known(leader bool) bool {
	switch f.outcome {
	case outcomePending:
		return false
	case outcomeStream:
		// Until something of it may be sent on, it may still fail as a whole.
		return f.visible || f.done || !leader && !f.shareable
	}
	return true
}

// abort ends a request without a response of the next hop. The leader gets what
// the next handler panicked with, as if it had called it itself; but if there was a
// header, and only the body has ended before anything of it was sent on, that is a
// fault of the next hop's which clients can be told of.
func (d *delivery) abort() {
	f := d.f
	err, isError := f.failure.(error)
	switch e, ok := d.w.(errorReporter); {
	case ok && isError:
		e.reportError(err)
	case isError && f.broken && errors.Is(err, ErrBodyIdle):
		d.answerOwn(http.StatusGatewayTimeout, report{fwd: d.reason, fwdStatus: f.status, detail: "stalled"})
	case isError && f.broken:
		d.answerOwn(http.StatusBadGateway, report{fwd: d.reason, fwdStatus: f.status, detail: "incomplete"})
	case d.leader && !isError:
		panic(f.failure)
	case d.leader && !errors.Is(err, http.ErrAbortHandler):
		panic(f.failure)
	default:
		panic(http.ErrAbortHandler)
	}
}

// answerOwn answers with a response of our own, which has a status and no content.
func (d *delivery) answerOwn(status int, rep report) {
	out := d.w.Header()
	GatewayError(out) // for a cache around this one
	out["Cache-Control"] = []string{"no-store"}
	out["Content-Length"] = []string{"0"}
	d.h.c.addStatus(out, rep)
	d.w.WriteHeader(status)
	ev := Event{Outcome: Miss, Status: status}
	if rep.collapsed {
		ev.Outcome = Collapsed
	}
	d.h.observe(d.r, ev)
}

// sendInterim passes a 1xx on, but not to a client of HTTP/1.0, which would take it
// for the answer (RFC 9110, 15.2).
func sendInterim(w http.ResponseWriter, r *http.Request, i interim) {
	if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		return
	}
	h := w.Header()
	before := maps.Clone(h)
	maps.Copy(h, i.header)
	w.WriteHeader(i.status)
	clear(h)
	maps.Copy(h, before)
}

// deliverStored answers from a stored response that the flight validated, or
// that stands in for an error.
func (d *delivery) deliverStored() {
	h, f := d.h, d.f
	now := h.c.now()
	rep := f.baseFresh
	rep.ttl, rep.hasTTL = (f.base.lifetime-f.base.age(now))/1000, true
	if d.leader {
		maps.Copy(d.w.Header(), f.own)
	} else {
		rep.collapsed = true
	}
	ev := h.c.answer(d.w, d.r, &d.t.info, f.base, nil, now, &rep)
	ev.Outcome = Revalidated
	if rep.hit {
		ev.Outcome = Stale
	}
	ev.Stored = rep.stored && d.leader
	h.observe(d.r, ev)
}

// stream sends a response that is being received.
func (d *delivery) stream() {
	w, r, t, f, leader := d.w, d.r, d.t, d.f, d.leader
	c := d.h.c
	ev := Event{Outcome: Miss, Status: f.status, Stored: f.head != nil && leader}
	rep := report{fwd: d.reason, fwdStatus: f.status, stored: f.head != nil && leader}
	if !leader {
		ev.Outcome, rep.collapsed = Collapsed, true
	} else {
		rep.detail = f.refusal
	}
	if o, ok := w.(originReporter); ok && f.origin != nil {
		o.reportOrigin(f.origin)
	}
	if t.info.conditional() && notModified(f.validators(), &t.info, r.Header, t.now) {
		c.streamNotModified(w.Header(), f, leader, &rep)
		w.WriteHeader(http.StatusNotModified)
		ev.Status = http.StatusNotModified
		d.h.observe(r, ev)
		return
	}
	out := w.Header()
	for name, values := range f.header {
		if leader || f.shows(name) {
			out[name] = values[:len(values):len(values)]
		}
	}
	c.removeOurs(out)
	if f.ours {
		GatewayError(out)
	}
	c.addStatus(out, rep)
	w.WriteHeader(f.status)
	var failure error
	ev.Bytes, failure = d.streamBody()
	ev.Aborted = failure != nil
	d.h.observe(r, ev)
	if failure == nil || errors.Is(failure, errGone) {
		return
	}
	// The client can tell by that alone.
	if e, ok := w.(errorReporter); ok {
		e.reportError(failure)
		return
	}
	panic(http.ErrAbortHandler)
}

// shows reports whether others than the leader may see a field of the response:
// not those which private or no-cache name (RFC 9111, 5.2.2.4 and 5.2.2.7), nor
// those which end at this hop, but for Trailer, which the server needs to send them.
func (f *flight) shows(name string) bool {
	return (!hopByHop[name] || name == "Trailer") && !slices.ContainsFunc(f.withheld, func(s string) bool {
		return strings.EqualFold(s, name)
	})
}

// showsTrailer reports whether others than the leader may see a trailer field. When it was
// decided that they may have the response, it wasn't known whether it has one that sets a
// cookie, which may not be there anyway (RFC 9110, 6.5.1).
func (f *flight) showsTrailer(name string) bool {
	return !strings.EqualFold(name, "Set-Cookie") && f.shows(name)
}

// validators returns an entry that a request's conditions can be evaluated
// against, whether the response is stored or not: a private one that is polled is
// transferred to this hop, but not to its client.
func (f *flight) validators() *entry {
	if f.head != nil {
		return f.head
	}
	var fields []fieldLine
	if values := f.header["Etag"]; len(values) == 1 && len(values[0]) <= maxFieldValue {
		fields = []fieldLine{{"Etag", values[0]}}
	}
	e := new(entry)
	if e.decode(appendEnvelope(nil, &f.meta, fields, nil)) != nil {
		panic("httpcache: an envelope of one field is malformed")
	}
	return e
}

// streamNotModified sets the header of a 304 in place of a response that is being
// received.
func (c *Cache) streamNotModified(out http.Header, f *flight, leader bool, rep *report) {
	if f.head != nil && !leader {
		c.emit(out, f.head, emission{now: c.now(), length: -1, notModified: true}, rep)
		return
	}
	for name, values := range f.header {
		if !describesContent(name) && !hopByHop[name] {
			out[name] = values[:len(values):len(values)]
		}
	}
	c.removeOurs(out)
	c.addStatus(out, *rep)
}

// streamBody sends the body as it comes in. It returns how much of it was sent,
// and an error if that is not all: errGone if the client has left.
func (d *delivery) streamBody() (int64, error) {
	w, f, rd := d.w, d.f, d.rd
	var flushed int64
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if at := rd.pos - f.dropped; at < int64(len(f.buf)-f.bodyAt) {
			chunk := f.buf[f.bodyAt+int(at):]
			f.mu.Unlock()
			n, err := w.Write(chunk)
			f.mu.Lock()
			rd.pos += int64(n)
			if !f.retain {
				f.signal() // the writer may be waiting for us
			}
			if err != nil {
				return rd.pos, errGone
			}
			continue
		}
		if f.flushAt > flushed {
			flushed = f.flushAt
			f.mu.Unlock()
			flush(w)
			f.mu.Lock()
			continue
		}
		if f.done {
			if f.failure != nil {
				return rd.pos, asError(f.failure)
			}
			for name, values := range f.trailers {
				if d.leader || f.showsTrailer(strings.TrimPrefix(name, http.TrailerPrefix)) {
					w.Header()[name] = slices.Clip(values)
				}
			}
			return rd.pos, nil
		}
		if err := f.wait(d.r.Context(), nil); err != nil {
			return rd.pos, err
		}
	}
}

// asError makes an error of what a handler has ended with.
func asError(failure any) error {
	if err, ok := failure.(error); ok {
		return err
	}
	return http.ErrAbortHandler
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
		return
	}
	http.NewResponseController(w).Flush()
}
