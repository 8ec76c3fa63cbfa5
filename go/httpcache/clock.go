package httpcache

import (
	"sync/atomic"
	"time"
)

// wallClock is the default of Options.Now, in milliseconds since 1970. time.Now asks
// the system for two clocks, which can take 80 ns, a tenth of a hit; time.Since
// asks for one. So a reading of both is kept, and what has passed since is added
// to it, for a second; then both are read again, lest a wall clock that is set goes
// unnoticed.
type wallClock struct {
	reading atomic.Pointer[clockReading]
}

type clockReading struct {
	at time.Time
	ms int64
}

func (k *wallClock) now() int64 {
	if r := k.reading.Load(); r != nil {
		if passed := time.Since(r.at); passed < time.Second {
			return r.ms + int64(passed/time.Millisecond)
		}
	}
	return k.read()
}

func (k *wallClock) read() int64 {
	at := time.Now()
	// To the whole millisecond, so that adding whole ones is no less exact.
	at = at.Add(-time.Duration(at.Nanosecond() % int(time.Millisecond)))
	r := &clockReading{at, at.UnixMilli()}
	k.reading.Store(r)
	return r.ms
}
