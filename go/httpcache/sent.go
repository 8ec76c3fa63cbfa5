package httpcache

import (
	"net/http"
	"slices"
	"strings"
)

// What the origin was sent, as far as the cache is told. A round tripper behind a Transport may
// add credentials, and a proxy behind a Handler the client's address; the cache, which has not
// seen them, would take the response for everybody's. A Transport learns of it from
// http.Response.Request; a handler can tell with AddSent.

// sentField has a line of every field that the origin was sent.
const sentField = processPrefix + "Sent"

// AddSent tells the cache, in the header h of a response before it is written, which fields the
// origin was sent in the end: in a ReverseProxy's ModifyResponse, resp.Header and
// resp.Request.Header. The response then counts as one to a request with Authorization or
// Cookie if these were among them; and if it varies on a field (other than Accept-Encoding)
// that differs from what the cache was asked with, it is not stored, unless Options.Private
// is set. What is known so does not need Options.AddedBehind.
func AddSent(h, sent http.Header) {
	lines := make([]string, 0, len(sent))
	for name, values := range sent {
		for _, v := range values {
			lines = append(lines, name+":"+v)
		}
	}
	h[sentField] = lines
}

// sentWith returns the fields that AddSent has told of, or else known.
func sentWith(h, known http.Header) http.Header {
	lines, told := h[sentField]
	if !told {
		return known
	}
	sent := make(http.Header, len(lines))
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		sent[name] = append(sent[name], value)
	}
	return sent
}

// learn lets the exchange know what the origin was sent.
func (x *exchange) learn() {
	x.authorization = x.authorization || len(x.sent["Authorization"]) > 0
	x.cookie = x.cookie || len(x.sent["Cookie"]) > 0
}

// sentOther reports whether the origin was sent another value of a field than the cache was
// asked with.
func (x *exchange) sentOther(name string) bool {
	switch name {
	case "Accept-Encoding", // the coding is the proxy's business, and in no value is a user
		"If-None-Match", "If-Modified-Since", "If-Range", "Range": // the cache's own
		return false
	}
	asked, sent := x.request[name], x.sent[name]
	if len(sent) == 1 && sent[0] == "" {
		sent = nil // as ReverseProxy leaves out a User-Agent
	}
	return x.sent != nil && !slices.Equal(asked, sent) && !(sent == nil && emptyField(asked))
}

func emptyField(values []string) bool { return len(values) == 1 && values[0] == "" }
