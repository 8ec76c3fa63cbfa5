package httpcache

import (
	"bytes"
	"net/http"
)

// RFC 9110, 9.3.3: a response to POST that is explicitly fresh and whose
// Content-Location is the target URI is a representation of the target, and may
// be reused for GET.

// postCapture collects such a response.
type postCapture struct {
	plan    *plan
	verdict verdict
	header  http.Header
	body    []byte
	length  int64 // Content-Length, -1 without one
	tooLong bool
}

func (b *postCapture) write(p []byte, limit int64) {
	if b.tooLong = b.tooLong || int64(len(b.body)+len(p)) > limit; !b.tooLong {
		b.body = append(b.body, p...)
	}
}

// capturePost begins to collect the response if it may be stored. seq is the number
// of the purge that the request itself was.
func (p *passWriter) capturePost(header http.Header, seq uint64) {
	c, t := p.h.c, p.t
	if p.status != http.StatusOK || len(header["Content-Location"]) != 1 {
		return
	}
	if !bytes.Equal(c.relatedKey(p.r, t.key, header.Get("Content-Location")), t.key) {
		return
	}
	// The request itself has just begun a new generation.
	plan := t.plan(p.r, moment{gen: c.shared.generation(t.key), seq: seq})
	plan.sent = p.sent
	x := plan.exchange(p.status, header, c.now())
	if v := c.judge(&x); v.store {
		p.post = &postCapture{plan: plan, verdict: v, header: header.Clone(), length: contentLength(header)}
	}
}

// storePost stores the collected response if it is complete.
func (p *passWriter) storePost() {
	b := p.post
	if b == nil || b.tooLong || b.length >= 0 && b.length != int64(len(b.body)) {
		return
	}
	c, v := p.h.c, &b.verdict
	fields, ok := c.storedFields(withDate(b.header, v.date), v.unstored)
	if !ok {
		return
	}
	value := append(appendEnvelope(nil, &v.meta, fields, v.tags), b.body...)
	p.stored = c.save(b.plan, v, b.header, value)
}
