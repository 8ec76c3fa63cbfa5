package httpcache

import (
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
)

// The envelope is the form in which a response lies in the cache: a fixed
// record of everything the decision to reuse it needs, a table of its fields,
// their text, and the body. Little endian throughout:
//
//	offset  size
//	0       1     kind: kindResponse
//	1       1     unused
//	2       2     flags
//	4       2     status
//	6       2     number of field lines n
//	8       8     response_time, ms
//	16      8     corrected_initial_age, ms
//	24      8     freshness lifetime, ms
//	32      8     stale-while-revalidate window, ms
//	40      8     stale-if-error window, ms
//	48      8     window while the next hop is unreachable, ms
//	56      8     purge sequence number when its request was sent
//	64      8     Date, or when it was received without one, s since 1970
//	72      8     Last-Modified, s since 1970; noTime without one
//	80      8     first byte position of a part; 0 in a whole response
//	88      8     complete length of the representation; -1 unknown
//	96      8     id: no other envelope of the process has it
//	104     4     bytes of field text x
//	108     2     number of tags t
//	110     2     index of the ETag line in the field table +1; 0 without one
//	112     4n    per field line: length of name, length of value, 2 bytes each
//	...     8t    tags, hashed
//	...     x     names and values, in the order of the table, sorted by name
//	...           body
//
// Times are of the clock of clock.go, but those of fields, which are of the origin's.
//
// An envelope never leaves the process, so it carries no version.

const (
	kindResponse = 1
	kindIndex    = 2
	kindAlias    = 3

	fixedSize = 112
	totalAt   = 88 // where the complete length lies
	noTime    = math.MinInt64

	maxFields     = 256
	maxFieldText  = 48 << 10
	maxFieldValue = math.MaxUint16
	maxTags       = 256
)

const (
	flagNoCache    = 1 << iota // never reuse without validation
	flagNoStale                // clients' max-stale and stale-if-error don't apply
	flagValidator              // has ETag or Last-Modified
	flagPart                   // holds a part of the representation
	flagSoftPurged             // counts as stale
)

var errEnvelope = errors.New("httpcache: not an envelope")

// envelopes numbers the envelopes. See prepared.go for what that is good for.
var envelopes atomic.Uint64

// meta is the fixed record of an envelope.
type meta struct {
	flags        uint16
	status       int
	responseTime int64 // ms
	initialAge   int64 // ms
	lifetime     int64 // ms
	terms
	seq          uint64
	date         int64 // s
	lastModified int64 // s
	first        int64
	total        int64
}

// entry is a decoded envelope. Its slices point into the envelope.
type entry struct {
	meta
	raw    []byte
	fields []byte // the field table
	tags   []byte
	text   []byte
	body   []byte
	id     uint64
	etagAt int // index in the field table, -1 without an ETag
}

// fieldLine is one field line of a response to be stored.
type fieldLine struct{ name, value string }

// appendEnvelope appends the envelope of a response up to its body.
func appendEnvelope(dst []byte, m *meta, fields []fieldLine, tags []uint64) []byte {
	textLen := 0
	etag := 0
	for i, f := range fields {
		textLen += len(f.name) + len(f.value)
		if f.name == "Etag" && etag == 0 {
			etag = i + 1
		}
	}
	le := binary.LittleEndian
	dst = append(dst, kindResponse, 0)
	dst = le.AppendUint16(dst, m.flags)
	dst = le.AppendUint16(dst, uint16(m.status))
	dst = le.AppendUint16(dst, uint16(len(fields)))
	dst = le.AppendUint64(dst, uint64(m.responseTime))
	dst = le.AppendUint64(dst, uint64(m.initialAge))
	dst = le.AppendUint64(dst, uint64(m.lifetime))
	dst = le.AppendUint64(dst, uint64(m.swr))
	dst = le.AppendUint64(dst, uint64(m.sie))
	dst = le.AppendUint64(dst, uint64(m.unreachable))
	dst = le.AppendUint64(dst, m.seq)
	dst = le.AppendUint64(dst, uint64(m.date))
	dst = le.AppendUint64(dst, uint64(m.lastModified))
	dst = le.AppendUint64(dst, uint64(m.first))
	dst = le.AppendUint64(dst, uint64(m.total))
	dst = le.AppendUint64(dst, envelopes.Add(1))
	dst = le.AppendUint32(dst, uint32(textLen))
	dst = le.AppendUint16(dst, uint16(len(tags)))
	dst = le.AppendUint16(dst, uint16(etag))
	for _, f := range fields {
		dst = le.AppendUint16(dst, uint16(len(f.name)))
		dst = le.AppendUint16(dst, uint16(len(f.value)))
	}
	for _, t := range tags {
		dst = le.AppendUint64(dst, t)
	}
	for _, f := range fields {
		dst = append(dst, f.name...)
		dst = append(dst, f.value...)
	}
	return dst
}

// decode makes e the entry of an envelope. It fails only on bytes that this
// package did not write, and then on all whose parts don't fit: what is decoded can be read.
func (e *entry) decode(raw []byte) error {
	if len(raw) < fixedSize || raw[0] != kindResponse {
		return errEnvelope
	}
	le := binary.LittleEndian
	n := int(le.Uint16(raw[6:]))
	t := int(le.Uint16(raw[108:]))
	x := int(le.Uint32(raw[104:]))
	tagsAt := fixedSize + 4*n
	textAt := tagsAt + 8*t
	bodyAt := textAt + x
	if x > maxFieldText || bodyAt > len(raw) || int(le.Uint16(raw[110:])) > n {
		return errEnvelope
	}
	e.raw = raw
	e.flags = le.Uint16(raw[2:])
	e.status = int(le.Uint16(raw[4:]))
	e.responseTime = int64(le.Uint64(raw[8:]))
	e.initialAge = int64(le.Uint64(raw[16:]))
	e.lifetime = int64(le.Uint64(raw[24:]))
	e.swr = int64(le.Uint64(raw[32:]))
	e.sie = int64(le.Uint64(raw[40:]))
	e.unreachable = int64(le.Uint64(raw[48:]))
	e.seq = le.Uint64(raw[56:])
	e.date = int64(le.Uint64(raw[64:]))
	e.lastModified = int64(le.Uint64(raw[72:]))
	e.first = int64(le.Uint64(raw[80:]))
	e.total = int64(le.Uint64(raw[totalAt:]))
	e.id = le.Uint64(raw[96:])
	e.etagAt = int(le.Uint16(raw[110:])) - 1
	e.fields = raw[fixedSize:tagsAt]
	e.tags = raw[tagsAt:textAt]
	e.text = raw[textAt:bodyAt]
	e.body = raw[bodyAt:]
	return nil
}

func setFlag(envelope []byte, flag uint16) {
	binary.LittleEndian.PutUint16(envelope[2:], binary.LittleEndian.Uint16(envelope[2:])|flag)
}

func (e *entry) numFields() int { return len(e.fields) / 4 }

// sizes returns the lengths of the name and the value of field line i.
func (e *entry) sizes(i int) (name, value int) {
	le := binary.LittleEndian
	return int(le.Uint16(e.fields[4*i:])), int(le.Uint16(e.fields[4*i+2:]))
}

// etag returns the value of the ETag field, or nil.
func (e *entry) etag() []byte {
	if e.etagAt < 0 {
		return nil
	}
	at := 0
	for i := 0; ; i++ {
		n, v := e.sizes(i)
		if i == e.etagAt {
			return e.text[at+n : at+n+v]
		}
		at += n + v
	}
}

// get returns the first value of a field, by its canonical name.
func (e *entry) get(name string) []byte {
	at := 0
	for i := range e.numFields() {
		n, v := e.sizes(i)
		if string(e.text[at:at+n]) == name {
			return e.text[at+n : at+n+v]
		}
		at += n + v
	}
	return nil
}

// header returns a copy of the stored fields.
func (e *entry) header() http.Header {
	h := make(http.Header, e.numFields())
	text := string(e.text)
	at := 0
	for i := range e.numFields() {
		n, v := e.sizes(i)
		name := text[at : at+n]
		h[name] = append(h[name], text[at+n:at+n+v])
		at += n + v
	}
	return h
}

// clone copies the entry out of a buffer that is about to be reused.
func (e *entry) clone() *entry {
	c := new(entry)
	if err := c.decode(append([]byte(nil), e.raw...)); err != nil {
		panic(err) // e was decoded from the same bytes
	}
	return c
}

// isWhole reports whether the entry holds the whole representation.
func (e *entry) isWhole() bool { return e.flags&flagPart == 0 }

// strongETag returns the ETag if it is a strong validator, or "".
func (e *entry) strongETag() string {
	if t := string(e.etag()); t != "" && !strings.HasPrefix(t, "W/") {
		return t
	}
	return ""
}

func (e *entry) numTags() int { return len(e.tags) / 8 }

func (e *entry) tag(i int) uint64 { return binary.LittleEndian.Uint64(e.tags[8*i:]) }
