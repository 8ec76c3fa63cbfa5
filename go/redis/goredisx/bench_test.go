package goredisx

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

func BenchmarkGet(b *testing.B) {
	for name, c := range map[string]redis.Cache{
		"hot": testCache(b, Options{}), "table": testCache(b, Options{HotBytes: -1}),
		"go-redis": redis.NewLocalCache(redis.CacheConfig{MaxMemoryBytes: 32 << 20}),
	} {
		key := wire("get", "user:1234567")
		token, _ := c.Reserve(key, []string{testScope + "user:1234567"})
		c.FulfillOwned(key, token, 1, []byte(bulk(string(make([]byte, 100)))))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := c.Get(b.Context(), key); !ok {
					b.Fatal("not there")
				}
			}
		})
	}
}
