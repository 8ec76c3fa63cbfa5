package nearcache

import (
	"encoding/binary"
)

// Name says which reply is meant: the key that it depends on, in two parts that follow one another,
// and the command, in two parts that may be what lies before the key and after it. Two commands
// are the same if both parts are.
type Name struct {
	Area        uint32
	Prefix, Key string
	Head, Tail  string
}

// What the names of entries begin with.
const (
	recordKind = 'r' // area, key
	memberKind = 'm' // area, number of the record, command
	wideKind   = 'w' // area, command
)

// nameRoom is the longest name for which a lookup allocates nothing.
const nameRoom = 192

// recordName appends the name of a key's record.
func recordName(dst []byte, area uint32, prefix, key string) []byte {
	dst = append(dst, recordKind)
	dst = binary.LittleEndian.AppendUint32(dst, area)
	dst = append(dst, prefix...)
	return append(dst, key...)
}

// memberName appends the name of a reply beside a record that is a number.
func memberName(dst []byte, area uint32, number uint64, head, tail string) []byte {
	dst = append(dst, memberKind)
	dst = binary.LittleEndian.AppendUint32(dst, area) // for the sweep
	dst = binary.LittleEndian.AppendUint64(dst, number)
	// The length, since two commands may be the same but for where they are divided.
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(head)))
	dst = append(dst, head...)
	return append(dst, tail...)
}

// wideName appends the name of a reply that depends on several keys.
func wideName(dst []byte, area uint32, command string) []byte {
	dst = append(dst, wideKind)
	dst = binary.LittleEndian.AppendUint32(dst, area)
	return append(dst, command...)
}
