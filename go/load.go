package larder

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Loading what the cache doesn't have. flight.go and task.go have the machinery.

// Loader gets the value of a key from where it comes from. It runs on a goroutine of its
// own. ctx carries the values of the context of the caller that began the load. It doesn't
// end with that one's, but when the cache is closed, after Options.LoadTimeout, when all who
// wait have left, or at the latest of their deadlines, and for these two not before
// Options.LoadGrace. Its Deadline is the latest of the deadlines of those who wait at the time
// it is asked, so it may become a later one. key is the loader's to keep.
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

	// Absent means that there is no value. That is kept as well: until TTL has passed (if it
	// is 0, Options.AbsentTTL), Load returns ErrNotFound without calling a loader. (A loader
	// that returns ErrNotFound as its error says the same without being kept.)
	Absent bool

	// SetOptions are as for SetWith.
	SetOptions
}

// errLoaderExited is what a refresh came to whose loader called runtime.Goexit.
var errLoaderExited = errors.New("larder: loader called runtime.Goexit")

// Load appends the value of key to dst, as Get does. If the cache has none, it calls the
// loader, stores what it returns and appends that. However many callers want the key, one
// loader runs for it at a time, and all of them get what it returns. It counts as one read.
//
// A hit is as fast as with Get, and allocates nothing, whatever ctx says. (A loader that
// is a function literal which captures variables is allocated by the caller at each call.
// One that is made once and used again is not.)
//
// The error is the loader's; ErrNotFound if there is no such value, see
// LoadedValue.Absent; that of ctx if it ends first; or ErrClosed. Who leaves so doesn't end
// the load: it goes on for others who wait, and for those to come as long as
// Options.LoadGrace says, and its value is stored. A value that can't be stored, because
// it or its key is too large for instance, is returned all the same, and counted in
// Stats.UnstoredLoads. Failed loads are not kept: the next caller tries again.
//
// A loader that panics makes all who wait for it panic with a *PanicError; one that calls
// runtime.Goexit ends their goroutines. So golang.org/x/sync/singleflight has it. A panic
// that nobody waits for goes to Options.OnRefreshError, or is logged.
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
	if overlaps(dst, key) {
		key = bytes.Clone(key) // the value would overwrite it
	}
	value, state, ok := c.lookup(dst, unsafe.SliceData(key), len(key))
	if ok && state == Fresh {
		return value, nil
	}
	// A copy of the key, so that the caller's may stay on its stack.
	return c.load(ctx, dst, bytes.Clone(key), found{value, state, ok}, loader)
}

// LoadString is Load with a key that is a string.
func (c *Cache) LoadString(ctx context.Context, dst []byte, key string, loader Loader) ([]byte, error) {
	return c.Load(ctx, dst, stringBytes(key), loader)
}

// load is Load for all but fresh values.
func (c *Cache) load(ctx context.Context, dst, key []byte, at found, loader Loader) ([]byte, error) {
	one := func(ctx context.Context) ([]Loaded, error) {
		l, err := loader(ctx, bytes.Clone(key))
		return []Loaded{l}, err
	}
	p := passengerOf(ctx)
	for {
		why, hit := c.wanted(key, at)
		switch {
		case hit && at.state == Absent:
			return dst, ErrNotFound
		case hit:
			if at.state != Fresh {
				c.loads.counters.stale.Add(1)
			}
			if why == refreshing {
				c.refresh(ctx, [][]byte{key}, func(ctx context.Context, _ []int) ([]Loaded, error) {
					return one(ctx)
				})
			}
			return at.value, nil
		}
		if err := ctx.Err(); err != nil && why == missing {
			return dst, err
		}
		t := newTask(c.loads, false)
		b, seen, err := c.board(t, dst, key, why, p)
		if err != nil {
			return dst, err
		}
		if b.flight == nil {
			at = seen
			if why == joining && at.ok && at.state != Absent {
				c.loads.counters.stale.Add(1)
				return at.value, nil
			}
			continue
		}
		if b.leads {
			c.launch(ctx, t, []*flight{b.flight}, one)
		}
		loaded, again, err := c.result(ctx, &b)
		switch {
		case again:
			at = c.lookAgain(dst, key, missing)
		case err == nil && loaded.Absent:
			return dst, ErrNotFound
		case err == nil:
			return append(dst, loaded.Value...), nil
		case why == missing:
			return dst, err
		default:
			// It may have expired or been deleted while the loader ran.
			if old := c.lookAgain(dst, key, orStale); old.ok && old.state != Absent {
				c.loads.counters.stale.Add(1)
				return old.value, nil
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
// again, if that is outdated, or came of a load that had been given up before he came.
func (c *Cache) result(ctx context.Context, b *boarding) (l *Loaded, again bool, err error) {
	f := b.flight
	if err := c.await(ctx, b); err != nil {
		return nil, false, err
	}
	switch {
	case f.outdated(b):
		return nil, true, nil
	case f.panicked != nil:
		f.panicked.rethrow()
	case f.exited:
		runtime.Goexit()
	}
	return &f.loaded, false, f.err
}

// outdated reports whether the outcome says nothing to this waiter: a tag that the value has
// may have been invalidated between the begin of the load and the time that he came; or the
// load failed, after it had been told to stop before he came.
func (o *outcome) outdated(b *boarding) bool {
	if o.failed() {
		return b.late
	}
	return len(o.loaded.Tags) > 0 && b.stamp != b.flight.stamp
}

// inErrorWindow reports whether the entry is in the last part of its life.
func (c *Cache) inErrorWindow(key []byte) bool {
	if c.loads == nil || c.loads.staleIfError == 0 {
		return false
	}
	info, ok := c.info(key)
	return ok && info.TTL >= 0 && info.TTL <= c.loads.staleIfError
}

// lookAgain looks for what was looked up before: it isn't another read. For a refresh the
// value is of no interest.
func (c *Cache) lookAgain(dst, key []byte, why reason) found {
	if why == refreshing {
		info, ok := c.info(key)
		return found{nil, info.State, ok}
	}
	a, st := c.look(dst, key, capi.FlagQuiet|capi.FlagState) // the key is a copy, apart from dst
	for st == capi.StatusBufferTooSmall {
		dst = slices.Grow(dst, int(a.OutLen))
		a, st = c.look(dst, key, capi.FlagQuiet|capi.FlagState)
	}
	if st != capi.StatusOK {
		return found{dst, Absent, false}
	}
	return found{dst[:len(dst)+int(a.OutLen)], State(a.State), true}
}

// refresh loads the keys in the background, those that nobody loads already, unless too
// much is going on there. The caller has the leases of their entries: those that nothing
// comes of are given back. load is told which of the keys it is to load.
func (c *Cache) refresh(
	ctx context.Context, keys [][]byte, load func(context.Context, []int) ([]Loaded, error),
) {
	l := c.loads
	launched := false
	if l.refreshes.Add(1) <= l.maxRefreshes {
		t := newTask(l, true)
		var flights []*flight
		var leads []int
		defer func() {
			if !launched {
				c.strand(flights)
				l.refreshes.Add(-1)
			}
		}()
		for i, key := range keys {
			if b, _, err := c.board(t, nil, key, refreshing, passenger{}); err == nil && b.leads {
				flights = append(flights, b.flight)
				leads = append(leads, i)
			}
		}
		if len(flights) > 0 {
			launched = true
			c.launch(ctx, t, flights, func(ctx context.Context) ([]Loaded, error) {
				return load(ctx, leads)
			})
		}
		return
	}
	l.refreshes.Add(-1)
	for _, key := range keys {
		c.releaseLease(key)
	}
}

// errStranded is what a load comes to whose caller was interrupted before it began, by a
// panic of a Clock for instance.
var errStranded = errors.New("larder: the load was not begun")

// strand lands flights that were not launched.
func (c *Cache) strand(flights []*flight) {
	c.landAll(flights, nil, outcome{err: errStranded})
}

// KeyErrors may be the error of a [BulkLoader], to say which of its keys could not be loaded:
// one error for each of the keys, nil for those that were. The values of these are stored and
// returned, as if there were no error.
type KeyErrors []error

func (e KeyErrors) Error() string {
	var text []string
	for _, err := range e {
		if err != nil {
			text = append(text, err.Error())
		}
	}
	return strings.Join(text, "\n")
}

// Unwrap returns those that are not nil.
func (e KeyErrors) Unwrap() []error {
	var errs []error
	for _, err := range e {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
