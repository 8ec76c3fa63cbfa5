package larder_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// wantReads compares the reads since earlier statistics.
func wantReads(t *testing.T, c *larder.Cache, earlier larder.Stats, hits, misses uint64) {
	t.Helper()
	if s := c.Stats().Sub(earlier); s.Hits != hits || s.Misses != misses {
		t.Errorf("%d hits, %d misses; want %d, %d", s.Hits, s.Misses, hits, misses)
	}
}

// However much a Load looks, it is one read.
func TestLoadIsOneRead(t *testing.T) {
	clock := larder.NewMockClock()
	for _, o := range []larder.Options{
		{MaxBytes: 4 << 20, StaleIfError: time.Minute, DefaultTTL: time.Hour},
		{MaxBytes: 4 << 20, StaleIfError: time.Minute, DefaultTTL: time.Hour, Clock: clock},
	} {
		c := newCache(t, o)
		const n = 100
		key := func(i int) []byte { return fmt.Append(nil, "key ", i) }
		all := func() *larder.Batch {
			var b larder.Batch
			for i := range n {
				b.Add(key(i))
			}
			return &b
		}
		echo := func(_ context.Context, key []byte) (larder.Loaded, error) { return larder.Loaded{Value: key}, nil }
		echoes := func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
			l := make([]larder.Loaded, len(keys))
			for i := range l {
				l[i].Value = keys[i]
			}
			return l, nil
		}
		load := func() {
			for i := range n {
				if _, err := c.Load(bg, nil, key(i), echo); err != nil {
					t.Fatal(err)
				}
			}
			idle(t, c)
		}
		many := func() {
			if err := c.LoadMany(bg, all(), echoes); err != nil {
				t.Fatal(err)
			}
			idle(t, c)
		}
		for _, round := range []func(){load, many} {
			c.Clear()
			before := c.Stats()
			round()
			wantReads(t, c, before, 0, n)
			before = c.Stats()
			round()
			wantReads(t, c, before, n, 0)
			if r := c.Stats().Sub(before).HitRatio(); r != 1 {
				t.Errorf("hit ratio %v", r)
			}
			// Stale ones.
			for i := range n {
				c.MarkStale(key(i))
			}
			before = c.Stats()
			round()
			wantReads(t, c, before, n, 0)
			if s := c.Stats().Sub(before); s.StaleAnswers != n || s.Refreshes == 0 || s.Loads != s.Refreshes {
				t.Errorf("%+v", s)
			}
			// In the last of their life, stale ones are loaded before they are returned.
			for i := range n {
				if err := c.SetTTL(key(i), key(i), 30*time.Second); err != nil {
					t.Fatal(err)
				}
				c.MarkStale(key(i))
			}
			before = c.Stats()
			round()
			wantReads(t, c, before, n, 0)
		}
		// If the loader fails then, they are returned all the same.
		for i := range n {
			c.MarkStale(key(i))
			_ = c.SetTTL(key(i), key(i), 30*time.Second)
			c.MarkStale(key(i))
		}
		before := c.Stats()
		for i := range n {
			if _, err := c.Load(bg, nil, key(i), func(context.Context, []byte) (larder.Loaded, error) {
				return larder.Loaded{}, errors.New("oops")
			}); err != nil {
				t.Fatal(err)
			}
		}
		wantReads(t, c, before, n, 0)
		if s := c.Stats().Sub(before); s.StaleAnswers != n || s.LoadErrors != n || s.Refreshes != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// Looks count as nothing, and put no deadline off.
func TestLooksDontCount(t *testing.T) {
	clock := larder.NewMockClock()
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Minute, Sliding: true, Clock: clock})
	mustSet(t, c, "k", []byte("v"))
	mustSet(t, c, "empty", nil)
	before := c.Stats()
	if !c.HasString("k") || !c.HasString("empty") || c.HasString("l") || c.Has(nil) {
		t.Error("Has is wrong")
	}
	buf := make([]byte, 3, 100)
	if v, ok := c.PeekString(buf, "k"); !ok || string(v[3:]) != "v" || &v[0] != &buf[0] {
		t.Errorf("%q, %v", v, ok)
	}
	if v, ok := c.Peek(nil, []byte("k")); !ok || string(v) != "v" {
		t.Errorf("%q, %v", v, ok)
	}
	if v, ok := c.Peek(buf, []byte("l")); ok || len(v) != 3 {
		t.Errorf("%q, %v", v, ok)
	}
	wantReads(t, c, before, 0, 0)
	for range 3 {
		clock.Advance(25 * time.Second)
		if c.HasString("k") {
			c.PeekString(nil, "k")
		}
	}
	if c.HasString("k") {
		t.Error("a look has put the deadline off")
	}
	// An absent key has no value.
	_, _ = c.LoadString(bg, nil, "absent", func(context.Context, []byte) (larder.Loaded, error) {
		return larder.Loaded{Absent: true}, nil
	})
	if c.HasString("absent") {
		t.Error("there")
	}
	if _, ok := c.PeekString(nil, "absent"); ok {
		t.Error("there")
	}
}

// Each reason for which nothing is stored has its count.
func TestRefusalsAreCounted(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	long, large := make([]byte, 70<<10), make([]byte, 512<<10)
	var b larder.Batch
	b.AddEntry(long, nil)
	b.AddEntry([]byte("k"), large)
	b.AddEntry([]byte("k"), nil)
	for i, err := range []error{
		c.Set(long, nil), c.Set([]byte("k"), large), c.SetWith(long, nil, larder.SetOptions{Sliding: true}), c.SetMany(&b),
	} {
		if !errors.Is(err, larder.ErrKeyTooLarge) && !errors.Is(err, larder.ErrValueTooLarge) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if s := c.Stats(); s.TooLarge != 5 || s.Rejections != 0 || s.Sets != 1 {
		t.Errorf("%+v", s)
	}
	for range 3 {
		wantLoad(t, c, "large", constant(string(large)), string(large))
	}
	if s := c.Stats(); s.UnstoredLoads != 3 || s.Loads != 3 || s.LoadTime <= 0 {
		t.Errorf("%+v", s)
	}
}

// The scratch buffer idiom: the key lies where the value goes.
func TestKeyInSpareRoom(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	keys := [][]byte{[]byte("k"), make([]byte, 200), make([]byte, 1000)}
	var calls int
	loader := func(context.Context, []byte) (larder.Loaded, error) {
		calls++
		return larder.Loaded{Value: make([]byte, 300)}, nil
	}
	for i, key := range keys {
		value := make([]byte, 300)
		for j := range value {
			value[j] = byte(i + 1)
		}
		if err := c.Set(key, value); err != nil {
			t.Fatal(err)
		}
		want := func(name string, got []byte, ok bool) {
			t.Helper()
			if !ok || string(got) != string(value) {
				t.Errorf("%s of a key of %d bytes: %d bytes, %v", name, len(key), len(got), ok)
			}
		}
		buf := make([]byte, 0, 4000)
		for _, at := range []int{0, 7, 299, 2000} { // where the key begins in buf
			scratch := func() []byte { return append(buf[:at:cap(buf)], key...)[at:] }
			v, ok := c.Get(buf, scratch())
			want("Get", v, ok)
			v, ok = c.Peek(buf, scratch())
			want("Peek", v, ok)
			v, info, ok := c.GetWith(buf, scratch(), true)
			want("GetWith", v, ok && info.State == larder.Fresh)
			v, _, ok = c.GetVersion(buf, scratch())
			want("GetVersion", v, ok)
			v, err := c.Load(bg, buf, scratch(), never(t))
			want("Load", v, err == nil)
			// Behind what dst holds.
			v, ok = c.Get(buf[:at/2], scratch())
			want("Get", v[at/2:], ok)

			// A stale one is refreshed, under its own key.
			c.MarkStale(key)
			calls = 0
			v, err = c.Load(bg, buf, scratch(), loader)
			want("Load", v, err == nil)
			idle(t, c)
			if calls != 1 {
				t.Errorf("%d refreshes", calls)
			}
			if err := c.Set(key, value); err != nil {
				t.Fatal(err)
			}
		}
		c.Delete(key)
		v, err := c.Load(bg, buf, append(buf, key...), loader)
		if err != nil || len(v) != 300 || !c.Has(key) {
			t.Errorf("%d bytes, %v", len(v), err)
		}
	}
}

// Somebody writes the value all the time: none misses.
func TestKeyInSpareRoomOverwritten(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	key, value := []byte("a key of some length"), make([]byte, 200)
	if err := c.Set(key, value); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = c.Set(key, value)
			}
		}
	}()
	buf := make([]byte, 0, 400)
	for i := range 100_000 {
		buf = append(buf[:0], key...)
		if _, ok := c.Get(buf[:0], buf); !ok {
			t.Errorf("get %d misses", i)
			break
		}
	}
	close(stop)
	<-stopped
}
