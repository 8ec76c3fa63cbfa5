package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-cache/larder/go/redis/internal/servertest"
	"github.com/larder-cache/larder/go/redis/rueidisx"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// A server that tells of every write to a prefix, a writer of 50,000 a second, and readers whose
// hits are checked against what has been told: a value that is served must have come after the
// last invalidation of its key that was applied before it was asked for.

const (
	writesPerSecond = 50_000
	writtenKeys     = 10_000
	writeFor        = 5 * time.Second
	writesAtOnce    = 500
)

// watch is what is known of a key. Replies and pushes of a connection come one after the other.
type watch struct {
	applied atomic.Int64 // invalidations
	fetched atomic.Int64 // applied when the latest reply came
	version atomic.Int64 // of the latest reply
}

// watched is a store whose hits are checked.
type watched struct {
	rueidis.CacheStore
	keys  map[string]*watch
	tally *tally
}

type tally struct {
	applied, hits, misses, old atomic.Int64
}

func (w *watched) Flight(
	key, cmd string, ttl time.Duration, now time.Time,
) (rueidis.RedisMessage, rueidis.CacheEntry) {
	known := w.keys[key]
	applied, version := known.applied.Load(), known.version.Load()
	m, entry := w.CacheStore.Flight(key, cmd, ttl, now)
	if !m.IsCacheHit() {
		w.tally.misses.Add(1)
		return m, entry
	}
	text, _ := m.ToString()
	w.tally.hits.Add(1)
	if got, _ := strconv.ParseInt(text, 10, 64); got < version || known.fetched.Load() < applied {
		w.tally.old.Add(1)
	}
	return m, entry
}

func (w *watched) Update(key, cmd string, reply rueidis.RedisMessage) int64 {
	if text, err := reply.ToString(); err == nil {
		version, _ := strconv.ParseInt(text, 10, 64)
		known := w.keys[key]
		known.fetched.Store(known.applied.Load())
		defer known.version.Store(version)
	}
	return w.CacheStore.Update(key, cmd, reply)
}

func (w *watched) Delete(keys []rueidis.RedisMessage) {
	told := keys
	if *plant && len(keys) > 0 && rand.IntN(100) == 0 {
		told = keys[1:]
	}
	w.CacheStore.Delete(told)
	for i := range keys {
		if key, err := keys[i].ToString(); err == nil {
			w.keys[key].applied.Add(1)
		}
	}
	w.tally.applied.Add(int64(len(keys)))
}

func invalidations() error {
	server, err := servertest.Launch(servertest.Valkey)
	if err != nil {
		return err
	}
	defer server.Close()
	near := must(rueidisx.New(newLarder(), rueidisx.Options{}))
	sum := &tally{}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr},
		ForceSingleClient: true, PipelineMultiplex: -1, // one connection: each write is told once
		ClientTrackingOptions: []string{"PREFIX", "user:", "BCAST"},
		NewCacheStoreFn: func(o rueidis.CacheStoreOption) rueidis.CacheStore {
			w := &watched{near.NewStore(o), make(map[string]*watch), sum}
			for i := range writtenKeys {
				w.keys[keyOf(i)] = &watch{}
			}
			return w
		}})
	if err != nil {
		return err
	}
	defer client.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() { readAll(ctx, client) })
	}
	last, wrote, err := write(server.Addr)
	if err != nil {
		return err
	}
	wait := time.Now().Add(30 * time.Second)
	for sum.applied.Load() < int64(wrote) && time.Now().Before(wait) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	readers.Wait()
	wrong := 0
	for i := range writtenKeys {
		command := client.B().Get().Key(keyOf(i)).Cache()
		text, err := client.DoCache(context.Background(), command, time.Hour).ToString()
		if err != nil || text != strconv.Itoa(last[i]) {
			wrong++
		}
	}
	fmt.Printf("\nInvalidations: %d written in %v (%d a second), %d told and applied; %d hits and %d"+
		" misses beside them, %d hits older than an invalidation; %d of %d keys wrong at the end\n",
		wrote, writeFor, wrote/int(writeFor.Seconds()), sum.applied.Load(), sum.hits.Load(),
		sum.misses.Load(), sum.old.Load(), wrong, writtenKeys)
	if sum.old.Load() > 0 || wrong > 0 {
		return errors.New("an old value was served")
	}
	return nil
}

// readAll reads keys by the cache until ctx ends, with a pause now and then for those who write.
func readAll(ctx context.Context, client rueidis.Client) {
	for ctx.Err() == nil {
		for range 200 {
			// Some keys are read much more often than others.
			key := keyOf(int(float64(writtenKeys) * rand.Float64() * rand.Float64() * rand.Float64()))
			client.DoCache(ctx, client.B().Get().Key(key).Cache(), time.Hour)
		}
		time.Sleep(time.Millisecond)
	}
}

// write writes to all keys in turn, numbers that grow, so many a second. It returns what each key
// has at the end.
func write(addr string) (last []int, wrote int, err error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = client.Close() }()
	last = make([]int, writtenKeys)
	begin := time.Now()
	for time.Since(begin) < writeFor || wrote < writesPerSecond*int(writeFor.Seconds()) {
		due := int(time.Since(begin).Seconds() * writesPerSecond)
		if wrote >= due {
			time.Sleep(time.Millisecond)
			continue
		}
		pipe := client.Pipeline()
		for range writesAtOnce {
			wrote++
			last[wrote%writtenKeys] = wrote
			pipe.Set(context.Background(), keyOf(wrote%writtenKeys), wrote, 0)
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			return nil, wrote, err
		}
	}
	return last, wrote, nil
}
