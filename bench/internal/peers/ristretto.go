package peers

import (
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// ristretto keeps hashes of keys, not the keys, so the key need not be copied; and it may refuse a set.
type ristrettoCache struct {
	c     *ristretto.Cache[[]byte, []byte]
	bytes bool
}

func newRistretto(cfg Config) (Cache, error) {
	// The documentation recommends ten counters for each entry of a full cache, and 64 buffered items.
	conf := &ristretto.Config[[]byte, []byte]{BufferItems: 64, IgnoreInternalCost: true}
	if cfg.Bytes > 0 {
		conf.MaxCost = cfg.Bytes
		size := int64(max(cfg.EntrySize, 64))
		conf.NumCounters = max(10*cfg.Bytes/size, 1000)
	} else {
		conf.MaxCost = int64(cfg.Entries)
		conf.NumCounters = int64(10 * cfg.Entries)
	}
	c, err := ristretto.NewCache(conf)
	if err != nil {
		return nil, err
	}
	return &ristrettoCache{c, cfg.Bytes > 0}, nil
}

func (c *ristrettoCache) cost(key, value []byte) int64 {
	if c.bytes {
		return int64(len(key) + len(value))
	}
	return 1
}

func (c *ristrettoCache) Get(dst, key []byte) ([]byte, bool) {
	v, ok := c.c.Get(key)
	return append(dst, v...), ok
}

func (c *ristrettoCache) Set(key, value []byte) bool {
	return c.c.Set(key, clone(value), c.cost(key, value))
}

func (c *ristrettoCache) SetTTL(key, value []byte, ttl time.Duration) bool {
	return c.c.SetWithTTL(key, clone(value), c.cost(key, value), ttl)
}

func (c *ristrettoCache) Delete(key []byte) { c.c.Del(key) }
func (c *ristrettoCache) SetsLater() bool   { return true }
func (c *ristrettoCache) Wait()             { c.c.Wait() }
func (c *ristrettoCache) Close()            { c.c.Close() }
