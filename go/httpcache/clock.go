package httpcache

import (
	"sync"
	"time"
)

// There are two clocks here.
//
// Ages are differences of a monotonic clock. It tells the milliseconds since 1970 as the
// system did when the process started, plus what has passed since: so setting the system's
// clock neither lengthens a response's life nor ends it (RFC 9111, 4.2.3: resident_time). All
// times in envelopes are of this clock, and so is whatever is called now in this package. It
// stands still while a machine is suspended, as the one of the core does.
//
// The wall clock is asked only when a response is received, for what its Date and Expires
// mean.

// started is read once for all Caches of the process, for they may share envelopes.
var started = time.Now()

// sinceStart is the monotonic clock. time.Since asks the system for one clock only, which is
// half of what time.Now costs.
func sinceStart(passed time.Duration) int64 {
	return started.UnixMilli() + int64(passed/time.Millisecond)
}

// now is the monotonic clock, in milliseconds.
func (c *Cache) now() int64 {
	switch {
	case c.opt.Elapsed != nil:
		return sinceStart(c.opt.Elapsed())
	case c.opt.Now != nil:
		return c.shared.forward.read(c.opt.Now)
	}
	return sinceStart(time.Since(started))
}

// wall is the wall clock, in milliseconds since 1970.
func (c *Cache) wall() int64 {
	if c.opt.Now != nil {
		return c.opt.Now().UnixMilli()
	}
	return time.Now().UnixMilli()
}

// forwardClock makes a monotonic clock of Options.Now, for tests that have no other: it goes
// forward with it, and stands still when it is set back.
type forwardClock struct {
	mu       sync.Mutex
	last, ms int64
}

func (k *forwardClock) read(now func() time.Time) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := now().UnixMilli()
	if k.ms == 0 {
		k.last, k.ms = t, t
	}
	k.ms += max(0, t-k.last)
	k.last = t
	return k.ms
}
