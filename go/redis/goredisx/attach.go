package goredisx

import (
	"context"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
)

// Attach lets a client's reads see its own writes: when the reply to a command that may change
// keys has come, the cache has none of them any more. (Without, as with go-redis' own cache, a read
// after a write finds the old value until the server's push has been read, which is every five
// milliseconds by default.) Also to be called for clients that write without a client-side cache.
//
// A command that isn't known only to read is taken to change every key among its arguments; a
// script's writes to keys that are not are not seen. It must be called before the client is used.
func (c *Cache) Attach(client redis.UniversalClient) {
	o := scopeOptions(client)
	client.AddHook(&ownWrites{c, scopeOf(o.db, o.username)})
}

type scope struct {
	db       int
	username string
}

// scopeOptions is what a client's names are scoped by.
func scopeOptions(client redis.UniversalClient) scope {
	switch client := client.(type) {
	case *redis.Client:
		return scope{client.Options().DB, client.Options().Username}
	case *redis.ClusterClient:
		return scope{0, client.Options().Username}
	case *redis.Ring:
		return scope{client.Options().DB, client.Options().Username}
	}
	return scope{}
}

// ownWrites is the hook.
type ownWrites struct {
	cache *Cache
	scope string
}

func (w *ownWrites) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		return next(ctx, network, addr)
	}
}

func (w *ownWrites) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if readsOnly(cmd.Name()) {
			return next(ctx, cmd)
		}
		// Also when there was an error: the command may have been carried out.
		defer w.drop(cmd)
		return next(ctx, cmd)
	}
}

func (w *ownWrites) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		defer func() {
			for _, cmd := range cmds {
				if !readsOnly(cmd.Name()) {
					w.drop(cmd)
				}
			}
		}()
		return next(ctx, cmds)
	}
}

// drop drops the keys that a command may have changed.
func (w *ownWrites) drop(cmd redis.Cmder) {
	args := cmd.Args()
	switch name := cmd.Name(); {
	case flushes(name):
		w.cache.Flush()
		return
	case len(args) > 2 && writesFirst(name):
		args = args[:2]
	}
	for i, arg := range args {
		if i > 0 {
			w.dropArgument(arg)
		}
	}
}

// dropArgument drops a key. Of other types go-redis caches no keys.
func (w *ownWrites) dropArgument(arg any) {
	switch key := arg.(type) {
	case string:
		w.dropKey(key)
	case []byte:
		w.dropKey(string(key))
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		w.dropKey(fmt.Sprint(key))
	}
}

func (w *ownWrites) dropKey(key string) {
	if w.cache.drop(w.scope, key) > 0 {
		w.cache.counts.ownWrites.Add(1)
	}
}

func flushes(name string) bool {
	return name == "flushall" || name == "flushdb" || name == "swapdb"
}

// readsOnly reports whether a command is known to change no key.
func readsOnly(name string) bool {
	switch name {
	case "get", "mget", "getbit", "getrange", "strlen", "substr", "hget", "hgetall", "hmget", "hkeys",
		"hvals", "hlen", "hexists", "hstrlen", "hscan", "hrandfield", "lindex", "llen", "lpos", "lrange",
		"scard", "sismember", "smembers", "smismember", "sdiff", "sinter", "sintercard", "sunion",
		"sscan",
		"srandmember", "zcard", "zcount", "zlexcount", "zmscore", "zrange", "zrangebylex",
		"zrangebyscore", "zrank", "zrevrange", "zrevrangebylex", "zrevrangebyscore", "zrevrank", "zscore",
		"zscan", "zrandmember", "bitcount", "bitfield_ro", "bitpos", "exists", "type", "ttl", "pttl",
		"expiretime", "pexpiretime", "sort_ro", "lcs", "geodist", "geohash", "geopos", "geosearch",
		"georadiusbymember_ro", "georadius_ro", "xlen", "xrange", "xrevrange", "xread", "json.get",
		"json.mget", "ping", "echo", "hello", "client", "scan", "keys", "randomkey", "dbsize", "info",
		"publish", "spublish", "subscribe", "psubscribe", "ssubscribe", "multi", "watch", "unwatch",
		"eval_ro", "evalsha_ro", "fcall_ro", "script", "time", "select", "auth", "object", "memory":
		return true
	}
	return false
}

// writesFirst reports whether a command is known to change no key but its first argument.
func writesFirst(name string) bool {
	switch name {
	case "set", "setex", "psetex", "setnx", "getset", "getex", "getdel", "append", "setrange",
		"setbit",
		"incr", "incrby", "incrbyfloat", "decr", "decrby", "expire", "pexpire", "expireat", "pexpireat",
		"persist", "hset", "hmset", "hsetnx", "hdel", "hincrby", "hincrbyfloat", "lpush", "lpushx",
		"rpush", "rpushx", "lpop", "rpop", "lset", "ltrim", "lrem", "linsert", "sadd", "srem", "spop",
		"zadd", "zrem", "zincrby", "zpopmin", "zpopmax", "zremrangebyrank", "zremrangebyscore",
		"zremrangebylex", "xadd", "xtrim", "xdel", "xack", "pfadd", "geoadd", "restore", "json.set":
		return true
	}
	return false
}
