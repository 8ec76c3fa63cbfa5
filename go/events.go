package larder

import (
	"encoding/binary"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
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
	// EventInvalidated: an entry was removed because a tag of it was invalidated: when
	// it was found, or in the background, which may be long after.
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

// undelivered holds events that were taken from the core for a loop that then ended.
type undelivered struct {
	mu     sync.Mutex
	blocks [][]byte
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
// may take events at once: each event goes to one of them. A loop that ends early
// leaves the rest to the next. Clear makes no events, and Close discards those that
// were not taken.
//
// The loop may call any method of the cache. The keys are the caller's, to keep and to
// change. They are cut from larger blocks: to keep a few for long, copy them (see
// [bytes.Clone]).
func (c *Cache) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		// What is left now, not what other loops leave meanwhile: this one must end.
		c.events.mu.Lock()
		blocks := c.events.blocks
		c.events.blocks = nil
		c.events.mu.Unlock()
		var at cursor
		size := eventBlock
		for {
			for len(blocks) > 0 {
				rest, more := yieldEvents(blocks[0], yield)
				if blocks = blocks[1:]; !more {
					c.leave(rest, blocks)
					return
				}
			}
			block := make([]byte, size)
			n, st := c.handle.events(&at, block)
			runtime.KeepAlive(c)
			switch st {
			case statusOK:
				blocks = append(blocks, block[:n])
				size = eventBlock
			case statusBufferTooSmall:
				size = n // for this one key
			default: // the end, or closed
				return
			}
		}
	}
}

// leave keeps what a loop didn't want for the next one, before what others left.
func (c *Cache) leave(rest []byte, blocks [][]byte) {
	if len(rest) > 0 {
		blocks = append([][]byte{rest}, blocks...)
	}
	c.events.mu.Lock()
	c.events.blocks = append(blocks, c.events.blocks...)
	c.events.mu.Unlock()
}

// yieldEvents takes a block apart: three little-endian numbers of four bytes for reason
// and lengths, the key, and the next. It returns what is left of the block when the
// loop wants no more.
func yieldEvents(block []byte, yield func(Event) bool) (rest []byte, more bool) {
	for len(block) > 0 {
		end := 12 + int(binary.LittleEndian.Uint32(block[4:]))
		e := Event{
			Reason:   EventReason(binary.LittleEndian.Uint32(block)),
			Key:      block[12:end:end], // appending to it must not write to the next
			ValueLen: int(binary.LittleEndian.Uint32(block[8:])),
		}
		block = block[end:]
		if !yield(e) {
			return block, false
		}
	}
	return nil, true
}
