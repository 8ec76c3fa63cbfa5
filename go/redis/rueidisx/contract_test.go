package rueidisx

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/redis/rueidis"
)

// The contract that rueidis 1.0.79 expects of a CacheStore, run against its adapter of a map as well
// (its other own store can't be had without a client: server_test.go has that).

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

// plain is the simplest rueidis.SimpleCache.
type plain map[string]rueidis.RedisMessage

func (p plain) Get(key string) rueidis.RedisMessage      { return p[key] }
func (p plain) Set(key string, val rueidis.RedisMessage) { p[key] = val }
func (p plain) Del(key string)                           { delete(p, key) }
func (p plain) Flush()                                   { clear(p) }

func each(t *testing.T, test func(t *testing.T, s rueidis.CacheStore)) {
	t.Run("larder", func(t *testing.T) {
		test(t, testCache(t, Options{}).NewStore(rueidis.CacheStoreOption{}))
	})
	t.Run("rueidis", func(t *testing.T) { test(t, rueidis.NewSimpleCacheAdapter(plain{})) })
}

// text is a message with a string, as a server sends it. end 0: it has none.
func text(kind byte, value string, end int64) rueidis.RedisMessage {
	data := make([]byte, frameBytes, frameBytes+len(value))
	setEnd(data, end)
	data[endBytes] = kind
	size := len(value)
	if !isString(kind) {
		size = 0
	}
	binary.BigEndian.PutUint64(data[endBytes+1:], uint64(size))
	m, ok := message(append(data, value...))
	if !ok {
		panic("no message")
	}
	return m
}

// shown is what a message says.
func shown(m rueidis.RedisMessage) string {
	if m.IsNil() {
		return "nil"
	}
	if err := m.Error(); err != nil {
		return "error " + err.Error()
	}
	s, err := m.ToString()
	if err != nil {
		return err.Error()
	}
	return s
}

var epoch = time.Now().Truncate(time.Second)

// missed asks for a reply that must not be there, and gets the duty to ask the server.
func missed(t *testing.T, s rueidis.CacheStore, key, command string, ttl time.Duration) {
	t.Helper()
	if m, entry := s.Flight(key, command, ttl, epoch); entry != nil || m.IsCacheHit() {
		t.Fatalf("%s %s: %q, %v", key, command, shown(m), entry)
	}
}

// hit asks for a reply that must be there.
func hit(t *testing.T, s rueidis.CacheStore, key, command, value string) rueidis.RedisMessage {
	t.Helper()
	for range 2 { // so that it becomes a hot reply
		s.Flight(key, command, time.Hour, epoch)
	}
	m, entry := s.Flight(key, command, time.Hour, epoch)
	if entry != nil || shown(m) != value {
		t.Fatalf("%s %s: %q, %v, want %q", key, command, shown(m), entry, value)
	}
	if !m.IsCacheHit() {
		t.Fatalf("%s %s: not marked as a hit", key, command)
	}
	return m
}

func TestFlightAndUpdate(t *testing.T) {
	each(t, func(t *testing.T, s rueidis.CacheStore) {
		missed(t, s, "k", "GET", time.Hour)
		m, entry := s.Flight("k", "GET", time.Hour, epoch)
		if entry == nil || m.IsCacheHit() {
			t.Fatal("the second isn't to wait")
		}
		pxat := s.Update("k", "GET", text('$', "v", 0))
		if want := epoch.Add(time.Hour).UnixMilli(); pxat != want {
			t.Fatalf("its time is over at %d, want %d", pxat, want)
		}
		waited, err := entry.Wait(t.Context())
		if err != nil || shown(waited) != "v" || waited.CachePXAT() != pxat {
			t.Fatalf("who waited got %q until %d, %v", shown(waited), waited.CachePXAT(), err)
		}
		if m := hit(t, s, "k", "GET", "v"); m.CachePXAT() != pxat {
			t.Fatalf("its time is over at %d, want %d", m.CachePXAT(), pxat)
		}
	})
}

func TestKindsOfReplies(t *testing.T) {
	each(t, func(t *testing.T, s rueidis.CacheStore) {
		for key, m := range map[string]rueidis.RedisMessage{
			"string": text('$', "value", 0), "empty": text('$', "", 0), "status": text('+', "OK", 0),
			"nil": text('_', "", 0), "integer": text(':', "", 0), "double": text(',', "1.5", 0),
			"error": text('-', "WRONGTYPE Operation against a key", 0),
		} {
			missed(t, s, key, "GET", time.Hour)
			s.Update(key, "GET", m)
			hit(t, s, key, "GET", shown(m))
		}
	})
}

func TestServersTTLShortens(t *testing.T) {
	each(t, func(t *testing.T, s rueidis.CacheStore) {
		for key, ends := range map[string]struct{ server, want time.Duration }{
			"shorter": {time.Minute, time.Minute}, "longer": {time.Hour, 30 * time.Minute},
		} {
			missed(t, s, key, "GET", 30*time.Minute)
			end, want := epoch.Add(ends.server).UnixMilli(), epoch.Add(ends.want).UnixMilli()
			if pxat := s.Update(key, "GET", text('$', "v", end)); pxat != want {
				t.Fatalf("%s: until %d, want %d", key, pxat, want)
			}
			hit(t, s, key, "GET", "v")
			later := epoch.Add(ends.want)
			if m, entry := s.Flight(key, "GET", time.Hour, later); entry != nil || shown(m) == "v" {
				t.Fatalf("%s: served when its time is over", key)
			}
			s.Cancel(key, "GET", errors.New("not asked for"))
		}
	})
}

func TestTimeThatIsOver(t *testing.T) {
	each(t, func(t *testing.T, s rueidis.CacheStore) {
		for _, ttl := range []time.Duration{0, -time.Second} {
			missed(t, s, "k", "GET", ttl)
			_, entry := s.Flight("k", "GET", ttl, epoch)
			s.Update("k", "GET", text('$', "v", 0))
			if m, err := entry.Wait(t.Context()); err != nil || shown(m) != "v" {
				t.Fatalf("who waited got %q, %v", shown(m), err)
			}
		}
		missed(t, s, "k", "GET", time.Hour)
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, s rueidis.CacheStore) {
		failed := errors.New("failed")
		missed(t, s, "k", "GET", time.Hour)
		_, entry := s.Flight("k", "GET", time.Hour, epoch)
		s.Cancel("k", "GET", failed)
		if _, err := entry.Wait(t.Context()); !errors.Is(err, failed) {
			t.Fatalf("who waited got %v", err)
		}
		s.Cancel("k", "GET", failed)
		missed(t, s, "k", "GET", time.Hour)
		_, entry = s.Flight("k", "GET", time.Hour, epoch)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := entry.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("who gave up got %v", err)
		}
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, s rueidis.CacheStore) {
		fill := func(key, command, value string) {
			missed(t, s, key, command, time.Hour)
			s.Update(key, command, text('$', value, 0))
		}
		fill("a", "GET", "1")
		fill("a", "STRLEN", "2")
		fill("b", "GET", "3")
		missed(t, s, "a", "TYPE", time.Hour) // is asked for, and not concerned by what was before
		s.Delete([]rueidis.RedisMessage{text('$', "a", 0), text('$', "never seen", 0)})
		s.Update("a", "TYPE", text('+', "string", 0))
		hit(t, s, "a", "TYPE", "string")
		hit(t, s, "b", "GET", "3")
		missed(t, s, "a", "STRLEN", time.Hour)
		s.Update("a", "STRLEN", text('$', "5", 0))
		missed(t, s, "a", "GET", time.Hour)
		s.Update("a", "GET", text('$', "4", 0))
		hit(t, s, "a", "GET", "4")
		hit(t, s, "a", "STRLEN", "5")

		missed(t, s, "c", "GET", time.Hour)
		s.Delete(nil)
		missed(t, s, "a", "GET", time.Hour)
		missed(t, s, "b", "GET", time.Hour)
	})
}

func TestClose(t *testing.T) {
	each(t, func(t *testing.T, s rueidis.CacheStore) {
		lost := errors.New("lost")
		missed(t, s, "a", "GET", time.Hour)
		s.Update("a", "GET", text('$', "1", 0))
		missed(t, s, "b", "GET", time.Hour)
		_, entry := s.Flight("b", "GET", time.Hour, epoch)
		s.Close(lost)
		if _, err := entry.Wait(t.Context()); !errors.Is(err, lost) {
			t.Fatalf("who waited got %v", err)
		}
		for range 2 {
			missed(t, s, "a", "GET", time.Hour)
		}
		s.Update("a", "GET", text('$', "late", 0))
		s.Cancel("a", "GET", lost)
		missed(t, s, "a", "GET", time.Hour)
	})
}

// TestStoresAreApart has what a connection brought go with it, and with nothing else.
func TestStoresAreApart(t *testing.T) {
	near := testCache(t, Options{})
	one, two := near.NewStore(rueidis.CacheStoreOption{}), near.NewStore(rueidis.CacheStoreOption{})
	for _, s := range []rueidis.CacheStore{one, two} {
		missed(t, s, "k", "GET", time.Hour)
		s.Update("k", "GET", text('$', "v", 0))
	}
	one.Delete(nil)
	missed(t, one, "k", "GET", time.Hour)
	hit(t, two, "k", "GET", "v")
	one.Update("k", "GET", text('$', "w", 0))
	two.Close(errors.New("lost"))
	hit(t, one, "k", "GET", "w")
	three := near.NewStore(rueidis.CacheStoreOption{}) // in the slot of the one that is closed
	missed(t, three, "k", "GET", time.Hour)
	if n := len(*near.stores.Load()); n != 2 {
		t.Fatalf("%d stores are known", n)
	}
}

func TestOwnWriteOvertakes(t *testing.T) {
	near := testCache(t, Options{})
	s := near.NewStore(rueidis.CacheStoreOption{})
	missed(t, s, "k", "GET", time.Hour)
	s.Update("k", "GET", text('$', "old", 0))
	near.Drop("k")
	missed(t, s, "k", "GET", time.Hour)
	_, waits := s.Flight("k", "GET", time.Hour, epoch)
	near.Drop("k")
	missed(t, s, "k", "GET", time.Hour) // nobody who comes later gets what was asked for before
	missed(t, s, "k", "GET", time.Hour)
	s.Update("k", "GET", text('$', "old", 0))
	if m, err := waits.Wait(t.Context()); err != nil || shown(m) != "old" {
		t.Fatalf("who waited before got %q, %v", shown(m), err)
	}
	s.Update("k", "GET", text('$', "new", 0))
	s.Update("k", "GET", text('$', "new", 0))
	missed(t, s, "k", "GET", time.Hour)
	s.Update("k", "GET", text('$', "new", 0))
	hit(t, s, "k", "GET", "new")
}

// TestOvertakenAndGivenUp has the reply come late, that a caller waited for no longer.
func TestOvertakenAndGivenUp(t *testing.T) {
	near := testCache(t, Options{})
	s := near.NewStore(rueidis.CacheStoreOption{})
	missed(t, s, "k", "GET", time.Hour)
	near.Drop("k")
	s.Cancel("k", "GET", context.DeadlineExceeded)
	missed(t, s, "k", "GET", time.Hour)
	s.Update("k", "GET", text('$', "old", 0))
	missed(t, s, "k", "GET", time.Hour)
	s.Update("k", "GET", text('$', "new", 0))
	hit(t, s, "k", "GET", "new")
}

func TestNamesThatMeetAreNotCached(t *testing.T) {
	for name, cached := range map[string]bool{
		"GET": true, "HGETALL": true, "HGETf": true, "HGET": true, "TTL": true, "ZSCOREm": true,
		"LRANGE0-1": true, "LRANGE09": true, "GETRANGE010": true, "ZRANGE-10-1": true,
		"GETRANGE123": false, "LRANGE1020": false, "HMGETabc": false, "HMGETa": false,
		"ZRANGE0-1WITHSCORES": false, "ZRANGEBYSCORE01": false, "ZCOUNT01": false, "EVAL_RO": false,
		"get": false, "": false, "LRANGE": false, "LRANGE1": false, "MYCOMMAND": false,
	} {
		if Cached(name) != cached {
			t.Errorf("%q: cached is %v", name, !cached)
		}
	}
}

func TestAmbiguousCommands(t *testing.T) {
	for _, ambiguous := range []bool{false, true} {
		near := testCache(t, Options{CacheAmbiguous: ambiguous})
		s := near.NewStore(rueidis.CacheStoreOption{})
		missed(t, s, "k", "GETRANGE123", time.Hour)
		s.Update("k", "GETRANGE123", text('$', "v", 0))
		m, entry := s.Flight("k", "GETRANGE123", time.Hour, epoch)
		if entry != nil || (shown(m) == "v") != ambiguous {
			t.Fatalf("with CacheAmbiguous %v: %q, %v", ambiguous, shown(m), entry)
		}
	}
}
