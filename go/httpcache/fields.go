package httpcache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 3.1 Storing Header and Trailer Fields; 3.2 Updating Stored Header
// Fields.

// hopByHop are the fields that end at this hop (RFC 9110, 7.6.1) and those
// meant for one proxy only (RFC 9111, 3.1). They are neither stored nor taken
// from a 304. Trailers are not stored, so Trailer isn't either.
var hopByHop = map[string]bool{
	"Connection":                true,
	"Keep-Alive":                true,
	"Proxy-Authenticate":        true,
	"Proxy-Authentication-Info": true,
	"Proxy-Authorization":       true,
	"Proxy-Connection":          true,
	"Te":                        true,
	"Trailer":                   true,
	"Transfer-Encoding":         true,
	"Upgrade":                   true,
}

// connectionOptions returns the canonical names of the fields that Connection
// declares to be for this hop only.
func connectionOptions(h http.Header) []string {
	var names []string
	field.SplitList(h["Connection"], func(s string) bool {
		names = append(names, http.CanonicalHeaderKey(s))
		return true
	})
	return names
}

// storedFields selects the field lines to store, sorted by name. Age is left
// out since it is computed anew for every reuse, Content-Length since it is
// that of the stored body. ok is false if the header is too large to store.
func (c *Cache) storedFields(h http.Header, unstored []string) (fields []fieldLine, ok bool) {
	drop := connectionOptions(h)
	for _, n := range unstored {
		drop = append(drop, http.CanonicalHeaderKey(n))
	}
	names := make([]string, 0, len(h))
	for name := range h {
		if hopByHop[name] || name == "Age" || name == "Content-Length" || strings.HasPrefix(name, http.TrailerPrefix) ||
			c.ours[name] || slices.Contains(drop, name) || !field.IsToken(name) {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	size := 0
	for _, name := range names {
		for _, v := range h[name] {
			if strings.ContainsAny(v, "\r\n\x00") {
				continue
			}
			size += len(name) + len(v)
			if len(fields) == maxFields || size > maxFieldText || len(name) > maxFieldValue || len(v) > maxFieldValue {
				return nil, false
			}
			fields = append(fields, fieldLine{name, v})
		}
	}
	return fields, true
}

// describesStored names the fields that say how the stored bytes are to be read.
// Those of a 304 cannot be about them, for it brings none: some servers compute
// them from the content that they leave out. (storedFields sees to it that the
// length stays that of the stored body, too.)
func describesStored(name string) bool {
	switch name {
	case "Content-Encoding", "Content-Range", "Content-Md5", "Content-Digest":
		return true
	}
	return false
}

// update replaces the stored fields by those of a 304, or of a response to
// HEAD (section 3.2), received now.
func (c *Cache) update(stored, fresh http.Header) {
	drop := connectionOptions(fresh)
	for name, values := range fresh {
		if hopByHop[name] || describesStored(name) || strings.HasPrefix(name, http.TrailerPrefix) || slices.Contains(drop, name) {
			continue
		}
		stored[name] = values
	}
	if _, ok := fresh["Age"]; !ok {
		delete(stored, "Age")
	}
	if _, ok := fresh["Date"]; !ok {
		stored["Date"] = []string{field.FormatDate(c.wall() / 1000)}
	}
}
