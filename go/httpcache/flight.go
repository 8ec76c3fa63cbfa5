package httpcache

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// A flight is one run of the next handler and what it has written so far. One
// goroutine writes it (spool.go), any number of requests read it (deliver.go):
// so neither a slow nor a vanished client holds up the others.
//
// RFC 9111, 4 lets a cache collapse requests: of several requests for one
// absent or stale response only the first, the leader, is sent. The others
// wait until the leader's response header is known. If the response may be
// reused they read along; if not, they are released at once, all at a time, to
// go forward by themselves, and the key is remembered as busy (busy.go), so
// that later requests do not wait at all.
//
// No request waits for another one without bounds: a flight that has brought
// nothing for Options.JoinTimeout is not joined, who has joined waits no longer
// than Options.LockTimeout for a header, and a body that stalls is cut after
// Options.BodyIdleTimeout (idle.go). A flight that all have left goes on as long
// as its response may be worth storing (background.go).
type flight struct {
	key    string // in the table; "" if it is for one request only
	since  moment // when it began
	cancel context.CancelFunc

	mu      sync.Mutex
	wake    chan struct{} // closed and replaced when anything below changes
	waiting int           // on wake

	readers  []*reader
	pinned   bool      // goes on without readers
	lingers  bool      // goes on without readers until its header is there
	adopt    func()    // called when it has readers again, or ends; nil unless all have left
	dead     bool      // nobody reads, and it has been cancelled
	progress time.Time // when the next handler last brought something

	outcome   outcome
	shareable bool   // for the outcome, if others than the leader may have it
	vary      []byte // set of names that the response varies on
	variant   string // the leader's values of them

	// outcomeStored
	baseKey   string // where base lies; set at the start
	base      *entry
	baseFresh report      // how base came to be usable
	own       http.Header // fields of a 304 that only the leader may see

	// outcomeFailed
	broken bool // after the header, before anyone had seen it

	// outcomeStream
	status   int
	header   http.Header    // not changed once the outcome is set
	meta     meta           // of the response, whether it is to be stored or not
	head     *entry         // the envelope without its body, if it is to be stored
	withheld []string       // fields that only the leader may see
	refusal  string         // why it is not stored
	ours     bool           // an error that this process made (GatewayError)
	bare     bool           // others than the leader get the status alone
	origin   *http.Response // what else a Transport's response is like, or nil
	visible  bool           // the header and what is in buf may be sent on
	buf      []byte         // envelope prefix and body; in window mode a part of the body
	bodyAt   int            // index in buf of the first byte of the body that it holds
	dropped  int64          // bytes of the body before that
	retain   bool           // buf keeps the whole body, to be stored
	flushAt  int64          // the handler flushed when it had written so much
	done     bool
	failure  any // why the response is incomplete: what the handler panicked with, or an error
	trailers http.Header
	interim  []interim // that the leader has not passed on yet
	stored   bool
}

// maxInterim bounds the interim responses that wait for the leader to pass them
// on; more are left out, as any recipient may (RFC 9110, 15.2).
const maxInterim = 16

// outcome says what became of a flight, as soon as that is known.
type outcome uint8

const (
	outcomePending outcome = iota
	outcomeStream          // a response is being received
	outcomeStored          // a stored response is to be used: validated, or stale on error
	outcomeRetry           // look into the cache again
	outcomeFailed          // there is no response
)

// interim is a 1xx response.
type interim struct {
	status int
	header http.Header
}

// reader is a request that reads a flight's body.
type reader struct {
	pos int64
}

// window bounds how far the handler may be ahead of the readers of a response
// that is not kept.
const window = 256 << 10

// visibleAt is how much of a body is held back until the handler flushes or
// finishes, as net/http does too.
const visibleAt = 4 << 10

func newFlight(key string, since moment) *flight {
	return &flight{
		key: key, since: since, wake: make(chan struct{}), progress: time.Now(), lingers: key != "",
	}
}

// signal wakes everyone who waits. f.mu must be held.
func (f *flight) signal() {
	if f.waiting > 0 {
		close(f.wake)
		f.wake = make(chan struct{})
		f.waiting = 0
	}
}

// errImpatient is returned by wait when the timer has rung.
var errImpatient = errors.New("httpcache: waited long enough")

// wait releases f.mu, waits for a signal, the end of ctx or the timer, and takes
// f.mu again.
func (f *flight) wait(ctx context.Context, timer <-chan time.Time) error {
	f.waiting++
	wake := f.wake
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-wake:
		return nil
	case <-timer:
		return errImpatient
	case <-ctx.Done():
		return ctx.Err()
	}
}

// written returns how much of the body has been received. f.mu must be held.
func (f *flight) written() int64 { return f.dropped + int64(len(f.buf)-f.bodyAt) }

// slowest returns the position of the reader furthest behind. f.mu must be
// held.
func (f *flight) slowest() int64 {
	pos := f.written()
	for _, r := range f.readers {
		pos = min(pos, r.pos)
	}
	return pos
}

// flights is the table of flights that others may join.
type flights struct {
	shards [64]flightShard
}

type flightShard struct {
	mu sync.Mutex
	m  map[string]*flight
}

func (t *flights) init() {
	for i := range t.shards {
		t.shards[i].m = make(map[string]*flight)
	}
}

func (t *flights) shard(key string) *flightShard {
	var h uint32 = 2166136261
	for i := 0; i < len(key); i++ {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return &t.shards[h%uint32(len(t.shards))]
}

// join returns the flight of the key and a new reader of it. leader is true if
// there was none, or only one that something has overtaken or that has brought
// nothing for so long: then the caller must start the new one.
func (c *Cache) join(key string, primary []byte) (f *flight, r *reader, leader bool) {
	sh := c.shared
	present := sh.present(primary)
	s := sh.flights.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r = new(reader)
	if f = s.m[key]; f != nil {
		current := sh.current(primary, f.since)
		f.mu.Lock()
		alive := !f.dead && current && !f.purged(sh.purges, primary) &&
			time.Since(f.progress) < c.opt.JoinTimeout
		if alive {
			f.readers = append(f.readers, r)
			f.adopted()
		}
		f.mu.Unlock()
		if alive {
			return f, r, false
		}
	}
	f = newFlight(key, present)
	f.readers = []*reader{r}
	s.m[key] = f
	return f, r, true
}

// purged reports whether a purge that came after the flight began has touched
// what it has brought, so that whoever came after that purge must not have it.
// Until the header is there, nothing is known of tags, and it is false. f.mu must
// be held.
func (f *flight) purged(p *purges, primary []byte) bool {
	switch f.outcome {
	case outcomeStream:
		return f.head != nil && p.check(f.head, primary) != notPurged
	case outcomeStored:
		verdict := p.check(f.base, primary)
		return verdict == hardPurged || verdict == softPurged && !f.baseFresh.hit
	}
	return false
}

// remove ends joining. The flight's readers go on.
func (t *flights) remove(f *flight) {
	if f.key == "" {
		return
	}
	s := t.shard(f.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[f.key] == f {
		delete(s.m, f.key)
	}
}

// leave ends a reader. A flight without readers is cancelled, unless its
// response is worth finishing for the cache. It may be called again.
func (c *Cache) leave(f *flight, r *reader) {
	f.mu.Lock()
	left := f.drop(r)
	if left && len(f.readers) == 0 && !f.done && !f.pinned && f.adopt == nil {
		f.dead = !f.worthFinishing() || !c.orphan(f)
	}
	dead := f.dead
	f.signal() // the writer may have waited for this reader
	f.mu.Unlock()
	if left && dead {
		c.abandon(f)
	}
}

// abandon ends a flight that nobody wants.
func (c *Cache) abandon(f *flight) {
	c.shared.flights.remove(f)
	if f.cancel != nil {
		f.cancel()
	}
}

// drop removes a reader, and reports whether it was one. f.mu must be held.
func (f *flight) drop(r *reader) bool {
	for i := range f.readers {
		if f.readers[i] == r {
			last := len(f.readers) - 1
			f.readers[i] = f.readers[last]
			f.readers = f.readers[:last]
			return true
		}
	}
	return false
}

// worthFinishing reports whether the flight may bring something to be stored.
// f.mu must be held.
func (f *flight) worthFinishing() bool {
	return f.outcome == outcomePending && f.lingers || f.outcome == outcomeStream && f.retain
}

// adopted ends what bounds a flight that all have left. f.mu must be held.
func (f *flight) adopted() {
	if f.adopt != nil {
		f.adopt()
		f.adopt = nil
	}
}
