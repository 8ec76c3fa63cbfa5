package larder_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

func newNamespace(t testing.TB, c *larder.Cache, name string, o larder.NamespaceOptions) *larder.Cache {
	t.Helper()
	n, err := c.Namespace(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNamespacesAreIsolated(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, Stripes: 1})
	a := newNamespace(t, c, "a", larder.NamespaceOptions{Stripes: 1})
	b := newNamespace(t, c, "b", larder.NamespaceOptions{Stripes: 1})
	mustSet(t, c, "key", []byte("outside"))
	mustSet(t, a, "key", []byte("in a"))
	wantValue(t, c, "key", []byte("outside"))
	wantValue(t, a, "key", []byte("in a"))
	wantMiss(t, b, "key")
	ofA, ofB, all := a.Stats(), b.Stats(), c.Stats()
	if ofA.Hits != 1 || ofA.Sets != 1 || ofB.Misses != 1 || ofB.Sets != 0 || all.Sets != 1 || all.Hits != 1 {
		t.Errorf("counters: %+v, %+v, %+v", ofA, ofB, all)
	}
	if all.Namespaces != 2 || ofA.OwnBytes != ofA.Bytes || all.Bytes < all.OwnBytes+ofA.OwnBytes+ofB.OwnBytes || all.Bytes > all.MaxBytes {
		t.Errorf("bytes: %+v, %+v, %+v", ofA, ofB, all)
	}
	a.Clear()
	wantMiss(t, a, "key")
	wantValue(t, c, "key", []byte("outside"))
}

func TestNamespaceKeepsItsBoundAndItsTimeToLive(t *testing.T) {
	const bound = 1 << 20
	c := newCache(t, larder.Options{MaxBytes: 8 << 20})
	a := newNamespace(t, c, "a", larder.NamespaceOptions{MaxBytes: bound, Stripes: 1})
	for i := range 20_000 {
		mustSet(t, a, fmt.Sprint(i), noise(200, uint64(i)))
		if s := a.Stats(); i%200 == 0 && s.Bytes > bound {
			t.Fatalf("over the bound: %+v", s)
		}
	}
	if s := a.Stats(); s.Evictions == 0 || s.LiveBytes < bound/2 || s.MaxBytes != bound {
		t.Errorf("%+v", s)
	}
	if s := c.Stats(); s.Evictions != 0 {
		t.Errorf("the cache itself evicted: %+v", s)
	}
	short := newNamespace(t, c, "short", larder.NamespaceOptions{DefaultTTL: 10 * time.Millisecond})
	mustSet(t, short, "key", []byte("value"))
	mustSet(t, c, "key", []byte("value"))
	wait(t, "the namespace's entry to expire", func() bool { _, ok := short.GetString(nil, "key"); return !ok })
	wantValue(t, c, "key", []byte("value"))
}

func TestNamespaceArguments(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, Stripes: 1})
	a := newNamespace(t, c, "a", larder.NamespaceOptions{MaxBytes: 1 << 20, Stripes: 1})
	if again := newNamespace(t, c, "a", larder.NamespaceOptions{}); again != a {
		t.Error("the same name is another Cache")
	}
	for _, bad := range []struct {
		name string
		o    larder.NamespaceOptions
	}{
		{"", larder.NamespaceOptions{}},
		{strings.Repeat("n", 256), larder.NamespaceOptions{}},
		{"b", larder.NamespaceOptions{MaxBytes: -1}},
		{"b", larder.NamespaceOptions{MaxBytes: 1}},
		{"b", larder.NamespaceOptions{MaxEntries: -1}},
		{"b", larder.NamespaceOptions{DefaultTTL: -2}},
		{"b", larder.NamespaceOptions{Policy: 99}},
		{"b", larder.NamespaceOptions{Stripes: 3}},
		{"a", larder.NamespaceOptions{MaxBytes: 2 << 20}},
	} {
		if n, err := c.Namespace(bad.name, bad.o); !errors.Is(err, larder.ErrInvalidOptions) || n != nil {
			t.Errorf("%.10q, %+v: %v, %v", bad.name, bad.o, n, err)
		}
	}
	if _, err := a.Namespace("b", larder.NamespaceOptions{}); !errors.Is(err, larder.ErrInvalidOptions) {
		t.Errorf("a namespace of a namespace: %v", err)
	}
	newNamespace(t, c, strings.Repeat("\x00", 255), larder.NamespaceOptions{Stripes: 1})
	var zero larder.Cache
	if _, err := zero.Namespace("a", larder.NamespaceOptions{}); !errors.Is(err, larder.ErrClosed) {
		t.Errorf("of the zero Cache: %v", err)
	}
	for range zero.Namespaces() {
		t.Error("the zero Cache has namespaces")
	}
}

func TestNamespacesAreClosed(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, Stripes: 1})
	names := func() (all []string) {
		for name, n := range c.Namespaces() {
			if again := newNamespace(t, c, name, larder.NamespaceOptions{}); again != n {
				t.Errorf("%q is another", name)
			}
			all = append(all, name)
		}
		return all
	}
	for _, name := range []string{"pear", "apple", "plum"} {
		mustSet(t, newNamespace(t, c, name, larder.NamespaceOptions{Stripes: 1}), "key", []byte(name))
	}
	if got := names(); !slices.Equal(got, []string{"apple", "pear", "plum"}) {
		t.Errorf("%q", got)
	}
	pear := newNamespace(t, c, "pear", larder.NamespaceOptions{})
	wantValue(t, pear, "key", []byte("pear"))
	pear.Close()
	pear.Close()
	if err := pear.SetString("key", nil); !errors.Is(err, larder.ErrClosed) {
		t.Errorf("set after Close: %v", err)
	}
	if got := names(); !slices.Equal(got, []string{"apple", "plum"}) {
		t.Errorf("%q", got)
	}
	fresh := newNamespace(t, c, "pear", larder.NamespaceOptions{Stripes: 1})
	wantMiss(t, fresh, "key")
	pear.Close() // again, and not the new one
	mustSet(t, fresh, "key", []byte("new"))
	wantValue(t, newNamespace(t, c, "pear", larder.NamespaceOptions{}), "key", []byte("new"))

	c.Close()
	if err := fresh.SetString("key", nil); !errors.Is(err, larder.ErrClosed) {
		t.Errorf("set after the cache's Close: %v", err)
	}
	if _, err := c.Namespace("late", larder.NamespaceOptions{}); !errors.Is(err, larder.ErrClosed) {
		t.Errorf("made after Close: %v", err)
	}
	if got := names(); len(got) != 0 {
		t.Errorf("after Close: %q", got)
	}
}

// Closing the cache ends the loads of its namespaces.
func TestLoadsOfNamespaces(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	a := newNamespace(t, c, "a", larder.NamespaceOptions{})
	var calls atomic.Int64
	loading, both := make(chan struct{}), make(chan error, 2)
	loader := func(ctx context.Context, _ []byte) (larder.Loaded, error) {
		if calls.Add(1) == 1 {
			close(loading)
		}
		<-ctx.Done()
		return larder.Loaded{}, context.Cause(ctx)
	}
	load := func() {
		_, err := a.Load(context.Background(), nil, []byte("key"), loader)
		both <- err
	}
	go load()
	<-loading
	go load()
	if v, err := c.Load(context.Background(), nil, []byte("key"), func(context.Context, []byte) (larder.Loaded, error) {
		return larder.Loaded{Value: []byte("outside")}, nil
	}); err != nil || string(v) != "outside" {
		t.Errorf("the cache's own load: %q, %v", v, err)
	}
	c.Close()
	for range cap(both) {
		if err := <-both; !errors.Is(err, larder.ErrClosed) {
			t.Errorf("load: %v", err)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d loaders", n)
	}
}

// A namespace works as long as somebody has it, whatever became of the Cache that it was
// made from.
func TestNamespaceKeepsItsCache(t *testing.T) {
	make := func() *larder.Cache {
		c, err := larder.New(larder.Options{MaxBytes: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return newNamespace(t, c, "a", larder.NamespaceOptions{})
	}
	a := make()
	mustSet(t, a, "key", []byte("value"))
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run on a goroutine
	}
	wantValue(t, a, "key", []byte("value"))
}

// Goroutines make, use and close namespaces at once, while the cache is closed at the end.
func TestNamespacesAtOnce(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 8 << 20, Stripes: 2})
	var users sync.WaitGroup
	for g := range 8 {
		users.Add(1)
		go func() {
			defer users.Done()
			for round := 0; ; round++ {
				if g == 0 && round == 100 {
					c.Close()
				}
				n, err := c.Namespace(fmt.Sprint((g+round)%3), larder.NamespaceOptions{Stripes: 1})
				if errors.Is(err, larder.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 50 {
					key, value := fmt.Sprint(i), noise(300, uint64(i))
					if err := n.SetString(key, value); err != nil && !errors.Is(err, larder.ErrClosed) {
						t.Error(err)
						return
					}
					if got, ok := n.GetString(nil, key); ok && string(got) != string(value) {
						t.Errorf("%q has another's value", key)
						return
					}
				}
				if round%7 == g {
					n.Close()
				}
			}
		}()
	}
	users.Wait()
}

// Tenants share a budget; one of them has a bound.
func ExampleCache_Namespace() {
	cache, _ := larder.New(larder.Options{MaxBytes: 64 << 20})
	defer cache.Close()

	sessions, err := cache.Namespace("sessions", larder.NamespaceOptions{DefaultTTL: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	pages, err := cache.Namespace("pages", larder.NamespaceOptions{MaxBytes: 16 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = sessions.SetString("7", []byte("Ada"))
	_ = pages.SetString("7", []byte("<html>"))
	for name, namespace := range cache.Namespaces() {
		value, _ := namespace.GetString(nil, "7")
		fmt.Printf("%s: %s, %d MiB at most\n", name, value, namespace.Stats().MaxBytes>>20)
	}
	// Output:
	// pages: <html>, 16 MiB at most
	// sessions: Ada, 64 MiB at most
}
