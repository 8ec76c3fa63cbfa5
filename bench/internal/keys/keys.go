// Package keys makes the keys and values of the benchmarks.
//
// Keys are 16 to 31 bytes long and start with eight bytes that are unique to the key (its tag). Every value starts with
// the tag of its key, so a value that was torn, cut or handed out for another key is noticed at the cost of one
// comparison.
package keys

import (
	"encoding/binary"
)

// Stride is the room one key takes in a Set: one key never straddles two cache lines.
const Stride = 32

const (
	minLen = 16
	spread = 16 // lengths are minLen to minLen+spread-1
)

// Mix is a bijection of the 64-bit numbers that looks random (the finaliser of splitmix64).
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Write puts the key of number id into buf, which must have room for Stride bytes, and returns its length.
func Write(buf []byte, id uint64) int {
	_ = buf[Stride-1]
	tag := Mix(id)
	next := tag*0xd1342543de82ef95 + 1
	binary.LittleEndian.PutUint64(buf[0:], tag)
	binary.LittleEndian.PutUint64(buf[8:], next)
	binary.LittleEndian.PutUint64(buf[16:], next^tag>>7)
	binary.LittleEndian.PutUint64(buf[24:], next>>3^tag)
	return length(tag)
}

func length(tag uint64) int { return minLen + int(tag>>60)%spread }

// Set is the keys of the numbers first to first+n-1, one after the other in one buffer without pointers.
type Set struct {
	buf []byte
	n   int
}

// NewSet makes n keys.
func NewSet(first uint64, n int) *Set {
	s := &Set{buf: make([]byte, n*Stride), n: n}
	for i := range n {
		Write(s.buf[i*Stride:(i+1)*Stride], first+uint64(i))
	}
	return s
}

// Len is the number of keys.
func (s *Set) Len() int { return s.n }

// Key returns key i. It must not be changed.
func (s *Set) Key(i int) []byte {
	b := s.buf[i*Stride : i*Stride+Stride : i*Stride+Stride]
	return b[:length(binary.LittleEndian.Uint64(b))]
}

// Absent returns a key that is as long as key i, or a byte longer, and belongs to no Set: a lookup of it misses.
func (s *Set) Absent(i int) []byte {
	b := s.Key(i)
	return b[: len(b)+1 : len(b)+1]
}

// Pick makes a Set of the keys with these indices, in their order.
func (s *Set) Pick(order []uint32) *Set {
	p := &Set{buf: make([]byte, len(order)*Stride), n: len(order)}
	for i, j := range order {
		copy(p.buf[i*Stride:(i+1)*Stride], s.buf[int(j)*Stride:])
	}
	return p
}

// Tag returns the tag of a key, or of a value.
func Tag(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// Stamp makes value the value of key: value must be at least eight bytes long.
func Stamp(value, key []byte) { copy(value[:8], key[:8]) }

// Check tells whether value is a whole value of key.
func Check(value, key []byte, size int) bool { return len(value) == size && Tag(value) == Tag(key) }

// MeanLen is the mean length of a key, in bytes.
const MeanLen = minLen + (spread-1)/2.0
