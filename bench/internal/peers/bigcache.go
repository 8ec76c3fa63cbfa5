package peers

import (
	"context"
	"time"

	"github.com/allegro/bigcache/v3"
)

type bigCache struct{ c *bigcache.BigCache }

func newBigcache(cfg Config) (Cache, error) {
	const mb = 1 << 20
	megabytes := int((cfg.bytes() + mb - 1) / mb)
	entries := cfg.Entries
	size := cfg.EntrySize
	if cfg.Bytes > 0 {
		size = max(cfg.EntrySize, 1)
		entries = int(cfg.Bytes) / size
	}
	conf := bigcache.DefaultConfig(24 * time.Hour)
	// The default of 1024 shards leaves a small cache with shards of a few entries: take fewer then.
	conf.Shards = 1
	for conf.Shards < 1024 && entries/(conf.Shards*2) >= 64 {
		conf.Shards *= 2
	}
	if cfg.LargeValues {
		// A value must fit a shard.
		for conf.Shards > 1 && megabytes/conf.Shards < 4 {
			conf.Shards /= 2
		}
	}
	conf.CleanWindow = 0
	conf.MaxEntriesInWindow = entries
	conf.MaxEntrySize = size
	conf.HardMaxCacheSize = megabytes
	conf.Verbose = false
	c, err := bigcache.New(context.Background(), conf)
	if err != nil {
		return nil, err
	}
	return &bigCache{c}, nil
}

func (c *bigCache) Get(dst, key []byte) ([]byte, bool) {
	v, err := c.c.Get(view(key))
	if err != nil {
		return dst, false
	}
	return append(dst, v...), true
}

func (c *bigCache) Set(key, value []byte) bool { return c.c.Set(view(key), value) == nil }
func (c *bigCache) Delete(key []byte)          { _ = c.c.Delete(view(key)) } // the only error is a missing key
func (c *bigCache) Close()                     { _ = c.c.Close() }           // always nil
