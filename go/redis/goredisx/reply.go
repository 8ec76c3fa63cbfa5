package goredisx

import (
	"bytes"
	"strconv"
)

// Replies come as bytes of the wire. A string is stored without its frame, so that who wants the
// value alone has it where it lies.
const (
	rawReply    = 0 // as it came
	stringReply = 1 // a string's bytes
)

// unframed is a reply as it is stored. What would not be the same when framed again is left raw.
func unframed(reply []byte) (body []byte, mark uint64) {
	if len(reply) < 2 || reply[0] != '$' {
		return reply, rawReply
	}
	end := bytes.IndexByte(reply, '\r')
	if end < 0 {
		return reply, rawReply
	}
	n, ok := number(string(reply[1:end]))
	begin := end + 2
	if !ok || len(reply) != begin+n+2 || reply[end+1] != '\n' || string(reply[begin+n:]) != "\r\n" {
		return reply, rawReply
	}
	return reply[begin : begin+n], stringReply
}

// framed is a copy of a reply as it came.
func framed(body []byte, mark uint64) []byte {
	if mark == rawReply {
		return append(make([]byte, 0, len(body)), body...)
	}
	const longestFrame = 16
	reply := append(make([]byte, 0, len(body)+longestFrame), '$')
	reply = strconv.AppendInt(reply, int64(len(body)), 10)
	reply = append(reply, '\r', '\n')
	reply = append(reply, body...)
	return append(reply, '\r', '\n')
}
