package upstream

import (
	"bytes"
	"net/http"
	"strings"
)

// net/http's transport refuses responses whose Transfer-Encoding is not
// chunked. RFC 9112, 6.3 says what to do with them: their body lasts until the
// connection ends. A conn looks at the head of each response as it comes in
// and puts another name on such a field, of the same length, so that the
// transport does just that. The field itself concerned only this connection and
// is not passed on.
//
// "chunked," is a list of one member as well (RFC 9110, 5.6.1); it is written so that
// the transport knows it. Any other list in which chunked occurs, "chunked;x=1" or
// "gzip, chunked", is left alone and so refused: its framing would be taken for the body.
// So is a head that has a Content-Length as well: two ways to tell where the body ends
// are how responses are smuggled. Heads that do not come in one piece are left to the
// transport too.

const (
	codingField  = "transfer-encoding"
	ignoredField = "Xransfer-Encoding"
	chunked      = "chunked"
)

// renameCodings mends the field in the heads that text begins with. It tells
// whether another head is to follow: after informational responses.
func renameCodings(text []byte) (another bool) {
	for {
		end := bytes.Index(text, []byte("\r\n\r\n"))
		if end < 0 || !bytes.HasPrefix(text, []byte("HTTP/1.")) || end < len("HTTP/1.1 200") {
			return false
		}
		switch status := text[len("HTTP/1.1 "):]; {
		case bytes.HasPrefix(status, []byte("101")):
			return false // another protocol follows
		case status[0] != '1':
			renameCoding(text[:end+2])
			return false
		}
		if text = text[end+4:]; len(text) == 0 {
			return true
		}
	}
}

func renameCoding(head []byte) {
	var field, value []byte
	for rest := head; ; {
		next := bytes.Index(rest, []byte("\r\n"))
		if next < 0 || next+2 >= len(rest) {
			break
		}
		rest = rest[next+2:]
		n, v, ok := bytes.Cut(rest[:bytes.Index(rest, []byte("\r\n"))], []byte(":"))
		if !ok || len(n) == 0 || n[0] == ' ' || n[0] == '\t' {
			return // no field, or a folded one, whose value is not what it looks like here
		}
		switch {
		case strings.EqualFold(string(n), "content-length"):
			return
		case strings.EqualFold(string(n), codingField):
			if field != nil {
				return
			}
			field, value = n, v
		}
	}
	switch {
	case field == nil:
	case !bytes.Contains(bytes.ToLower(value), []byte(chunked)):
		copy(field, ignoredField)
	case strings.EqualFold(strings.Trim(string(value), ", \t"), chunked):
		for i := copy(value, chunked); i < len(value); i++ {
			value[i] = ' '
		}
	}
}

// forgetCoding takes the renamed field out of a response.
func forgetCoding(resp *http.Response) { delete(resp.Header, ignoredField) }
