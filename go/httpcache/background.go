package httpcache

import (
	"context"
	"net/http"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 5861, 3: stale-while-revalidate.

// refreshInBackground revalidates the txn's entry without anyone waiting: at
// most once at a time for a key, and only so many in all. Requests that miss
// meanwhile join it.
func (h *handler) refreshInBackground(r *http.Request, t *txn) {
	s := h.c.shared
	if !s.enterBackground(&s.running, h.c.opt.MaxBackground) {
		return
	}
	f, rd, leader := h.c.join(t.flightKey(r.Header), t.key)
	f.mu.Lock()
	f.pinned = f.pinned || leader
	f.mu.Unlock()
	h.c.leave(f, rd)
	if !leader {
		s.leaveBackground(&s.running)
		return
	}
	p := t.plan(r, f.since)
	p.info.directed = field.ParseRequest(nil) // they are the client's, not ours
	f.baseKey = string(p.baseKey)
	cancel := p.withContext()
	ctx, stop := context.WithTimeout(p.req.Context(), h.c.opt.BackgroundTimeout)
	p.req = p.req.WithContext(ctx)
	unhook := context.AfterFunc(s.ctx, cancel)
	f.cancel = func() { unhook(); stop(); cancel() }
	go func() {
		defer s.leaveBackground(&s.running)
		h.run(f, p)
	}()
}

// orphan lets a flight go on that its last reader has left: for no longer than a
// revalidation in the background, or some of them while it fills; until the cache is
// closed; and only if there aren't too many. They are counted apart, so that clients which leave cannot use up what
// revalidations need. It reports whether it may. f.mu must be held.
func (c *Cache) orphan(f *flight) bool {
	s := c.shared
	if !s.enterBackground(&s.orphans, c.opt.MaxBackground) {
		return false
	}
	limit := c.opt.BackgroundTimeout
	last := time.Now().Add(orphanRounds * limit)
	var timer *time.Timer
	timer = time.AfterFunc(limit, func() {
		f.mu.Lock()
		goesOn := f.adopt != nil && f.fills(limit) && time.Now().Before(last)
		if goesOn {
			timer.Reset(limit)
		}
		f.mu.Unlock()
		if !goesOn {
			c.endOrphan(f)
		}
	})
	unhook := context.AfterFunc(s.ctx, func() { c.endOrphan(f) })
	f.adopt = func() {
		timer.Stop()
		unhook()
		s.leaveBackground(&s.orphans)
	}
	return true
}

// orphanRounds is how many times as long as a revalidation a fetch without clients
// may take whose body keeps coming, and is to be stored.
const orphanRounds = 10

// fills reports whether the flight has brought something to be stored within a time.
// f.mu must be held.
func (f *flight) fills(within time.Duration) bool {
	return f.outcome == outcomeStream && f.retain && time.Since(f.progress) < within
}

// endOrphan cancels a flight that still nobody reads.
func (c *Cache) endOrphan(f *flight) {
	f.mu.Lock()
	useless := len(f.readers) == 0 && !f.done
	f.dead = f.dead || useless
	f.mu.Unlock()
	if useless {
		c.abandon(f)
	}
}

// enterBackground counts a fetch in the background, unless there are limit already
// or the cache has been closed.
func (s *shared) enterBackground(running *int, limit int) bool {
	s.backgroundMu.Lock()
	defer s.backgroundMu.Unlock()
	if s.closed || *running >= limit {
		return false
	}
	s.background.Add(1)
	*running++
	return true
}

func (s *shared) leaveBackground(running *int) {
	s.backgroundMu.Lock()
	*running--
	s.backgroundMu.Unlock()
	s.background.Done()
}

// closeBackground ends all fetches in the background and waits for them.
func (s *shared) closeBackground() {
	s.backgroundMu.Lock()
	s.closed = true
	s.backgroundMu.Unlock()
	s.stop()
	s.background.Wait()
}
