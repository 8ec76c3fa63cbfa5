package rueidisx

import (
	"encoding/binary"

	"github.com/redis/rueidis"
)

// rueidis marshals a message as seven bytes of its end, in milliseconds since 1970, little endian;
// then a byte of its type; then eight of its length, or its value if it is an integer, big endian;
// then, of a string, its bytes. Strings are stored without what is before them: so who wants the
// value alone has it where it lies. All else is stored whole.
//
// The mark of an entry is the end, and above it the type of a string, or 0.

const (
	endBytes   = 7
	frameBytes = endBytes + 1 + 8
	typeShift  = 8 * endBytes
	endMask    = 1<<typeShift - 1

	nilType = '_'
)

// isString reports whether messages of a type are marshalled as strings.
func isString(kind byte) bool {
	switch kind {
	case ':', '_', '#', '*', '%', '~':
		return false
	}
	return true
}

// split makes of a marshalled message what is stored.
func split(data []byte, end int64) (body []byte, mark uint64) {
	setEnd(data, end)
	if kind := data[endBytes]; isString(kind) {
		return data[frameBytes:], uint64(end)&endMask | uint64(kind)<<typeShift
	}
	return data, uint64(end) & endMask
}

// joined is a message of what was stored. It keeps nothing of body.
func joined(body []byte, mark uint64) (m rueidis.RedisMessage, ok bool) {
	kind := byte(mark >> typeShift)
	if kind == 0 {
		data := make([]byte, len(body))
		copy(data, body)
		return message(data)
	}
	data := make([]byte, frameBytes+len(body))
	setEnd(data, int64(mark&endMask))
	data[endBytes] = kind
	binary.BigEndian.PutUint64(data[endBytes+1:], uint64(len(body)))
	copy(data[frameBytes:], body)
	return message(data)
}

// message is a message that was marshalled, and keeps data.
func message(data []byte) (m rueidis.RedisMessage, ok bool) {
	err := m.CacheUnmarshalView(data)
	return m, err == nil
}

// setEnd writes the end of a marshalled message.
func setEnd(data []byte, end int64) {
	for i := range endBytes {
		data[i] = byte(end >> (8 * i))
	}
}

// endOf is the end that a mark tells.
func endOf(mark uint64) int64 { return int64(mark & endMask) }

// isNil reports whether an entry is the news that there is no value.
func isNil(body []byte, mark uint64) bool {
	return mark>>typeShift == 0 && len(body) > endBytes && body[endBytes] == nilType
}
