package httpcache

import (
	"net/http"
	"slices"
	"strconv"
)

// RFC 9111, 4.3.5 Freshening Responses with HEAD.

// headUpdate compares a 200 response to a HEAD with the stored response of the
// plan. If they are of the same representation the stored fields are updated;
// if not, the stored response counts as stale from now on.
func (c *Cache) headUpdate(p *plan, h http.Header) {
	if p.base.status != http.StatusOK || !p.base.isWhole() {
		return
	}
	if !sameRepresentation(p.base, h) {
		c.soften(p.primary)
		return
	}
	merged := p.base.header()
	c.update(merged, h)
	c.restore(p, merged, c.now())
}

// sameRepresentation reports whether the validators and the length that the
// response to a HEAD has are those of the stored response.
func sameRepresentation(e *entry, h http.Header) bool {
	if n := contentLength(h); n >= 0 && n != int64(len(e.body)) {
		return false
	}
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		if values := h[name]; len(values) > 0 && !slices.Equal(values, []string{string(e.get(name))}) {
			return false
		}
	}
	return true
}

// contentLength returns the declared length, or -1.
func contentLength(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
