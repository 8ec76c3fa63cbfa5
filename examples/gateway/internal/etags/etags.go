// Package etags marks the entity tags of what the gateway makes of an origin's response, and
// gives the origin its own tags back.
//
// Compressed, or with some of its fields left out, a response is another representation and
// needs another tag (RFC 9110, 8.8.3). But a client brings that tag back: to ask whether the
// response has changed, or to change it itself if nobody else has (If-Match). The origin
// knows only its own. So a mark says what was done, and whether the origin's tag was weak:
//
//	"v1"    gzip ->  W/"v1+gzip"
//	W/"v1"  gzip ->  W/"v1~gzip"
//
// Marked tags are weak, for neither a compressor nor a projection promises the same bytes
// always. That a weak tag never matches in If-Match (RFC 9110, 13.1.1) is no obstacle: the
// tag that is compared is the origin's.
package etags

import (
	"net/http"
	"slices"
	"strings"
)

// What may be done to a response.
const (
	Fields   = "fields"   // some of its fields were selected
	Identity = "identity" // a content coding was undone
	// Besides these, the names of the codings in which it was coded: gzip, br, zstd.
)

var marks = []string{Fields, Identity, "gzip", "br", "zstd"}

// Mark marks the tag in a response's header, if there is one.
func Mark(h http.Header, mark string) {
	if tag := h.Get("Etag"); tag != "" {
		h["Etag"] = []string{marked(tag, mark)}
	}
}

func marked(tag, mark string) string {
	separator := "+"
	opaque, weak := strings.CutPrefix(tag, "W/")
	if weak {
		separator = "~"
	}
	if len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' {
		return tag // no entity tag
	}
	return `W/` + opaque[:len(opaque)-1] + separator + mark + `"`
}

// unmark takes the outermost mark off a tag. mark is empty if it has none.
func unmark(tag string) (inner, mark string) {
	opaque, weak := strings.CutPrefix(tag, `W/"`)
	if !weak || !strings.HasSuffix(opaque, `"`) {
		return tag, ""
	}
	at := strings.LastIndexAny(opaque, "+~")
	if at < 0 || !slices.Contains(marks, opaque[at+1:len(opaque)-1]) {
		return tag, ""
	}
	inner, mark = `"`+opaque[:at]+`"`, opaque[at+1:len(opaque)-1]
	if opaque[at] == '~' {
		inner = "W/" + inner
	}
	return inner, mark
}

// origins takes all marks off.
func origins(tag string) string {
	for {
		inner, mark := unmark(tag)
		if mark == "" {
			return tag
		}
		tag = inner
	}
}

// Restore puts the origin's own tags into a request's conditions that guard a change: If-Match,
// and for methods that change something If-None-Match.
func Restore(r *http.Request) {
	change(r.Header, "If-Match", func(tag string) (string, bool) { return origins(tag), true })
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		change(r.Header, "If-None-Match", func(tag string) (string, bool) { return origins(tag), true })
	}
}

// Inward makes of a request for what bears mark the request for what it is made of. The header
// must be the request's own. Of the tags that the client has, those with this mark lose it,
// and those with one of others go: they belong to something else made of it. A range of what is
// made cannot be had from what it is made of.
func Inward(r *http.Request, mark string, others ...string) {
	Restore(r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return
	}
	change(r.Header, "If-None-Match", func(tag string) (string, bool) {
		inner, found := unmark(tag)
		switch {
		case found == "":
			return tag, true
		case found == mark:
			return inner, true
		}
		return tag, !slices.Contains(others, found)
	})
	if _, found := unmark(r.Header.Get("If-Range")); found != "" {
		r.Header.Del("If-Range")
		r.Header.Del("Range")
	}
}

// NotModified marks the tag of a 304 to a request with the given If-None-Match, if it is the
// marked form that the client has.
func NotModified(h http.Header, asked []string, mark string) {
	tag := h.Get("Etag")
	if tag == "" {
		return
	}
	want := marked(tag, mark)
	for _, field := range asked {
		if has, ok := split(field); ok && slices.Contains(has, want) {
			h["Etag"] = []string{want}
			return
		}
	}
}

// change replaces the tags of a field, or drops those that to does not keep. A field that is
// no list of tags ("*", for one) stays as it is.
func change(h http.Header, field string, to func(tag string) (string, bool)) {
	lines := h[field]
	if len(lines) == 0 {
		return
	}
	had, ok := split(strings.Join(lines, ","))
	if !ok {
		return
	}
	var kept []string
	changed := false
	for _, tag := range had {
		replaced, keep := to(tag)
		changed = changed || !keep || replaced != tag
		if keep && !slices.Contains(kept, replaced) {
			kept = append(kept, replaced)
		}
	}
	switch {
	case !changed:
	case len(kept) == 0:
		delete(h, field)
	default:
		h[field] = []string{strings.Join(kept, ", ")}
	}
}

// split returns the entity tags of a list. ok is false if it is none.
func split(list string) (tags []string, ok bool) {
	for {
		if list = strings.TrimLeft(list, " \t,"); list == "" {
			return tags, true
		}
		start := 0
		if strings.HasPrefix(list, "W/") {
			start = 2
		}
		if len(list) < start+2 || list[start] != '"' {
			return nil, false
		}
		end := strings.IndexByte(list[start+1:], '"')
		if end < 0 {
			return nil, false
		}
		end += start + 2
		tags = append(tags, list[:end])
		if list = strings.TrimLeft(list[end:], " \t"); list != "" && list[0] != ',' {
			return nil, false
		}
	}
}
