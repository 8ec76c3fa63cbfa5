package goredisx

import (
	"context"

	"github.com/larder-cache/larder/go/redis/internal/nearcache"
	"github.com/redis/go-redis/v9"
)

// Reader reads strings of a client: what the cache has by the shortest way, anything else by the
// client, whose GET then fills the cache. It finds what the client's own Get has cached, and the
// other way about. It may be used by any number of goroutines at once.
type Reader struct {
	cache  *Cache
	client redis.UniversalClient
	scope  string
}

// Reader makes a Reader of a client whose ClientSideCache this is.
func (c *Cache) Reader(client redis.UniversalClient) *Reader {
	o := scopeOptions(client)
	return &Reader{c, client, scopeOf(o.db, o.username)}
}

// Get appends the value of a string key to dst and returns the extended slice. A hit whose dst has
// room for the value and some 100 bytes more allocates nothing; what lies in that room is
// overwritten. The error is that of the client's Get: redis.Nil if there is no such key, which is
// cached as well.
func (r *Reader) Get(ctx context.Context, dst []byte, key string) ([]byte, error) {
	name := r.name(key)
	out, mark, ok := r.cache.table.Get(dst, &name)
	if ok && formOf(mark) == stringReply {
		return out, nil
	}
	if ok && string(out[len(dst):]) == nilReply {
		return dst, redis.Nil
	}
	value, err := r.client.Get(ctx, key).Result()
	if err != nil {
		return dst, err
	}
	return append(dst, value...), nil
}

// String is the value of a string key. A hit of one of the hot replies allocates and copies
// nothing. Errors are as with Get.
func (r *Reader) String(ctx context.Context, key string) (string, error) {
	name := r.name(key)
	found, ok := r.cache.storedNarrow(&name)
	switch {
	case ok && found.isString:
		return found.text(), nil
	case ok && string(found.reply) == nilReply:
		return "", redis.Nil
	}
	return r.client.Get(ctx, key).Result()
}

// nilReply is what comes for an absent key.
const nilReply = "_\r\n"

func (r *Reader) name(key string) nearcache.Name {
	return nearcache.Name{Area: r.cache.area.Load(), Prefix: r.scope, Key: key, Head: getCommand}
}
