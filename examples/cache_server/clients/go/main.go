// Clients: go-redis, rueidis and gomemcache as they come, each in its own function.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

var ctx = context.Background()

func main() {
	run := map[string]func(string){"go-redis": goRedis, "rueidis": rueidisClient, "gomemcache": gomemcache}
	run[os.Args[1]](os.Args[2] + ":" + os.Args[3])
}

// check ends the program with what was got when it isn't what was wanted.
func check[T comparable](what string, got T, err error, want T) {
	if err != nil || got != want {
		fmt.Fprintf(os.Stderr, "%s: got %v, %v; want %v\n", what, got, err, want)
		os.Exit(1)
	}
}

func truth(what string, ok bool) { check(what, ok, nil, true) }

func goRedis(addr string) {
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	pong, err := c.Ping(ctx).Result()
	check("PING", pong, err, "PONG")
	truth("FLUSHDB", c.FlushDB(ctx).Err() == nil)
	ok, err := c.Set(ctx, "key", "value", 100*time.Second).Result()
	check("SET", ok, err, "OK")
	value, err := c.Get(ctx, "key").Result()
	check("GET", value, err, "value")
	_, err = c.Get(ctx, "missing").Result()
	truth("GET of nothing", errors.Is(err, redis.Nil))
	ttl, err := c.PTTL(ctx, "key").Result()
	check("PTTL", ttl > 0 && ttl <= 100*time.Second, err, true)
	set, err := c.SetNX(ctx, "key", "other", 0).Result()
	check("SET NX", set, err, false)
	truth("MSET", c.MSet(ctx, "a", 1, "b", 2).Err() == nil)
	many, err := c.MGet(ctx, "a", "missing", "b").Result()
	check("MGET", fmt.Sprint(many), err, "[1 <nil> 2]")
	n, err := c.IncrBy(ctx, "a", 41).Result()
	check("INCRBY", n, err, 42)
	var wait []*redis.StringCmd
	pipe := c.Pipeline()
	for i := range 1000 {
		pipe.Set(ctx, "scan:"+strconv.Itoa(i), i, time.Minute)
		wait = append(wait, pipe.Get(ctx, "scan:"+strconv.Itoa(i)))
	}
	_, err = pipe.Exec(ctx)
	truth("pipeline", err == nil)
	for i, cmd := range wait {
		value, err := cmd.Int()
		check("pipelined GET", value, err, i)
	}
	seen := map[string]bool{}
	for it := c.Scan(ctx, 0, "scan:*", 50).Iterator(); it.Next(ctx); {
		seen[it.Val()] = true
	}
	check("SCAN", len(seen), nil, 1000)
	err = c.Watch(ctx, func(tx *redis.Tx) error {
		c.Set(ctx, "a", "changed", 0)
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "a", "lost", 0).Err() })
		return err
	}, "a")
	truth("EXEC after a watched key changed", errors.Is(err, redis.TxFailedErr))
	big := bytes.Repeat([]byte("x"), 1<<20)
	truth("SET of 1 MiB", c.Set(ctx, "big", big, 0).Err() == nil)
	got, err := c.Get(ctx, "big").Bytes()
	check("GET of 1 MiB", bytes.Equal(got, big), err, true)
	truth("LPUSH is refused", c.LPush(ctx, "scan:1", "x").Err() != nil)
	removed, err := c.Del(ctx, "big", "a", "missing").Result()
	check("DEL", removed, err, 2)
}

func rueidisClient(addr string) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}})
	truth("NewClient: "+fmt.Sprint(err), err == nil)
	defer c.Close()
	truth("FLUSHDB", c.Do(ctx, c.B().Flushdb().Build()).Error() == nil)
	truth("SET", c.Do(ctx, c.B().Set().Key("key").Value("value").ExSeconds(100).Build()).Error() == nil)
	value, err := c.Do(ctx, c.B().Get().Key("key").Build()).ToString()
	check("GET", value, err, "value")
	for range 2 {
		value, err = c.DoCache(ctx, c.B().Get().Key("key").Cache(), time.Minute).ToString()
		check("cached GET", value, err, "value")
	}
	truth("the second is a hit", c.DoCache(ctx, c.B().Get().Key("key").Cache(), time.Minute).IsCacheHit())
	truth("SET", c.Do(ctx, c.B().Set().Key("key").Value("new").Build()).Error() == nil)
	deadline := time.Now().Add(20 * time.Second)
	for value != "new" {
		truth("the invalidation came", time.Now().Before(deadline))
		value, err = c.DoCache(ctx, c.B().Get().Key("key").Cache(), time.Minute).ToString()
		truth("cached GET", err == nil)
	}
	many, err := rueidis.MGetCache(c, ctx, time.Minute, []string{"key", "missing"})
	truth("MGetCache", err == nil && len(many) == 2)
	for _, resp := range c.DoMulti(ctx, c.B().Incr().Key("n").Build(), c.B().Incr().Key("n").Build()) {
		truth("INCR", resp.Error() == nil)
	}
}

func gomemcache(addr string) {
	c := memcache.New(addr)
	truth("Ping", c.Ping() == nil)
	truth("DeleteAll", c.DeleteAll() == nil)
	truth("Set", c.Set(&memcache.Item{Key: "key", Value: []byte("value"), Flags: 7, Expiration: 100}) == nil)
	item, err := c.Get("key")
	check("Get", string(item.Value), err, "value")
	check("Flags", item.Flags, nil, 7)
	truth("Add", errors.Is(c.Add(&memcache.Item{Key: "key"}), memcache.ErrNotStored))
	item.Value = []byte("second")
	truth("CompareAndSwap", c.CompareAndSwap(item) == nil)
	truth("CompareAndSwap again", errors.Is(c.CompareAndSwap(item), memcache.ErrCASConflict))
	truth("Set", c.Set(&memcache.Item{Key: "n", Value: []byte("10")}) == nil)
	n, err := c.Increment("n", 5)
	check("Increment", n, err, 15)
	n, err = c.Decrement("n", 100)
	check("Decrement", n, err, 0)
	truth("Touch", c.Touch("key", 1000) == nil)
	all, err := c.GetMulti([]string{"key", "n", "missing"})
	check("GetMulti", len(all), err, 2)
	truth("Delete", c.Delete("key") == nil)
	_, err = c.Get("key")
	truth("Get of nothing", errors.Is(err, memcache.ErrCacheMiss))
}
