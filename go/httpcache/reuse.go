package httpcache

import (
	"net/http"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// May a stored response be given to a request without asking the origin? This file alone
// decides that (RFC 9111, 4, 4.2.4 and 5.2.1; RFC 5861), in two steps.
//
// When a response is stored, staleTerms writes down for how long it may be given once it is
// stale, and why. A response that was never fresh has no such terms but those it states
// itself: nobody has said that it may be given to anyone but who fetched it, and it is stored
// only so that the origin can be asked whether it still holds. Letting a client's max-stale,
// or an error which a client provokes, get at it would hand one user's page to another.
//
// When a request comes, reuse compares them with the request's directives. Everything that
// answers from the cache goes through it: whole responses and parts, for GET and HEAD,
// only-if-cached, and stand-ins for errors. That of a collapsed request is the leader's, if it
// does not rest on what only the leader said (see plan.staleOnError).

// terms are for how long a response may be given once it is stale, in milliseconds.
type terms struct {
	swr         int64 // while it is being revalidated (RFC 5861, 3)
	sie         int64 // in place of a 500 (RFC 5861, 4)
	unreachable int64 // while there is no answer from the origin (RFC 9111, 4.2.4)
}

// staleTerms sets the terms of a response, and whether clients may extend them.
//
// must-revalidate, proxy-revalidate and no-cache forbid all, and so does a Cache-Control that
// can't be read in full. s-maxage implies proxy-revalidate (section 5.2.2.10), so it does too,
// unless the same response permits it explicitly with a directive of RFC 5861.
func (c *Cache) staleTerms(v *verdict, d *field.Response) {
	if d.MustRevalidate || d.ProxyRevalidate || d.NoCache || d.Malformed {
		v.flags |= flagNoStale
		return
	}
	if v.lifetime > 0 && d.SMaxAge == field.Absent {
		v.swr = milliseconds(c.opt.StaleWhileRevalidate)
		v.sie = milliseconds(c.opt.StaleIfError)
		v.unreachable = max(v.sie, milliseconds(c.opt.StaleIfUnreachable))
	} else {
		v.flags |= flagNoStale
	}
	if d.StaleWhileRevalidate != field.Absent {
		v.swr = max(d.StaleWhileRevalidate, 0) * 1000
	}
	if d.StaleIfError != field.Absent {
		v.sie = max(d.StaleIfError, 0) * 1000
		v.unreachable = v.sie
	}
}

// longest returns for how long the response may be of use once it is stale.
func (t *terms) longest() int64 { return max(t.swr, t.sie, t.unreachable) }

// decision says what to do with what lookup found.
type decision uint8

const (
	decideMiss       decision = iota
	decideHit                 // reuse fresh
	decideStale               // reuse stale
	decideBackground          // reuse stale, revalidate in the background
	decideRevalidate          // ask the origin
)

// trouble is what came of asking the origin.
type trouble uint8

const (
	notAsked    trouble = iota
	serverError         // it answered 500
	unreachable         // a gateway got no answer from it: 502, 503, 504, or none came at all
)

// reuse decides about a stored response and a request with directives d. soft: it counts as
// stale because of a purge.
func (m *meta) reuse(d *field.Request, soft bool, now int64, after trouble) decision {
	age, stale := m.age(now), m.staleness(now)
	if soft {
		stale = max(stale, 1)
	}
	clients := m.flags&flagNoStale == 0 // have a say
	switch {
	case after != notAsked:
		if window := m.errorWindow(d, clients, after); window > 0 && stale <= window {
			return decideStale
		}
	case m.flags&flagNoCache != 0, d.NoCache, d.MaxAge >= 0 && age > d.MaxAge*1000:
		// It must be validated.
	case stale <= 0:
		if d.MinFresh < 0 || m.lifetime-age >= d.MinFresh*1000 {
			return decideHit
		}
	case d.MaxStale >= 0 && stale <= d.MaxStale*1000 && clients && !soft:
		return decideStale
	case stale <= m.swr && d.MinFresh < 0:
		return decideBackground
	}
	return decideRevalidate
}

// errorWindow returns for how long after it has become stale the response may stand in for an
// error. Clients can allow more with stale-if-error, or nothing with no-cache and max-age.
func (m *meta) errorWindow(d *field.Request, clients bool, after trouble) int64 {
	if m.flags&flagPart != 0 {
		return 0
	}
	window := m.sie
	if after == unreachable {
		window = max(window, m.unreachable)
	}
	switch {
	case d.StaleIfError >= 0 && clients:
		return max(window, d.StaleIfError*1000)
	case d.NoCache, d.MaxAge >= 0:
		return 0
	}
	return window
}

// decide decides about what lookup found.
func (t *txn) decide() decision {
	if !t.found {
		return decideMiss
	}
	return t.e.reuse(&t.info.directed, t.soft, t.now, notAsked)
}

// decidePart decides about a part: parts are given fresh or not at all.
func (t *txn) decidePart() bool {
	return t.e.flags&flagPart != 0 && t.decide() == decideHit
}

// troubleOf says what a status tells about the origin, if it is trouble that a stored response
// may stand in for.
func troubleOf(status int) trouble {
	switch status {
	case http.StatusInternalServerError:
		return serverError
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return unreachable
	}
	return notAsked
}

// staleOnError reports whether the plan's stored response may stand in for a response with the
// status, a 504 for none at all; and whether others who wait for the same response may have
// it too, which they may unless it takes this client's own stale-if-error to allow it. (Those
// who wait have no directives that forbid it, see txn.mayCollapse.)
func (p *plan) staleOnError(status int, now int64) (allowed, shared bool) {
	after := troubleOf(status)
	if p.base == nil || after == notAsked {
		return false, false
	}
	allowed = p.base.reuse(&p.info.directed, false, now, after) == decideStale
	shared = allowed && p.base.reuse(&field.NoRequest, false, now, after) == decideStale
	return allowed, shared
}
