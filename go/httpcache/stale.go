package httpcache

import "net/http"

// RFC 9111, 4.2.4 Serving Stale Responses, and RFC 5861.

// staleOnError reports whether the stored response may be used although it is
// stale, because the next hop answered with the status: a 500 within its
// stale-if-error window; a 502, 503 or 504, by which a gateway says that it
// could not get an answer, within that of a disconnected cache.
//
// Clients can allow more with stale-if-error, or nothing with no-cache and
// max-age.
func (p *plan) staleOnError(status int, now int64) bool {
	e, d := p.base, &p.info.directed
	if status < 500 || status > 504 || status == http.StatusNotImplemented || e.flags&flagPart != 0 {
		return false
	}
	window := e.sie
	if status != http.StatusInternalServerError {
		window = max(window, e.unreachable)
	}
	if d.StaleIfError >= 0 && e.flags&flagNoStale == 0 {
		window = max(window, d.StaleIfError)
	} else if d.NoCache || d.MaxAge >= 0 {
		return false
	}
	// must-revalidate, proxy-revalidate and no-cache have left no window, and a
	// response that is fresh but was to be validated has nothing to exceed it.
	return window > 0 && e.staleness(now) <= window*1000
}
