package goredisx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/internal/servertest"
	"github.com/redis/go-redis/v9"
)

// What becomes of cached values when a real server, or the way to it, does what they do.

// connect is a client whose cache is larder, attached.
func connect(t *testing.T, addr string, o Options) (*redis.Client, *Cache) {
	t.Helper()
	near := testCache(t, o)
	client := redis.NewClient(&redis.Options{Addr: addr, ClientSideCache: near})
	t.Cleanup(func() { _ = client.Close() })
	near.Attach(client)
	return client, near
}

// get reads a string, "" if there is none, over failures of connections.
func get(t *testing.T, client *redis.Client, key string) string {
	t.Helper()
	for {
		value, err := client.Get(t.Context(), key).Result()
		if err == nil || errors.Is(err, redis.Nil) {
			return value
		}
		time.Sleep(time.Millisecond)
	}
}

// cached has a key fetched, and sees that it is in the cache.
func cached(t *testing.T, client *redis.Client, near *Cache, key, value string) {
	t.Helper()
	servertest.Eventually(t, key+" is cached", func() bool {
		if got := get(t, client, key); got != value {
			t.Fatalf("%s: got %q, want %q", key, got, value)
		}
		_, ok := near.stored(wire("get", key))
		return ok
	})
}

func TestForeignWrites(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		client, near := connect(t, s.Addr, Options{MaxAge: larder.NoExpiry})
		for _, key := range []string{"a", "b", "absent"} {
			if key != "absent" {
				s.Do(t, "SET", key, "old")
			}
		}
		cached(t, client, near, "a", "old")
		cached(t, client, near, "b", "old")
		cached(t, client, near, "absent", "")
		both := client.MGet(t.Context(), "a", "b").Val()
		if fmt.Sprint(both) != "[old old]" {
			t.Fatalf("got %v", both)
		}
		s.Do(t, "SET", "a", "new")
		s.Do(t, "SET", "absent", "there")
		servertest.Eventually(t, "a is new", func() bool { return get(t, client, "a") == "new" })
		servertest.Eventually(t, "absent is there", func() bool { return get(t, client, "absent") == "there" })
		servertest.Eventually(t, "both are new", func() bool {
			return fmt.Sprint(client.MGet(t.Context(), "a", "b").Val()) == "[new old]"
		})
		if _, ok := near.stored(wire("get", "b")); !ok {
			t.Fatal("b went with a")
		}
		s.Flush(t)
		servertest.Eventually(t, "all is flushed", func() bool {
			return get(t, client, "a") == "" && get(t, client, "b") == ""
		})
	})
}

func TestKilledConnections(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{MaxAge: larder.NoExpiry})
	s.Do(t, "SET", "k", "0")
	for i := range 20 {
		cached(t, client, near, "k", strconv.Itoa(i))
		// The write is told to nobody: its connection is gone.
		s.KillClients(t)
		s.Do(t, "SET", "k", i+1)
		servertest.Eventually(t, "the new value", func() bool { return get(t, client, "k") == strconv.Itoa(i+1) })
	}
	if near.Counts().Connections == 0 {
		t.Fatal("no connection was lost")
	}
}

func TestRestartedServer(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{MaxAge: larder.NoExpiry})
	s.Do(t, "SET", "k", "v")
	cached(t, client, near, "k", "v")
	s.Kill()
	s.Restart(t)
	servertest.Eventually(t, "the value is gone", func() bool { return get(t, client, "k") == "" })
}

// TestFailover has another server take the place of the one that the client knows.
func TestFailover(t *testing.T) {
	old, fresh := servertest.Any(t), servertest.Any(t)
	var addr atomic.Value
	addr.Store(old.Addr)
	near := testCache(t, Options{MaxAge: larder.NoExpiry})
	client := redis.NewClient(&redis.Options{Addr: old.Addr, ClientSideCache: near,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr.Load().(string))
		}})
	defer func() { _ = client.Close() }()
	old.Do(t, "SET", "k", "old")
	fresh.Do(t, "SET", "k", "new")
	cached(t, client, near, "k", "old")
	addr.Store(fresh.Addr)
	old.Kill()
	servertest.Eventually(t, "the value of the new server", func() bool { return get(t, client, "k") == "new" })
}

// TestTrackingTableOverflow has the server forget, and tell of, most of what it tracks.
func TestTrackingTableOverflow(t *testing.T) {
	s := servertest.Any(t, "--tracking-table-max-keys", "50")
	client, near := connect(t, s.Addr, Options{MaxAge: larder.NoExpiry})
	const keys = 1000
	for i := range keys {
		s.Do(t, "SET", "k"+strconv.Itoa(i), "old")
	}
	for i := range keys {
		get(t, client, "k"+strconv.Itoa(i))
	}
	servertest.Eventually(t, "the overflow was told", func() bool { return near.Counts().Invalidations >= keys/2 })
	for i := range keys {
		s.Do(t, "SET", "k"+strconv.Itoa(i), "new")
	}
	for i := range keys {
		key := "k" + strconv.Itoa(i)
		servertest.Eventually(t, key+" is new", func() bool { return get(t, client, key) == "new" })
	}
}

// TestPausedServer has hits go on, and what was written meanwhile seen afterwards.
func TestPausedServer(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{MaxAge: larder.NoExpiry})
	s.Do(t, "SET", "k", "v")
	cached(t, client, near, "k", "v")
	s.Pause()
	if got := get(t, client, "k"); got != "v" {
		t.Fatalf("while the server is stopped: %q", got)
	}
	s.Resume()
	s.Do(t, "SET", "k", "w")
	servertest.Eventually(t, "the new value", func() bool { return get(t, client, "k") == "w" })
}

// ownWrites counts old values that a read finds after a write of the same client has returned.
func ownOldValues(t *testing.T, client *redis.Client, rounds int) (old int) {
	t.Helper()
	for i := range rounds {
		value := strconv.Itoa(i)
		if err := client.Set(t.Context(), "own", value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if get(t, client, "own") != value {
			old++
		}
	}
	return old
}

func TestOwnWritesAreSeen(t *testing.T) {
	s := servertest.Any(t)
	client, _ := connect(t, s.Addr, Options{})
	if old := ownOldValues(t, client, 500); old != 0 {
		t.Errorf("%d of 500 reads found an old value", old)
	}
	pipe := client.Pipeline()
	pipe.Set(t.Context(), "own", "piped", 0)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := get(t, client, "own"); got != "piped" {
		t.Errorf("after a pipeline: %q", got)
	}
	_, err := client.TxPipelined(t.Context(), func(tx redis.Pipeliner) error {
		return tx.Set(t.Context(), "own", "in a transaction", 0).Err()
	})
	if got := get(t, client, "own"); err != nil || got != "in a transaction" {
		t.Errorf("after a transaction: %q, %v", got, err)
	}
	if err := client.Do(t.Context(), "EVAL", "redis.call('SET', KEYS[1], 'scripted')", 1, "own").Err(); err != nil &&
		!errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if got := get(t, client, "own"); got != "scripted" {
		t.Errorf("after a script: %q", got)
	}
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, client, "own"); got != "" {
		t.Errorf("after FLUSHDB: %q", got)
	}
}

// TestOwnWritesAreSeenByAll has many goroutines write and read keys that others read meanwhile.
func TestOwnWritesAreSeenByAll(t *testing.T) {
	s := servertest.Any(t)
	client, _ := connect(t, s.Addr, Options{})
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					_ = client.Get(context.Background(), "k"+strconv.Itoa(i%4)).Err()
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			key := "k" + strconv.Itoa(w)
			for i := range 300 {
				value := strconv.Itoa(i)
				if err := client.Set(context.Background(), key, value, 0).Err(); err != nil {
					t.Error(err)
					return
				}
				if got, err := client.Get(context.Background(), key).Result(); got != value {
					t.Errorf("%s: got %q, %v, want %q", key, got, err, value)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	group.Wait()
}

// TestOwnWritesThroughKills has connections killed all the while. Each key has one who writes it, and
// others who read it.
func TestOwnWritesThroughKills(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{MaxAge: larder.NoExpiry})
	end := time.Now().Add(time.Second)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			key := "k" + strconv.Itoa(w)
			for i := 1; time.Now().Before(end); i++ {
				for client.Set(context.Background(), key, i, 0).Err() != nil {
				}
				_ = client.Get(context.Background(), "k"+strconv.Itoa(i%4)).Err()
				got, err := client.Get(context.Background(), key).Int()
				if err == nil && got < i {
					t.Errorf("%s: read %d after %d was written", key, got, i)
					return
				}
			}
		})
	}
	for time.Now().Before(end) {
		s.KillClients(t)
		time.Sleep(10 * time.Millisecond)
	}
	group.Wait()
	for w := range 4 {
		key := "k" + strconv.Itoa(w)
		s.Do(t, "INCR", key)
		want := s.Do(t, "GET", key)
		servertest.Eventually(t, key+" is what the server has", func() bool { return get(t, client, key) == want })
	}
	if near.Counts().Connections == 0 {
		t.Error("no connection was lost")
	}
}

// TestOwnCacheOfGoRedis shows that the tests above would see the faults that they look for.
func TestOwnCacheOfGoRedis(t *testing.T) {
	s := servertest.Any(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr,
		ClientSideCacheConfig: &redis.ClientSideCacheConfig{MaxMemoryBytes: 32 << 20}})
	defer func() { _ = client.Close() }()
	servertest.Eventually(t, "go-redis 9.23 reads an old value after its own write", func() bool {
		return ownOldValues(t, client, 100) > 0
	})

	s.Do(t, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
	servertest.Eventually(t, "go-redis 9.23 serves what has expired", func() bool {
		s.Do(t, "SET", "brief", "v", "PX", "100")
		if get(t, client, "brief") != "v" {
			return false // too late
		}
		time.Sleep(200 * time.Millisecond)
		return get(t, client, "brief") == "v"
	})
}

// TestExpiredKey has a key whose end the server doesn't tell of: MaxAge does.
func TestExpiredKey(t *testing.T) {
	s := servertest.Any(t)
	client, _ := connect(t, s.Addr, Options{MaxAge: 100 * time.Millisecond})
	s.Do(t, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
	s.Do(t, "SET", "brief", "v", "PX", "50")
	get(t, client, "brief")
	time.Sleep(200 * time.Millisecond)
	if got := get(t, client, "brief"); got != "" {
		t.Fatalf("got %q", got)
	}
}

func TestReader(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{})
	reader := near.Reader(client)
	large := string(make([]byte, 100_000))
	s.Do(t, "MSET", "k", "v", "empty", "", "large", large)
	for range 3 {
		for key, want := range map[string]string{"k": "v", "empty": "", "large": large} {
			got, err := reader.Get(t.Context(), []byte("before "), key)
			if err != nil || string(got) != "before "+want {
				t.Fatalf("%s: %d bytes, %v", key, len(got), err)
			}
			if got, err := reader.String(t.Context(), key); err != nil || got != want {
				t.Fatalf("%s: %d bytes, %v", key, len(got), err)
			}
			cached(t, client, near, key, want)
		}
		if got, err := reader.Get(t.Context(), nil, "absent"); !errors.Is(err, redis.Nil) || got != nil {
			t.Fatalf("absent: %q, %v", got, err)
		}
		if _, err := reader.String(t.Context(), "absent"); !errors.Is(err, redis.Nil) {
			t.Fatalf("absent: %v", err)
		}
	}
	buf := make([]byte, 0, 1024)
	allocations := testing.AllocsPerRun(100, func() {
		buf, _ = reader.Get(context.Background(), buf[:0], "k")
		_, _ = reader.String(context.Background(), "k")
	})
	if allocations != 0 {
		t.Errorf("a hit allocates %v times", allocations)
	}
	s.Do(t, "SET", "k", "w")
	servertest.Eventually(t, "the new value", func() bool {
		got, _ := reader.String(t.Context(), "k")
		again, _ := reader.Get(t.Context(), nil, "k")
		return got == "w" && string(again) == "w"
	})
}

func TestStatsAreTold(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{})
	s.Do(t, "SET", "k", "v")
	cached(t, client, near, "k", "v")
	for range 10 {
		get(t, client, "k")
	}
	if told := client.CSCStats(); told.Hits < 10 || told.Entries == 0 || told.MemoryUsageBytes == 0 {
		t.Fatalf("go-redis tells %+v", told)
	}
}
