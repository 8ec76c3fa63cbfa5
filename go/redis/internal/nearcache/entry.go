package nearcache

import "encoding/binary"

// An entry is a reply's body and behind it what is known about it, so that a get that appends the
// entry to a slice has the body where the slice ended. All numbers are little endian.
//
//	record:  body, head, tail, mark 8, owner 8, number 8, length of head 2, of tail 2
//	number:  number 8, none 2, 0 2
//	member:  body, mark 8, owner 8
//	wide:    body, for each key (key, number 8, length of key 4), mark 8, owner 8, keys 4

const (
	recordTrailer = 28
	numberTrailer = 12
	memberTrailer = 16
	wideTrailer   = 20
	wideKeyBytes  = 12 // beside the key

	// none as a length of a head means that the record has no reply.
	none = 0xffff
	// longest is what a head or tail may be long in a record; longer ones are members.
	longest = none - 1
)

var little = binary.LittleEndian

// record is a record taken apart. Its slices are parts of the entry.
type record struct {
	number     uint64
	inline     bool // it has a reply, and all below
	body       int  // bytes
	head, tail []byte
	mark       uint64
	owner      Owner
}

// appendRecord appends an entry that is a reply.
func appendRecord(dst, body []byte, n *Name, number, mark uint64, owner Owner) []byte {
	dst = append(dst, body...)
	dst = append(dst, n.Head...)
	dst = append(dst, n.Tail...)
	dst = appendOwned(dst, mark, owner)
	dst = little.AppendUint64(dst, number)
	dst = little.AppendUint16(dst, uint16(len(n.Head)))
	return little.AppendUint16(dst, uint16(len(n.Tail)))
}

// appendNumber appends an entry that is a number.
func appendNumber(dst []byte, number uint64) []byte {
	dst = little.AppendUint64(dst, number)
	dst = little.AppendUint16(dst, none)
	return little.AppendUint16(dst, 0)
}

func appendOwned(dst []byte, mark uint64, owner Owner) []byte {
	dst = little.AppendUint64(dst, mark)
	dst = little.AppendUint32(dst, owner.slot)
	return little.AppendUint32(dst, owner.turn)
}

// owned reads what appendOwned wrote.
func owned(data []byte) (mark uint64, owner Owner) {
	return little.Uint64(data), Owner{little.Uint32(data[8:]), little.Uint32(data[12:])}
}

// parseRecord takes a record apart.
func parseRecord(data []byte) (r record, ok bool) {
	n := len(data)
	if n < numberTrailer {
		return r, false
	}
	r.number = little.Uint64(data[n-12:])
	head, tail := int(little.Uint16(data[n-4:])), int(little.Uint16(data[n-2:]))
	if head == none {
		return r, n == numberTrailer
	}
	r.body = n - recordTrailer - head - tail
	if r.body < 0 {
		return r, false
	}
	r.inline = true
	r.head = data[r.body : r.body+head]
	r.tail = data[r.body+head : n-recordTrailer]
	r.mark, r.owner = owned(data[n-recordTrailer:])
	return r, true
}

// is reports whether the record's reply is that to a command.
func (r *record) is(n *Name) bool {
	return r.inline && string(r.head) == n.Head && string(r.tail) == n.Tail
}
