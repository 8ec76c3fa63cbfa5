package goredisx

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/internal/nearcache"
	"github.com/redis/go-redis/v9"
)

// The contract that go-redis 9.23 expects of a redis.Cache, run against its own cache as well.

const testScope = "0\x000:\x00"

// wire is a name of go-redis': the scope, and a command as it goes over the wire.
func wire(args ...string) string {
	name := testScope + "*" + strconv.Itoa(len(args)) + "\r\n"
	for _, arg := range args {
		name += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	return name
}

func bulk(value string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value) }

func testCache(t testing.TB, o Options) *Cache {
	t.Helper()
	cache, err := larder.New(larder.Options{MaxBytes: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	near, err := New(cache, o)
	if err != nil {
		t.Fatal(err)
	}
	return near
}

// each runs a test with larder and with go-redis' own cache.
func each(t *testing.T, test func(t *testing.T, c redis.Cache)) {
	t.Run("larder", func(t *testing.T) { test(t, testCache(t, Options{})) })
	t.Run("go-redis", func(t *testing.T) {
		test(t, redis.NewLocalCache(redis.CacheConfig{MaxMemoryBytes: 32 << 20}))
	})
}

// put has a reply stored, by a connection.
func put(t *testing.T, c redis.Cache, conn uint64, name, reply string, keys ...string) {
	t.Helper()
	token, fetch := c.Reserve(name, keys)
	if !fetch || token == 0 {
		t.Fatalf("%q: not reserved: %d, %v", name, token, fetch)
	}
	if !c.FulfillOwned(name, token, conn, []byte(reply)) {
		t.Fatalf("%q: not fulfilled", name)
	}
}

// want says what a get must find; "" is nothing.
func want(t *testing.T, c redis.Cache, name, reply string) {
	t.Helper()
	for range 3 { // often enough to become a hot reply
		got, ok := c.Get(t.Context(), name)
		if ok != (reply != "") || string(got) != reply {
			t.Fatalf("%q: got %q %v, want %q", name, got, ok, reply)
		}
	}
}

func TestCommandsOfOneKeyAreApart(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		key := testScope + "k"
		commands := map[string]string{
			wire("get", "k"):                   bulk("v"),
			wire("getrange", "k", "1", "23"):   bulk("bc"),
			wire("getrange", "k", "12", "3"):   bulk(""),
			wire("strlen", "k"):                ":1\r\n",
			wire("hmget", "k", "ab", "c"):      "*2\r\n$1\r\n1\r\n_\r\n",
			wire("hmget", "k", "a", "bc"):      "*2\r\n_\r\n$1\r\n2\r\n",
			wire("hget", "k", "\r\n$1\r\nk"):   bulk("odd"),
			wire("GET", "k"):                   bulk("upper"),
			wire("get", "k", ""):               bulk("empty argument"),
			wire("lrange", "k", "0", "-1"):     "*0\r\n",
			wire("zrange", "k", "0", "10"):     "*1\r\n$1\r\nx\r\n",
			wire("hgetall", "k"):               "%1\r\n$1\r\na\r\n$1\r\nb\r\n",
			wire("smembers", "k"):              "~1\r\n$1\r\na\r\n",
			wire("exists", "k"):                ":1\r\n",
			wire("zscore", "k", "m"):           ",1.5\r\n",
			wire("geopos", "k", "m", "m", "m"): "*3\r\n_\r\n_\r\n_\r\n",
		}
		for round := range 2 { // the first is asked for again once others have come
			for name, reply := range commands {
				if _, ok := c.Get(t.Context(), name); !ok {
					put(t, c, 1, name, reply, key)
				}
				want(t, c, name, reply)
			}
			_ = round
		}
		for name, reply := range commands {
			want(t, c, name, reply)
		}
		put(t, c, 1, wire("get", "other"), bulk("stays"), testScope+"other")
		if c.DeleteByRedisKey(key) == 0 {
			t.Fatal("nothing was deleted")
		}
		for name := range commands {
			want(t, c, name, "")
		}
		want(t, c, wire("get", "other"), bulk("stays"))
	})
}

func TestReplyOfSeveralKeysGoesWithEach(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		name, reply := wire("mget", "a", "b"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
		for _, key := range []string{"a", "b"} {
			put(t, c, 1, wire("get", "a"), bulk("1"), testScope+"a")
			put(t, c, 1, name, reply, testScope+"a", testScope+"b")
			want(t, c, name, reply)
			c.DeleteByRedisKey(testScope + key)
			want(t, c, name, "")
			c.DeleteByRedisKey(testScope + "a")
		}
	})
}

func TestNilIsStored(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		put(t, c, 1, wire("get", "k"), "_\r\n", testScope+"k")
		want(t, c, wire("get", "k"), "_\r\n")
	})
}

// TestReplyIsCopiedIn has the caller of FulfillOwned use its slice again. (What Get gives is the same
// for all who ask: go-redis' own client reads it and lets it go.)
func TestReplyIsCopiedIn(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		value := []byte(bulk("value"))
		token, _ := c.Reserve(wire("get", "k"), []string{testScope + "k"})
		c.FulfillOwned(wire("get", "k"), token, 1, value)
		value[5] = 'X'
		for range 5 { // it becomes a hot one
			want(t, c, wire("get", "k"), bulk("value"))
		}
	})
}

func TestOneFetches(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		name, keys := wire("get", "k"), []string{testScope + "k"}
		token, fetch := c.Reserve(name, keys)
		if !fetch {
			t.Fatal("the first doesn't fetch")
		}
		if _, fetch := c.Reserve(name, keys); fetch {
			t.Fatal("the second fetches as well")
		}
		got := make(chan string)
		go func() {
			reply, _ := c.Get(context.Background(), name)
			got <- string(reply)
		}()
		if c.FulfillOwned(name, token+1, 1, []byte("+other\r\n")) {
			t.Fatal("a wrong token was taken")
		}
		c.FulfillOwned(name, token, 1, []byte(bulk("v")))
		if reply := <-got; reply != bulk("v") {
			t.Fatalf("who waited got %q", reply)
		}
		if _, fetch := c.Reserve(name, keys); fetch {
			t.Fatal("what is there is reserved")
		}
		if c.FulfillOwned(name, token, 1, []byte(bulk("late"))) {
			t.Fatal("a token was taken twice")
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		name, keys := wire("get", "k"), []string{testScope + "k"}
		token, _ := c.Reserve(name, keys)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok := c.Get(ctx, name); ok {
			t.Fatal("got what isn't there")
		}
		woken := make(chan bool)
		go func() {
			_, ok := c.Get(context.Background(), name)
			woken <- ok
		}()
		if !c.Cancel(name, token) || c.Cancel(name, token) {
			t.Fatal("a token is given back once")
		}
		if <-woken {
			t.Fatal("got what was cancelled")
		}
		if _, fetch := c.Reserve(name, keys); !fetch {
			t.Fatal("a cancelled fetch keeps others off")
		}
	})
}

func TestOvertakenFetchStoresNothing(t *testing.T) {
	overtakings := map[string]func(c redis.Cache){
		"key":   func(c redis.Cache) { c.DeleteByRedisKey(testScope + "k") },
		"flush": func(c redis.Cache) { c.Flush() },
	}
	commands := map[string][]string{
		wire("get", "k"):       {testScope + "k"},
		wire("mget", "a", "k"): {testScope + "a", testScope + "k"},
	}
	for what, overtake := range overtakings {
		for name, keys := range commands {
			t.Run(what, func(t *testing.T) {
				each(t, func(t *testing.T, c redis.Cache) {
					token, _ := c.Reserve(name, keys)
					overtake(c)
					if c.FulfillOwned(name, token, 1, []byte(bulk("old"))) {
						t.Fatal("an overtaken fetch was stored")
					}
					want(t, c, name, "")
				})
			})
		}
	}
}

func TestLostConnectionTakesItsOwn(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		put(t, c, 7, wire("get", "a"), bulk("by 7"), testScope+"a")
		put(t, c, 8, wire("get", "b"), bulk("by 8"), testScope+"b")
		put(t, c, 8, wire("strlen", "a"), ":4\r\n", testScope+"a")
		put(t, c, 7, wire("mget", "a", "b"), "*0\r\n", testScope+"a", testScope+"b")
		token, _ := c.Reserve(wire("get", "c"), []string{testScope + "c"})
		if c.EvictByConn(7) == 0 {
			t.Fatal("nothing was evicted")
		}
		if !c.FulfillOwned(wire("get", "c"), token, 8, []byte(bulk("by 8"))) {
			t.Fatal("a reservation went with a connection")
		}
		want(t, c, wire("get", "a"), "")
		want(t, c, wire("mget", "a", "b"), "")
		want(t, c, wire("get", "b"), bulk("by 8"))
		want(t, c, wire("get", "c"), bulk("by 8"))
		want(t, c, wire("strlen", "a"), ":4\r\n")
		// The slot is another's now.
		put(t, c, 9, wire("get", "d"), bulk("by 9"), testScope+"d")
		want(t, c, wire("get", "a"), "")
		want(t, c, wire("get", "d"), bulk("by 9"))
	})
}

func TestFlushTakesEverything(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		put(t, c, 1, wire("get", "a"), bulk("a"), testScope+"a")
		put(t, c, 0, wire("mget", "a", "b"), "*0\r\n", testScope+"a", testScope+"b")
		if c.Flush() == 0 {
			t.Fatal("nothing was flushed")
		}
		want(t, c, wire("get", "a"), "")
		want(t, c, wire("mget", "a", "b"), "")
		put(t, c, 1, wire("get", "a"), bulk("new"), testScope+"a")
		want(t, c, wire("get", "a"), bulk("new"))
	})
}

func TestNameIsDeleted(t *testing.T) {
	each(t, func(t *testing.T, c redis.Cache) {
		put(t, c, 1, wire("get", "a"), bulk("a"), testScope+"a")
		put(t, c, 1, wire("mget", "a", "b"), "*0\r\n", testScope+"a", testScope+"b")
		for _, name := range []string{wire("mget", "a", "b"), wire("get", "a")} {
			if !c.DeleteByCacheKey(name) {
				t.Fatalf("%q: not deleted", name)
			}
			want(t, c, name, "")
			if c.DeleteByCacheKey(name) {
				t.Fatalf("%q: deleted twice", name)
			}
		}
	})
}

func TestAgeIsBounded(t *testing.T) {
	clock := larder.NewMockClock()
	cache, err := larder.New(larder.Options{MaxBytes: 8 << 20, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cache.Close() }()
	near, err := New(cache, Options{MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	advance := func(d time.Duration) {
		clock.Advance(d)
		began = began.Add(-d)
	}
	put(t, near, 1, wire("get", "a"), bulk("a"), testScope+"a")
	advance(time.Hour - time.Minute)
	want(t, near, wire("get", "a"), bulk("a"))
	advance(time.Minute)
	want(t, near, wire("get", "a"), "")
}

// TestLargeRepliesAreTaken has a reply that go-redis' own cache, of the same size, refuses.
func TestLargeRepliesAreTaken(t *testing.T) {
	near := testCache(t, Options{})
	own := redis.NewLocalCache(redis.CacheConfig{MaxMemoryBytes: 32 << 20})
	name, keys := wire("get", "k"), []string{testScope + "k"}
	value := []byte(bulk(string(make([]byte, 3<<20))))
	token, _ := own.Reserve(name, keys)
	if own.FulfillOwned(name, token, 1, value) {
		t.Error("go-redis' own cache takes what is larger than a sixteenth of it")
	}
	put(t, near, 1, name, string(value), keys...)
	want(t, near, name, string(value))
}

func TestNonsenseIsNoName(t *testing.T) {
	near := testCache(t, Options{})
	for _, name := range []string{"", "\x00", "0\x00", "0\x000:", "0\x009:x\x00", testScope,
		testScope + "*1\r\n$4\r\nping\r\n", testScope + "*2\r\n$3\r\nget\r\n$9\r\nk\r\n",
		testScope + "*2\r\n$3\r\nget\r\n$999999999\r\nk\r\n", testScope + "*2\r\n$-1\r\n",
		"0\x0099999999999:\x00*2", testScope + "*2\r\n$3\r\nget\r\n$1\r\nk"} {
		if got, ok := near.Get(t.Context(), name); ok {
			t.Errorf("%q: got %q", name, got)
		}
		if token, fetch := near.Reserve(name, nil); token != 0 || !fetch {
			t.Errorf("%q: reserved without a key", name)
		}
		put(t, near, 1, name, "+OK\r\n", "some key")
		want(t, near, name, "+OK\r\n")
		near.DeleteByRedisKey("some key")
		want(t, near, name, "")
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("$1\r\nv\r\n"))
	f.Add([]byte("$01\r\nv\r\n"))
	f.Add([]byte("$-1\r\n"))
	f.Add([]byte("$+1\r\nv\r\n"))
	f.Add([]byte("$0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, reply []byte) {
		if body, form := unframed(reply); string(framed(body, form).reply) != string(reply) {
			t.Fatalf("%q came back as %q", reply, framed(body, form).reply)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add(wire("get", "k"))
	f.Add(wire("hget", "k", "f"))
	f.Fuzz(func(t *testing.T, name string) {
		n, ok := narrow(name, 1)
		usual, short := beginningOf(&nearcache.Name{Prefix: testScope, Head: getCommand}).narrow(name, 1)
		if short && (!ok || usual != n) {
			t.Fatalf("%q: by its beginning it is %v, read whole %v, %v", name, usual, n, ok)
		}
		if !ok {
			return
		}
		if !short && n.Prefix == testScope && n.Head == getCommand {
			t.Fatalf("%q: its beginning isn't seen", name)
		}
		head, tail := n.Head, n.Tail
		if head == getCommand {
			head, tail = getHead, "\r\n"
		}
		frame := fmt.Sprintf("$%d\r\n", len(n.Key))
		if whole := n.Prefix + head + frame + n.Key + tail; whole != name {
			t.Fatalf("%q came back as %q", name, whole)
		}
	})
}
