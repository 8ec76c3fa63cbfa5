package httpcache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// requestInfo is what one pass over a request's header tells.
type requestInfo struct {
	has      uint32
	implied  uint64 // bit i: Options.ImpliedVary[i] is present
	directed field.Request
}

const (
	hasCacheControl = 1 << iota
	hasIfNoneMatch
	hasIfModifiedSince
	hasRange
	hasIfRange
	hasAuthorization
	hasCookie
	hasPragma
	// hasForeign: a field that asks for something a cache has no part in.
	hasForeign
)

// classify looks at every field name once. Names are canonical, as net/http
// makes them.
func (c *Cache) classify(h http.Header) requestInfo {
	var info requestInfo
	for name := range h {
		switch len(name) {
		case 5:
			if name == "Range" {
				info.has |= hasRange
			}
		case 6:
			switch name {
			case "Cookie":
				info.has |= hasCookie
			case "Pragma":
				info.has |= hasPragma
			case "Expect":
				info.has |= hasForeign
			}
		case 7:
			if name == "Upgrade" {
				info.has |= hasForeign
			}
		case 8:
			switch name {
			case "If-Range":
				info.has |= hasIfRange
			case "If-Match":
				info.has |= hasForeign
			}
		case 10:
			if name == "Connection" && !plainConnection(h[name]) {
				info.has |= hasForeign
			}
		case 13:
			switch name {
			case "Cache-Control":
				info.has |= hasCacheControl
			case "If-None-Match":
				info.has |= hasIfNoneMatch
			case "Authorization":
				info.has |= hasAuthorization
			}
		case 17:
			if name == "If-Modified-Since" {
				info.has |= hasIfModifiedSince
			}
		case 19:
			if name == "If-Unmodified-Since" {
				info.has |= hasForeign
			}
		}
		if strings.IndexByte(name, '_') >= 0 && c.impliedByUnderscores(name) {
			info.has |= hasForeign
		}
		if c.impliedFilter&nameBit(name) != 0 {
			for i, implied := range c.opt.ImpliedVary {
				if name == implied {
					info.implied |= 1 << i
				}
			}
		}
	}
	info.has |= c.addedBehind
	info.directed = field.NoRequest
	if info.has&(hasCacheControl|hasPragma) != 0 {
		c.direct(&info, h)
	}
	return info
}

// impliedByUnderscores reports whether a name is one of the implied fields but for underscores.
// What follows CGI's conventions can't tell X_Forwarded_Host from X-Forwarded-Host, and the
// cache would not compare it.
func (c *Cache) impliedByUnderscores(name string) bool {
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return slices.Contains(c.opt.ImpliedVary, name)
}

// plainConnection reports whether Connection declares no field to be for this
// hop only, other than those that always are. Such a field would be compared
// here (by Vary) and then removed before the next hop sees it.
func plainConnection(lines []string) bool {
	if len(lines) == 1 && (lines[0] == "keep-alive" || lines[0] == "close") {
		return true
	}
	plain := true
	field.SplitList(lines, func(s string) bool {
		switch strings.ToLower(s) {
		case "close", "keep-alive", "te", "trailer", "upgrade", "http2-settings":
		default:
			plain = false
		}
		return plain
	})
	return plain
}

// nameBit maps a field name to a bit, so that one AND rules out most names
// that are not in a set.
func nameBit[T string | []byte](name T) uint64 {
	if len(name) == 0 {
		return 0
	}
	return 1 << ((uint(len(name))*5 + uint(name[0]) + uint(name[len(name)-1])*3) & 63)
}

// direct fills in the request's directives. Pragma: no-cache counts only
// without Cache-Control (RFC 9111, 5.4).
func (c *Cache) direct(info *requestInfo, h http.Header) {
	d := &info.directed
	if info.has&hasCacheControl != 0 {
		*d = field.ParseRequest(h["Cache-Control"])
	} else {
		d.NoCache = pragmaNoCache(h)
	}
	if c.opt.IgnoreRequestDirectives {
		noStore, onlyIfCached := d.NoStore, d.OnlyIfCached
		*d = field.NoRequest
		d.NoStore, d.OnlyIfCached = noStore, onlyIfCached
	}
}

func pragmaNoCache(h http.Header) bool {
	found := false
	field.SplitList(h["Pragma"], func(s string) bool {
		found = found || len(s) == len("no-cache") && string(field.AppendLower(nil, s)) == "no-cache"
		return !found
	})
	return found
}

// conditional reports whether the request carries preconditions that a cache
// evaluates.
func (i *requestInfo) conditional() bool { return i.has&(hasIfNoneMatch|hasIfModifiedSince) != 0 }
