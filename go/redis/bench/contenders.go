package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/goredisx"
	"github.com/larder-cache/larder/go/redis/rueidisx"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// contender is a way to a cached value: get reads the value of a key and says how long it is.
// Each goroutine makes a get of its own.
type contender struct {
	name  string
	rival string // of what it is compared with; "": it is compared with nothing
	get   func() func(key string) int
}

const budget = 1 << 30

func newLarder() *larder.Cache {
	cache, err := larder.New(larder.Options{MaxBytes: budget})
	if err != nil {
		panic(err)
	}
	return cache
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// goRedis makes clients of go-redis with its own cache, and with larder.
func goRedis(addr string) (own, ours *redis.Client, near *goredisx.Cache) {
	near = must(goredisx.New(newLarder(), goredisx.Options{MaxAge: larder.NoExpiry}))
	own = redis.NewClient(&redis.Options{Addr: addr,
		ClientSideCacheConfig: &redis.ClientSideCacheConfig{MaxMemoryBytes: budget}})
	ours = redis.NewClient(&redis.Options{Addr: addr, ClientSideCache: near})
	near.Attach(ours)
	return own, ours, near
}

// ofRueidis makes clients of rueidis with its own cache, and with larder.
func ofRueidis(addr string) (own, ours rueidis.Client, near *rueidisx.Cache) {
	near = must(rueidisx.New(newLarder(), rueidisx.Options{}))
	o := rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true,
		CacheSizeEachConn: budget}
	own = must(rueidis.NewClient(o))
	o.NewCacheStoreFn = near.NewStore
	ours = near.Attach(must(rueidis.NewClient(o)))
	return own, ours, near
}

// contenders are all ways to a cached string.
func contenders(addr string) []contender {
	ctx := context.Background()
	goOwn, goOurs, goNear := goRedis(addr)
	ruOwn, ruOurs, ruNear := ofRueidis(addr)
	goReader, ruReader := goNear.Reader(goOurs), ruNear.Reader(ruOurs, time.Hour)

	// The same names and values, without clients: go-redis' own cache can be had so, rueidis' not.
	local := redis.NewLocalCache(redis.CacheConfig{MaxMemoryBytes: budget})
	alone := must(goredisx.New(newLarder(), goredisx.Options{MaxAge: larder.NoExpiry}))
	cached := func(c redis.Cache) func() func(key string) int {
		return func() func(key string) int {
			return func(key string) int {
				name := names[key]
				reply, ok := c.Get(ctx, name)
				if !ok {
					value := must(goOwn.Get(ctx, key).Result())
					token, _ := c.Reserve(name, []string{scope + key})
					c.FulfillOwned(name, token, 1, fmt.Appendf(nil, "$%d\r\n%s\r\n", len(value), value))
				}
				return len(reply)
			}
		}
	}
	throughGo := func(c *redis.Client) func() func(key string) int {
		return func() func(key string) int {
			return func(key string) int { return len(must(c.Get(ctx, key).Result())) }
		}
	}
	throughRueidis := func(c rueidis.Client) func() func(key string) int {
		return func() func(key string) int {
			return func(key string) int {
				return len(must(c.DoCache(ctx, c.B().Get().Key(key).Cache(), time.Hour).ToString()))
			}
		}
	}
	return []contender{
		{name: "go-redis, LocalCache.Get", get: cached(local)},
		{name: "larder, goredisx.Cache.Get", rival: "go-redis, LocalCache.Get", get: cached(alone)},
		{name: "go-redis, Client.Get", get: throughGo(goOwn)},
		{name: "larder, Client.Get of go-redis", rival: "go-redis, Client.Get", get: throughGo(goOurs)},
		{name: "larder, goredisx.Reader.Get", rival: "go-redis, Client.Get",
			get: func() func(key string) int {
				var buf []byte
				return func(key string) int {
					buf = must(goReader.Get(ctx, buf[:0], key))
					return len(buf)
				}
			}},
		{name: "larder, goredisx.Reader.String", rival: "go-redis, Client.Get",
			get: func() func(key string) int {
				return func(key string) int { return len(must(goReader.String(ctx, key))) }
			}},
		{name: "rueidis, Client.DoCache", get: throughRueidis(ruOwn)},
		{name: "larder, Client.DoCache of rueidis", rival: "rueidis, Client.DoCache",
			get: throughRueidis(ruOurs)},
		{name: "larder, rueidisx.Reader.Get", rival: "rueidis, Client.DoCache",
			get: func() func(key string) int {
				var buf []byte
				return func(key string) int {
					buf = must(ruReader.Get(ctx, buf[:0], key))
					return len(buf)
				}
			}},
		{name: "larder, rueidisx.Reader.String", rival: "rueidis, Client.DoCache",
			get: func() func(key string) int {
				return func(key string) int { return len(must(ruReader.String(ctx, key))) }
			}},
	}
}

const scope = "0\x000:\x00"

// names are go-redis' names of GET, by key.
var names = map[string]string{}

func keyOf(i int) string { return "user:" + strconv.Itoa(1_000_000+i) }

func nameOf(key string) string {
	return fmt.Sprintf("%s*2\r\n$3\r\nget\r\n$%d\r\n%s\r\n", scope, len(key), key)
}
