// Package rueidisx puts larder behind rueidis' client-side caching: the CacheStore that its options
// take. Values lie outside the Go heap, in one budget for all connections of the process.
//
//	near, err := rueidisx.New(cache, rueidisx.Options{})
//	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addrs,
//		NewCacheStoreFn: near.NewStore})
//	client = near.Attach(client) // reads see own writes
//
// DoCache, DoMultiCache and MGetCache are as before. Each reply lives until the server says that
// its key has changed, its key expires, the time to live that the call asked for is over,
// everything is flushed, or the connection it came by is lost: rueidis has a store for each
// connection, and what is in one is never served by another.
//
// rueidis names a reply by the arguments of its command joined without anything between, so that
// GETRANGE k 1 23 and GETRANGE k 12 3 are one. Commands whose name could also be another's are not
// cached here, unless Options.CacheAmbiguous says so; see [Cached].
//
// A [Reader] is a way to a hit without a command, a string or an allocation.
package rueidisx

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/internal/nearcache"
	"github.com/redis/rueidis"
)

// Options say how a Cache is to be. The zero value is a good choice.
type Options struct {
	// Namespace is the name of the namespace that the entries are in. Caches for different
	// servers, or databases, must have different ones. "": "redis".
	Namespace string

	// NamespaceOptions bound the namespace. Its DefaultTTL isn't used.
	NamespaceOptions larder.NamespaceOptions

	// CacheAmbiguous caches all commands, also those for which Cached is false: as rueidis'
	// own cache does. It is for programs that know that theirs don't meet.
	CacheAmbiguous bool

	// HotBytes is what the few replies that are read most may take on the Go heap beside the
	// namespace, of which a hit copies nothing. 0: 16 MiB. Negative: there are none.
	HotBytes int64
}

// Cache makes stores in a namespace of a larder cache. It may be shared by clients of the same
// server and database. Its methods may be called by any number of goroutines at once.
type Cache struct {
	table     *nearcache.Table
	front     *nearcache.Front[rueidis.RedisMessage]
	ambiguous bool

	mu     sync.Mutex // for who changes stores
	stores atomic.Pointer[[]*store]
	hints  hints

	counts counts
}

// New makes a Cache in a namespace of cache, which must outlive it. Errors are those of
// larder.Cache.Namespace.
func New(cache *larder.Cache, o Options) (*Cache, error) {
	if o.Namespace == "" {
		o.Namespace = "redis"
	}
	o.NamespaceOptions.DefaultTTL = larder.NoExpiry
	space, err := cache.Namespace(o.Namespace, o.NamespaceOptions)
	if err != nil {
		return nil, fmt.Errorf("rueidisx: namespace %q: %w", o.Namespace, err)
	}
	// A namespace that was there may hold what another Cache left.
	space.Clear()
	if o.HotBytes == 0 {
		o.HotBytes = 16 << 20
	}
	table := nearcache.NewTable(space)
	c := &Cache{
		table:     table,
		front:     nearcache.NewFront[rueidis.RedisMessage](table, o.HotBytes),
		ambiguous: o.CacheAmbiguous,
	}
	c.stores.Store(new([]*store))
	return c, nil
}

// NewStore is what rueidis.ClientOption.NewCacheStoreFn asks for. rueidis calls it for each
// connection, and again when it has connected anew. The size in its option isn't used.
func (c *Cache) NewStore(rueidis.CacheStoreOption) rueidis.CacheStore {
	s := &store{cache: c, owner: c.table.NewOwner(), flights: make(map[string][]*flight)}
	s.area.Store(c.table.NewArea())
	c.change(func(stores []*store) []*store { return append(stores, s) })
	return s
}

// change replaces the list of stores by what fn makes of a copy.
func (c *Cache) change(fn func(stores []*store) []*store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stores := fn(slices.Clone(*c.stores.Load()))
	c.stores.Store(&stores)
}

// Drop removes all replies that depend on a key, whichever connection they came by, and sees to it
// that none that is being fetched is stored: for who knows that the key has changed.
func (c *Cache) Drop(key string) {
	for _, s := range *c.stores.Load() {
		s.drop(key)
	}
}

// DropAll is Drop of every key.
func (c *Cache) DropAll() {
	for _, s := range *c.stores.Load() {
		s.dropAll()
	}
}

// Namespace is the namespace that the entries are in, for its statistics and its Resize. Nothing
// must be stored in it.
func (c *Cache) Namespace() *larder.Cache { return c.table.Cache() }

type counts struct {
	stored, refused, overtaken, ambiguous, invalidations, connections, flushes, ownWrites atomic.Uint64
}

// Counts say what a Cache did since it was made.
type Counts struct {
	Stored        uint64 // replies
	Refused       uint64 // replies that larder had no room for, or whose time was over when they came
	Overtaken     uint64 // replies not stored, since their key was dropped while they were fetched
	Ambiguous     uint64 // calls not cached, since their command's name might be another's
	Invalidations uint64 // keys that a server said had changed
	Connections   uint64 // connections lost with what had come by them
	Flushes       uint64 // times that a server said that everything was removed
	OwnWrites     uint64 // keys dropped since a client of this process may have written them
}

// Counts are the cache's counters.
func (c *Cache) Counts() Counts {
	return Counts{
		Stored:        c.counts.stored.Load(),
		Refused:       c.counts.refused.Load(),
		Overtaken:     c.counts.overtaken.Load(),
		Ambiguous:     c.counts.ambiguous.Load(),
		Invalidations: c.counts.invalidations.Load(),
		Connections:   c.counts.connections.Load(),
		Flushes:       c.counts.flushes.Load(),
		OwnWrites:     c.counts.ownWrites.Load(),
	}
}
