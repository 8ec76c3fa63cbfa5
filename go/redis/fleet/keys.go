package fleet

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
)

// RingSize is how many orders the server keeps: a process that is further behind forgets all
// it holds instead. It is the same in every fleet.
const RingSize = 4096

// keys are the names of what the fleet keeps on the server. The braces put all of it into one
// slot of a cluster.
type keys struct{ epoch, counter, members, forming, ring, ack string }

func keysOf(name string) keys {
	front := "{" + name + "}:"
	return keys{
		epoch:   front + "epoch",
		counter: front + "orders",
		members: front + "members",
		forming: front + "forming",
		ring:    front + "order:",
		ack:     front + "seen:",
	}
}

// place is the key of the ring's place for an order.
func (k *keys) place(number uint64) string {
	return k.ring + strconv.FormatUint(number%RingSize, 10)
}

// entry is an order as it lies in the ring: its number, a word that tells it from another of
// the same number (which there is when a failover has lost the first), who gave it, and it.
type entry struct {
	number    uint64
	id, giver string
	order     string
}

// encode makes "number id giver order".
func (e *entry) encode() string {
	return strconv.FormatUint(e.number, 10) + " " + e.id + " " + e.giver + " " + e.order
}

// decode reports false for what is none.
func decode(r Reply) (e entry, ok bool) {
	if r.Kind != Text {
		return e, false
	}
	parts := strings.SplitN(r.Text, " ", 4)
	if len(parts) != 4 {
		return e, false
	}
	number, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil {
		return e, false
	}
	return entry{number: number, id: parts[1], giver: parts[2], order: parts[3]}, true
}

// word is a random word of 16 hexadecimal digits.
func word() string {
	var b [8]byte
	rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
