package goredisx

import (
	"bytes"
	"strconv"
	"time"
	"unsafe"
)

// Replies come as bytes of the wire. A string is stored without its frame, so that who wants the
// value alone has it where it lies.
const (
	rawReply    = 0 // as it came
	stringReply = 1 // a string's bytes
)

// unframed is a reply as it is stored. What would not be the same when framed again is left raw.
func unframed(reply []byte) (body []byte, form byte) {
	if len(reply) < 2 || reply[0] != '$' {
		return reply, rawReply
	}
	end := bytes.IndexByte(reply, '\n')
	if end < 0 {
		return reply, rawReply
	}
	n, begin, ok := line(string(reply[:end+1]), 0, '$')
	if !ok || len(reply) != begin+n+2 || string(reply[begin+n:]) != "\r\n" {
		return reply, rawReply
	}
	return reply[begin : begin+n], stringReply
}

// framed is a copy of a reply as it came, and where in it the value is.
func framed(body []byte, form byte) hot {
	if form == rawReply {
		return hot{reply: append(make([]byte, 0, len(body)), body...)}
	}
	const longestFrame = 16
	reply := append(make([]byte, 0, len(body)+longestFrame), '$')
	reply = strconv.AppendInt(reply, int64(len(body)), 10)
	reply = append(reply, '\r', '\n')
	at := len(reply)
	reply = append(reply, body...)
	return hot{append(reply, '\r', '\n'), at, true}
}

// hot is a reply that is handed out as it is. Nobody writes to it.
type hot struct {
	reply    []byte
	at       int // where the value begins
	isString bool
}

// text is the value of a string, as one.
func (h *hot) text() string {
	value := h.reply[h.at : len(h.reply)-2]
	// SAFETY: a reply is on the Go heap, and is never written to once it is framed.
	return unsafe.String(unsafe.SliceData(value), len(value))
}

// A mark is the form of a reply, and below it when its time is over, in milliseconds of this
// process's clock; 0 is never.
const formShift = 56

var began = time.Now()

func now() int64 { return time.Since(began).Milliseconds() }

func markOf(form byte, end int64) uint64 { return uint64(form)<<formShift | uint64(end) }

func formOf(mark uint64) byte { return byte(mark >> formShift) }

func endOf(mark uint64) int64 { return int64(mark & (1<<formShift - 1)) }
