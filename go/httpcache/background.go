package httpcache

import (
	"context"
	"net/http"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 5861, 3: stale-while-revalidate.

// refreshInBackground revalidates the txn's entry without anyone waiting: at
// most once at a time for a key, and only so many in all. Requests that miss
// meanwhile join it.
func (h *handler) refreshInBackground(r *http.Request, t *txn) {
	s := h.c.shared
	if !s.enterBackground(h.c.opt.MaxBackground) {
		return
	}
	f, rd, leader := s.join(t.flightKey(r.Header), t.key)
	f.mu.Lock()
	f.pinned = f.pinned || leader
	f.mu.Unlock()
	s.flights.leave(f, rd)
	if !leader {
		s.leaveBackground()
		return
	}
	p := t.plan(r, f.since)
	p.info.directed = field.ParseRequest(nil) // they are the client's, not ours
	cancel := p.withContext()
	ctx, stop := context.WithTimeout(p.req.Context(), h.c.opt.BackgroundTimeout)
	p.req = p.req.WithContext(ctx)
	unhook := context.AfterFunc(s.ctx, cancel)
	f.cancel = func() { unhook(); stop(); cancel() }
	go func() {
		defer s.leaveBackground()
		h.run(f, p)
	}()
}

// enterBackground counts a background revalidation, unless there are limit
// already or the cache has been closed.
func (s *shared) enterBackground(limit int) bool {
	s.backgroundMu.Lock()
	defer s.backgroundMu.Unlock()
	if s.closed || s.running >= limit {
		return false
	}
	s.background.Add(1)
	s.running++
	return true
}

func (s *shared) leaveBackground() {
	s.backgroundMu.Lock()
	s.running--
	s.backgroundMu.Unlock()
	s.background.Done()
}

// closeBackground ends all background revalidations and waits for them.
func (s *shared) closeBackground() {
	s.backgroundMu.Lock()
	s.closed = true
	s.backgroundMu.Unlock()
	s.stop()
	s.background.Wait()
}
