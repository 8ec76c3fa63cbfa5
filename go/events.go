package larder

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Event says what became of a key.
type Event struct {
	Reason   EventReason
	Key      []byte
	ValueLen int // bytes of the value that is gone, or that was rejected
}

// EventReason says why an event came; in Options.Events, several of them combined by |.
type EventReason uint32

const (
	// EventEvicted: an entry was removed to make room. Counted in Stats.Evictions.
	EventEvicted EventReason = 1 << iota
	// EventExpired: an entry was removed after its time had come: when it was found,
	// or in the background, at most about 0.6 s after. Counted in Stats.Expirations.
	EventExpired
	// EventRejected: a call that stores failed with ErrFull. An older value of the key
	// is still there. Counted in Stats.Rejections.
	EventRejected
	// EventDeleted: an entry was removed by Delete or DeleteMany.
	EventDeleted
	// EventOverwritten: an entry's value was replaced by another.
	EventOverwritten
	// EventInvalidated: an entry was removed because a tag of it was invalidated: when what
	// stores or deletes met it, or in the background, which may be long after. (A Get doesn't
	// find it from the time of InvalidateTag on, and leaves it where it lies.)
	EventInvalidated

	allEvents = EventEvicted | EventExpired | EventRejected | EventDeleted | EventOverwritten | EventInvalidated
)

var eventNames = [...]string{"evicted", "expired", "rejected", "deleted", "overwritten", "invalidated"}

// String is the reason in a word, fit for a label; several are separated by |.
func (r EventReason) String() string {
	var names []string
	for i, name := range eventNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := r &^ allEvents; rest != 0 || r == 0 {
		names = append(names, fmt.Sprintf("EventReason(%d)", uint32(rest)))
	}
	return strings.Join(names, "|")
}

// eventBlock is what Events takes from the core at once: some 500 events.
const eventBlock = 16 << 10

// undelivered hands out events, block by block, and keeps those that were taken from the core
// for a loop that then ended.
type undelivered struct {
	mu     sync.Mutex
	taken  uint64 // blocks from the core
	blocks []eventsTaken
	closed atomic.Bool
}

// eventsTaken is a block, or what is left of one. The numbers say which came first.
type eventsTaken struct {
	number uint64
	bytes  []byte
}

// discard is for Close.
func (u *undelivered) discard() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed.Store(true)
	u.blocks = nil
}

// leave keeps what a loop didn't want for the next one, in order among what others left.
func (u *undelivered) leave(blocks []eventsTaken) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed.Load() {
		return
	}
	for _, b := range blocks {
		if len(b.bytes) > 0 {
			at, _ := slices.BinarySearchFunc(u.blocks, b.number, func(b eventsTaken, n uint64) int {
				return cmp.Compare(b.number, n)
			})
			u.blocks = slices.Insert(u.blocks, at, b)
		}
	}
}

// left is what other loops have left by now.
func (u *undelivered) left() []eventsTaken {
	u.mu.Lock()
	defer u.mu.Unlock()
	blocks := u.blocks
	u.blocks = nil
	return blocks
}

// next takes a block of the given size from the core. Under the lock, so that the numbers are
// in the order of the events.
func (u *undelivered) next(h handle, at *cursor, size int) (block eventsTaken, n int, st status) {
	bytes := make([]byte, size)
	u.mu.Lock()
	defer u.mu.Unlock()
	n, st = h.Events(at, bytes)
	if st == capi.StatusOK {
		u.taken++
		block = eventsTaken{u.taken, bytes[:n]}
	}
	return block, n, st
}

// Events takes what became of entries since it was last asked, and iterates over it. It
// ends when it has returned what was there when it began, and perhaps some of what came
// meanwhile; it doesn't wait for more. So a program that wants to know calls it every
// so often:
//
//	for range time.Tick(time.Second) {
//		for e := range cache.Events() {
//			log.Printf("%s: %q, %d bytes", e.Reason, e.Key, e.ValueLen)
//		}
//	}
//
// There are none unless Options.EventBytes is set, which is the memory that holds them
// until they are taken. An event that finds no room there is dropped, and counted in
// Stats.DroppedEvents; the cache never waits for anybody.
//
// Events of one key come in order; those of different keys may not. Several goroutines
// may take events at once: each event goes to one of them. A loop that ends early, by a
// panic too, leaves the rest to the next. Clear makes no events, and Close discards those
// that were not taken.
//
// The loop may call any method of the cache. The keys are the caller's, to keep and to
// change. They are cut from larger blocks: to keep a few for long, copy them (see
// [bytes.Clone]).
func (c *Cache) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		// What is left now, not what other loops leave meanwhile: this one must end.
		blocks := c.events.left()
		defer func() { c.events.leave(blocks) }()
		var at cursor
		size := eventBlock
		for {
			for len(blocks) > 0 {
				if !c.yieldEvents(&blocks[0].bytes, yield) {
					return
				}
				blocks = blocks[1:]
			}
			block, n, st := c.events.next(c.through(), &at, size)
			runtime.KeepAlive(c)
			switch st {
			case capi.StatusOK:
				blocks = append(blocks, block)
				size = eventBlock
			case capi.StatusBufferTooSmall:
				size = n // for this one key
			default: // the end, or closed
				return
			}
		}
	}
}

// yieldEvents takes a block apart: three little-endian numbers of four bytes for reason
// and lengths, the key, and the next. What is yielded is cut off. It returns false when the
// loop wants no more, or the cache was closed.
func (c *Cache) yieldEvents(block *[]byte, yield func(Event) bool) bool {
	for len(*block) > 0 {
		if c.events.closed.Load() {
			return false
		}
		at := *block
		end := 12 + int(binary.LittleEndian.Uint32(at[4:]))
		e := Event{
			Reason:   EventReason(binary.LittleEndian.Uint32(at)),
			Key:      at[12:end:end], // appending to it must not write to the next
			ValueLen: int(binary.LittleEndian.Uint32(at[8:])),
		}
		*block = at[end:]
		if !yield(e) {
			return false
		}
	}
	return true
}
