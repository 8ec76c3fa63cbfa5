package httpcache

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9211, The Cache-Status HTTP Response Header Field.

// Reasons why a request went forward (section 2.2).
const (
	fwdBypass  = "bypass"
	fwdMethod  = "method"
	fwdURIMiss = "uri-miss"
	fwdVary    = "vary-miss"
	fwdRequest = "request"
	fwdStale   = "stale"
)

// statusID renders the cache's name as a token, or else as a string.
func statusID(name string) string {
	if field.IsToken(name) && !field.IsDigit(name[0]) && !strings.ContainsAny(name[:1], "!#$%&'+-.^_`|~") {
		return name
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case 0x20 <= c && c <= 0x7e:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// report collects the parameters of this cache's member.
type report struct {
	hit       bool
	fwd       string
	fwdStatus int
	ttl       int64
	hasTTL    bool
	stored    bool
	collapsed bool
	detail    string
}

func (r *report) append(dst []byte, id string) []byte {
	dst = append(dst, id...)
	if r.hit {
		dst = append(dst, "; hit"...)
	}
	if r.fwd != "" {
		dst = append(dst, "; fwd="...)
		dst = append(dst, r.fwd...)
	}
	if r.fwdStatus != 0 {
		dst = append(dst, "; fwd-status="...)
		dst = strconv.AppendInt(dst, int64(r.fwdStatus), 10)
	}
	if r.hasTTL {
		dst = append(dst, "; ttl="...)
		dst = strconv.AppendInt(dst, r.ttl, 10)
	}
	if r.stored {
		dst = append(dst, "; stored"...)
	}
	if r.collapsed {
		dst = append(dst, "; collapsed"...)
	}
	if r.detail != "" {
		dst = append(dst, "; detail="...)
		dst = append(dst, r.detail...)
	}
	return dst
}

// addStatus appends this cache's member to the field: the list's last member is
// the cache closest to the client.
func (c *Cache) addStatus(h http.Header, r report) {
	old := h["Cache-Status"]
	h["Cache-Status"] = append(old[:len(old):len(old)], string(r.append(nil, c.id)))
}

// removeOurs deletes the fields that are meant for this cache only.
func (c *Cache) removeOurs(h http.Header) {
	for name := range c.ours {
		delete(h, name)
	}
}
