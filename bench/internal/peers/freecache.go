package peers

import (
	"time"

	"github.com/coocood/freecache"
)

type freeCache struct{ c *freecache.Cache }

func newFreecache(cfg Config) (Cache, error) {
	return &freeCache{freecache.NewCache(int(cfg.bytes()))}, nil
}

// Get reads into the room behind dst, since freecache copies into a buffer but doesn't append.
func (c *freeCache) Get(dst, key []byte) ([]byte, bool) {
	n := len(dst)
	room := dst[n:cap(dst)]
	v, err := c.c.GetWithBuf(key, room)
	if err != nil {
		return dst, false
	}
	if len(v) <= len(room) {
		return dst[:n+len(v)], true
	}
	return append(dst, v...), true
}

func (c *freeCache) Set(key, value []byte) bool { return c.c.Set(key, value, 0) == nil }

// SetTTL rounds up to whole seconds, all that freecache knows.
func (c *freeCache) SetTTL(key, value []byte, ttl time.Duration) bool {
	return c.c.Set(key, value, int((ttl+time.Second-1)/time.Second)) == nil
}

func (c *freeCache) Delete(key []byte) { c.c.Del(key) }
func (c *freeCache) Close()            { c.c.Clear() }
