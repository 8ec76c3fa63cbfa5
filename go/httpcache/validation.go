package httpcache

import (
	"net/http"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 4.3 Validation: conditional requests sent (4.3.1), received (4.3.2)
// and their responses (4.3.3, 4.3.4).

// addConditions makes a request to the next hop conditional on a stored
// response (section 4.3.1), in place of the client's own conditions. It
// reports whether there was a validator to do so.
func addConditions(h http.Header, e *entry) bool {
	removeConditions(h)
	added := false
	if etag := e.etag(); len(etag) > 0 {
		h["If-None-Match"] = []string{string(etag)}
		added = true
	}
	if lm := e.get("Last-Modified"); len(lm) > 0 && e.lastModified != noTime {
		h["If-Modified-Since"] = []string{string(lm)}
		added = true
	}
	return added
}

func removeConditions(h http.Header) {
	delete(h, "If-None-Match")
	delete(h, "If-Modified-Since")
	delete(h, "If-Range")
	delete(h, "Range")
}

// notModified evaluates the client's conditions against a stored response
// (section 4.3.2): If-None-Match by weak comparison; without it,
// If-Modified-Since against Last-Modified, or else Date. Conditions do not
// apply to responses other than 2xx (RFC 9110, 13.2.1).
func notModified(e *entry, info *requestInfo, h http.Header, now int64) bool {
	if e.status < 200 || e.status > 299 {
		return false
	}
	if info.has&hasIfNoneMatch != 0 {
		return matchesETag(h["If-None-Match"], e.etag())
	}
	if info.has&hasIfModifiedSince == 0 {
		return false
	}
	lines := h["If-Modified-Since"]
	if len(lines) != 1 {
		return false
	}
	since, ok := field.ParseDate(lines[0], now/1000)
	if !ok {
		return false
	}
	if e.lastModified != noTime {
		return e.lastModified <= since
	}
	return e.date <= since
}

// matchesETag reports whether a list of entity tags holds one that is weakly
// equal to etag (RFC 9110, 8.8.3.2), or is "*". Tags that break the grammar are
// compared as they are.
func matchesETag(lines []string, etag []byte) bool {
	if len(lines) == 1 && field.TrimOWS(lines[0]) == "*" {
		return true
	}
	if len(etag) == 0 {
		return false
	}
	opaque := strings.TrimPrefix(string(etag), "W/")
	found := false
	field.SplitList(lines, func(s string) bool {
		found = strings.TrimPrefix(s, "W/") == opaque
		return !found
	})
	return found
}

// refresh freshens a stored response with a 304 (section 4.3.4) and stores the
// result. It returns nil if the 304 is for another representation: if it has
// a strong validator, the stored response must have the same.
func (c *Cache) refresh(p *plan, fresh http.Header, responseTime int64) *refreshed {
	e := p.base
	if tags := fresh["Etag"]; len(tags) == 1 && !strings.HasPrefix(tags[0], "W/") {
		if strings.TrimPrefix(string(e.etag()), "W/") != tags[0] {
			return nil
		}
	}
	h := e.header()
	c.update(h, fresh)
	return c.restore(p, h, responseTime)
}

// refreshed is a stored response after an update of its fields.
type refreshed struct {
	entry  *entry
	reuse  bool // other requests may reuse it
	stored bool

	unstored []string // fields of the update that are for its own request only
}

// restore stores the plan's base anew with other fields.
func (c *Cache) restore(p *plan, h http.Header, responseTime int64) *refreshed {
	e := p.base
	x := p.exchange(e.status, h, responseTime)
	x.method = http.MethodGet
	v := c.judge(&x)
	v.first, v.total = e.first, e.total
	fields, ok := c.storedFields(withDate(h, v.date), v.unstored)
	if !ok {
		return nil
	}
	value := appendEnvelope(make([]byte, 0, len(e.raw)+256), &v.meta, fields, v.tags)
	value = append(value, e.body...)
	r := &refreshed{entry: new(entry), reuse: v.reuse, unstored: v.unstored}
	if err := r.entry.decode(value); err != nil {
		return nil
	}
	switch {
	case v.store:
		r.stored = c.save(p, &v, h, value)
	case v.refusal == refusedAuthorization, v.refusal == refusedCookie:
		// That says something of this request, not of the stored response, which was made for
		// another one and stays what it was.
	default:
		c.store.Delete(p.baseKey)
	}
	return r
}
