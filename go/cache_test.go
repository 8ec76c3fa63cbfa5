package larder_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// newCache makes a cache that is closed when the test ends.
func newCache(t testing.TB, o larder.Options) *larder.Cache {
	t.Helper()
	c, err := larder.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func mustSet(t testing.TB, c *larder.Cache, key string, value []byte) {
	t.Helper()
	if err := c.SetString(key, value); err != nil {
		t.Fatalf("set of %.20q, %d bytes: %v", key, len(value), err)
	}
}

// wantValue fails the test unless the key has the value.
func wantValue(t testing.TB, c *larder.Cache, key string, want []byte) {
	t.Helper()
	got, ok := c.GetString(nil, key)
	if !ok || !bytes.Equal(got, want) {
		t.Fatalf("get of %.20q: %.20q (%d bytes), %v; want %.20q (%d bytes)", key, got, len(got), ok, want, len(want))
	}
}

func wantMiss(t testing.TB, c *larder.Cache, key string) {
	t.Helper()
	if got, ok := c.GetString(nil, key); ok {
		t.Fatalf("get of %.20q: %.20q (%d bytes); want a miss", key, got, len(got))
	}
}

// wait polls until the condition holds.
func wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting for: %s", what)
		}
	}
}

// noise is n bytes that depend on the seed.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n+8)
	rng := rand.NewPCG(seed, uint64(n))
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	return b[:n:n]
}

func TestFastDoor(t *testing.T) {
	t.Logf("fast path: %v", larder.FastDoor())
}

func TestLengths(t *testing.T) {
	const budget = 64 << 20
	c := newCache(t, larder.Options{MaxBytes: budget})
	keys := []int{0, 1, 7, 8, 9, 16, 255, 256, 4096, 65535, 65536}
	values := []int{0, 1, 8, 63, 64, 65, 1000, 4096, 65535, 65536, 65537, 200_000, 1 << 20, 5<<20 + 3, budget / 4}
	for _, k := range keys {
		for _, v := range values {
			if k > 1000 && v > 1<<20 && k != 65536 {
				continue
			}
			key, value := string(noise(k, 1)), noise(v, uint64(k))
			mustSet(t, c, key, value)
			wantValue(t, c, key, value)
		}
	}
}

func TestNilIsEmpty(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	if _, ok := c.Get(nil, nil); ok {
		t.Fatal("an empty cache has an empty key")
	}
	if err := c.Set(nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, dst := range [][]byte{nil, {}, make([]byte, 3, 10)} {
		got, ok := c.Get(dst, []byte{})
		if !ok || len(got) != len(dst) {
			t.Errorf("Get(%v): %v, %v", dst, got, ok)
		}
	}
	if !c.Delete(nil) || c.Delete([]byte{}) {
		t.Error("the empty key is not removed once")
	}
}

func TestGetAppends(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	mustSet(t, c, "k", []byte("value"))

	for room := range 20 {
		array := []byte(strings.Repeat("-", 40))
		dst := array[: 10 : 10+room]
		got, ok := c.GetString(dst, "k")
		if !ok || string(got) != "----------value" {
			t.Fatalf("with room for %d bytes: %q, %v", room, got, ok)
		}
		if inPlace := &got[0] == &array[0]; inPlace != (room >= 5) {
			t.Errorf("with room for %d bytes: in place %v", room, inPlace)
		}
		if string(array[15:]) != strings.Repeat("-", 25) || room < 5 && string(array[10:15]) != "-----" {
			t.Errorf("with room for %d bytes, wrote over %q", room, array)
		}
		if miss, ok := c.GetString(dst, "no"); ok || len(miss) != 10 || &miss[0] != &dst[0] {
			t.Errorf("a miss doesn't return dst: %q, %v", miss, ok)
		}
	}
}

func TestCallersSlicesAreTheirOwn(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	key, value := []byte("key"), []byte("value")
	if err := c.Set(key, value); err != nil {
		t.Fatal(err)
	}
	copy(key, "xxx")
	copy(value, "xxxxx")
	got, _ := c.GetString(nil, "key")
	copy(got, "yyyyy")
	wantValue(t, c, "key", []byte("value"))
	// One slice as key and value, and as key and destination.
	both := []byte("both")
	if err := c.Set(both, both); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Get(both[:0], both); !ok || string(got) != "both" {
		t.Fatalf("%q, %v", got, ok)
	}
}

func TestOverLimits(t *testing.T) {
	const budget = 4 << 20
	c := newCache(t, larder.Options{MaxBytes: budget})
	long := strings.Repeat("k", 64<<10+1)
	if err := c.SetString(long, nil); !errors.Is(err, larder.ErrKeyTooLarge) {
		t.Errorf("set of a key of 64 KiB and a byte: %v", err)
	}
	wantMiss(t, c, long)
	if c.Delete([]byte(long)) {
		t.Error("deleted a key that can't be there")
	}

	mustSet(t, c, "k", []byte("old"))
	if err := c.SetString("k", make([]byte, budget/4+1)); !errors.Is(err, larder.ErrValueTooLarge) {
		t.Errorf("set of more than a quarter of the budget: %v", err)
	}
	wantValue(t, c, "k", []byte("old"))
	if c.Len() != 1 {
		t.Errorf("%d entries", c.Len())
	}
}

func TestOverwriteDeleteClear(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	for i := range 100 {
		mustSet(t, c, "k", noise(i*37%1000, uint64(i)))
		wantValue(t, c, "k", noise(i*37%1000, uint64(i)))
	}
	if c.Len() != 1 {
		t.Errorf("%d entries after overwriting one", c.Len())
	}
	if !c.Delete([]byte("k")) {
		t.Error("Delete of a key that is there: false")
	}
	if c.Delete([]byte("k")) {
		t.Error("Delete of a key that is not there: true")
	}
	wantMiss(t, c, "k")

	for i := range 500 {
		mustSet(t, c, fmt.Sprint(i), noise(i, 1))
	}
	if c.Len() != 500 {
		t.Errorf("%d entries of 500", c.Len())
	}
	c.Clear()
	if c.Len() != 0 {
		t.Errorf("%d entries after Clear", c.Len())
	}
	for i := range 500 {
		wantMiss(t, c, fmt.Sprint(i))
	}
	mustSet(t, c, "k", []byte("again"))
	wantValue(t, c, "k", []byte("again"))
}

// Random operations, against a map.
func TestModel(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 64 << 20})
	model := map[string][]byte{}
	rng := rand.New(rand.NewPCG(3, 4))
	var dst []byte
	for i := range 100_000 {
		key := fmt.Sprint(rng.IntN(300))
		switch op := rng.IntN(10); {
		case op < 4:
			value := noise(rng.IntN(1<<rng.IntN(12)), uint64(i))
			mustSet(t, c, key, value)
			model[key] = value
		case op < 5:
			_, want := model[key]
			if got := c.Delete([]byte(key)); got != want {
				t.Fatalf("step %d: Delete(%q) is %v", i, key, got)
			}
			delete(model, key)
		default:
			got, ok := c.Get(dst[:0], []byte(key))
			want, wantOK := model[key]
			if ok != wantOK || !bytes.Equal(got, want) {
				t.Fatalf("step %d: Get(%q) is %d bytes, %v; want %d, %v", i, key, len(got), ok, len(want), wantOK)
			}
			dst = got
		}
		if i%10_000 == 0 {
			if c.Len() != len(model) {
				t.Fatalf("step %d: %d entries, want %d", i, c.Len(), len(model))
			}
		}
	}
	if s := c.Stats(); s.Evictions != 0 {
		t.Errorf("%d entries evicted from a cache that is nearly empty", s.Evictions)
	}
}

func TestTTL(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: 40 * time.Millisecond})
	set := func(key string, ttl time.Duration) {
		t.Helper()
		if err := c.SetTTL([]byte(key), []byte(key), ttl); err != nil {
			t.Fatal(err)
		}
	}
	set("never", larder.NoExpiry)
	set("hour", time.Hour)
	set("longest", 1<<63-1)
	set("nanosecond", 1) // rounds up to a millisecond, not down to "never"
	mustSet(t, c, "default", []byte("default"))

	start := time.Now()
	set("200ms", 200*time.Millisecond)
	for _, key := range []string{"default", "nanosecond", "200ms"} {
		wait(t, key+" to expire", func() bool { _, ok := c.GetString(nil, key); return !ok })
	}
	if d := time.Since(start); d < 100*time.Millisecond {
		t.Errorf("an entry with 200 ms to live was gone after %v", d)
	}
	for _, key := range []string{"never", "hour", "longest"} {
		wantValue(t, c, key, []byte(key))
	}
	if c.Delete([]byte("default")) {
		t.Error("Delete of an expired entry: true")
	}
	wait(t, "expired entries to be counted", func() bool { return c.Stats().Expirations == 3 && c.Len() == 3 })

	// A new value has a new time, in both directions.
	set("hour", time.Millisecond)
	wait(t, "hour to expire", func() bool { _, ok := c.GetString(nil, "hour"); return !ok })
	set("hour", time.Hour)
	wantValue(t, c, "hour", []byte("hour"))

	if err := c.SetTTL([]byte("never"), nil, -2); !errors.Is(err, larder.ErrInvalidTTL) {
		t.Errorf("a negative TTL: %v", err)
	}
	wantValue(t, c, "never", []byte("never"))
}

// Expired entries go without being asked for.
func TestExpiryGivesBytesBack(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 16 << 20, DefaultTTL: 20 * time.Millisecond})
	for i := range 4000 {
		mustSet(t, c, fmt.Sprint(i), make([]byte, 1000))
	}
	wait(t, "the cache to be empty", func() bool { return c.Len() == 0 })
	wait(t, "bytes to be given back", func() bool { return c.Stats().Bytes < 2<<20 })
}

func TestEviction(t *testing.T) {
	for _, policy := range []larder.Policy{larder.DefaultPolicy, larder.LRU, larder.S3FIFO, larder.Cellar} {
		t.Run(policy.String(), func(t *testing.T) {
			const budget = 2 << 20
			c := newCache(t, larder.Options{MaxBytes: budget, Policy: policy})
			for i := range 20_000 {
				mustSet(t, c, fmt.Sprint(i), noise(100+i%1000, uint64(i)))
				wantValue(t, c, fmt.Sprint(i), noise(100+i%1000, uint64(i)))
				if i%100 == 0 {
					if s := c.Stats(); s.Bytes > budget || s.MaxBytes != budget {
						t.Fatalf("%d bytes in use of %d", s.Bytes, s.MaxBytes)
					}
				}
			}
			s := c.Stats()
			if s.Evictions == 0 || s.Entries < 500 || s.Entries != int64(c.Len()) {
				t.Errorf("after 20,000 sets: %+v", s)
			}
			for i := range 20_000 {
				if got, ok := c.GetString(nil, fmt.Sprint(i)); ok && !bytes.Equal(got, noise(100+i%1000, uint64(i))) {
					t.Fatalf("entry %d has another's value", i)
				}
			}
		})
	}
}

func TestMaxEntries(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 16 << 20, MaxEntries: 1000})
	for i := range 10_000 {
		mustSet(t, c, fmt.Sprint(i), []byte("value"))
		if n := c.Len(); n > 1000 {
			t.Fatalf("%d entries after %d sets", n, i+1)
		}
		wantValue(t, c, fmt.Sprint(i), []byte("value"))
	}
	if n := c.Len(); n < 900 {
		t.Errorf("%d entries of 1000", n)
	}
}

func TestResize(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 16 << 20})
	fill := func() {
		for i := range 20_000 {
			mustSet(t, c, fmt.Sprint(i), noise(1000, uint64(i)))
		}
	}
	fill()
	for _, budget := range []int64{4 << 20, 1 << 20, 32 << 20, 8 << 20} {
		if err := c.Resize(budget); err != nil {
			t.Fatalf("Resize(%d): %v", budget, err)
		}
		if s := c.Stats(); s.MaxBytes != budget || s.Bytes > budget {
			t.Errorf("after Resize(%d): %d of %d bytes", budget, s.Bytes, s.MaxBytes)
		}
		fill()
		if s := c.Stats(); s.Bytes > budget || s.Bytes < min(budget, 20_000*1000)/2 {
			t.Errorf("after Resize(%d) and filling: %d bytes", budget, s.Bytes)
		}
		found := 0
		for i := range 20_000 {
			got, ok := c.GetString(nil, fmt.Sprint(i))
			if ok && !bytes.Equal(got, noise(1000, uint64(i))) {
				t.Fatalf("after Resize(%d): entry %d has another's value", budget, i)
			}
			if ok {
				found++
			}
		}
		if n := c.Len(); found != n {
			t.Errorf("after Resize(%d): found %d entries, Len is %d", budget, found, n)
		}
	}
	for _, budget := range []int64{0, -1, 1, 1 << 62} {
		if err := c.Resize(budget); !errors.Is(err, larder.ErrInvalidOptions) {
			t.Errorf("Resize(%d): %v", budget, err)
		}
	}
}

func TestStats(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	if r := c.Stats().HitRatio(); r != 0 {
		t.Errorf("hit ratio of an unused cache: %v", r)
	}
	mustSet(t, c, "a", []byte("1"))
	mustSet(t, c, "a", []byte("2"))
	mustSet(t, c, "b", make([]byte, 1000))
	dst := make([]byte, 0, 1000)
	for range 3 {
		c.GetString(dst, "a")
		c.GetString(dst, "b")
	}
	c.GetString(nil, "b") // one hit, though the slice has to grow on the way
	c.GetString(dst, "c")
	c.GetString(dst, "d")
	c.Delete([]byte("a"))
	c.Delete([]byte("a"))
	s := c.Stats()
	got := [...]uint64{s.Hits, s.Misses, s.Sets, s.Deletes, s.Evictions, s.Expirations, uint64(s.Entries)}
	if want := [...]uint64{7, 2, 3, 1, 0, 0, 1}; got != want {
		t.Errorf("hits, misses, sets, deletes, evictions, expirations, entries: %v, want %v", got, want)
	}
	if s.HitRatio() != 7.0/9 {
		t.Errorf("hit ratio: %v", s.HitRatio())
	}
	if s.MaxBytes != 1<<20 || s.Bytes <= 1000 || s.Bytes > s.MaxBytes || s.LiveBytes < 1001 || s.WriteAmplification() < 1 {
		t.Errorf("%+v", s)
	}
}

func TestInvalidOptions(t *testing.T) {
	for _, o := range []larder.Options{
		{},
		{MaxBytes: -1},
		{MaxBytes: 1},
		{MaxBytes: 1 << 62},
		{MaxBytes: 1 << 20, MaxEntries: -1},
		{MaxBytes: 1 << 20, DefaultTTL: -2},
		{MaxBytes: 1 << 20, Policy: 77},
		{MaxBytes: 1 << 20, Stripes: -1},
		{MaxBytes: 1 << 20, Stripes: 3},
		{MaxBytes: 1 << 20, Stripes: 512},
	} {
		c, err := larder.New(o)
		if !errors.Is(err, larder.ErrInvalidOptions) || c != nil {
			t.Errorf("New(%+v): %v, %v", o, c, err)
		}
	}
	// The budget is not divided among stripes.
	for stripes := 1; stripes <= 256; stripes *= 2 {
		c := newCache(t, larder.Options{MaxBytes: 64 << 20, Stripes: stripes})
		mustSet(t, c, "k", make([]byte, 16<<20))
		wantValue(t, c, "k", make([]byte, 16<<20))
	}
}

func TestAfterClose(t *testing.T) {
	closed := newCache(t, larder.Options{MaxBytes: 1 << 20})
	mustSet(t, closed, "k", []byte("value"))
	for range 2 {
		if err := closed.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	var zero larder.Cache
	for name, c := range map[string]*larder.Cache{"closed": closed, "zero": &zero} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				wantMiss(t, c, "k")
				if err := c.SetString("k", nil); !errors.Is(err, larder.ErrClosed) {
					t.Errorf("Set: %v", err)
				}
				if err := c.SetTTL(nil, nil, time.Second); !errors.Is(err, larder.ErrClosed) {
					t.Errorf("SetTTL: %v", err)
				}
				if err := c.SetString("k", make([]byte, 100<<10)); !errors.Is(err, larder.ErrClosed) {
					t.Errorf("Set of 100 KiB: %v", err)
				}
				if c.Delete([]byte("k")) {
					t.Error("Delete: true")
				}
				if err := c.Resize(2 << 20); !errors.Is(err, larder.ErrClosed) {
					t.Errorf("Resize: %v", err)
				}
				c.Clear()
				if c.Len() != 0 || c.Stats() != (larder.Stats{}) {
					t.Errorf("Len %d, Stats %+v", c.Len(), c.Stats())
				}
				for range c.All() {
					t.Error("All yields an entry")
				}
			}
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}
