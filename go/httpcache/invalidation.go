package httpcache

import (
	"net/http"
	"net/url"
)

// RFC 9111, 4.4 Invalidating Stored Responses.

// safeMethod reports whether a method is registered as safe. Methods that are
// not known to be safe are taken to be unsafe.
func safeMethod(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY", "PRI":
		return true
	}
	return false
}

// invalidateAfter removes what a successful unsafe request may have changed:
// its target URI and, of the same origin only, the URIs in Location and
// Content-Location; the groups and the sources that the response names. It is called
// before the client can see the response. It returns the number of its purge, and
// whether none since the number at which the request was sent has touched the response.
func (c *Cache) invalidateAfter(
	r *http.Request, primary []byte, status int, h http.Header, since uint64,
) (seq uint64, untouched bool) {
	if status < 200 || status > 399 {
		return since, false
	}
	c.invalidateGroups(origin(primary), h)
	c.everywhere(primary, c.remove)
	c.told(orderKey, Hard, string(primary)) // SharePurges has heard of the error
	sources := c.appendNamed([]uint64{c.ownSource(primary)}, h)
	for _, name := range [...]string{"Location", "Content-Location"} {
		if key := c.relatedKey(r, primary, h.Get(name)); key != nil {
			c.everywhere(key, c.remove)
			c.told(orderKey, Hard, string(key))
			sources = append(sources, c.ownSource(key))
		}
	}
	tags := c.responseTags(&exchange{header: h, origin: origin(primary)})
	return c.shared.purges.purgeChanged(sources, tags, primary, since)
}

// relatedKey returns the primary key of a URI reference in a response, or nil
// if it has none or belongs to another origin.
func (c *Cache) relatedKey(r *http.Request, primary []byte, ref string) []byte {
	if ref == "" {
		return nil
	}
	u, err := r.URL.Parse(ref)
	if err != nil || u.Opaque != "" || u.User != nil {
		return nil
	}
	scheme := primary[1]
	switch u.Scheme {
	case "http":
		scheme = schemeHTTP
	case "https":
		scheme = schemeHTTPS
	}
	host := u.Host
	if host == "" {
		host = r.Host
	}
	u = &url.URL{Host: host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	key := c.appendURI(nil, scheme, host, u, c.partition(r))
	if len(key) > maxKey || origin(key) != origin(primary) {
		return nil
	}
	return key
}
