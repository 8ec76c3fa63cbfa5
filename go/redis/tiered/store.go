package tiered

import (
	"context"
	"math/rand/v2"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
)

// passTTL is how long a mark says that a value is too large to be shared.
const passTTL = 10 * time.Second

// store puts a value that was loaded since the point from where head lies, if it still does
// and no tag of the value has been invalidated meanwhile. Otherwise the value was overtaken: it
// is stored nowhere, and those who have asked for it before get it, or what has come in its
// place.
func (c *Cache) store(
	ctx context.Context, key []byte, loaded larder.Loaded, from fleet.Point, head string,
) (larder.Loaded, error) {
	if err := c.resolve(&loaded); err != nil {
		return loaded, err
	}
	if len(from.Epoch) != tokenLen { // the server was emptied, and nobody has found that yet
		c.release(ctx, key, head)
		return loaded, nil
	}
	words, ok, err := c.tagWords(ctx, loaded.Tags, from)
	switch {
	case err != nil && !isUnavailable(err):
		return loaded, err
	case err != nil:
		return loaded, nil // as if there were no server: the near tier looks after itself
	case !ok && !c.options.Faults.NoFence:
		c.release(ctx, key, head)
		return c.overtaken(ctx, key, loaded)
	}
	value := text(c.encode(key, &loaded, words, from.Epoch))
	ttl := c.jittered(loaded.TTL)
	if len(value) > c.options.MaxValue {
		c.counters.tooLarge.Add(1)
		value, ttl = mark(kindPass, newToken()), min(passTTL, ttl)
	}
	done := true
	if c.options.Faults.NoFence {
		_, err = c.member.Do(ctx, fleet.Command{"SET", c.valueKey(key), value, "PX", milliseconds(ttl)})
	} else {
		done, err = c.swap(ctx, key, head, value, ttl)
	}
	if err == nil && !done {
		return c.overtaken(ctx, key, loaded)
	}
	if err == nil {
		c.counters.stored.Add(1)
	}
	loaded.TTL = ttl
	return loaded, nil
}

// overtaken is for a value in whose place another has come, or might have.
func (c *Cache) overtaken(
	ctx context.Context, key []byte, loaded larder.Loaded,
) (larder.Loaded, error) {
	c.counters.fenced.Add(1)
	if at, err := c.read(ctx, key); err == nil && at.kind == aValue {
		return at.loaded(), nil
	}
	c.forgo(key)
	return loaded, nil
}

// tagWords are the words of the tags, and whether none of the tags has been invalidated since
// the point. First the words are read, then the orders: an invalidation that the words know has
// been ordered before, and one they don't know makes them void.
func (c *Cache) tagWords(
	ctx context.Context, tags []string, from fleet.Point,
) (words []string, ok bool, err error) {
	if len(tags) == 0 {
		return nil, true, nil
	}
	words, now, err := c.readWords(ctx, tags)
	if err != nil {
		return nil, false, err
	}
	orders, known := c.member.Since(ctx, from, now)
	return words, known && !names(orders, tags), nil
}

// readWords reads the words of tags, and gives those that have none one. They outlive what is
// stored with them.
func (c *Cache) readWords(ctx context.Context, tags []string) ([]string, fleet.Point, error) {
	const most = 64
	if len(tags) > most {
		return nil, fleet.Point{}, larder.ErrTooManyTags
	}
	life := milliseconds(2 * c.options.MaxTTL)
	var commands []fleet.Command
	get := fleet.Command{"MGET"}
	for _, tag := range tags {
		if len(tag) > maxTagLen {
			return nil, fleet.Point{}, larder.ErrKeyTooLarge
		}
		key := c.tagKey(tag)
		commands = append(commands,
			fleet.Command{"SET", key, newToken(), "NX", "PX", life}, fleet.Command{"PEXPIRE", key, life})
		get = append(get, key)
	}
	replies, err := c.member.Do(ctx, append(commands, get, c.member.Now())...)
	if err != nil {
		return nil, fleet.Point{}, err
	}
	list := replies[len(replies)-2]
	if list.Kind != fleet.List || len(list.List) != len(tags) {
		return nil, fleet.Point{}, unavailable(list.Err)
	}
	var words []string
	for _, word := range list.List {
		if word.Kind != fleet.Text || len(word.Text) != tokenLen {
			return nil, fleet.Point{}, unavailable(errNoWord)
		}
		words = append(words, word.Text)
	}
	now, err := c.member.Point(replies[len(replies)-1])
	return words, now, err
}

// encode makes a frame of a value.
func (c *Cache) encode(key []byte, l *larder.Loaded, words []string, epoch string) []byte {
	f := frame{
		token: newToken(), epoch: epoch, absent: l.Absent, ttl: l.TTL, staleAfter: l.StaleAfter,
		tags: l.Tags, words: words, value: l.Value,
	}
	compressed := l.Value
	if c.options.Compressor != nil && len(l.Value) >= c.options.CompressFrom {
		if short := c.options.Compressor.Compress(nil, l.Value); len(short) < len(l.Value) {
			compressed = short
		}
	}
	return f.encode(key, compressed)
}

// jittered is a time to live for the server.
func (c *Cache) jittered(ttl time.Duration) time.Duration {
	if part := time.Duration(float64(ttl) * c.options.TTLJitter); part > 0 {
		ttl -= rand.N(part)
	}
	return ttl
}
