package peers

import (
	"time"

	"github.com/Yiling-J/theine-go"
)

type theineCache struct{ c *theine.Cache[string, []byte] }

func newTheine(cfg Config) (Cache, error) {
	size := int64(cfg.Entries)
	if cfg.Bytes > 0 {
		size = cfg.Bytes
	}
	b := theine.NewBuilder[string, []byte](size)
	c, err := b.Build()
	if err != nil {
		return nil, err
	}
	if cfg.Bytes > 0 {
		return &theineWeighed{theineCache{c}}, nil
	}
	return &theineCache{c}, nil
}

func (c *theineCache) Get(dst, key []byte) ([]byte, bool) {
	v, ok := c.c.Get(view(key))
	return append(dst, v...), ok
}

func (c *theineCache) Set(key, value []byte) bool {
	return c.c.Set(string(key), clone(value), 1)
}

func (c *theineCache) SetTTL(key, value []byte, ttl time.Duration) bool {
	return c.c.SetWithTTL(string(key), clone(value), 1, ttl)
}

func (c *theineCache) Delete(key []byte) { c.c.Delete(view(key)) }
func (c *theineCache) Wait()             { c.c.Wait() }
func (c *theineCache) Close()            { c.c.Close() }

type theineWeighed struct{ theineCache }

func (c *theineWeighed) Set(key, value []byte) bool {
	k := string(key)
	return c.c.Set(k, clone(value), int64(weight(k, value)))
}
