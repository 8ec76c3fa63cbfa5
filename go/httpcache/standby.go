package httpcache

import (
	"net/http"
	"time"
)

// A stale response at hand that may be served when the next hop fails is served
// when the next hop is silent, too: after Options.StaleTimeout, which is the cache's
// own, and not when the next hop's or the request's time is up (RFC 9111, 4.2.4;
// RFC 5861, 4: a timeout is an error). The fetch goes on. Nobody else waits for the
// next hop until it has answered; it is asked again in the background.

// standby reports whether the txn's entry may be served after the next hop had that
// trouble; unreachable, if it is silent.
func (t *txn) standby(after trouble) bool {
	return t.found && t.e.reuse(&t.info.directed, t.soft, t.c.now(), after) == decideStale &&
		t.c.shared.purges.check(&t.e, t.key) != hardPurged
}

// serveSilent answers from the txn's entry if the next hop was silent when it was
// last asked for it.
func (h *handler) serveSilent(w http.ResponseWriter, r *http.Request, t *txn) bool {
	silent, hash := &h.c.shared.silent, h.c.shared.hash(t.key)
	if _, known := silent.get(hash); !known || !t.standby(unreachable) {
		return false
	}
	if !silent.has(hash, t.now) {
		silent.mark(hash, t.now+silentFor)
		h.refreshInBackground(r, t)
	}
	h.answerStale(w, r, t, "silent")
	return true
}

// serveStandby answers from the txn's entry, after having waited for the next hop.
func (h *handler) serveStandby(w http.ResponseWriter, r *http.Request, t *txn, detail string) {
	now := h.c.now()
	h.c.shared.silent.mark(h.c.shared.hash(t.key), now+silentFor)
	h.answerStale(w, r, t, detail)
}

func (h *handler) answerStale(w http.ResponseWriter, r *http.Request, t *txn, detail string) {
	now := h.c.now()
	rep := report{
		hit: true, fwd: fwdStale, detail: detail,
		ttl: (t.e.lifetime - t.e.age(now)) / 1000, hasTTL: true,
	}
	ev := h.c.answer(w, r, &t.info, &t.e, nil, now, &rep)
	ev.Outcome = Stale
	h.observe(r, ev)
}

// patience returns for how long the request waits for a flight's header, or for the
// leader's, and whether a stale response is served then. Zero: without bounds.
func (t *txn) patience(leader bool) (d time.Duration, stale bool) {
	o := &t.c.opt
	if o.StaleTimeout > 0 && (leader || o.StaleTimeout < o.LockTimeout) && t.standby(unreachable) {
		return o.StaleTimeout, true
	}
	if leader {
		return 0, false
	}
	return max(o.LockTimeout, 1), false
}
