package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrUnavailable is wrapped by the errors of calls that the server could not be asked for: it
// is down, out of reach or slower than Options.Timeout.
var ErrUnavailable = errors.New("fleet: the server is not available")

// errOpen is what calls come to that the breaker stops.
var errOpen = fmt.Errorf("%w: it has not answered for a while", ErrUnavailable)

// maxFailures in a row open the breaker.
const maxFailures = 3

// breaker stands before the server: when several exchanges in a row have failed or were too
// slow it is open, and calls fail at once. It has no half-open state of its own: the follower,
// which asks the server every so often anyway, is the one call that is let through, and
// closes the breaker when it is answered. So a server that returns sees one request of each
// process first, at times of their own.
type breaker struct {
	server   Server
	timeout  time.Duration
	failures atomic.Int64 // in a row
	open     atomic.Bool
	changed  func(open bool, err error) // called once for each change

	opened, exchanges, failed atomic.Uint64
}

// do is Server.Do within the time allowed.
func (b *breaker) do(ctx context.Context, commands ...Command) ([]Reply, error) {
	if b.open.Load() {
		return nil, errOpen
	}
	return b.probe(ctx, commands...)
}

// probe is do that an open breaker doesn't stop.
func (b *breaker) probe(ctx context.Context, commands ...Command) (replies []Reply, err error) {
	err = b.exchange(ctx, func(ctx context.Context) error {
		replies, err = b.server.Do(ctx, commands...)
		if err == nil && len(replies) != len(commands) {
			err = errUnexpected
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return replies, nil
}

// when is Server.If within the time allowed.
func (b *breaker) when(
	ctx context.Context, key string, holds func(Reply) bool, commands ...Command,
) (done bool, err error) {
	if b.open.Load() {
		return false, errOpen
	}
	err = b.exchange(ctx, func(ctx context.Context) error {
		done, err = b.server.If(ctx, key, holds, commands...)
		return err
	})
	return done, err
}

// exchange runs one, and counts what comes of it.
func (b *breaker) exchange(ctx context.Context, run func(context.Context) error) error {
	b.exchanges.Add(1)
	within, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err := run(within)
	switch {
	case err == nil:
		b.failures.Store(0)
		if b.open.Load() && b.open.CompareAndSwap(true, false) {
			b.changed(false, nil)
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err() // the caller's doing says nothing about the server
	}
	b.failed.Add(1)
	if b.failures.Add(1) >= maxFailures && b.open.CompareAndSwap(false, true) {
		b.opened.Add(1)
		b.changed(true, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
