// Package goredisx puts larder behind go-redis' client-side caching: the Cache that its options
// take. Values lie outside the Go heap, in one budget for all clients of the process.
//
//	near, err := goredisx.New(cache, goredisx.Options{})
//	client := redis.NewClient(&redis.Options{Addr: addr, ClientSideCache: near})
//	near.Attach(client) // reads see own writes
//
// Everything that go-redis caches by itself is cached: GET and MGET, HGETALL, ZRANGE and some
// seventy commands more; not pipelines, which go past the cache. Each reply lives until the server
// says that a key of it has changed, the connection it came by is lost, everything is flushed, or
// it is as old as Options.MaxAge.
//
// A [Reader] is a way to a hit without a command, a string or an allocation.
package goredisx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/internal/nearcache"
	"github.com/redis/go-redis/v9"
)

// Options say how a Cache is to be. The zero value is a good choice.
type Options struct {
	// Namespace is the name of the namespace that the entries are in. Caches for different
	// servers, or databases, must have different ones. "": "redis".
	Namespace string

	// NamespaceOptions bound the namespace. Its DefaultTTL isn't used.
	NamespaceOptions larder.NamespaceOptions

	// MaxAge is how long a reply is served at most, counted from before it was asked for:
	// go-redis doesn't learn when a key of the server expires, and a server tells of it when it
	// removes the key, which may be later. 0: one minute. larder.NoExpiry: until the server tells.
	MaxAge time.Duration

	// FetchTimeout is how long others wait for a caller that fetches a reply, before they fetch
	// it themselves. 0: five seconds, as in go-redis.
	FetchTimeout time.Duration

	// HotBytes is what the few replies that are read most may take on the Go heap beside the
	// namespace, of which a hit copies nothing. 0: 16 MiB. Negative: there are none.
	HotBytes int64
}

// Cache is a redis.Cache in a namespace of a larder cache. It may be shared by clients of the same
// server. Its methods may be called by any number of goroutines at once.
type Cache struct {
	table *nearcache.Table
	front *nearcache.Front[hot]
	area  atomic.Uint32

	maxAge, fetchTimeout time.Duration

	narrow [shards]flights // of one key each
	wide   flights         // of several keys
	wides  atomic.Bool     // there are, or were, such
	tokens atomic.Uint64
	usual  atomic.Pointer[beginning] // of the names of GET

	ownersMu sync.Mutex
	owners   map[uint64]nearcache.Owner // by connection

	counts counts
}

var _ redis.Cache = (*Cache)(nil)

// New makes a Cache in a namespace of cache, which must outlive it. Errors are those of
// larder.Cache.Namespace, and one that wraps larder.ErrInvalidOptions.
func New(cache *larder.Cache, o Options) (*Cache, error) {
	switch {
	case o.MaxAge == 0:
		o.MaxAge = time.Minute
	case o.MaxAge < 0 && o.MaxAge != larder.NoExpiry:
		return nil, fmt.Errorf("%w: MaxAge is %v, and has to be 0, more, or NoExpiry",
			larder.ErrInvalidOptions, o.MaxAge)
	}
	switch {
	case o.FetchTimeout == 0:
		o.FetchTimeout = 5 * time.Second
	case o.FetchTimeout < 0:
		return nil, fmt.Errorf("%w: FetchTimeout is %v, and has to be 0 or more",
			larder.ErrInvalidOptions, o.FetchTimeout)
	}
	if o.Namespace == "" {
		o.Namespace = "redis"
	}
	o.NamespaceOptions.DefaultTTL = larder.NoExpiry
	space, err := cache.Namespace(o.Namespace, o.NamespaceOptions)
	if err != nil {
		return nil, fmt.Errorf("goredisx: namespace %q: %w", o.Namespace, err)
	}
	if o.HotBytes == 0 {
		o.HotBytes = 16 << 20
	}
	table := nearcache.NewTable(space)
	c := &Cache{
		table:        table,
		front:        nearcache.NewFront[hot](table, o.HotBytes),
		maxAge:       o.MaxAge,
		fetchTimeout: o.FetchTimeout,
		owners:       make(map[uint64]nearcache.Owner),
	}
	// A namespace that was there may hold what another Cache left.
	space.Clear()
	c.area.Store(c.table.NewArea())
	return c, nil
}

// Get is the reply under a name of go-redis'. It may be kept, and must not be changed: others may
// get the same bytes. It waits for one that is being fetched.
func (c *Cache) Get(ctx context.Context, cacheKey string) ([]byte, bool) {
	if reply, ok := c.stored(cacheKey); ok {
		return reply, true
	}
	one := c.flying(cacheKey)
	if one == nil {
		// It may have come between the two looks.
		return c.stored(cacheKey)
	}
	return one.wait(ctx, c.fetchTimeout)
}

// stored is the reply under a name, if the cache has it.
func (c *Cache) stored(cacheKey string) (reply []byte, ok bool) {
	area := c.area.Load()
	name, ok := c.usual.Load().narrow(cacheKey, area)
	if !ok {
		name, ok = narrow(cacheKey, area)
	}
	if ok {
		if found, ok := c.storedNarrow(&name); ok {
			return found.reply, true
		}
	}
	if !c.wides.Load() {
		return nil, false
	}
	body, mark, ok := c.table.GetWide(nil, area, cacheKey)
	if !ok {
		return nil, false
	}
	return framed(body, formOf(mark)).reply, true
}

func (c *Cache) storedNarrow(name *nearcache.Name) (found hot, ok bool) {
	value, end, at := c.front.Find(name)
	if value != nil && c.young(end) {
		return *value, true
	}
	c.table.Read(name, func(body []byte, info nearcache.Info) {
		found, ok = framed(body, formOf(info.Mark)), true
		c.front.Keep(at, name, info.Owner, found, len(found.reply), endOf(info.Mark))
	})
	return found, ok
}

// young reports whether the time of a reply that ends then isn't over.
func (c *Cache) young(end int64) bool { return end == 0 || now() < end }

// flying is the flight of a name.
func (c *Cache) flying(cacheKey string) *flight {
	if name, ok := narrow(cacheKey, 0); ok {
		shard := c.shard(name.Prefix, name.Key)
		shard.mu.Lock()
		one := shard.find(name.Prefix+name.Key, cacheKey)
		shard.mu.Unlock()
		if one != nil {
			return one
		}
	}
	c.wide.mu.Lock()
	defer c.wide.mu.Unlock()
	return c.wide.find("", cacheKey)
}

// Reserve asks for the right to store a reply. Whoever gets it, with a token, fetches; others wait
// in Get. A token of 0 means: fetch, and don't store.
func (c *Cache) Reserve(cacheKey string, redisKeys []string) (token uint64, shouldFetch bool) {
	if len(redisKeys) == 0 {
		return 0, true // nothing would ever say that it has changed
	}
	one := &flight{command: cacheKey, keys: append([]string(nil), redisKeys...), area: c.area.Load(),
		since: time.Now(), done: make(chan struct{})}
	in := &c.wide
	if name, ok := narrow(cacheKey, one.area); ok && depends(&name, redisKeys) {
		one.name = &name
		if c.usual.Load() == nil {
			c.usual.CompareAndSwap(nil, beginningOf(&name))
		}
		in = c.shard(name.Prefix, name.Key)
	} else {
		c.wides.Store(true)
	}

	in.mu.Lock()
	defer in.mu.Unlock()
	if other := in.find(redisKeys[0], cacheKey); other != nil {
		if one.since.Sub(other.since) < c.fetchTimeout {
			return 0, false
		}
		in.end(other)
	} else if _, ok := c.stored(cacheKey); ok {
		return 0, false
	}
	one.token = c.tokens.Add(1)
	in.add(one)
	return one.token, true
}

// claim takes the flight with that token out, and returns it with its lock held.
func (c *Cache) claim(cacheKey string, token uint64) (in *flights, one *flight) {
	if token == 0 {
		return nil, nil
	}
	if name, ok := narrow(cacheKey, 0); ok {
		in = c.shard(name.Prefix, name.Key)
		in.mu.Lock()
		if one = in.find(name.Prefix+name.Key, cacheKey); one != nil && one.token == token {
			return in, one
		}
		in.mu.Unlock()
	}
	in = &c.wide
	in.mu.Lock()
	if one = in.find("", cacheKey); one != nil && one.token == token {
		return in, one
	}
	in.mu.Unlock()
	return nil, nil
}

// FulfillOwned stores a reply that came by a connection, for who has the token: false if an
// invalidation has taken it away since, or if larder has no room for the reply.
func (c *Cache) FulfillOwned(cacheKey string, token, ownerConnID uint64, value []byte) bool {
	in, one := c.claim(cacheKey, token)
	if one == nil {
		c.counts.overtaken.Add(1)
		return false
	}
	defer in.mu.Unlock()
	err := c.store(one, c.owner(ownerConnID), value)
	one.reply = bytes.Clone(value)
	in.end(one)
	if err != nil {
		c.counts.refused.Add(1)
		return false
	}
	c.counts.stored.Add(1)
	return true
}

var errTooOld = errors.New("goredisx: as old as MaxAge when it came")

// store puts a flight's reply into the table.
func (c *Cache) store(one *flight, owner nearcache.Owner, value []byte) error {
	ttl, end := c.maxAge, int64(0)
	if ttl != larder.NoExpiry {
		if ttl -= time.Since(one.since); ttl <= 0 {
			return errTooOld
		}
		end = now() + max(ttl.Milliseconds(), 1)
	}
	body, form := unframed(value)
	mark := markOf(form, end)
	if one.name != nil {
		return c.table.Put(body, one.name, mark, owner, ttl)
	}
	numbers := make(nearcache.Numbers, len(one.keys))
	for i, key := range one.keys {
		if err := c.number(one.area, key, &numbers[i]); err != nil {
			return err
		}
	}
	return c.table.PutWide(body, one.area, one.command, one.keys, numbers, mark, owner, ttl)
}

// number is the number of a key's record, asked for under the key's own lock.
func (c *Cache) number(area uint32, key string, number *uint64) (err error) {
	shard := c.shard("", key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	*number, err = c.table.Number(area, key)
	return err
}

// owner is what stands for a connection. go-redis sees to it that none that is gone is named.
func (c *Cache) owner(connID uint64) nearcache.Owner {
	if connID == 0 {
		return nearcache.Owner{}
	}
	c.ownersMu.Lock()
	defer c.ownersMu.Unlock()
	owner, ok := c.owners[connID]
	if !ok {
		owner = c.table.NewOwner()
		c.owners[connID] = owner
	}
	return owner
}

// Cancel gives a token back: the fetch has failed.
func (c *Cache) Cancel(cacheKey string, token uint64) bool {
	in, one := c.claim(cacheKey, token)
	if one == nil {
		return false
	}
	in.end(one)
	in.mu.Unlock()
	return true
}

// DeleteByRedisKey removes the replies that depend on a key, and takes the tokens of those who
// fetch such. It returns how many it met; replies to several commands count as one.
func (c *Cache) DeleteByRedisKey(redisKey string) int {
	c.counts.invalidations.Add(1)
	scope, _ := scopeLen(redisKey)
	return c.drop(redisKey[:scope], redisKey[scope:])
}

// drop removes what depends on a key: first the right to store it, then what was stored.
func (c *Cache) drop(prefix, key string) int {
	met := 0
	whole := key
	if prefix != "" {
		whole = prefix + key
	}
	met += c.shard(prefix, key).overtake(whole)
	if c.wides.Load() {
		met += c.wide.overtake(whole)
	}
	if c.table.Drop(c.area.Load(), prefix, key) {
		met++
	}
	c.front.Drop(prefix, key)
	return met
}

// DeleteByCacheKey removes the reply under a name, and others to commands of the same key with it.
func (c *Cache) DeleteByCacheKey(cacheKey string) bool {
	area := c.area.Load()
	if name, ok := narrow(cacheKey, area); ok && c.table.Read(&name, func([]byte, nearcache.Info) {}) {
		return c.drop(name.Prefix, name.Key) > 0
	}
	if one := c.flying(cacheKey); one != nil {
		return c.Cancel(cacheKey, one.token)
	}
	return c.wides.Load() && c.table.DropWide(area, cacheKey)
}

// EvictByConn removes what came by a connection, and leaves tokens as they are. It returns 1 if
// anything has ever come by it, else 0.
func (c *Cache) EvictByConn(connID uint64) int {
	c.ownersMu.Lock()
	owner, ok := c.owners[connID]
	delete(c.owners, connID)
	c.ownersMu.Unlock()
	if !ok {
		return 0
	}
	c.counts.connections.Add(1)
	c.table.Revoke(owner)
	return 1
}

// Flush removes everything, and takes all tokens. It returns how many entries there were.
func (c *Cache) Flush() int {
	c.counts.flushes.Add(1)
	met := c.table.Cache().Len()
	c.table.Leave(c.area.Swap(c.table.NewArea()))
	for i := range c.narrow {
		met += c.narrow[i].overtakeAll()
	}
	met += c.wide.overtakeAll()
	c.table.Cache().Clear()
	return met
}
