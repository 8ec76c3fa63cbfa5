package rueidisx

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/larder-cache/larder/go/redis/internal/nearcache"
	"github.com/redis/rueidis"
)

// Reader reads strings of a client: what the cache has by the shortest way, anything else by the
// client's DoCache, which then fills the cache. It finds what DoCache has cached, and the other
// way about, whichever connection of the Cache's clients it came by. It may be used by any number
// of goroutines at once.
type Reader struct {
	cache  *Cache
	client rueidis.Client
	ttl    time.Duration
}

// Reader makes a Reader of a client whose NewCacheStoreFn is this cache's NewStore. ttl is for what
// it asks the server for, as in DoCache.
func (c *Cache) Reader(client rueidis.Client, ttl time.Duration) *Reader {
	return &Reader{c, client, ttl}
}

// Get appends the value of a string key to dst and returns the extended slice. A hit whose dst has
// room for the value and some 50 bytes more allocates nothing; what lies in that room is
// overwritten. The error is that of DoCache: rueidis.Nil if there is no such key, which is cached
// as well.
func (r *Reader) Get(ctx context.Context, dst []byte, key string) ([]byte, error) {
	name := nearcache.Name{Key: key, Head: "GET"}
	likely := r.cache.hints.of(key).Load()
	out, mark, ok := r.cache.lookUp(dst, &name, likely)
	if !ok {
		out, mark, ok = r.cache.lookElsewhere(dst, &name, likely)
	}
	if ok && mark>>typeShift == '$' {
		return out, nil
	}
	if ok && isNil(out[len(dst):], mark) {
		return dst, rueidis.Nil
	}
	value, err := r.ask(ctx, key)
	if err != nil {
		return dst, err
	}
	return append(dst, value...), nil
}

// lookUp looks into a store, or none.
func (c *Cache) lookUp(
	dst []byte, name *nearcache.Name, s *store,
) (out []byte, mark uint64, ok bool) {
	if s == nil {
		return dst, 0, false
	}
	name.Area = s.area.Load()
	return c.table.Get(dst, name)
}

// lookElsewhere looks into all stores but one.
func (c *Cache) lookElsewhere(
	dst []byte, name *nearcache.Name, but *store,
) (out []byte, mark uint64, ok bool) {
	for _, s := range *c.stores.Load() {
		if s == but {
			continue
		}
		if out, mark, ok = c.lookUp(dst, name, s); ok {
			return out, mark, true
		}
	}
	return dst, 0, false
}

// String is the value of a string key. A hit of one of the hot replies allocates and copies
// nothing. Errors are as with Get.
func (r *Reader) String(ctx context.Context, key string) (string, error) {
	name := nearcache.Name{Key: key, Head: "GET"}
	likely := r.cache.hints.of(key).Load()
	if likely != nil {
		name.Area = likely.area.Load()
		if m, ok := r.cache.stored(&name, now()); ok {
			return m.ToString()
		}
	}
	for _, s := range *r.cache.stores.Load() {
		name.Area = s.area.Load()
		if m, ok := r.cache.stored(&name, now()); s != likely && ok {
			return m.ToString()
		}
	}
	return r.ask(ctx, key)
}

var began = time.Now()

// now is the time in milliseconds since 1970, by a clock that isn't set, which is also read faster.
func now() int64 { return began.UnixMilli() + time.Since(began).Milliseconds() }

func (r *Reader) ask(ctx context.Context, key string) (string, error) {
	command := r.client.B().Get().Key(key).Cache()
	return r.client.DoCache(ctx, command, r.ttl).ToString()
}

// hints tell which store is likely to have a key: rueidis sends a key by the same connection each
// time, but doesn't say by which.
type hints [4096]atomic.Pointer[store]

var seed = maphash.MakeSeed()

func (h *hints) of(key string) *atomic.Pointer[store] {
	return &h[maphash.String(seed, key)%uint64(len(h))]
}

func (h *hints) learn(key string, s *store) {
	if hint := h.of(key); hint.Load() != s {
		hint.Store(s)
	}
}

// forget lets a closed store go.
func (h *hints) forget(s *store) {
	for i := range h {
		h[i].CompareAndSwap(s, nil)
	}
}
