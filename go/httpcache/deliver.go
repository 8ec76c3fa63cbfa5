package httpcache

import (
	"maps"
	"net/http"
	"slices"
)

// deliver answers a request from a flight. If the flight turns out to be of no
// use for it, done is false and next says how to go on: retryKey, the key of a
// flight that suits it, or "" for one of its own.
func (h *handler) deliver(w http.ResponseWriter, r *http.Request, t *txn, f *flight, rd *reader, leader bool, reason string) (next string, done bool) {
	c := h.c
	defer c.shared.flights.leave(f, rd)
	ctx := r.Context()

	f.mu.Lock()
	seen := 0 // interim responses
	for f.outcome == outcomePending || f.outcome == outcomeStream && (leader || f.shareable) && !f.visible && !f.done ||
		leader && seen < len(f.interim) {
		if leader && seen < len(f.interim) {
			i := f.interim[seen]
			seen++
			f.mu.Unlock()
			sendInterim(w, r, i)
			f.mu.Lock()
			continue
		}
		if err := f.wait(ctx); err != nil {
			f.mu.Unlock()
			h.giveUp(w, r, err)
			return "", true
		}
	}
	outcome, shareable, failure := f.outcome, f.shareable, f.failure
	f.mu.Unlock()

	switch outcome {
	case outcomeRetry:
		return retryKey, false
	case outcomeFailed:
		h.abort(w, failure, leader)
		return "", true
	case outcomeStored:
		if !leader && !(shareable && t.found && string(t.entryKey) == f.baseKey) {
			return "", false // by its own lookup it selects another response, or none
		}
		h.deliverStored(w, r, t, f, leader)
		return "", true
	}
	if !leader {
		if !shareable {
			return "", false
		}
		if variantOf(f.vary, r.Header) != f.variant || t.info.implied != 0 && !t.covers(f.vary) {
			return flightKey(t.key, f.vary, variantOf(f.vary, r.Header)), false
		}
	}
	h.stream(w, r, t, f, rd, leader, reason)
	return "", true
}

// abort ends a request without a response. The leader gets what the next
// handler panicked with, as if it had called it itself.
func (h *handler) abort(w http.ResponseWriter, failure any, leader bool) {
	if err, ok := failure.(error); ok {
		if e, ok := w.(errorReporter); ok {
			e.reportError(err)
			return
		}
	}
	if leader {
		panic(failure)
	}
	panic(http.ErrAbortHandler)
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
func (h *handler) deliverStored(w http.ResponseWriter, r *http.Request, t *txn, f *flight, leader bool) {
	now := h.c.now()
	rep := f.baseFresh
	rep.ttl, rep.hasTTL = (f.base.lifetime-f.base.age(now))/1000, true
	if !leader {
		rep.collapsed = true
	}
	ev := h.c.answer(w, r, &t.info, f.base, nil, now, &rep)
	ev.Outcome = Revalidated
	if rep.hit {
		ev.Outcome = Stale
	}
	ev.Stored = rep.stored && leader
	h.observe(r, ev)
}

// stream sends a response that is being received.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, t *txn, f *flight, rd *reader, leader bool, reason string) {
	c := h.c
	ev := Event{Outcome: Miss, Status: f.status, Stored: f.head != nil && leader}
	rep := report{fwd: reason, fwdStatus: f.status, stored: f.head != nil && leader}
	if !leader {
		ev.Outcome, rep.collapsed = Collapsed, true
	}
	out := w.Header()
	if f.head != nil && t.info.conditional() && notModified(f.head, &t.info, r.Header, t.now) {
		c.emit(out, f.head, emission{now: c.now(), length: -1, notModified: true}, &rep)
		w.WriteHeader(http.StatusNotModified)
		ev.Status = http.StatusNotModified
		h.observe(r, ev)
		return
	}
	for name, values := range f.header {
		out[name] = values[:len(values):len(values)]
	}
	c.removeOurs(out)
	c.addStatus(out, rep)
	w.WriteHeader(f.status)
	ev.Bytes = h.streamBody(w, r, f, rd)
	h.observe(r, ev)
}

// streamBody sends the body as it comes in. It panics with
// http.ErrAbortHandler if the response ends early, so that the client can tell.
func (h *handler) streamBody(w http.ResponseWriter, r *http.Request, f *flight, rd *reader) int64 {
	ctx := r.Context()
	var flushed int64
	f.mu.Lock()
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
				f.mu.Unlock()
				return rd.pos // the client has gone
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
			failure, trailers := f.failure, f.trailers
			f.mu.Unlock()
			if failure != nil {
				h.abort(w, failure, false)
			}
			for name, values := range trailers {
				w.Header()[name] = slices.Clip(values)
			}
			return rd.pos
		}
		if err := f.wait(ctx); err != nil {
			f.mu.Unlock()
			h.abort(w, err, false)
			return rd.pos
		}
	}
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
		return
	}
	http.NewResponseController(w).Flush()
}
