package goredisx

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Histories of readers, writers, lost connections and flushes on a few keys, checked: what a reader
// is served was written by then at the latest when the last invalidation was applied that was
// applied before it asked. The same is run on caches with faults, which it must find.

const historyKeys = 8

// world is a server that counts, and a cache before it.
type world struct {
	cache    redis.Cache
	versions [historyKeys]atomic.Int64 // what the server has
	floors   [historyKeys]atomic.Int64 // of what the cache has been told
	locks    [historyKeys]sync.Mutex   // one writer of a key at a time
	conn     atomic.Uint64
	conns    sync.RWMutex // as go-redis: nothing comes by a connection that is lost
	old      atomic.Pointer[string]
	hits     atomic.Int64
}

func historyKey(i int) string { return testScope + "k" + strconv.Itoa(i) }

// read reads some keys by one command, as go-redis does.
func (w *world) read(keys ...int) {
	names, command := make([]string, len(keys)), "mget"
	if len(keys) == 1 {
		command = "get"
	}
	args := []string{command}
	floors := make([]int64, len(keys))
	for i, key := range keys {
		names[i] = historyKey(key)
		args = append(args, "k"+strconv.Itoa(key))
		floors[i] = w.floors[key].Load()
	}
	name := wire(args...)
	if reply, ok := w.cache.Get(context.Background(), name); ok {
		w.hits.Add(1)
		w.check(keys, floors, reply)
		return
	}
	token, fetch := w.cache.Reserve(name, names)
	if !fetch {
		if reply, ok := w.cache.Get(context.Background(), name); ok {
			w.check(keys, floors, reply)
		}
		return
	}
	conn := w.conn.Load()
	var fetched []string
	for _, key := range keys {
		fetched = append(fetched, strconv.FormatInt(w.versions[key].Load(), 10))
	}
	for range rand.IntN(4) { // the reply takes its time
		runtime.Gosched()
	}
	w.conns.RLock()
	defer w.conns.RUnlock()
	if conn != w.conn.Load() {
		w.cache.Cancel(name, token)
		return
	}
	w.cache.FulfillOwned(name, token, conn, []byte(bulk(strings.Join(fetched, " "))))
}

func (w *world) check(keys []int, floors []int64, reply []byte) {
	fields := strings.Fields(string(reply))
	for i, key := range keys {
		if got, _ := strconv.ParseInt(fields[i+1], 10, 64); got < floors[i] {
			found := fmt.Sprintf("key %d: %d was served, and %d invalidated", key, got, floors[i])
			w.old.CompareAndSwap(nil, &found)
		}
	}
}

func (w *world) write(key int) {
	w.locks[key].Lock()
	defer w.locks[key].Unlock()
	version := w.versions[key].Add(1)
	w.cache.DeleteByRedisKey(historyKey(key))
	w.floors[key].Store(version)
}

// lose has the connection be lost: all may have changed that it would have told of.
func (w *world) lose() {
	w.conns.Lock()
	defer w.conns.Unlock()
	before := w.advance()
	w.cache.EvictByConn(w.conn.Load())
	w.conn.Add(1)
	w.raise(before)
}

func (w *world) flush() {
	before := w.advance()
	w.cache.Flush()
	w.raise(before)
}

// advance has all versions grow, silently, and keeps writers off until raise.
func (w *world) advance() (versions [historyKeys]int64) {
	for i := range versions {
		w.locks[i].Lock()
		versions[i] = w.versions[i].Add(1)
	}
	return versions
}

func (w *world) raise(to [historyKeys]int64) {
	for i, version := range to {
		w.floors[i].Store(version)
		w.locks[i].Unlock()
	}
}

// history runs until the time is over, or an old value was served.
func history(c redis.Cache, duration time.Duration) *world {
	w := &world{cache: c}
	w.conn.Store(1)
	end := time.Now().Add(duration)
	goOn := func() bool { return time.Now().Before(end) && w.old.Load() == nil }
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for goOn() {
				if one := rand.IntN(historyKeys); rand.IntN(4) == 0 {
					w.read(one, (one+1)%historyKeys)
				} else {
					w.read(one)
				}
			}
		})
	}
	for range 2 {
		group.Go(func() {
			for goOn() {
				w.write(rand.IntN(historyKeys))
				for range rand.IntN(20) {
					runtime.Gosched()
				}
			}
		})
	}
	group.Go(func() {
		for i := 0; goOn(); i++ {
			if i%2 == 0 {
				w.lose()
			} else {
				w.flush()
			}
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		}
	})
	group.Wait()
	return w
}

func TestHistories(t *testing.T) {
	for name, cache := range map[string]redis.Cache{
		"larder":              testCache(t, Options{}),
		"larder, without hot": testCache(t, Options{HotBytes: -1}),
		"go-redis":            redis.NewLocalCache(redis.CacheConfig{MaxMemoryBytes: 32 << 20}),
	} {
		t.Run(name, func(t *testing.T) {
			w := history(cache, 700*time.Millisecond)
			if old := w.old.Load(); old != nil {
				t.Error(*old)
			}
			if w.hits.Load() == 0 {
				t.Error("there was no hit")
			}
		})
	}
}

// faulty is a cache that leaves out a part of what an invalidation has to do.
type faulty struct {
	*Cache
	fault string
}

func (f *faulty) DeleteByRedisKey(redisKey string) int {
	scope, _ := scopeLen(redisKey)
	prefix, key := redisKey[:scope], redisKey[scope:]
	if f.fault != "fetches aren't overtaken" {
		f.shard(prefix, key).overtake(redisKey)
		f.wide.overtake(redisKey)
	}
	if f.fault != "the record stays" {
		f.table.Drop(f.area.Load(), prefix, key)
	}
	if f.fault != "the hot reply stays" {
		f.front.Drop(prefix, key)
	}
	return 1
}

func (f *faulty) EvictByConn(connID uint64) int {
	if f.fault == "lost connections go unnoticed" {
		return 0
	}
	return f.Cache.EvictByConn(connID)
}

func TestHistoriesFindFaults(t *testing.T) {
	for _, fault := range []string{"fetches aren't overtaken", "the record stays", "the hot reply stays",
		"lost connections go unnoticed"} {
		t.Run(fault, func(t *testing.T) {
			cache := &faulty{testCache(t, Options{}), fault}
			if history(cache, 20*time.Second).old.Load() == nil {
				t.Error("the fault was not found")
			}
		})
	}
}
