package peers

import (
	"time"

	"github.com/jellydator/ttlcache/v3"
)

type ttlCache struct {
	c *ttlcache.Cache[string, []byte]
}

func newTTLCache(cfg Config) (Cache, error) {
	c := ttlcache.New(ttlcache.WithCapacity[string, []byte](uint64(cfg.Entries)),
		ttlcache.WithDisableTouchOnHit[string, []byte]())
	if cfg.TTL {
		go c.Start()
	}
	return &ttlCache{c}, nil
}

func (c *ttlCache) Get(dst, key []byte) ([]byte, bool) {
	i := c.c.Get(view(key))
	if i == nil {
		return dst, false
	}
	return append(dst, i.Value()...), true
}

func (c *ttlCache) Set(key, value []byte) bool {
	c.c.Set(string(key), clone(value), ttlcache.NoTTL)
	return true
}

func (c *ttlCache) SetTTL(key, value []byte, ttl time.Duration) bool {
	c.c.Set(string(key), clone(value), ttl)
	return true
}

func (c *ttlCache) Delete(key []byte) { c.c.Delete(view(key)) }
func (c *ttlCache) Close()            { c.c.Stop() }
