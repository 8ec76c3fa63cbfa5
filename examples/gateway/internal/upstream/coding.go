package upstream

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
)

// net/http's transport refuses responses whose Transfer-Encoding is not
// chunked. RFC 9112, 6.3 says what to do with them: their body lasts until the
// connection ends. headConn looks at the head of each response as it comes in
// and puts another name on such a field, of the same length, so that the
// transport does just that. The field itself concerned only this connection and
// is not passed on.
//
// A head that has a Content-Length as well is left alone, and so refused: two
// ways to tell where the body ends are how responses are smuggled.

const (
	codingField  = "transfer-encoding"
	ignoredField = "Xransfer-Encoding"
)

// headConn is a connection to a target.
type headConn struct {
	net.Conn
	// head: the next bytes to be read are the head of a response. It is set when
	// a request takes the connection, which is when the response before has been
	// read to its end.
	head atomic.Bool
}

// withHeads returns a context whose requests tell the headConn that they take.
// The trace is a new one each time: WithClientTrace links it to those that the
// context has already.
func withHeads(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: gotConn})
}

func gotConn(info httptrace.GotConnInfo) {
	if c, ok := info.Conn.(*headConn); ok {
		c.head.Store(true)
	}
}

// dialHeads makes the connections of a dialer headConns.
func dialHeads(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &headConn{Conn: conn}, nil
	}
}

func (c *headConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.head.Load() {
		c.head.Store(renameCodings(p[:n]))
	}
	return n, err
}

// renameCodings renames the field in the heads that text begins with. It tells
// whether another head is to follow: after informational responses. Heads that
// do not come in one piece are left to the transport.
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
	var field []byte
	for rest := head; ; {
		next := bytes.Index(rest, []byte("\r\n"))
		if next < 0 || next+2 >= len(rest) {
			break
		}
		rest = rest[next+2:]
		name, value, ok := bytes.Cut(rest[:bytes.Index(rest, []byte("\r\n"))], []byte(":"))
		if !ok {
			return
		}
		switch {
		case strings.EqualFold(string(name), "content-length"):
			return
		case strings.EqualFold(string(name), codingField):
			if field != nil || bytes.HasSuffix(bytes.ToLower(bytes.TrimSpace(value)), []byte("chunked")) {
				return
			}
			field = name
		}
	}
	copy(field, ignoredField)
}

// forgetCoding takes the renamed field out of a response.
func forgetCoding(resp *http.Response) { delete(resp.Header, ignoredField) }
