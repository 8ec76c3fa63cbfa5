package rueidisx

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/go/redis/internal/servertest"
	"github.com/redis/rueidis"
)

// What becomes of cached values when a real server, or the way to it, does what they do.

// connect is a client whose cache is larder, attached.
func connect(t *testing.T, addr string, o Options) (rueidis.Client, *Cache) {
	t.Helper()
	near := testCache(t, o)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr},
		ForceSingleClient: true, NewCacheStoreFn: near.NewStore})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return near.Attach(client), near
}

// look reads a string by the cache, "" if there is none, over failures of connections.
func look(t *testing.T, client rueidis.Client, key string) (value string, cached bool) {
	t.Helper()
	for {
		reply := client.DoCache(t.Context(), client.B().Get().Key(key).Cache(), time.Hour)
		value, err := reply.ToString()
		if err == nil || rueidis.IsRedisNil(err) {
			return value, reply.IsCacheHit()
		}
		time.Sleep(time.Millisecond)
	}
}

func get(t *testing.T, client rueidis.Client, key string) string {
	t.Helper()
	value, _ := look(t, client, key)
	return value
}

// cached has a key fetched, and sees that it is in the cache.
func cached(t *testing.T, client rueidis.Client, key, value string) {
	t.Helper()
	servertest.Eventually(t, key+" is cached", func() bool {
		got, cached := look(t, client, key)
		if got != value {
			t.Fatalf("%s: got %q, want %q", key, got, value)
		}
		return cached
	})
}

func set(t *testing.T, client rueidis.Client, key, value string) {
	t.Helper()
	if err := client.Do(t.Context(), client.B().Set().Key(key).Value(value).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

func TestForeignWrites(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		client, _ := connect(t, s.Addr, Options{})
		s.Do(t, "MSET", "a", "old", "b", "old")
		s.Do(t, "HSET", "h", "f", "1", "g", "2")
		cached(t, client, "a", "old")
		cached(t, client, "b", "old")
		cached(t, client, "absent", "")
		all := func() int {
			fields, err := client.DoCache(t.Context(), client.B().Hgetall().Key("h").Cache(), time.Hour).AsStrMap()
			if err != nil {
				t.Fatal(err)
			}
			return len(fields)
		}
		for range 3 {
			if n := all(); n != 2 {
				t.Fatalf("%d fields", n)
			}
		}
		many, err := rueidis.MGetCache(client, t.Context(), time.Hour, []string{"a", "b", "absent"})
		if err != nil || len(many) != 3 {
			t.Fatalf("%v, %v", many, err)
		}
		s.Do(t, "SET", "a", "new")
		s.Do(t, "SET", "absent", "there")
		s.Do(t, "HDEL", "h", "f")
		servertest.Eventually(t, "a is new", func() bool { return get(t, client, "a") == "new" })
		servertest.Eventually(t, "absent is there", func() bool { return get(t, client, "absent") == "there" })
		servertest.Eventually(t, "the hash is new", func() bool { return all() == 1 })
		if _, hit := look(t, client, "b"); !hit {
			t.Fatal("b went with a")
		}
		s.Flush(t)
		servertest.Eventually(t, "all is flushed", func() bool {
			return get(t, client, "a") == "" && get(t, client, "b") == "" && all() == 0
		})
	})
}

func TestKilledConnections(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{})
	s.Do(t, "SET", "k", "0")
	for i := range 20 {
		cached(t, client, "k", strconv.Itoa(i))
		// The write is told to nobody: its connection is gone.
		s.KillClients(t)
		s.Do(t, "SET", "k", i+1)
		servertest.Eventually(t, "the new value", func() bool { return get(t, client, "k") == strconv.Itoa(i+1) })
	}
	if near.Counts().Connections == 0 {
		t.Fatal("no connection was lost")
	}
	if n := len(*near.stores.Load()); n > 16 {
		t.Fatalf("%d stores are held", n)
	}
}

func TestRestartedServer(t *testing.T) {
	s := servertest.Any(t)
	client, _ := connect(t, s.Addr, Options{})
	s.Do(t, "SET", "k", "v")
	cached(t, client, "k", "v")
	s.Kill()
	s.Restart(t)
	servertest.Eventually(t, "the value is gone", func() bool { return get(t, client, "k") == "" })
}

// TestFailover has another server take the place of the one that the client knows.
func TestFailover(t *testing.T) {
	old, fresh := servertest.Any(t), servertest.Any(t)
	var addr atomic.Value
	addr.Store(old.Addr)
	near := testCache(t, Options{})
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{old.Addr},
		ForceSingleClient: true, NewCacheStoreFn: near.NewStore,
		DialCtxFn: func(ctx context.Context, _ string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr.Load().(string))
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	old.Do(t, "SET", "k", "old")
	fresh.Do(t, "SET", "k", "new")
	cached(t, client, "k", "old")
	addr.Store(fresh.Addr)
	old.Kill()
	servertest.Eventually(t, "the value of the new server", func() bool { return get(t, client, "k") == "new" })
}

// TestTrackingTableOverflow has the server forget, and tell of, most of what it tracks.
func TestTrackingTableOverflow(t *testing.T) {
	s := servertest.Any(t, "--tracking-table-max-keys", "50")
	client, near := connect(t, s.Addr, Options{})
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
	client, _ := connect(t, s.Addr, Options{})
	s.Do(t, "SET", "k", "v")
	cached(t, client, "k", "v")
	s.Pause()
	if got := get(t, client, "k"); got != "v" {
		t.Fatalf("while the server is stopped: %q", got)
	}
	s.Resume()
	s.Do(t, "SET", "k", "w")
	servertest.Eventually(t, "the new value", func() bool { return get(t, client, "k") == "w" })
}

// ownOldValues counts old values that a read finds after a write of the same client has returned.
func ownOldValues(t *testing.T, client rueidis.Client, rounds int) (old int) {
	t.Helper()
	for i := range rounds {
		value := strconv.Itoa(i)
		set(t, client, "own", value)
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
	for _, reply := range client.DoMulti(t.Context(), client.B().Set().Key("own").Value("1").Build(),
		client.B().Incr().Key("own").Build()) {
		if err := reply.Error(); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(t, client, "own"); got != "2" {
		t.Errorf("after two commands: %q", got)
	}
	err := client.Dedicated(func(one rueidis.DedicatedClient) error {
		return one.Do(t.Context(), one.B().Append().Key("own").Value("!").Build()).Error()
	})
	if got := get(t, client, "own"); err != nil || got != "2!" {
		t.Errorf("after a write by a connection of its own: %q, %v", got, err)
	}
	for addr, node := range client.Nodes() {
		set(t, node, "own", addr)
		if got := get(t, client, "own"); got != addr {
			t.Errorf("after a write by a node: %q", got)
		}
	}
	if err := client.Do(t.Context(), client.B().Flushdb().Build()).Error(); err != nil {
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
	for w := range 4 { // who gives up mustn't be the one who dials for all
		get(t, client, "k"+strconv.Itoa(w))
		set(t, client, "k"+strconv.Itoa(w), "")
	}
	var readers, writers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.Background(), func() {}
				if i%8 == 0 { // some give up
					ctx, cancel = context.WithTimeout(ctx, 50*time.Microsecond)
				}
				client.DoCache(ctx, client.B().Get().Key("k"+strconv.Itoa(i%4)).Cache(), time.Hour)
				cancel()
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			key := "k" + strconv.Itoa(w)
			for i := range 300 {
				value := strconv.Itoa(i)
				set(t, client, key, value)
				if got := get(t, client, key); got != value {
					t.Errorf("%s: got %q, want %q", key, got, value)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// TestOwnWritesThroughKills has connections killed all the while. Each key has one who writes it, and
// others who read it.
func TestOwnWritesThroughKills(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: rueidis 1.0.79, by itself, takes a command for another that it is still" +
			" writing to a lost connection")
	}
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{})
	ctx, end := context.Background(), time.Now().Add(time.Second)
	read := func(key string) (int64, error) {
		return client.DoCache(ctx, client.B().Get().Key(key).Cache(), time.Hour).AsInt64()
	}
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			key := "k" + strconv.Itoa(w)
			for i := int64(1); time.Now().Before(end); i++ {
				value := strconv.FormatInt(i, 10)
				for client.Do(ctx, client.B().Set().Key(key).Value(value).Build()).Error() != nil {
				}
				_, _ = read("k" + strconv.FormatInt(i%4, 10))
				if got, err := read(key); err == nil && got < i {
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

// TestOwnCacheOfRueidis shows that the tests above would see the faults that they look for.
func TestOwnCacheOfRueidis(t *testing.T) {
	s := servertest.Any(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr},
		ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	servertest.Eventually(t, "rueidis 1.0.79 reads an old value after its own write", func() bool {
		return ownOldValues(t, client, 100) > 0
	})
	s.Do(t, "SET", "k", "abcdefghijklmnopqrstuvwxyz")
	if got := ranges(t, client); got[1] == "" {
		t.Error("rueidis 1.0.79 tells GETRANGE k 12 3 from GETRANGE k 1 23")
	}
	s.Do(t, "HSET", "h", "ALL", "one field")
	client.DoCache(t.Context(), client.B().Hgetall().Key("h").Cache(), time.Hour)
	field := client.B().Hget().Key("h").Field("ALL").Cache()
	if got, err := client.DoCache(t.Context(), field, time.Hour).ToString(); err == nil {
		t.Errorf("rueidis 1.0.79 tells HGET h ALL from HGETALL h: %q", got)
	}
}

// ranges are what GETRANGE k 1 23 and GETRANGE k 12 3 say.
func ranges(t *testing.T, client rueidis.Client) (got []string) {
	t.Helper()
	for _, span := range [][2]int64{{1, 23}, {12, 3}} {
		command := client.B().Getrange().Key("k").Start(span[0]).End(span[1]).Cache()
		text, err := client.DoCache(t.Context(), command, time.Minute).ToString()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, text)
	}
	return got
}

func TestCommandsDoNotMeet(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{})
	s.Do(t, "SET", "k", "abcdefghijklmnopqrstuvwxyz")
	if got := ranges(t, client); got[0] != "bcdefghijklmnopqrstuvwx" || got[1] != "" {
		t.Errorf("got %q", got)
	}
	s.Do(t, "HSET", "h", "ALL", "one field", "f", "v")
	for range 2 {
		if _, err := client.DoCache(t.Context(), client.B().Hgetall().Key("h").Cache(), time.Hour).AsStrMap(); err != nil {
			t.Fatal(err)
		}
		field := client.B().Hget().Key("h").Field("ALL").Cache()
		if got, err := client.DoCache(t.Context(), field, time.Hour).ToString(); err != nil || got != "one field" {
			t.Fatalf("HGET h ALL: %q, %v", got, err)
		}
		several := client.DoMultiCache(t.Context(), rueidis.CT(client.B().Hgetall().Key("h").Cache(), time.Hour),
			rueidis.CT(client.B().Hget().Key("h").Field("ALL").Cache(), time.Hour))
		if got, err := several[1].ToString(); err != nil || got != "one field" {
			t.Fatalf("HGET h ALL, of several: %q, %v", got, err)
		}
	}
	if near.Counts().Ambiguous == 0 {
		t.Error("GETRANGE k 1 23 was cached")
	}
}

// TestExpiredKey has a key whose end the server doesn't tell of.
func TestExpiredKey(t *testing.T) {
	s := servertest.Any(t)
	client, _ := connect(t, s.Addr, Options{})
	s.Do(t, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
	s.Do(t, "SET", "brief", "v", "PX", "50")
	for range 3 {
		get(t, client, "brief")
	}
	time.Sleep(100 * time.Millisecond)
	if got := get(t, client, "brief"); got != "" {
		t.Fatalf("got %q", got)
	}
}

func TestReader(t *testing.T) {
	s := servertest.Any(t)
	client, near := connect(t, s.Addr, Options{})
	reader := near.Reader(client, time.Hour)
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
			cached(t, client, key, want)
		}
		if got, err := reader.Get(t.Context(), nil, "absent"); !errors.Is(err, rueidis.Nil) || got != nil {
			t.Fatalf("absent: %q, %v", got, err)
		}
		if _, err := reader.String(t.Context(), "absent"); !errors.Is(err, rueidis.Nil) {
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

// TestBroadcast has the server tell of all keys with a prefix, whoever has read them.
func TestBroadcast(t *testing.T) {
	s := servertest.Any(t)
	near := testCache(t, Options{})
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr},
		ForceSingleClient: true, NewCacheStoreFn: near.NewStore,
		ClientTrackingOptions: []string{"PREFIX", "p:", "BCAST"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s.Do(t, "SET", "p:k", "v")
	cached(t, client, "p:k", "v")
	s.Do(t, "SET", "p:k", "w")
	servertest.Eventually(t, "the new value", func() bool { return get(t, client, "p:k") == "w" })
}
