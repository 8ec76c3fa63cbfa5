package larder

import (
	"encoding/binary"
	"iter"
	"runtime"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Entries come from the core in chunks of about this size: the first is small, so that
// a look at the first entries costs little.
const (
	firstChunk = 4 << 10
	chunk      = 128 << 10
)

// All iterates over the entries, keys with values, in no particular order. Each entry
// that is there all the while comes exactly once; one that is set, deleted, evicted or
// expires meanwhile comes once or not at all. The loop may call any method of the
// cache, and holds up nobody. It counts neither as hits nor as use.
//
// The slices are the caller's, to keep and to change. They are cut from larger blocks:
// to keep a few small ones for long, copy them (see [bytes.Clone]).
func (c *Cache) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		var at cursor
		for size, next := firstChunk, firstChunk; ; {
			block := make([]byte, size)
			n, st := c.through().Iterate(&at, block)
			runtime.KeepAlive(c)
			switch st {
			case capi.StatusOK:
				if !yieldRecords(block[:n], yield) {
					return
				}
				next = min(2*next, chunk)
				size = next
			case capi.StatusBufferTooSmall:
				size = n // for this one entry
			default: // the end, or closed
				return
			}
		}
	}
}

// yieldRecords takes a block apart: two little-endian lengths of four bytes, the key,
// the value, and the next.
func yieldRecords(block []byte, yield func(key, value []byte) bool) bool {
	for len(block) > 0 {
		key := 8 + int(binary.LittleEndian.Uint32(block))
		end := key + int(binary.LittleEndian.Uint32(block[4:]))
		// The capacity ends with the slice: appending to one must not write to the
		// next.
		if !yield(block[8:key:key], block[key:end:end]) {
			return false
		}
		block = block[end:]
	}
	return true
}
