package rueidisx

import (
	"context"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Attach returns a client whose reads see its own writes: when the reply to a command that may
// change keys has come, the cache has none of them any more. (Without, as with rueidis' own cache,
// a read after a write may find the old value, until the server's push has come by the connection
// that the key was read through.) Also to be called for clients that write without a cache.
//
// A command that isn't marked as only reading is taken to change every key among its arguments; a
// script's writes to keys that are not are not seen.
func (c *Cache) Attach(client rueidis.Client) rueidis.Client {
	return &attached{client, c}
}

// attached is a client whose writes drop what they write.
type attached struct {
	rueidis.Client
	cache *Cache
}

func (a *attached) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	defer a.cache.written(cmd)()
	return a.Client.Do(ctx, cmd)
}

func (a *attached) DoMulti(ctx context.Context, multi ...rueidis.Completed) []rueidis.RedisResult {
	defer a.cache.written(multi...)()
	return a.Client.DoMulti(ctx, multi...)
}

func (a *attached) DoCache(
	ctx context.Context, cmd rueidis.Cacheable, ttl time.Duration,
) rueidis.RedisResult {
	if !a.cache.ambiguous && misnamed(cmd.Commands()) {
		return a.Client.Do(ctx, rueidis.Completed(cmd))
	}
	return a.Client.DoCache(ctx, cmd, ttl)
}

func (a *attached) DoMultiCache(
	ctx context.Context, multi ...rueidis.CacheableTTL,
) []rueidis.RedisResult {
	for _, one := range multi {
		if !a.cache.ambiguous && misnamed(one.Cmd.Commands()) {
			return a.uncached(ctx, multi)
		}
	}
	return a.Client.DoMultiCache(ctx, multi...)
}

// uncached does without the cache what one command of several makes impossible with it.
func (a *attached) uncached(
	ctx context.Context, multi []rueidis.CacheableTTL,
) []rueidis.RedisResult {
	commands := make([]rueidis.Completed, len(multi))
	for i, one := range multi {
		commands[i] = rueidis.Completed(one.Cmd)
	}
	return a.Client.DoMulti(ctx, commands...)
}

func (a *attached) Dedicated(fn func(rueidis.DedicatedClient) error) error {
	return a.Client.Dedicated(func(client rueidis.DedicatedClient) error {
		return fn(&dedicated{client, a.cache})
	})
}

func (a *attached) Dedicate() (client rueidis.DedicatedClient, cancel func()) {
	client, cancel = a.Client.Dedicate()
	return &dedicated{client, a.cache}, cancel
}

func (a *attached) Nodes() map[string]rueidis.Client {
	nodes := make(map[string]rueidis.Client)
	for addr, node := range a.Client.Nodes() {
		nodes[addr] = &attached{node, a.cache}
	}
	return nodes
}

// dedicated is attached for a connection of one's own.
type dedicated struct {
	rueidis.DedicatedClient
	cache *Cache
}

func (d *dedicated) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	defer d.cache.written(cmd)()
	return d.DedicatedClient.Do(ctx, cmd)
}

func (d *dedicated) DoMulti(ctx context.Context, multi ...rueidis.Completed) []rueidis.RedisResult {
	defer d.cache.written(multi...)()
	return d.DedicatedClient.DoMulti(ctx, multi...)
}

// misnamed reports whether a command has the name of another: HGET k ALL that of HGETALL k.
func misnamed(arguments []string) bool {
	return len(arguments) == 3 && arguments[2] == "ALL" && arguments[0] == "HGET"
}

// written is what to call when commands have been carried out: it drops what they may have changed.
// (rueidis uses a command's slice of arguments again, so they are copied.)
func (c *Cache) written(commands ...rueidis.Completed) (drop func()) {
	var arguments []string
	everything := false
	for i := range commands {
		if commands[i].IsReadOnly() || len(commands[i].Commands()) == 0 {
			continue
		}
		all := commands[i].Commands()
		switch strings.ToUpper(all[0]) {
		case "FLUSHALL", "FLUSHDB", "SWAPDB":
			everything = true
		default:
			arguments = append(arguments, all[1:]...)
		}
	}
	if arguments == nil && !everything {
		return func() {}
	}
	return func() {
		if everything {
			c.DropAll()
		}
		for _, key := range arguments {
			c.Drop(key)
		}
	}
}
