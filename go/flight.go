package larder

import (
	"context"
	"fmt"
	"hash/maphash"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Loads under way. A flight is the load of one key, from the time it is begun to the time
// its value is stored; whoever wants the key meanwhile waits for it. A task (task.go) is one
// call of a loader, on a goroutine of its own, for one flight or for several.
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

// A flight goes on when the last of its waiters has left, for a while (task.go): so those
// who come next, and have as little time, find the value in the end. And until its loader
// has returned nobody begins another for the key, not even if its context has ended.
//
// Keys of which the core can't keep a load (too long for it, or it has closed itself after a
// defect) have flights under the token 0, which is none: their values are not stored.

// loadShards is a number of locks that a crowd of cores doesn't queue at.
const loadShards = 16

// What Options leave open.
const (
	defaultMaxRefreshes   = 64
	defaultRefreshTimeout = time.Minute
	defaultGrace          = 10 * time.Second
)

// loads is what a Cache knows of loads.
type loads struct {
	seed   maphash.Seed
	shards [loadShards]loadShard

	// closing is done from Close on.
	closing context.Context
	closed  context.CancelCauseFunc
	running sync.WaitGroup // flights

	refreshes      atomic.Int64  // tasks in the background
	orphans        atomic.Int64  // tasks that all who waited have left
	maxRefreshes   int64         // of each of the two
	timeout        time.Duration // 0: none
	refreshTimeout time.Duration
	grace          time.Duration
	staleIfError   time.Duration
	onRefreshError func(key []byte, err error)

	counters loadCounters
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

	waiters int // under the shard's lock

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

// failed reports whether there is no value.
func (o *outcome) failed() bool { return o.err != nil || o.panicked != nil || o.exited }

// PanicError is what a Load panics with when its loader did, in every goroutine that
// waited for it. (Only net/http.ErrAbortHandler is passed on as it is, since net/http knows
// it by its identity.)
type PanicError struct {
	// Value is what the loader passed to panic.
	Value any
	// Stack is the loader's stack, as text.
	Stack []byte
}

// abortsHandler reports whether the panic is http.ErrAbortHandler: by its text, since a cache
// should not drag net/http into programs that don't use it.
func (p *PanicError) abortsHandler() bool {
	err, ok := p.Value.(error)
	return ok && err.Error() == "net/http: abort Handler"
}

// rethrow is the loader's panic, for one who waited for it.
func (p *PanicError) rethrow() {
	if p.abortsHandler() {
		panic(p.Value)
	}
	panic(p)
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
		grace:          o.LoadGrace,
		staleIfError:   o.StaleIfError,
		onRefreshError: o.OnRefreshError,
	}
	if l.maxRefreshes == 0 {
		l.maxRefreshes = defaultMaxRefreshes
	}
	if l.refreshTimeout == 0 {
		l.refreshTimeout = defaultRefreshTimeout
	}
	if l.grace == 0 {
		l.grace = defaultGrace
	}
	l.closing, l.closed = context.WithCancelCause(context.Background())
	return l
}

// another is for a namespace: the same options, its own flights.
func (l *loads) another() *loads {
	return newLoads(&Options{
		MaxRefreshes:   int(l.maxRefreshes),
		LoadTimeout:    l.timeout,
		LoadGrace:      l.grace,
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

// passenger is a caller that waits, as far as a task needs to know him.
type passenger struct {
	deadline time.Time
	bounded  bool // has a deadline
}

func passengerOf(ctx context.Context) passenger {
	deadline, bounded := ctx.Deadline()
	return passenger{deadline, bounded}
}

// boarding is a place on a flight.
type boarding struct {
	flight *flight
	leads  bool   // the flight is new, and waits for its loader to be called
	late   bool   // its loader had been told to stop: if it fails, that says nothing
	stamp  uint64 // of the time of boarding
	passenger
}

// board finds the flight that loads the key, or begins one for the task. For all reasons
// but refreshing the caller is one of its waiters then. If no flight is needed after all,
// there is none in the boarding, and the rest tells what was found: the value was
// appended to dst. (As a result of its own: else dst would have to be on the heap, as the
// flight is.)
func (c *Cache) board(t *task, dst, key []byte, why reason, p passenger) (boarding, found, error) {
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
		if st == capi.StatusOK && token == held {
			break
		}
		if st == capi.StatusOK {
			if f := s.flights[flightID{token, string(key)}]; f != nil {
				return f.join(why, stamp, p), found{}, nil
			}
			// The token is for another key with the same hash. As if that had been set.
			c.loadCancel(key, token)
			token = 0 // none is held
			continue
		}
		if st != capi.StatusNotFound {
			// The core can't keep it; the program can have its value all the same.
			token, stamp = 0, 0
			if f := s.flights[flightID{0, string(key)}]; f != nil {
				return f.join(why, stamp, p), found{}, nil
			}
			if why == refreshing || why == joining {
				return boarding{}, found{}, nil
			}
			break
		}
		at := c.lookAgain(dst, key, why)
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
	if s.flights == nil {
		s.flights = map[flightID]*flight{}
	}
	s.flights[f.id] = f
	l.running.Add(1)
	l.counters.begun.Add(1)
	if why == refreshing {
		l.counters.refreshed.Add(1)
	} else {
		f.waiters = 1
		t.join(p)
	}
	return boarding{flight: f, leads: true, stamp: stamp, passenger: p}, found{}, nil
}

// join is for one who finds a flight under way. The shard's lock is held.
func (f *flight) join(why reason, stamp uint64, p passenger) boarding {
	if why != refreshing {
		f.waiters++
		f.task.join(p)
		f.task.loads.counters.joined.Add(1)
	}
	return boarding{flight: f, late: f.task.Err() != nil, stamp: stamp, passenger: p}
}

// await waits for the flight, as one of its waiters, to land. Its error is that of the
// caller's context or ErrClosed.
func (c *Cache) await(ctx context.Context, b *boarding) error {
	f := b.flight
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
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.waiters--
	f.task.leave(b.passenger)
	return err
}

// land stores what was loaded, if it is not out of date by now, and tells the waiters.
// It reports whether there are any. Whatever happens meanwhile, the flight ends.
func (c *Cache) land(f *flight, o outcome) (waited bool) {
	defer func() {
		if o.failed() {
			c.loads.counters.failed.Add(1)
		}
		f.outcome = o
		s := f.shard
		s.mu.Lock()
		if s.flights[f.id] == f {
			delete(s.flights, f.id)
		}
		waited = f.waiters > 0
		s.mu.Unlock()
		close(f.done)
		c.loads.running.Done()
	}()
	key := []byte(f.id.key)
	if !o.failed() {
		o.err = c.loadEnd(key, f.id.token, f.stamp, &o.loaded)
	}
	if f.id.token != 0 {
		// It may be gone, and then this does nothing.
		c.loadCancel(key, f.id.token)
	}
	return waited
}

func (c *Cache) loadBegin(key []byte) (token, stamp uint64, st status) {
	a := c.long(key)
	st = a.LoadBegin()
	runtime.KeepAlive(c)
	return a.Out, a.Number, st
}

// loadEnd stores what a loader returned. Errors are those of options that say nothing
// sensible; that a value can't be stored doesn't make it a worse one.
func (c *Cache) loadEnd(key []byte, token, stamp uint64, loaded *Loaded) error {
	var room tagRoom
	o := loaded.SetOptions
	value := loaded.Value
	if loaded.Absent {
		value = nil
		if o.TTL == 0 {
			o.TTL = c.absentTTL
		}
	}
	e, err := c.pack(&o, &room)
	if err != nil {
		return err
	}
	e.Flags |= capi.OptionAsOf
	e.AsOf = stamp
	if loaded.Absent {
		e.Flags |= capi.OptionAbsent
	}
	if token == 0 {
		c.loads.counters.unstored.Add(1)
		return nil
	}
	a := c.long(key)
	a.Number = token
	a.Buf, a.BufLen = unsafe.SliceData(value), uintptr(len(value))
	a.Options = &e
	st := a.LoadEnd()
	runtime.KeepAlive(c)
	if st != capi.StatusOK && st != capi.StatusSuperseded {
		c.loads.counters.unstored.Add(1)
	}
	return nil
}

func (c *Cache) loadCancel(key []byte, token uint64) {
	a := c.long(key)
	a.Number = token
	a.LoadCancel()
	runtime.KeepAlive(c)
}

// releaseLease is for who has the lease of a stale entry and won't refresh it.
func (c *Cache) releaseLease(key []byte) {
	a := c.long(key)
	a.ReleaseLease()
	runtime.KeepAlive(c)
}
