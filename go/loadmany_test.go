package larder_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// bulk is a loader of values that are the keys in upper case, and notes its calls.
func bulk(calls *[][]string) larder.BulkLoader {
	return func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
		var names []string
		loaded := make([]larder.Loaded, len(keys))
		for i, key := range keys {
			names = append(names, string(key))
			loaded[i].Value = []byte(strings.ToUpper(string(key)))
			loaded[i].Absent = key[0] == '-'
		}
		*calls = append(*calls, names)
		return loaded, nil
	}
}

// wantBatch compares the values; "" stands for one that is absent, "?" for an error.
func wantBatch(t *testing.T, b *larder.Batch, want ...string) {
	t.Helper()
	for i, want := range want {
		got, ok := b.Value(i)
		err := b.Err(i)
		switch {
		case want == "?":
			if ok || err == nil || err == larder.ErrNotFound {
				t.Errorf("%q: %q, %v", b.Key(i), got, err)
			}
		case want == "":
			if ok || err != larder.ErrNotFound {
				t.Errorf("%q: %q, %v", b.Key(i), got, err)
			}
		case !ok || string(got) != want || err != nil:
			t.Errorf("%q: %q, %v", b.Key(i), got, err)
		}
	}
}

func TestLoadMany(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	mustSet(t, c, "b", []byte("has b"))
	mustSet(t, c, "d", []byte("has d"))
	var calls [][]string
	b := batchOf("a", "b", "c", "d", "-", "a", "e")
	for range 2 {
		if err := c.LoadMany(bg, b, bulk(&calls)); err != nil {
			t.Fatal(err)
		}
		wantBatch(t, b, "A", "has b", "C", "has d", "", "A", "E")
	}
	if want := [][]string{{"a", "c", "-", "e"}}; fmt.Sprint(calls) != fmt.Sprint(want) {
		t.Errorf("%q", calls)
	}
	wantValue(t, c, "e", []byte("E"))
	idle(t, c)

	if err := c.LoadMany(bg, batchOf(), nil); err != nil {
		t.Error(err)
	}
	// A batch is used again.
	b.Reset()
	b.AddString("b")
	if n := c.GetMany(b); n != 1 {
		t.Error(n)
	}
	wantBatch(t, b, "has b")
}

func TestLoadManyJoins(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	g := newGate()
	single := goLoad(bg, c, "b", g.load)
	<-g.called

	// The bulk loads what nobody loads, and waits for the rest.
	called := make(chan [][]byte, 1)
	answer := make(chan struct{})
	b := batchOf("a", "b", "c")
	done := make(chan error, 1)
	go func() {
		done <- c.LoadMany(bg, b, func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
			called <- keys
			<-answer
			var calls [][]string
			return bulk(&calls)(bg, keys)
		})
	}()
	if keys := <-called; len(keys) != 2 || string(keys[0]) != "a" || string(keys[1]) != "c" {
		t.Errorf("%q", keys)
	}
	// And others wait for the bulk.
	other := goLoad(bg, c, "c", never(t))
	waitWaiters(t, c, 5)
	answer <- struct{}{}
	if r := <-other; r.value != "C" {
		t.Errorf("%+v", r)
	}
	g.answer <- value("single")
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantBatch(t, b, "A", "single", "C")
	if r := <-single; r.value != "single" {
		t.Errorf("%+v", r)
	}
	idle(t, c)
}

func TestLoadManyErrors(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	mustSet(t, c, "b", []byte("has b"))
	oops := errors.New("oops")
	b := batchOf("a", "b", "c")
	for _, loader := range []larder.BulkLoader{
		func(context.Context, [][]byte) ([]larder.Loaded, error) { return nil, oops },
		func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
			return make([]larder.Loaded, len(keys)+1), nil
		},
		func(context.Context, [][]byte) ([]larder.Loaded, error) { return nil, nil },
	} {
		if err := c.LoadMany(bg, b, loader); err == nil {
			t.Error("no error")
		}
		wantBatch(t, b, "?", "has b", "?")
		idle(t, c)
	}
	// One can fail alone: it has options without sense.
	err := c.LoadMany(bg, b, func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
		l := make([]larder.Loaded, len(keys))
		l[0].TTL = -7
		l[1].Value = []byte("C")
		return l, nil
	})
	if err != larder.ErrInvalidTTL {
		t.Error(err)
	}
	wantBatch(t, b, "?", "has b", "C")

	// Panics and exits reach the caller, and nothing is left.
	for _, end := range []func(){func() { panic(oops) }, runtime.Goexit} {
		got := make(chan any, 1)
		go func() {
			returned := false
			defer func() {
				if p := recover(); p != nil {
					got <- p
				} else if !returned {
					got <- "exited"
				} else {
					got <- "returned"
				}
			}()
			_ = c.LoadMany(bg, b, func(context.Context, [][]byte) ([]larder.Loaded, error) { end(); return nil, nil })
			returned = true
		}()
		p := <-got
		if e, ok := p.(*larder.PanicError); p != "exited" && (!ok || e.Value != oops) {
			t.Error(p)
		}
		idle(t, c)
	}

	// The caller's context ends: the load goes on, until the grace is over.
	c = newCache(t, larder.Options{MaxBytes: 1 << 20, LoadGrace: time.Nanosecond})
	mustSet(t, c, "b", []byte("has b"))
	ctx, cancel := context.WithCancel(bg)
	called := make(chan context.Context, 1)
	b = batchOf("x", "b", "y")
	done := make(chan error, 1)
	go func() {
		done <- c.LoadMany(ctx, b, func(ctx context.Context, keys [][]byte) ([]larder.Loaded, error) {
			called <- ctx
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}()
	in := <-called
	ctx2, cancel2 := context.WithCancel(bg)
	other := goLoad(ctx2, c, "y", never(t))
	waitWaiters(t, c, 3)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wantBatch(t, b, "?", "has b", "?")
	if in.Err() != nil {
		t.Error("ended while somebody waits for one of the keys")
	}
	cancel2()
	<-other
	<-in.Done()
	idle(t, c)
}

// A bulk loader may fail for some of its keys.
func TestLoadManyKeyErrors(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	oops := errors.New("oops")
	b := batchOf("a", "b", "c")
	load := func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
		l, errs := make([]larder.Loaded, len(keys)), make(larder.KeyErrors, len(keys))
		for i, key := range keys {
			l[i].Value = key
			switch string(key) {
			case "b":
				errs[i] = oops
			case "c":
				errs[i] = larder.ErrNotFound
			}
		}
		return l, fmt.Errorf("some: %w", errs)
	}
	if err := c.LoadMany(bg, b, load); err != oops {
		t.Error(err)
	}
	wantBatch(t, b, "a", "?", "")
	wantValue(t, c, "a", []byte("a"))
	wantMiss(t, c, "b")
	wantMiss(t, c, "c")
	if s := c.Stats(); s.Loads != 3 || s.LoadErrors != 2 {
		t.Errorf("%+v", s)
	}
	idle(t, c)
}

// A batch whose loader panicked has no values that it didn't have.
func TestLoadManyRecovered(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	mustSet(t, c, "b", []byte("has b"))
	b := batchOf("a", "b")
	c.GetMany(b)
	func() {
		defer func() { recover() }()
		_ = c.LoadMany(bg, b, func(context.Context, [][]byte) ([]larder.Loaded, error) { panic("oops") })
	}()
	wantBatch(t, b, "?", "has b")
}

func TestLoadManyStale(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	for _, key := range []string{"a", "b", "c", "d"} {
		mustSet(t, c, key, []byte("old "+key))
		if key != "b" {
			c.MarkStale([]byte(key))
		}
	}
	g := newGate()
	wantLoad(t, c, "d", g.load, "old d") // has its lease
	<-g.called
	asked := make(chan []string, 10)
	answer := make(chan struct{})
	refresh := func(ctx context.Context, keys [][]byte) ([]larder.Loaded, error) {
		var calls [][]string
		l, err := bulk(&calls)(ctx, keys)
		asked <- calls[0]
		if string(keys[0]) == "a" {
			<-answer
		}
		return l, err
	}
	b := batchOf("a", "b", "c", "d", "e")
	if err := c.LoadMany(bg, b, refresh); err != nil {
		t.Fatal(err)
	}
	wantBatch(t, b, "old a", "old b", "old c", "old d", "E")
	one, two := <-asked, <-asked
	if len(one) == 1 {
		one, two = two, one
	}
	if !slices.Equal(one, []string{"a", "c"}) || !slices.Equal(two, []string{"e"}) {
		t.Errorf("%q, %q", one, two)
	}
	answer <- struct{}{}
	g.answer <- value("new d")
	idle(t, c)
	if err := c.LoadMany(bg, b, nil); err != nil {
		t.Fatal(err)
	}
	wantBatch(t, b, "A", "old b", "C", "new d", "E")
}

func TestLoadManyStaleIfError(t *testing.T) {
	const window = 1 << 40
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, StaleIfError: window, DefaultTTL: window / 2})
	mustSet(t, c, "a", []byte("old a"))
	c.MarkStale([]byte("a"))
	b := batchOf("a", "b")
	fails := func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
		if len(keys) != 2 {
			t.Errorf("%q", keys)
		}
		return nil, errors.New("oops")
	}
	if err := c.LoadMany(bg, b, fails); err == nil {
		t.Error("no error")
	}
	wantBatch(t, b, "old a", "?")
	// It was tried just now.
	var calls [][]string
	if err := c.LoadMany(bg, b, bulk(&calls)); err != nil {
		t.Error(err)
	}
	wantBatch(t, b, "old a", "B")
	c.MarkStale([]byte("a"))
	if err := c.LoadMany(bg, b, bulk(&calls)); err != nil {
		t.Error(err)
	}
	wantBatch(t, b, "A", "B")
	if fmt.Sprint(calls) != "[[b] [a]]" {
		t.Errorf("%q", calls)
	}
}

// A tag that is invalidated while one loads: who came later loads again.
func TestLoadManyOutdated(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	tagged := larder.SetOptions{Tags: []string{"tag"}}
	g := newGate()
	before := goLoad(bg, c, "a", g.load)
	<-g.called
	if err := c.InvalidateTag("tag"); err != nil {
		t.Fatal(err)
	}
	b := batchOf("a", "b")
	done := make(chan error, 1)
	go func() {
		done <- c.LoadMany(bg, b, func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
			l := make([]larder.Loaded, len(keys))
			for i := range l {
				l[i] = larder.Loaded{Value: append([]byte("new "), keys[i]...), SetOptions: tagged}
			}
			return l, nil
		})
	}()
	wait(t, "the batch to wait for the first", func() bool { return c.Waiters() == 2 && c.Flights() == 1 })
	g.answer <- func() (larder.Loaded, error) {
		return larder.Loaded{Value: []byte("old a"), SetOptions: tagged}, nil
	}
	if r := <-before; r.value != "old a" {
		t.Errorf("%+v", r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantBatch(t, b, "new a", "new b")
	wantValue(t, c, "a", []byte("new a"))
}
