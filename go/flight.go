package larder

import (
	"context"
	"fmt"
	"hash/maphash"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Loads under way. A flight is the load of one key, from the time it is begun to the time
// its value is stored; whoever wants the key meanwhile waits for it. A task is one call of
// a loader, on a goroutine of its own, for one flight or for several.
//
// Which load is under way for a key is known to the core: it keeps a token for the key,
// and drops it, under the lock that orders all writes of the key, when the key is set,
// deleted, cleared away or loaded. So whoever comes after such a write doesn't join a load
// that may have begun before it, and the end of a load stores nothing if its token is gone.
// What is kept here is what the core can't know: who waits.
//
// Between the core's answer to "is there a load?" and the look at the flight that belongs
// to it nothing may happen: both are done under the lock of a shard, and so are those
// steps that take a flight out of the map. The other order, where the core's token goes
// first and the flight a moment later, is harmless: nobody finds a flight without its token.
//
// The one that begins a flight looks for the value once more before anybody can join: a
// set or a load that ended after it missed is seen then, and one that ends later has taken
// the token away. Without that look a value could be replaced by an older one.

// loadShards is a number of locks that a crowd of cores doesn't queue at.
const loadShards = 16

// What Options leave open.
const (
	defaultMaxRefreshes   = 64
	defaultRefreshTimeout = time.Minute
)

// loads is what a Cache knows of loads.
type loads struct {
	seed   maphash.Seed
	shards [loadShards]loadShard

	// closing is done from Close on.
	closing context.Context
	closed  context.CancelCauseFunc
	running sync.WaitGroup // flights

	refreshes      atomic.Int64 // tasks in the background
	maxRefreshes   int64
	timeout        time.Duration // 0: none
	refreshTimeout time.Duration
	staleIfError   time.Duration
	onRefreshError func(key []byte, err error)
}

type loadShard struct {
	mu      sync.Mutex
	closed  bool
	flights map[flightID]*flight
	_       [40]byte // a cache line each
}

// A superseded flight and its successor have the key in common, and differ in the token.
type flightID struct {
	token uint64
	key   string
}

type flight struct {
	id    flightID
	shard *loadShard
	task  *task
	stamp uint64 // tags that were invalidated later are not known to the loader

	waiters    int  // under the shard's lock
	background bool // goes on without waiters

	// What came of it, once done is closed.
	done chan struct{}
	outcome
}

// outcome is what came of a load: one of these.
type outcome struct {
	loaded   Loaded
	err      error
	panicked *PanicError
	exited   bool // by runtime.Goexit
}

// A task is one call of a loader.
type task struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   func()       // gives back what ctx takes
	wanted atomic.Int64 // flights that were not abandoned
}

// PanicError is what a Load panics with when its loader did, in every goroutine that
// waited for it.
type PanicError struct {
	// Value is what the loader passed to panic.
	Value any
	// Stack is the loader's stack, as text.
	Stack []byte
}

func (p *PanicError) Error() string {
	return fmt.Sprintf("larder: loader panicked: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns Value, if it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

func newLoads(o *Options) *loads {
	l := &loads{
		seed:           maphash.MakeSeed(),
		maxRefreshes:   int64(o.MaxRefreshes),
		timeout:        o.LoadTimeout,
		refreshTimeout: o.LoadTimeout,
		staleIfError:   o.StaleIfError,
		onRefreshError: o.OnRefreshError,
	}
	if l.maxRefreshes == 0 {
		l.maxRefreshes = defaultMaxRefreshes
	}
	if l.refreshTimeout == 0 {
		l.refreshTimeout = defaultRefreshTimeout
	}
	l.closing, l.closed = context.WithCancelCause(context.Background())
	return l
}

// another is for a namespace: the same options, its own flights.
func (l *loads) another() *loads {
	return newLoads(&Options{
		MaxRefreshes:   int(l.maxRefreshes),
		LoadTimeout:    l.timeout,
		StaleIfError:   l.staleIfError,
		OnRefreshError: l.onRefreshError,
	})
}

// close lets no flight begin any more, and tells those in the air.
func (l *loads) close() {
	if l == nil {
		return
	}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	}
	l.closed(ErrClosed)
}

// wait returns when the last flight has ended, or at once if it is called from one.
func (l *loads) wait() {
	if l == nil || insideTask() {
		return
	}
	l.running.Wait()
}

// taskFrame is the name of the function at the bottom of a task's stack.
var taskFrame = runtime.FuncForPC(reflect.ValueOf((*Cache).run).Pointer()).Name()

// insideTask reports whether the goroutine is one that runs a loader.
func insideTask() bool {
	var pcs [64]uintptr
	for skip := 1; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		if n == 0 {
			return false
		}
		frames := runtime.CallersFrames(pcs[:n])
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if f.Function == taskFrame {
				return true
			}
		}
	}
}

// found is what a lookup came to.
type found struct {
	value []byte
	state State
	ok    bool
}

// reason is why a load is wanted.
type reason int

const (
	missing    reason = iota // there is no value
	refreshing               // there is a stale value, which was returned
	orStale                  // there is a stale value, for the case that the load fails
	joining                  // the same, but others had the lease: only if a load is under way
)

// boarding is a place on a flight.
type boarding struct {
	flight *flight
	leads  bool   // the flight is new, and waits for its loader to be called
	stamp  uint64 // of the time of boarding
}

// board finds the flight that loads the key, or begins one for the task. For all reasons
// but refreshing the caller is one of its waiters then. If no flight is needed after all,
// there is none in the boarding, and the rest tells what was found: the value was
// appended to dst. (As a result of its own: else dst would have to be on the heap, as the
// flight is.)
func (c *Cache) board(t *task, dst, key []byte, why reason) (boarding, found, error) {
	l := c.loads
	if l == nil {
		return boarding{}, found{}, ErrClosed
	}
	s := &l.shards[maphash.Bytes(l.seed, key)%loadShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return boarding{}, found{}, ErrClosed
	}
	// The key may be set and deleted between the giving of the token and the lookup. Then what
	// was looked up is not what the token is for: a flight with it would be overtaken before it
	// began, and the next caller would begin another. So the token is asked for again, and
	// if it is a new one, the key is looked up again.
	var token, stamp uint64
	for held := uint64(0); ; held = token {
		var st status
		token, stamp, st = c.loadBegin(key)
		if st == statusOK && token == held {
			break
		}
		if st == statusOK {
			if f := s.flights[flightID{token, string(key)}]; f != nil {
				if why != refreshing {
					f.waiters++
				}
				return boarding{flight: f, stamp: stamp}, found{}, nil
			}
			// The token is for another key with the same hash. As if that had been set.
			c.loadCancel(key, token)
			token = 0 // none is held
			continue
		}
		if st != statusNotFound {
			return boarding{}, found{}, st.err()
		}
		var at found
		at.value, at.state, at.ok = c.lookup(dst, unsafe.SliceData(key), len(key))
		stale := at.ok && (at.state == Stale || at.state == Refresh)
		needed := false
		switch why {
		case missing:
			needed = !at.ok
		case refreshing: // what was deleted meanwhile nobody asks for
			needed = stale
		case orStale:
			needed = stale || !at.ok
		}
		if !needed {
			c.loadCancel(key, token)
			return boarding{}, at, nil
		}
	}
	f := &flight{
		id:    flightID{token, string(key)},
		shard: s,
		task:  t,
		stamp: stamp,
		done:  make(chan struct{}),
	}
	if why == refreshing {
		f.background = true
	} else {
		f.waiters = 1
	}
	if s.flights == nil {
		s.flights = map[flightID]*flight{}
	}
	s.flights[f.id] = f
	t.wanted.Add(1)
	l.running.Add(1)
	return boarding{flight: f, leads: true, stamp: stamp}, found{}, nil
}

// await waits for the flight, as one of its waiters, to land. Its error is that of the
// caller's context or ErrClosed.
func (c *Cache) await(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return nil
	default:
	}
	var err error
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.loads.closing.Done():
		err = ErrClosed
	}
	c.abandon(f, err)
	return err
}

// abandon is for a waiter that waits no more. After the last one the flight is abandoned:
// its loader's context ends, and the next one who wants the key begins anew.
func (c *Cache) abandon(f *flight, why error) {
	s := f.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiters--
	if f.waiters > 0 || f.background || s.flights[f.id] != f {
		return
	}
	c.loadCancel([]byte(f.id.key), f.id.token)
	delete(s.flights, f.id)
	if f.task.wanted.Add(-1) > 0 {
		return
	}
	if why != ErrClosed {
		why = context.Canceled // whatever ended their contexts, none of them is its own
	}
	f.task.cancel(why)
}

// launch calls the loader on a goroutine of its own, for flights that this caller leads.
// The loader's context has the values of ctx, and not its end.
func (c *Cache) launch(ctx context.Context, t *task, flights []*flight, load func(context.Context) ([]Loaded, error)) {
	l := c.loads
	timeout := l.timeout
	if flights[0].background {
		timeout = l.refreshTimeout
	}
	t.ctx, t.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	release := context.AfterFunc(l.closing, func() { t.cancel(ErrClosed) })
	endTimeout := func() {}
	if timeout > 0 {
		t.ctx, endTimeout = context.WithTimeout(t.ctx, timeout)
	}
	t.stop = func() {
		release()
		endTimeout()
		t.cancel(context.Canceled)
	}
	go c.run(t, flights, load)
}

// run is the goroutine of a task. Whatever the loader does, all its flights land.
func (c *Cache) run(t *task, flights []*flight, load func(context.Context) ([]Loaded, error)) {
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
		t.stop()
		heard := false
		for i, f := range flights {
			o := outcome{err: err, panicked: p, exited: !returned && p == nil}
			if returned && err == nil {
				o.loaded = loaded[i]
			}
			heard = c.land(f, o) || heard
		}
		background := flights[0].background
		if background || p != nil && !heard {
			heard = c.refreshed(flights, p, err, !returned) || heard
		}
		if background {
			c.loads.refreshes.Add(-1)
		}
		c.loads.running.Add(-len(flights))
		if p != nil && !heard {
			panic(p)
		}
	}()
	loaded, err = load(t.ctx)
	if err == nil && len(loaded) != len(flights) {
		err = errWrongCount(len(flights), len(loaded))
	}
	returned = true
}

func errWrongCount(keys, values int) error {
	return fmt.Errorf("larder: the loader of %d keys returned %d values", keys, values)
}

// refreshed tells of a load that failed in the background, and reports whether anybody hears of it.
func (c *Cache) refreshed(flights []*flight, p *PanicError, err error, unreturned bool) bool {
	if p != nil {
		err = p
	} else if unreturned {
		err = errLoaderExited
	}
	hook := c.loads.onRefreshError
	if hook == nil {
		return false
	}
	for _, f := range flights {
		// A value may also have been refused when it was stored.
		if err != nil {
			hook([]byte(f.id.key), err)
		} else if f.err != nil {
			hook([]byte(f.id.key), f.err)
		}
	}
	return true
}

// land stores what was loaded, if it is not out of date by now, and tells the waiters.
// It reports whether there are any.
func (c *Cache) land(f *flight, o outcome) bool {
	key := []byte(f.id.key)
	if o.err == nil && o.panicked == nil && !o.exited {
		o.err = c.loadEnd(key, f.id.token, f.stamp, &o.loaded)
	}
	// It may be gone, and then this does nothing.
	c.loadCancel(key, f.id.token)
	f.outcome = o
	s := f.shard
	s.mu.Lock()
	if s.flights[f.id] == f {
		delete(s.flights, f.id)
	}
	waited := f.waiters > 0
	s.mu.Unlock()
	close(f.done)
	return waited
}

func (c *Cache) loadBegin(key []byte) (token, stamp uint64, st status) {
	a := c.long(key)
	st = a.loadBegin()
	runtime.KeepAlive(c)
	return a.out, a.number, st
}

// loadEnd stores what a loader returned. Errors are those of options that say nothing
// sensible; that a value can't be stored doesn't make it a worse one.
func (c *Cache) loadEnd(key []byte, token, stamp uint64, loaded *Loaded) error {
	var room tagRoom
	e, err := loaded.pack(&room)
	if err != nil {
		return err
	}
	e.flags |= optionAsOf
	e.asOf = stamp
	value := loaded.Value
	if loaded.Absent {
		e.flags |= optionAbsent
		value = nil
	}
	a := c.long(key)
	a.number = token
	a.buf, a.bufLen = unsafe.SliceData(value), uintptr(len(value))
	a.options = &e
	a.loadEnd()
	runtime.KeepAlive(c)
	return nil
}

func (c *Cache) loadCancel(key []byte, token uint64) {
	a := c.long(key)
	a.number = token
	a.loadCancel()
	runtime.KeepAlive(c)
}
