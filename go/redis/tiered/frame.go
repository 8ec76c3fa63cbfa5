package tiered

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"time"
	"unsafe"
)

// What lies on the server under a key is one of three, told apart by the first byte:
//
//	'L' token                 a lease: its holder loads the value
//	'P' token                 pass: there is a value, but it isn't to be had here
//	'F' frame                 a value
//
// All three begin with a byte, a version, and a token of 16 bytes that is never used again, so
// the first 18 bytes say whether it is still what somebody has seen.
//
// A frame: kind, version, token (16), checksum (4), flags, epoch (16), time to live and time to
// stay fresh in milliseconds (8 each), the number of tags, each with its length and the
// tag's word (16), the length of the value before it was compressed, the value. Numbers of
// fixed length are little-endian, the others varints. The checksum is CRC-32C of the key and all
// but itself: so a value that was cut, changed, or copied to another key is none.

const (
	kindLease = 'L'
	kindPass  = 'P'
	kindFrame = 'F'
	version   = '1'

	tokenLen  = 16
	headLen   = 2 + tokenLen
	fixedLen  = headLen + 4 + 1 + tokenLen + 8 + 8
	maxTagLen = 64 << 10
)

const (
	flagAbsent = 1 << iota
	flagCompressed
)

// noStale is the time to stay fresh of what is fresh as long as it lives.
const noStale = ^uint64(0)

// frame is a value as it lies on the server.
type frame struct {
	token, epoch string
	absent       bool
	ttl          time.Duration
	staleAfter   time.Duration // negative: fresh as long as it lives
	tags, words  []string      // a tag's word at the time of storing
	value        []byte
}

// mark is what a lease or pass is.
func mark(kind byte, token string) string { return string([]byte{kind, version}) + token }

// headOf is the part of what lies under a key that no two of them have in common.
func headOf(value string) string { return value[:min(len(value), headLen)] }

// token is that of a lease or pass, if the value is one.
func tokenOf(value string, kind byte) (string, bool) {
	if len(value) != headLen || value[0] != kind || value[1] != version {
		return "", false
	}
	return value[2:], true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(key, data []byte) uint32 {
	const at = headLen
	c := crc32.Update(0, castagnoli, key)
	c = crc32.Update(c, castagnoli, data[:at])
	return crc32.Update(c, castagnoli, data[at+4:])
}

// encode makes the frame. compressed is the value, or what the compressor made of it.
func (f *frame) encode(key, compressed []byte) []byte {
	flags := byte(0)
	if f.absent {
		flags |= flagAbsent
	}
	if len(compressed) != len(f.value) {
		flags |= flagCompressed
	}
	stale := noStale
	if f.staleAfter >= 0 {
		stale = uint64(f.staleAfter.Milliseconds())
	}
	b := make([]byte, 0, fixedLen+len(compressed)+64)
	b = append(b, mark(kindFrame, f.token)...)
	b = append(b, 0, 0, 0, 0, flags)
	b = append(b, f.epoch...)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.ttl.Milliseconds()))
	b = binary.LittleEndian.AppendUint64(b, stale)
	b = binary.AppendUvarint(b, uint64(len(f.tags)))
	for i, tag := range f.tags {
		b = binary.AppendUvarint(b, uint64(len(tag)))
		b = append(b, tag...)
		b = append(b, f.words[i]...)
	}
	b = binary.AppendUvarint(b, uint64(len(f.value)))
	b = append(b, compressed...)
	binary.LittleEndian.PutUint32(b[headLen:], sum(key, b))
	return b
}

// decode reads a frame; false for what is none, was cut or changed, or belongs to another
// key. The value is a part of text.
func decode(key []byte, text string, c Compressor, limit int) (f frame, ok bool) {
	if len(text) < fixedLen || text[0] != kindFrame || text[1] != version {
		return f, false
	}
	b := unsafe.Slice(unsafe.StringData(text), len(text)) // nobody writes to it
	if binary.LittleEndian.Uint32(b[headLen:]) != sum(key, b) {
		return f, false
	}
	flags := b[headLen+4]
	f.token, f.epoch = text[2:headLen], text[headLen+5:headLen+5+tokenLen]
	f.absent = flags&flagAbsent != 0
	f.ttl = time.Duration(binary.LittleEndian.Uint64(b[fixedLen-16:])) * time.Millisecond
	f.staleAfter = -1
	if stale := binary.LittleEndian.Uint64(b[fixedLen-8:]); stale != noStale {
		f.staleAfter = time.Duration(stale) * time.Millisecond
	}
	rest := b[fixedLen:]
	count, rest, ok := uvarint(rest, 64)
	if !ok {
		return f, false
	}
	for range count {
		var n uint64
		if n, rest, ok = uvarint(rest, maxTagLen); !ok || uint64(len(rest)) < n+tokenLen {
			return f, false
		}
		f.tags = append(f.tags, string(rest[:n]))
		f.words = append(f.words, string(rest[n:n+tokenLen]))
		rest = rest[n+tokenLen:]
	}
	n, rest, ok := uvarint(rest, uint64(limit))
	if !ok {
		return f, false
	}
	f.value = rest
	if flags&flagCompressed != 0 {
		if c == nil {
			return f, false
		}
		value, err := c.Decompress(make([]byte, 0, n), rest, int(n))
		if err != nil {
			return f, false
		}
		f.value = value
	}
	return f, uint64(len(f.value)) == n
}

func uvarint(b []byte, most uint64) (n uint64, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > most {
		return 0, nil, false
	}
	return n, b[used:], true
}

// orderOf is an order about a key or a tag.
func orderOf(kind byte, name []byte) []byte { return append([]byte{kind}, name...) }

const (
	orderKey = 'k'
	orderTag = 't'
)

// names reports whether one of the orders is about one of the tags.
func names(orders [][]byte, tags []string) bool {
	for _, order := range orders {
		tag, ok := bytes.CutPrefix(order, []byte{orderTag})
		if !ok {
			continue
		}
		for _, t := range tags {
			if strings.Compare(t, string(tag)) == 0 {
				return true
			}
		}
	}
	return false
}
