package httpcache

import (
	"context"
	"net/http"
	"time"
)

// What a spool does to its flight. The body is kept whole while it is to be
// stored, behind the prefix of its envelope, so that storing copies nothing
// together; otherwise only what some reader has yet to read.

func (f *flight) addInterim(i interim) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress = time.Now()
	if len(f.interim) < maxInterim {
		f.interim = append(f.interim, i)
		f.signal()
	}
}

// resolve answers the flight's requests from a stored response. own are fields for
// the leader only.
func (f *flight) resolve(e *entry, rep report, shareable bool, own http.Header) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	f.base, f.baseFresh, f.own = e, rep, own
	f.outcome = outcomeStored
	f.shareable = shareable
	f.signal()
}

// standIn answers the flight's requests from a stored response in place of one
// that has ended early, and ends the flight. It reports false if it is too late
// for that.
func (f *flight) standIn(e *entry, rep report, shareable bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done || f.visible || f.outcome != outcomePending && f.outcome != outcomeStream {
		return false
	}
	f.base, f.baseFresh = e, rep
	f.outcome, f.shareable, f.done = outcomeStored, shareable, true
	f.adopted()
	f.signal()
	return true
}

// append adds to the body. It waits while the handler is too far ahead.
func (f *flight) append(ctx context.Context, b []byte, limit int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return errGone // it has been cut
	}
	if f.retain && f.written()+int64(len(b)) > limit {
		// Too large to store after all. Nobody can begin to read any more;
		// those who do read get the rest.
		f.retain, f.shareable = false, false
		f.buf = append([]byte(nil), f.buf[f.bodyAt:]...) // head needs the prefix
		f.bodyAt = 0
	}
	if !f.retain {
		f.trim()
		for f.written()-f.slowest() >= window {
			if err := f.wait(ctx, nil); err != nil {
				return errGone
			}
			f.trim()
		}
		if len(f.readers) == 0 {
			return errGone
		}
	}
	f.buf = append(f.buf, b...)
	f.progress = time.Now()
	if f.visible || f.written() >= visibleAt {
		f.visible = true
		f.signal()
	}
	return nil
}

// trim drops what all readers have read of a body that is not kept. f.mu must
// be held.
func (f *flight) trim() {
	n := int(f.slowest() - f.dropped)
	switch {
	case n <= 0:
	case n == len(f.buf):
		f.buf = f.buf[:0]
		f.dropped += int64(n)
	case n >= len(f.buf)/2:
		// Readers may be sending what follows their positions.
		f.buf = append([]byte(nil), f.buf[n:]...)
		f.dropped += int64(n)
	}
}

func (f *flight) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.visible = true
	f.flushAt = f.written() + 1
	f.signal()
}

// whole returns the complete envelope, if the response is to be stored.
func (f *flight) whole() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.retain || f.done {
		return nil
	}
	return f.buf
}

// complete ends a flight that has brought all there is.
func (f *flight) complete(trailers http.Header, stored bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	f.trailers, f.stored = trailers, stored
	f.done, f.visible = true, true
	f.adopted()
	f.signal()
}

// fail ends a flight early. It does nothing to one that has ended.
func (f *flight) fail(failure any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	f.failure = failure
	f.done = true
	if !f.visible && f.outcome != outcomeStored { // nobody has seen the header
		f.broken = f.outcome == outcomeStream
		f.outcome = outcomeFailed
	}
	f.adopted()
	f.signal()
}
