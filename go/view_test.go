package larder_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

func TestView(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 16 << 20})
	for _, n := range []int{0, 1, 100, 70_000, 3 << 20} {
		key := fmt.Sprint(n)
		mustSet(t, c, key, noise(n, 1))
		v, ok := c.View([]byte(key))
		if !ok || !bytes.Equal(v.Bytes(), noise(n, 1)) {
			t.Fatalf("view of %d bytes: %d bytes, %v", n, len(v.Bytes()), ok)
		}
		v.Release()
		if len(v.Bytes()) != 0 {
			t.Error("a released view has bytes")
		}
		v.Release() // does nothing
	}
	if v, ok := c.ViewString("missing"); ok || len(v.Bytes()) != 0 {
		t.Error("a view of nothing")
	}
	s := c.Stats()
	if s.Hits != 5 || s.Misses != 1 {
		t.Errorf("%d hits, %d misses", s.Hits, s.Misses)
	}
	if n := testing.AllocsPerRun(100, func() {
		v, _ := c.ViewString("100")
		v.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Views stay what they are, whatever happens to their entries, and the cache works on.
func TestViewsOutliveEverything(t *testing.T) {
	const budget = 8 << 20
	c := newCache(t, larder.Options{MaxBytes: budget})
	sizes := []int{10, 1000, 50_000, 500_000}
	views := make([]larder.View, len(sizes))
	check := func(after string) {
		t.Helper()
		for i := range views {
			if !bytes.Equal(views[i].Bytes(), noise(sizes[i], uint64(i))) {
				t.Errorf("after %s, the view of %d bytes has changed", after, sizes[i])
			}
		}
	}
	for i, size := range sizes {
		mustSet(t, c, fmt.Sprint(i), noise(size, uint64(i)))
		var ok bool
		if views[i], ok = c.ViewString(fmt.Sprint(i)); !ok {
			t.Fatal("no view")
		}
	}
	for i := range sizes {
		mustSet(t, c, fmt.Sprint(i), []byte("overwritten"))
		wantValue(t, c, fmt.Sprint(i), []byte("overwritten"))
	}
	check("overwriting")
	for i := range sizes {
		c.Delete([]byte(fmt.Sprint(i)))
	}
	check("Delete")
	churn := func() {
		for i := range 40_000 {
			mustSet(t, c, fmt.Sprint("other", i), noise(i%2000, 1))
		}
		if s := c.Stats(); s.Bytes > s.MaxBytes {
			t.Errorf("%d bytes of %d", s.Bytes, s.MaxBytes)
		}
	}
	churn()
	check("eviction")
	c.Clear()
	churn()
	check("Clear")
	for _, size := range []int64{4 << 20, 32 << 20, budget} {
		if err := c.Resize(size); err != nil {
			t.Error(err)
		}
		churn()
	}
	check("Resize")
	c.Close()
	check("Close")

	var released sync.WaitGroup
	for i := range views {
		released.Add(1)
		go func() {
			defer released.Done()
			views[i].Release()
		}()
	}
	released.Wait()
}

// A cache whose room is all in views says so, and recovers.
func TestViewsOfEverything(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 2 << 20})
	views := make([]larder.View, 0, 10_000)
	var err error
	var ok bool
	for i := 0; err == nil && len(views) < cap(views); i++ {
		if err = c.SetString(fmt.Sprint(i), noise(2000, uint64(i))); err == nil {
			views = views[:len(views)+1]
			if views[i], ok = c.ViewString(fmt.Sprint(i)); !ok {
				t.Fatalf("no view of entry %d", i)
			}
		}
	}
	if !errors.Is(err, larder.ErrFull) {
		t.Fatalf("with %d views: %v", len(views), err)
	}
	for i := range views {
		if !bytes.Equal(views[i].Bytes(), noise(2000, uint64(i))) {
			t.Fatalf("view %d has changed", i)
		}
		views[i].Release()
	}
	for i := range 1000 {
		mustSet(t, c, fmt.Sprint("after", i), noise(2000, 1))
	}
}
