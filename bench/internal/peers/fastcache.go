package peers

import (
	"github.com/VictoriaMetrics/fastcache"
)

type fastCache struct{ c *fastcache.Cache }

// FastcacheMinBytes is the least capacity of a fastcache, and every capacity is rounded up to a multiple of it.
const FastcacheMinBytes = 32 << 20

func newFastcache(cfg Config) (Cache, error) {
	c := fastCache{fastcache.New(int(cfg.bytes()))}
	if cfg.LargeValues {
		return &fastCacheLarge{c}, nil
	}
	return &c, nil
}

func (c *fastCache) Get(dst, key []byte) ([]byte, bool) {
	n := len(dst)
	dst = c.c.Get(dst, key)
	if len(dst) > n {
		return dst, true
	}
	return dst, c.c.Has(key) // an empty value, or a miss
}

func (c *fastCache) Set(key, value []byte) bool {
	c.c.Set(key, value)
	return true
}

func (c *fastCache) Delete(key []byte) { c.c.Del(key) }
func (c *fastCache) Close()            { c.c.Reset() }

// fastCacheLarge also stores values of 64 KiB and more, which fastcache cuts into pieces with calls of their own. The
// key of such a value gets one more byte, since its pieces' directory is itself a value.
type fastCacheLarge struct{ fastCache }

const fastcacheLimit = 64<<10 - 512

func (c *fastCacheLarge) large(key []byte) []byte {
	return append(append(make([]byte, 0, len(key)+1), key...), 'L')
}

func (c *fastCacheLarge) Get(dst, key []byte) ([]byte, bool) {
	if dst, ok := c.fastCache.Get(dst, key); ok {
		return dst, true
	}
	n := len(dst)
	dst = c.c.GetBig(dst, c.large(key))
	return dst, len(dst) > n
}

func (c *fastCacheLarge) Set(key, value []byte) bool {
	if len(key)+len(value) < fastcacheLimit {
		c.c.Set(key, value)
	} else {
		c.c.SetBig(c.large(key), value)
	}
	return true
}
