package httpcache

import (
	"net/http"
	"strconv"
	"strings"
)

// RFC 9111, 4 Constructing Responses from Caches.

// answer writes a stored response to the client: as it is, as a 304 if the
// client's conditions say so, or as the range the client asks for. pre is what
// has been prepared for the report of a hit, or nil.
func (c *Cache) answer(w http.ResponseWriter, r *http.Request, info *requestInfo, e *entry, pre *prepared, now int64, rep *report) Event {
	ev := Event{Status: e.status}
	if info.conditional() && notModified(e, info, r.Header, now) {
		ev.Status = http.StatusNotModified
		c.emit(w.Header(), e, emission{now: now, length: -1, notModified: true, pre: pre}, rep)
		w.WriteHeader(http.StatusNotModified)
		return ev
	}
	body := e.body
	em := emission{now: now, length: int64(len(body)), pre: pre}
	if info.has&hasRange != 0 {
		switch br, result := selectRange(e, info, r, now); result {
		case rangeOK:
			ev.Status = http.StatusPartialContent
			body = body[br.first-e.first : br.last-e.first+1]
			total := e.total
			if e.isWhole() {
				total = int64(len(e.body))
			}
			em.contentRange = formatContentRange(br, total)
			em.length, em.pre = br.length(), nil
		case rangeUnsatisfiable:
			return c.unsatisfiable(w, e, now, rep)
		}
	}
	if !allowsBody(ev.Status) {
		em.length = -1
	}
	c.emit(w.Header(), e, em, rep)
	w.WriteHeader(ev.Status)
	if r.Method != http.MethodHead && len(body) > 0 {
		n, _ := w.Write(body) // the client is gone: nothing to do about it
		ev.Bytes = int64(n)
	}
	return ev
}

// unsatisfiable answers 416 (RFC 9110, 15.5.17).
func (c *Cache) unsatisfiable(w http.ResponseWriter, e *entry, now int64, rep *report) Event {
	h := w.Header()
	c.emit(h, e, emission{now: now, length: 0, notModified: true}, rep)
	h["Content-Range"] = []string{"bytes */" + strconv.Itoa(len(e.body))}
	h["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	return Event{Status: http.StatusRequestedRangeNotSatisfiable}
}

// allowsBody reports whether responses with the status have content.
func allowsBody(status int) bool { return status >= 200 && status != 204 && status != 304 }

// emission says how to write a stored header.
type emission struct {
	now          int64
	length       int64 // of the content; -1: without Content-Length
	contentRange string
	notModified  bool // leave out what describes the content, which a 304 does not have
	pre          *prepared
}

// emit sets the stored fields, Age, Content-Length and Cache-Status in h. All
// text goes into one string, all values into one slice: two allocations
// however many fields there are.
func (c *Cache) emit(h http.Header, e *entry, em emission, rep *report) {
	if em.pre != nil {
		c.emitPrepared(h, em.pre, e, em.now, em.notModified)
		return
	}
	var space [160]byte
	status := rep.append(space[:0], c.id)
	ageAt := len(status)
	status = strconv.AppendInt(status, e.age(em.now)/1000, 10)
	lengthAt := len(status)
	if em.length >= 0 {
		status = strconv.AppendInt(status, em.length, 10)
	}

	var b strings.Builder
	b.Grow(len(e.text) + len(status))
	b.Write(e.text)
	b.Write(status)
	text := b.String()
	tail := text[len(e.text):]

	n := e.numFields()
	values := make([]string, 0, n+3)
	at := 0
	reported := false
	for i := 0; i < n; {
		nameLen, valueLen := e.sizes(i)
		name := text[at : at+nameLen]
		start := len(values)
		for {
			values = append(values, text[at+nameLen:at+nameLen+valueLen])
			at += nameLen + valueLen
			if i++; i == n {
				break
			}
			nameLen, valueLen = e.sizes(i)
			if text[at:at+nameLen] != name {
				break
			}
		}
		switch {
		case em.notModified && describesContent(name):
		case name == "Cache-Status":
			// Members of caches nearer to the origin come first.
			h[name] = append(values[start:len(values):len(values)], tail[:ageAt])
			reported = true
		default:
			h[name] = values[start:len(values):len(values)]
		}
	}
	values = append(values, tail[ageAt:lengthAt], tail[lengthAt:], tail[:ageAt])
	h["Age"] = values[len(values)-3 : len(values)-2 : len(values)-2]
	if em.length >= 0 {
		h["Content-Length"] = values[len(values)-2 : len(values)-1 : len(values)-1]
	}
	if !reported {
		h["Cache-Status"] = values[len(values)-1:]
	}
	if em.contentRange != "" {
		h["Content-Range"] = []string{em.contentRange}
	}
}

// describesContent names the fields that a 304 leaves out (RFC 9110, 15.4.5).
func describesContent(name string) bool {
	switch name {
	case "Content-Encoding", "Content-Language", "Content-Length", "Content-Range", "Content-Type":
		return true
	}
	return false
}
