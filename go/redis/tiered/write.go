package tiered

import (
	"context"
	"errors"
	"time"
	"unsafe"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
)

// Writing. Nobody's write goes into a near tier: the next read fetches it from the server,
// which is where two writes of one key are put into an order. So a process never serves its
// own write when another's came later, and always reads what it has written.

// errNoWord means that the server has lost a tag's word as soon as it had it.
var errNoWord = errors.New("tiered: the server keeps no words of tags")

// errNotAsked means that the epoch isn't known.
var errNotAsked = errors.New("tiered: the server has not been asked yet")

// text is bytes as a string, without a copy: they are not changed once they are made.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func isUnavailable(err error) bool { return errors.Is(err, fleet.ErrUnavailable) }

// Set stores a value on the server, and lets all processes drop what they have of the key. A
// load of the key that runs anywhere stores nothing.
//
// On an error that wraps fleet.ErrUnavailable nobody knows whether the value is stored; it will
// be deleted when the server is back. This process has dropped the old value in any case.
func (c *Cache) Set(ctx context.Context, key, value []byte, o larder.SetOptions) error {
	data, ttl, err := c.framed(ctx, key, value, o)
	if err != nil && !isUnavailable(err) {
		return err
	}
	if err != nil {
		return errors.Join(err, c.Delete(ctx, key))
	}
	return c.order(ctx, key, fleet.Command{"SET", c.valueKey(key), data, "PX", milliseconds(ttl)})
}

// framed is a value as it is to lie on the server, and for how long.
func (c *Cache) framed(
	ctx context.Context, key, value []byte, o larder.SetOptions,
) (data string, ttl time.Duration, err error) {
	l := larder.Loaded{Value: value, SetOptions: o}
	if err := c.resolve(&l); err != nil {
		return "", 0, err
	}
	epoch := c.member.Epoch()
	var words []string
	if len(o.Tags) > 0 {
		var now fleet.Point
		if words, now, err = c.readWords(ctx, o.Tags); err != nil {
			return "", 0, err
		}
		epoch = now.Epoch
	}
	if len(epoch) != tokenLen {
		return "", 0, unavailable(errNotAsked)
	}
	data = text(c.encode(key, &l, words, epoch))
	if len(data) > c.options.MaxValue {
		return "", 0, larder.ErrValueTooLarge
	}
	return data, c.jittered(l.TTL), nil
}

// Delete removes the value of key everywhere. A load of the key that runs anywhere stores
// nothing. It is what follows a change of the origin (write-around). On an error that wraps
// fleet.ErrUnavailable it is done when the server is back, if this process lives.
func (c *Cache) Delete(ctx context.Context, key []byte) error {
	return c.order(ctx, key, fleet.Command{"DEL", c.valueKey(key)})
}

// order changes a key on the server and tells everybody.
func (c *Cache) order(ctx context.Context, key []byte, change ...fleet.Command) error {
	if !c.options.Faults.KeepOwn {
		c.near.Delete(key)
		defer c.near.Delete(key) // what was read from the server meanwhile
	}
	return c.member.Order(ctx, fleet.Order{
		Text:   orderOf(orderKey, key),
		Before: change,
		Owed:   []fleet.Command{{"DEL", c.valueKey(key)}},
		Wait:   c.options.Strict,
	})
}

// WriteThrough writes a value to the origin by calling write, and then stores it, unless
// somebody else writes the key at the same time: then nobody knows whose the origin has, and it
// is deleted. Those who load the key meanwhile wait for it. If write fails, the value is
// deleted, and the error returned.
func (c *Cache) WriteThrough(
	ctx context.Context, key, value []byte, o larder.SetOptions, write func(context.Context) error,
) error {
	lease := mark(kindLease, newToken())
	_, leased := c.member.Do(ctx,
		fleet.Command{"SET", c.valueKey(key), lease, "PX", milliseconds(c.options.Lease)})
	if leased == nil {
		defer c.renew(key, lease)()
	}
	if err := write(ctx); err != nil || leased != nil {
		return errors.Join(err, c.Delete(context.WithoutCancel(ctx), key))
	}
	data, ttl, err := c.framed(ctx, key, value, o)
	done := false
	if err == nil {
		done, err = c.swap(ctx, key, lease, data, ttl)
	}
	if err != nil || !done {
		deleted := c.Delete(context.WithoutCancel(ctx), key)
		if isUnavailable(err) || err == nil {
			return deleted
		}
		return errors.Join(err, deleted)
	}
	return c.order(ctx, key)
}

// WriteAround writes to the origin by calling write, and then deletes the value, whether
// write has failed or not.
func (c *Cache) WriteAround(ctx context.Context, key []byte, write func(context.Context) error) error {
	err := write(ctx)
	return errors.Join(err, c.Delete(context.WithoutCancel(ctx), key))
}

// InvalidateTag makes all values with this tag as good as deleted, everywhere. A load that runs
// anywhere doesn't store a value with that tag. It costs the same however many there are. On an
// error that wraps fleet.ErrUnavailable it is done when the server is back, if this process
// lives.
func (c *Cache) InvalidateTag(ctx context.Context, tag string) error {
	if len(tag) > maxTagLen {
		return larder.ErrKeyTooLarge
	}
	c.invalidateNear(tag)
	defer c.invalidateNear(tag)
	return c.member.Order(ctx, fleet.Order{
		Text: orderOf(orderTag, []byte(tag)),
		// With, so that who has heard the order doesn't find the old word, and who finds the
		// new one finds the order.
		With: []fleet.Command{
			{"SET", c.tagKey(tag), newToken(), "PX", milliseconds(2 * c.options.MaxTTL)},
		},
		Wait: c.options.Strict,
	})
}

// InvalidateAll makes everything as good as deleted, everywhere. Its memory on the server comes
// back as times to live end.
func (c *Cache) InvalidateAll(ctx context.Context) error {
	return c.member.InvalidateAll(ctx, c.options.Strict)
}
