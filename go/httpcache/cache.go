package httpcache

import (
	"context"
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// store is what this package needs of a larder.Cache.
type store interface {
	Get(dst, key []byte) ([]byte, bool)
	SetTTL(key, value []byte, ttl time.Duration) error
	Delete(key []byte) bool
}

// Cache is a shared HTTP cache. It is safe for concurrent use.
type Cache struct {
	opt    Options
	route  HandlerOptions // of HandlerWith
	late   late           // of HandlerWith
	store  store
	shared *shared
	lends  viewer // store, if it is one

	ours          map[string]bool // response fields for this cache only
	impliedFilter uint64          // nameBit of every name in opt.ImpliedVary
	addedBehind   uint32          // hasAuthorization, hasCookie: by opt.AddedBehind
	id            string          // Options.Name as Cache-Status shows it
}

// shared is what all Caches on one set of responses have in common.
type shared struct {
	purges   *purges
	flights  flights
	busy     recentTable // keys whose responses could not be shared
	silent   recentTable // keys that the next hop did not answer in time
	loans    loans
	prepared preparedTable
	forward  forwardClock
	epoch    atomic.Uint64 // of vary indexes
	seed     maphash.Seed

	// tell, if not nil, is told of purges: SharePurges.
	tell atomic.Pointer[func(order []byte, asked bool) error]

	// partitioned: some Cache has Options.Partition.
	partitioned atomic.Bool
	partitions  partitions
	// made: some response names the sources that it was made from.
	made atomic.Bool

	stripes [stripes]stripe

	backgroundMu sync.Mutex // for closed and the counts, and background.Add
	closed       bool
	running      int // background revalidations
	orphans      int // fetches that go on without clients
	background   sync.WaitGroup
	ctx          context.Context
	stop         context.CancelFunc
}

// New returns an HTTP cache that keeps its responses in cache. It does not own
// cache: close it after the HTTP cache. Two HTTP caches on one larder.Cache
// would not know of each other's purges; use WithOptions for another
// configuration.
func New(cache *larder.Cache, o Options) *Cache { return newCache(cache, o) }

func newCache(st store, o Options) *Cache {
	s := &shared{seed: maphash.MakeSeed()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	// Numbers that start at the present are higher than those of an earlier
	// Cache on the same responses.
	start := uint64(started.UnixNano() + int64(time.Since(started)))
	s.purges = newPurges(start)
	s.epoch.Store(start)
	s.flights.init()
	return configure(st, s, o)
}

func configure(st store, s *shared, o Options) *Cache {
	c := &Cache{opt: o.withDefaults(), store: st, shared: s, ours: map[string]bool{}}
	c.lends, _ = st.(viewer)
	for _, name := range c.opt.TagFields {
		c.ours[name] = true
	}
	for _, name := range c.opt.TargetedFields {
		if name == "Surrogate-Control" || strings.HasPrefix(name, "Larder-") {
			c.ours[name] = true
		}
	}
	if len(c.opt.ImpliedVary) > 64 {
		c.opt.ImpliedVary = c.opt.ImpliedVary[:64]
	}
	for _, name := range c.opt.ImpliedVary {
		c.impliedFilter |= nameBit(name)
	}
	for _, name := range c.opt.AddedBehind {
		switch name {
		case "Authorization":
			c.addedBehind |= hasAuthorization
		case "Cookie":
			c.addedBehind |= hasCookie
		}
	}
	c.id = statusID(c.opt.Name)
	c.notePartition()
	return c
}

func (c *Cache) notePartition() {
	if c.opt.Partition != nil {
		c.shared.partitioned.Store(true)
	}
}

// WithOptions returns a Cache with other options on the same responses, purges
// and fetches in progress: for another route, or another configuration. Closing
// either closes both.
func (c *Cache) WithOptions(o Options) *Cache { return configure(c.store, c.shared, o) }

// Close stops background revalidation and waits for it to end. The cache goes
// on answering, without background revalidation.
func (c *Cache) Close() error {
	c.shared.closeBackground()
	return nil
}

// Handler returns a handler that answers from the cache and asks next for the
// rest. next is called by other goroutines than the request's, with a context
// that is not cancelled as long as anyone waits for the response; requests the
// cache has no part in (unsafe methods, upgrades, known uncacheable responses)
// are passed to it as they are, with a ResponseWriter that flushes and hijacks.
func (c *Cache) Handler(next http.Handler) http.Handler {
	return &handler{c: c, next: next}
}

// HandlerWith is Handler with a policy for one route. The responses, purges and fetches in
// progress are the Cache's.
func (c *Cache) HandlerWith(next http.Handler, o HandlerOptions) http.Handler {
	route := *c
	route.use(o)
	return &handler{c: &route, next: next}
}

type handler struct {
	c      *Cache
	next   http.Handler
	client bool // of a Transport
}
