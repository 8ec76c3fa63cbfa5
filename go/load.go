package larder

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"unsafe"
)

// Loading what the cache doesn't have. flight.go has the machinery.

// Loader gets the value of a key from where it comes from. It runs on a goroutine of its
// own. ctx carries the values of the context of the caller that began the load, and ends
// when nobody waits any more, when the cache is closed, or after Options.LoadTimeout;
// not when that one caller's context ends. key is the loader's to keep.
//
// A loader must not Load the same key: it would wait for itself.
type Loader func(ctx context.Context, key []byte) (Loaded, error)

// Loaded is what a loader returns.
type Loaded = LoadedValue[[]byte]

// LoadedValue is what a loader returns: a value, or the news that there is none, and how
// it is to be kept.
type LoadedValue[V any] struct {
	// Value is the value. The loader must not change it afterwards: those who wait copy
	// it.
	Value V

	// Absent means that there is no value. That is kept as well: until TTL has passed,
	// Load returns ErrNotFound without calling a loader. (A loader that returns
	// ErrNotFound as its error says the same without being kept.)
	Absent bool

	// SetOptions are as for SetWith.
	SetOptions
}

// errLoaderExited is what a refresh came to whose loader called runtime.Goexit.
var errLoaderExited = errors.New("larder: loader called runtime.Goexit")

// Load appends the value of key to dst, as Get does. If the cache has none, it calls the
// loader, stores what it returns and appends that. However many callers want the key, one
// loader runs for it at a time, and all of them get what it returns.
//
// A hit is as fast as with Get, and allocates nothing, whatever ctx says. (A loader that
// is a function literal which captures variables is allocated by the caller at each call.
// One that is made once and used again is not.)
//
// The error is the loader's; ErrNotFound if there is no such value, see
// LoadedValue.Absent; that of ctx if it ends first, in which case the load goes on for
// others who wait; or ErrClosed. A value that can't be stored, because it is too large for
// instance, is returned all the same. Failed loads are not kept: the next caller tries
// again.
//
// A loader that panics makes all who wait for it panic with a *PanicError; one that calls
// runtime.Goexit ends their goroutines. So golang.org/x/sync/singleflight has it. A panic
// that nobody waits for ends the program, like any other that isn't recovered, unless
// Options.OnRefreshError takes it.
//
// A Set, Delete, Clear or InvalidateTag that happens while the loader runs wins: the value
// that is being loaded may be older, so it goes to those who called Load before that,
// and is neither stored nor given to those who call later.
//
// A stale value (SetOptions.StaleAfter, MarkStale, InvalidateTagSoft) is returned at once,
// and a loader is started in the background, one for the key, and at most
// Options.MaxRefreshes at once. If it fails the stale value stays, until it expires; ten
// seconds later the next Load tries again. Only in the last Options.StaleIfError of
// its life a stale value is not returned until the loader has been tried and has failed, or
// ctx has ended; and then not for ten seconds again.
func (c *Cache) Load(ctx context.Context, dst, key []byte, loader Loader) ([]byte, error) {
	value, state, ok := c.lookup(dst, unsafe.SliceData(key), len(key))
	if ok && state == Fresh {
		return value, nil
	}
	// A copy of the key, so that the caller's may stay on its stack.
	return c.load(ctx, dst, bytes.Clone(key), found{value, state, ok}, loader)
}

// load is Load for all but fresh values.
func (c *Cache) load(ctx context.Context, dst, key []byte, at found, loader Loader) ([]byte, error) {
	one := func(ctx context.Context) ([]Loaded, error) {
		l, err := loader(ctx, bytes.Clone(key))
		return []Loaded{l}, err
	}
	for {
		why, hit := c.wanted(key, at)
		switch {
		case hit && at.state == Absent:
			return dst, ErrNotFound
		case hit:
			if why == refreshing {
				c.refresh(ctx, [][]byte{key}, func(ctx context.Context, _ []int) ([]Loaded, error) { return one(ctx) })
			}
			return at.value, nil
		}
		if err := ctx.Err(); err != nil && why == missing {
			return dst, err
		}
		t := &task{}
		b, seen, err := c.board(t, dst, key, why)
		if err != nil {
			return dst, err
		}
		f := b.flight
		if f == nil {
			at = seen
			if why == joining && at.ok && at.state != Absent {
				return at.value, nil
			}
			continue
		}
		if b.leads {
			c.launch(ctx, t, []*flight{f}, one)
		}
		loaded, again, err := c.result(ctx, b)
		switch {
		case again:
			at.value, at.state, at.ok = c.lookup(dst, unsafe.SliceData(key), len(key))
		case err == nil && loaded.Absent:
			return dst, ErrNotFound
		case err == nil:
			return append(dst, loaded.Value...), nil
		case why == missing:
			return dst, err
		default:
			// It may have expired or been deleted while the loader ran.
			if value, state, ok := c.lookup(dst, unsafe.SliceData(key), len(key)); ok && state != Absent {
				return value, nil
			}
			return dst, err
		}
	}
}

// wanted says whether what was found is to be returned, and why it is to be loaded: as a
// hit it is if the reason is refreshing.
func (c *Cache) wanted(key []byte, at found) (why reason, hit bool) {
	switch {
	case !at.ok:
		return missing, false
	case at.state == Fresh || at.state == Absent:
		return missing, true
	case !c.inErrorWindow(key):
		if at.state == Refresh {
			return refreshing, true
		}
		return missing, true
	case at.state == Refresh:
		return orStale, false
	}
	return joining, false
}

// result is what a flight comes to for one of its waiters: what was loaded or an error; or
// again, if that is outdated.
func (c *Cache) result(ctx context.Context, b boarding) (l *Loaded, again bool, err error) {
	f := b.flight
	if err := c.await(ctx, f); err != nil {
		return nil, false, err
	}
	switch {
	case f.panicked != nil:
		panic(f.panicked)
	case f.exited:
		runtime.Goexit()
	}
	return &f.loaded, f.outcome.outdated(&b), f.err
}

// outdated reports whether a tag that the value has may have been invalidated between the
// begin of the load and the time that this waiter came.
func (o *outcome) outdated(b *boarding) bool {
	return o.err == nil && len(o.loaded.Tags) > 0 && b.stamp != b.flight.stamp
}

// inErrorWindow reports whether the entry is in the last part of its life.
func (c *Cache) inErrorWindow(key []byte) bool {
	if c.loads == nil || c.loads.staleIfError == 0 {
		return false
	}
	info, ok := c.info(key)
	return ok && info.TTL >= 0 && info.TTL <= c.loads.staleIfError
}

// refresh loads the keys in the background, those that nobody loads already, unless too
// much is going on there. The caller has the leases of their entries. load is told which of
// the keys it is to load.
func (c *Cache) refresh(ctx context.Context, keys [][]byte, load func(context.Context, []int) ([]Loaded, error)) {
	l := c.loads
	if l.refreshes.Add(1) > l.maxRefreshes {
		l.refreshes.Add(-1)
		return
	}
	t := &task{}
	var flights []*flight
	var leads []int
	for i, key := range keys {
		if b, _, err := c.board(t, nil, key, refreshing); err == nil && b.leads {
			flights = append(flights, b.flight)
			leads = append(leads, i)
		}
	}
	if len(flights) == 0 {
		l.refreshes.Add(-1)
		return
	}
	c.launch(ctx, t, flights, func(ctx context.Context) ([]Loaded, error) { return load(ctx, leads) })
}
