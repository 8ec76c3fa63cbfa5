package tiered

import (
	"context"
	"errors"
	"fmt"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
)

// fetch is the near tier's loader: the server, and behind it the origin. There is one at a time
// for a key in this process.
func (c *Cache) fetch(
	ctx context.Context, key []byte, loader larder.Loader,
) (larder.Loaded, error) {
	began, b := time.Now(), c.bound()
	loaded, err := c.through(ctx, key, loader)
	if err == nil {
		err = c.resolve(&loaded)
	}
	if err == nil {
		c.keep(key, &loaded, began, b)
	}
	return loaded, err
}

// through reads from the server, and loads what it doesn't have.
func (c *Cache) through(
	ctx context.Context, key []byte, loader larder.Loader,
) (larder.Loaded, error) {
	at, err := c.read(ctx, key)
	if err != nil {
		return c.alone(ctx, key, loader, err)
	}
	if at.kind == aValue && at.stale {
		return c.refresh(ctx, key, loader, &at)
	}
	return c.lead(ctx, key, loader, at)
}

// alone loads without the server: as many at once as the origin may be asked to bear.
func (c *Cache) alone(
	ctx context.Context, key []byte, loader larder.Loader, why error,
) (larder.Loaded, error) {
	if ctx.Err() != nil {
		return larder.Loaded{}, ctx.Err()
	}
	if !errors.Is(why, fleet.ErrUnavailable) {
		return larder.Loaded{}, why
	}
	c.counters.alone.Add(1)
	return c.bounded(ctx, key, loader)
}

// bounded calls the loader when there is a place for it.
func (c *Cache) bounded(
	ctx context.Context, key []byte, loader larder.Loader,
) (larder.Loaded, error) {
	select {
	case c.slots <- struct{}{}:
	default:
		c.counters.queued.Add(1)
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return larder.Loaded{}, ctx.Err()
		}
	}
	defer func() { <-c.slots }()
	return loader(ctx, key)
}

// origin calls the loader, for who has the lease. Right after a return of the server all its
// keys are wanted at once: then the number of loaders is bounded.
func (c *Cache) origin(
	ctx context.Context, key []byte, loader larder.Loader,
) (larder.Loaded, error) {
	c.counters.loads.Add(1)
	if !c.member.Settled(c.options.Recovery) {
		return c.bounded(ctx, key, loader)
	}
	return loader(ctx, key)
}

// retryAfter is when a refresh that has failed is tried again, as the near tier has it.
const retryAfter = 10 * time.Second

// refresh is for a value that is stale on the server. Who has none returns it, and who wants the
// key next in this process refreshes it; that is who comes here with a stale value in the near
// tier. One process of the fleet does so at a time; the others have the stale one meanwhile.
func (c *Cache) refresh(
	ctx context.Context, key []byte, loader larder.Loader, at *found,
) (larder.Loaded, error) {
	stale := at.loaded()
	onError := at.left <= c.options.StaleIfError
	refreshing := c.near.Has(key)
	if !refreshing && !onError {
		c.counters.staleHits.Add(1)
		return stale, nil
	}
	token := newToken()
	replies, err := c.member.Do(ctx,
		fleet.Command{"SET", c.refreshKey(key), token, "NX", "PX", milliseconds(c.options.Lease)},
		c.member.Now())
	switch {
	case err != nil && refreshing && !onError:
		return larder.Loaded{}, err // the near tier keeps what it has
	case err != nil:
		return c.alone(ctx, key, loader, err)
	case replies[0].Kind != fleet.Text: // another refreshes it
		c.counters.staleHits.Add(1)
		stale.StaleAfter = min(c.options.Lease/4, stale.TTL)
		return stale, nil
	}
	from, err := c.member.Point(replies[1])
	if err != nil {
		return larder.Loaded{}, err
	}
	c.counters.refreshes.Add(1)
	loaded, err := c.origin(ctx, key, loader)
	switch {
	case err != nil && onError:
		c.counters.staleErrors.Add(1)
		stale.StaleAfter = min(retryAfter, stale.TTL)
		return stale, nil
	case err != nil:
		return loaded, err
	}
	return c.store(context.WithoutCancel(ctx), key, loaded, from, at.head)
}

// unavailable is an error that lets loads go on without the server.
func unavailable(err error) error {
	return fmt.Errorf("%w: %w", fleet.ErrUnavailable, err)
}
