package larder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// A task is one call of a loader, and the context that the loader gets. It has the values of
// the context of the caller that began the load, and not its end. It ends
//
//   - when Close is called,
//   - after Options.LoadTimeout (a refresh, without it, after a minute),
//   - and if it isn't a refresh, when the last of the deadlines of those who wait has passed,
//     or when nobody waits any more; but not before Options.LoadGrace, so that callers
//     who are less patient than the load takes don't begin it again and again, for nothing.
//
// Its deadline is therefore not known when the load begins: who comes later may be more
// patient. Deadline tells what it is at the time.
type task struct {
	context.Context // values, and the cause of the end; set by launch
	loads           *loads
	background      bool // a refresh
	done            chan struct{}

	mu     sync.Mutex
	cancel context.CancelCauseFunc // of Context; set by launch
	err    error                   // once done is closed
	over   bool                    // the loader has returned
	timer  *time.Timer
	stop   func() bool // of what waits for Close

	limit     time.Time // it ends then in any case; zero: not
	grace     time.Time // and not before, for want of waiters
	waiting   int       // those who wait, of all its flights
	boundless int       // of them, those without a deadline
	latest    time.Time // deadline of the others
	orphan    bool      // counted in loads.orphans
}

func newTask(l *loads, background bool) *task {
	return &task{loads: l, background: background, done: make(chan struct{})}
}

// Deadline is that of context.Context.
func (t *task) Deadline() (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.until()
}

// Done is that of context.Context.
func (t *task) Done() <-chan struct{} { return t.done }

// Err is that of context.Context.
func (t *task) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// AfterFunc is what package context calls to make contexts of this one, instead of keeping a
// goroutine for each.
func (t *task) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(t.Context, f) }

// until is when the task ends as things stand. The lock is held.
func (t *task) until() (end time.Time, bounded bool) {
	if !t.background && t.boundless == 0 {
		end = t.grace
		if t.latest.After(end) {
			end = t.latest
		}
	}
	if !t.limit.IsZero() && (end.IsZero() || t.limit.Before(end)) {
		end = t.limit
	}
	return end, !end.IsZero()
}

// arm sets the timer to the end as things stand. If that comes to be later the timer finds
// out by itself. The lock is held.
func (t *task) arm() {
	end, bounded := t.until()
	if !bounded || t.err != nil || t.cancel == nil {
		return
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(time.Until(end), t.tick)
	} else {
		t.timer.Reset(time.Until(end))
	}
}

func (t *task) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if end, bounded := t.until(); bounded && time.Now().Before(end) {
		t.arm()
	} else if bounded {
		t.end(context.DeadlineExceeded)
	}
}

// end ends the context. The lock is held.
func (t *task) end(cause error) {
	if t.err != nil {
		return
	}
	t.err = context.Canceled
	if cause == context.DeadlineExceeded {
		t.err = cause
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.stop()
	close(t.done)
	t.cancel(cause)
}

// join is for a new waiter. The lock of his flight's shard is held.
func (t *task) join(p passenger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting++
	if !p.bounded {
		t.boundless++
	} else if p.deadline.After(t.latest) {
		t.latest = p.deadline
	}
	t.adopt()
}

// leave is for one who waits no more, though the load goes on. The lock of his flight's shard
// is held.
func (t *task) leave(p passenger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
	if !p.bounded {
		t.boundless--
	}
	if t.waiting == 0 {
		t.latest = time.Time{}
	}
	if t.over || t.background {
		return
	}
	if t.waiting == 0 && !t.abandon() {
		t.end(context.Canceled)
	}
	t.arm()
}

// abandon notes that nobody waits any more, and reports whether the task may go on.
func (t *task) abandon() bool {
	if !time.Now().Before(t.grace) {
		return false
	}
	if t.loads.orphans.Add(1) > t.loads.maxRefreshes {
		t.loads.orphans.Add(-1)
		return false
	}
	t.orphan = true
	return true
}

// adopt is the opposite.
func (t *task) adopt() {
	if t.orphan {
		t.orphan = false
		t.loads.orphans.Add(-1)
	}
}

// release is for the end of the loader. It gives back what the task was counted as.
func (t *task) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.adopt()
	t.end(context.Canceled)
}

// launch calls the loader on a goroutine of its own, for flights that this caller leads.
func (c *Cache) launch(
	ctx context.Context, t *task, flights []*flight, load func(context.Context) ([]Loaded, error),
) {
	l := c.loads
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Context, t.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	t.grace = now.Add(l.grace)
	timeout := l.timeout
	if t.background {
		timeout = l.refreshTimeout
	}
	if timeout > 0 {
		t.limit = now.Add(timeout)
	}
	t.stop = context.AfterFunc(l.closing, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.end(ErrClosed)
	})
	t.arm()
	go c.run(t, flights, load)
}

// run is the goroutine of a task. Whatever the loader and the hook do, all its flights land,
// and nothing stays counted.
func (c *Cache) run(t *task, flights []*flight, load func(context.Context) ([]Loaded, error)) {
	l := c.loads
	l.running.Add(1) // for the hook
	defer l.running.Done()
	if t.background {
		defer l.refreshes.Add(-1)
	}
	began := time.Now()
	var loaded []Loaded
	var err error
	returned := false
	defer func() {
		var p *PanicError
		if !returned {
			// After Goexit there is nothing to recover.
			if v := recover(); v != nil {
				p = &PanicError{Value: v, Stack: debug.Stack()}
			}
		}
		l.counters.nanos.Add(int64(time.Since(began)))
		t.release()
		all := outcome{err: err, panicked: p, exited: !returned && p == nil}
		heard := c.landAll(flights, loaded, all)
		if t.background || p != nil && !heard {
			c.report(flights, p != nil && !heard)
		}
	}()
	loaded, err = load(t)
	returned = true
}

// landAll lands the flights of a task, and reports whether anybody waits for one.
func (c *Cache) landAll(flights []*flight, loaded []Loaded, all outcome) (heard bool) {
	var each KeyErrors
	if errors.As(all.err, &each) && len(each) == len(flights) {
		all.err = nil
	} else {
		each = nil
	}
	if !all.failed() && len(loaded) != len(flights) {
		all.err, each = errWrongCount(len(flights), len(loaded)), nil
	}
	for i, f := range flights {
		o := all
		if each != nil {
			o.err = each[i]
		}
		if !o.failed() {
			o.loaded = loaded[i]
		}
		// Deferred, so that they land even if one is interrupted.
		defer func() { heard = c.land(f, o) || heard }()
	}
	return heard
}

func errWrongCount(keys, values int) error {
	return fmt.Errorf("larder: the loader of %d keys returned %d values", keys, values)
}

// report tells the hook of flights that failed and nobody waited for. A panic is logged if
// there is no hook, and so is one of the hook's: none ends the program. If it calls
// runtime.Goexit, the rest is not told.
func (c *Cache) report(flights []*flight, unheard bool) {
	hook := c.loads.onRefreshError
	for _, f := range flights {
		err := f.err // a value may also have been refused when it was stored
		switch {
		case f.panicked != nil:
			err = f.panicked
		case f.exited:
			err = errLoaderExited
		}
		if hook != nil && err != nil {
			c.tell(hook, []byte(f.id.key), err)
		}
	}
	if p := flights[0].panicked; p != nil && hook == nil && unheard && !p.abortsHandler() {
		slog.Error("larder: a loader panicked, and nobody waited for it",
			"panic", p.Value, "stack", string(p.Stack))
	}
}

func (c *Cache) tell(hook func([]byte, error), key []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			slog.Error("larder: OnRefreshError panicked",
				"panic", v, "of", err, "stack", string(debug.Stack()))
		}
	}()
	hook(key, err)
}
