package httpcache

import (
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 3.3 Storing Incomplete Responses; 3.4 Combining Partial Content.
//
// The part of a representation that a 206 brought is stored beside whole
// responses, under a key of its own, and answers requests for ranges within
// it. A part from the beginning, with a strong validator, is completed when the
// whole is asked for: only the rest is requested.

// lookupPart finds a stored part that the request selects, when lookup has found
// nothing.
func (t *txn) lookupPart(h http.Header) {
	try := func(key []byte) bool {
		t.pkey = partKey(t.pkey[:0], key)
		var ok bool
		t.vbuf, ok = t.c.store.Get(t.vbuf[:0], t.pkey)
		return ok && t.accept(t.vbuf, t.pkey) && t.decidePart()
	}
	t.found = false
	if !t.indexed {
		t.found = t.info.implied == 0 && try(t.key)
		return
	}
	rest := t.x.sets
	for range t.x.n {
		var set []byte
		set, rest = cutSet(rest)
		if t.info.implied != 0 && !t.covers(set) {
			continue
		}
		var ok bool
		if t.vkey, ok = appendVariantKey(t.vkey[:0], t.key, t.x.epoch, set, h, ""); ok && try(t.vkey) {
			t.found = true
			return
		}
	}
	t.found = false
}

// judgePart adjusts the verdict on a 206.
func (s *spool) judgePart() {
	v := &s.verdict
	var ok bool
	s.partial, ok = parseContentRange(s.header["Content-Range"])
	if !ok {
		v.refuse("content-range")
	}
	v.reuse = false
	v.flags |= flagPart
	v.first, v.total = s.partial.first, s.partial.total
}

// sealPart corrects the envelope of a part whose length is not what its
// Content-Range says although the message is complete. The first position and
// the bytes received are believed; if the range was to reach the end of the
// representation, then that is where the bytes end.
func (s *spool) sealPart(value []byte) {
	if s.size == s.partial.length() || s.partial.total < 0 {
		return
	}
	total := s.partial.total
	if s.partial.last == total-1 {
		total = s.partial.first + s.size
	}
	binary.LittleEndian.PutUint64(value[totalAt:], uint64(total))
}

// completable reports whether an entry is a part that can be completed: it
// begins at the beginning, its end is known, and it has a strong validator.
func completable(e *entry) bool {
	return e.flags&flagPart != 0 && e.first == 0 && e.total > int64(len(e.body)) && e.strongETag() != ""
}

// codable reports whether the next hop might answer a request for the whole with
// content in another coding than the part has, which completing it would keep from
// all who ask for it: the resource is negotiated, the part has no coding, and the
// request permits one.
func codable(e *entry, h http.Header) bool {
	if len(e.get("Content-Encoding")) > 0 || len(h["Accept-Encoding"]) == 0 {
		return false
	}
	negotiated := false
	field.SplitList(e.header()["Vary"], func(name string) bool {
		negotiated = strings.EqualFold(name, "Accept-Encoding")
		return !negotiated
	})
	return negotiated
}

// completePart turns the plan into a request for the rest of a stored part.
func (p *plan) completePart(e *entry) {
	p.part = e
	h := p.req.Header
	removeConditions(h)
	h["Range"] = []string{"bytes=" + strconv.Itoa(len(e.body)) + "-"}
	h["If-Range"] = []string{e.strongETag()}
}

// combine joins the stored part and the rest that a 206 brings into a whole
// response with status 200. It reports whether they fit: they must have the
// same strong validator.
func (s *spool) combine(now int64) bool {
	p, e := s.p, s.p.part
	rest, ok := parseContentRange(s.header["Content-Range"])
	if !ok || rest.first != int64(len(e.body)) || rest.total != e.total || rest.last != rest.total-1 {
		return false
	}
	if !slices.Equal(s.header["Etag"], []string{e.strongETag()}) {
		return false
	}
	h := e.header()
	p.c.update(h, s.header)
	delete(h, "Content-Range")
	h["Content-Length"] = []string{strconv.FormatInt(e.total, 10)}
	s.header = h
	s.status = http.StatusOK
	s.declared = rest.length()
	x := p.exchange(s.status, h, now)
	s.verdict = p.c.judge(&x)
	if e.total > p.c.opt.MaxBodyBytes {
		s.verdict.refuse("too-large")
	}
	s.begin(e.body)
	return true
}
