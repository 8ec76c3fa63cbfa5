package larder

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// BulkLoader gets the values of many keys at once. It returns one Loaded for each key, in
// their order, or an error that holds for all of them; or both, if the error is KeyErrors,
// which says which keys it holds for. What is said of a Loader's ctx holds here too: it ends
// when nobody waits for any of the keys. The keys may be kept, and must not be changed.
type BulkLoader func(ctx context.Context, keys [][]byte) ([]Loaded, error)

// LoadMany is Load for all keys of the batch, in place of whatever values it had. The
// loader is called once, for all keys that the cache doesn't have and that nobody loads at
// the time; for the others LoadMany waits. Stale values are returned, and refreshed by one
// call in the background.
//
// b.Value has the values. LoadMany returns nil if each key was found or is Absent; else the
// error of the first that could not be loaded. b.Err has each: ErrNotFound for those that are
// Absent. All else is as with Load.
func (c *Cache) LoadMany(ctx context.Context, b *Batch, loader BulkLoader) error {
	return c.loadMany(ctx, b, func(ctx context.Context, _ []int, keys [][]byte) ([]Loaded, error) {
		return loader(ctx, keys)
	})
}

// indexedLoader is a BulkLoader that is told where in the batch the keys are, too.
type indexedLoader func(ctx context.Context, at []int, keys [][]byte) ([]Loaded, error)

// waiting is a key that is being loaded.
type waiting struct {
	at  int
	key []byte
	boarding
	fallback bool // there is a stale value, in case this fails
	again    bool // what the flight brought says nothing
	outcome
}

// loadMany looks up each key, boards a flight for each that is missing, and launches those
// that it leads as one task. Nothing waits before that, so that callers whose keys overlap
// don't wait for each other.
func (c *Cache) loadMany(ctx context.Context, b *Batch, load indexedLoader) error {
	b.prepare()
	b.values = b.values[:0]
	var waits []waiting
	var stale lot
	var leads lot
	var t *task
	var p passenger
	if b.Len() > 0 {
		p = passengerOf(ctx)
	}
	var flights []*flight
	launched := false
	defer func() {
		if !launched {
			c.strand(flights)
		}
	}()
	for i := range b.Len() {
		key := b.Key(i)
		var at found
		before := len(b.values)
		at.value, at.state, at.ok = c.lookup(b.values, unsafe.SliceData(key), len(key))
		why, hit := c.wanted(key, at)
		if !hit && why == missing && ctx.Err() != nil {
			b.fault(i, ctx.Err())
		} else if !hit {
			key := bytes.Clone(key)
			if t == nil {
				t = newTask(c.loads, false)
			}
			board, seen, err := c.board(t, b.values, key, why, p)
			switch {
			case err != nil:
				b.fault(i, err)
			case board.flight == nil:
				at, hit = seen, seen.ok // (a stale one is left to the next who reads it)
				if !hit {
					// A stale value has gone since it was looked up. So seldom that the
					// key may cost a call of its own.
					waits = append(waits, waiting{at: i, key: key})
				}
			default:
				if board.leads {
					flights = append(flights, board.flight)
					leads.add(i, key)
				}
				waits = append(waits, waiting{at: i, key: key, boarding: board, fallback: at.ok})
			}
		}
		if hit {
			b.statuses[i] = uint8(capi.StatusOK)
			if at.state == Stale || at.state == Refresh {
				c.loads.counters.stale.Add(1)
			}
			if at.state == Absent {
				b.statuses[i] = uint8(capi.StatusNotFound)
			} else {
				b.values = at.value
			}
			if at.state == Refresh && why == refreshing {
				stale.add(i, bytes.Clone(key))
			}
		} else {
			b.values = b.values[:before]
		}
		b.valueEnds[i] = uint32(len(b.values)) // checked below
	}
	if len(stale.keys) > 0 {
		c.refresh(ctx, stale.keys, func(ctx context.Context, which []int) ([]Loaded, error) {
			some := stale.pick(which)
			return load(ctx, some.at, some.keys)
		})
	}
	launched = true
	if len(flights) > 0 {
		c.launch(ctx, t, flights, func(ctx context.Context) ([]Loaded, error) {
			return load(ctx, leads.at, leads.keys)
		})
	}
	end32(len(b.values)) // not before all flights are launched: others may wait for them
	if len(waits) > 0 {
		c.collect(ctx, b, waits, load)
	}
	for _, err := range b.errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// lot is some of the keys of a batch.
type lot struct {
	at   []int
	keys [][]byte
}

func (l *lot) add(i int, key []byte) {
	l.at = append(l.at, i)
	l.keys = append(l.keys, key)
}

func (l *lot) pick(which []int) lot {
	var some lot
	for _, i := range which {
		some.add(l.at[i], l.keys[i])
	}
	return some
}

// fault notes the error of a key.
func (b *Batch) fault(i int, err error) {
	if b.errs == nil {
		b.errs = make([]error, b.Len())
	}
	b.errs[i] = err
	b.statuses[i] = uint8(capi.StatusNotFound)
}

// collect waits for all that is being loaded, and puts the values in their places.
func (c *Cache) collect(ctx context.Context, b *Batch, waits []waiting, load indexedLoader) {
	// Every flight is waited for, so that none is left with a waiter who isn't there; only
	// then does a panic go on.
	var panicked *PanicError
	exited := false
	for i := range waits {
		w := &waits[i]
		if w.flight == nil {
			continue
		}
		if w.err = c.await(ctx, &w.boarding); w.err != nil {
			continue
		}
		w.outcome = w.flight.outcome
		if w.again = w.outdated(&w.boarding); w.again {
			continue
		}
		if w.panicked != nil {
			panicked = w.panicked
			b.fault(w.at, panicked)
		}
		if w.exited {
			exited = true
			b.fault(w.at, errLoaderExited)
		}
	}
	if panicked != nil {
		panicked.rethrow()
	}
	if exited {
		runtime.Goexit()
	}
	for i := range waits {
		w := &waits[i]
		switch {
		case w.flight == nil || w.again:
			c.loadAlone(ctx, w, load)
		case w.err != nil && w.fallback:
			// The stale value, if it hasn't expired or been deleted meanwhile.
			if old := c.lookAgain(nil, w.key, orStale); old.ok && old.state != Absent {
				w.loaded.Value, w.err = old.value, nil
				c.loads.counters.stale.Add(1)
			}
		}
		if errors.Is(w.err, ErrNotFound) {
			w.err, w.loaded = nil, Loaded{Absent: true}
		}
	}
	old := b.values
	b.values = make([]byte, 0, cap(old))
	for i, start := 0, uint32(0); i < b.Len(); i++ {
		end := b.valueEnds[i]
		switch {
		case len(waits) == 0 || waits[0].at != i:
			b.values = append(b.values, old[start:end]...)
		case waits[0].err != nil:
			b.fault(i, waits[0].err)
			waits = waits[1:]
		default:
			b.statuses[i] = uint8(capi.StatusOK)
			if waits[0].loaded.Absent {
				b.statuses[i] = uint8(capi.StatusNotFound)
			}
			b.values = append(b.values, waits[0].loaded.Value...)
			waits = waits[1:]
		}
		start = end
		b.valueEnds[i] = end32(len(b.values))
	}
}

// loadAlone is for a key that its flight couldn't settle.
func (c *Cache) loadAlone(ctx context.Context, w *waiting, load indexedLoader) {
	at := c.lookAgain(nil, w.key, missing)
	w.outcome = outcome{}
	i := w.at
	w.loaded.Value, w.err = c.load(ctx, nil, w.key, at, func(ctx context.Context, key []byte) (Loaded, error) {
		loaded, err := load(ctx, []int{i}, [][]byte{key})
		if err == nil && len(loaded) != 1 {
			err = errWrongCount(1, len(loaded))
		}
		if err != nil {
			return Loaded{}, err
		}
		return loaded[0], nil
	})
}
