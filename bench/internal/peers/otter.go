package peers

import (
	"time"

	"github.com/maypok86/otter/v2"
)

type otterCache struct{ c *otter.Cache[string, []byte] }

func newOtter(cfg Config) (Cache, error) {
	o := &otter.Options[string, []byte]{}
	if cfg.Bytes > 0 {
		o.MaximumWeight = uint64(cfg.Bytes)
		o.Weigher = func(k string, v []byte) uint32 { return uint32(weight(k, v)) }
	} else {
		o.MaximumSize = cfg.Entries
		o.InitialCapacity = cfg.Entries
	}
	if cfg.TTL {
		o.ExpiryCalculator = otter.ExpiryWriting[string, []byte](24 * time.Hour)
	}
	if cfg.Synchronous {
		o.Executor = func(fn func()) { fn() }
	}
	c, err := otter.New(o)
	if err != nil {
		return nil, err
	}
	return &otterCache{c}, nil
}

func (c *otterCache) Get(dst, key []byte) ([]byte, bool) {
	v, ok := c.c.GetIfPresent(view(key))
	return append(dst, v...), ok
}

func (c *otterCache) Set(key, value []byte) bool {
	c.c.Set(string(key), clone(value))
	return true
}

func (c *otterCache) SetTTL(key, value []byte, ttl time.Duration) bool {
	k := string(key)
	c.c.Set(k, clone(value))
	c.c.SetExpiresAfter(k, ttl)
	return true
}

func (c *otterCache) Delete(key []byte) { c.c.Invalidate(view(key)) }
func (c *otterCache) Wait()             { c.c.CleanUp() }
func (c *otterCache) Close()            { c.c.StopAllGoroutines() }
