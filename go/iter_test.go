package larder_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

func TestAll(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 64 << 20})
	for range c.All() {
		t.Fatal("an empty cache has an entry")
	}
	want := map[string][]byte{"": {}, "empty": {}}
	for i := range 5000 {
		want[fmt.Sprint(i)] = noise(i%200, uint64(i))
	}
	for i := range 10 { // larger than the blocks that entries come in
		want[fmt.Sprint("large", i)] = noise(100<<10+i*100_000, uint64(i))
	}
	for key, value := range want {
		mustSet(t, c, key, value)
	}

	type entry struct{ key, value []byte }
	var all []entry
	for key, value := range c.All() {
		all = append(all, entry{key, value})
	}
	for _, e := range all { // all slices are good until the end, and after
		value, ok := want[string(e.key)]
		if !ok || !bytes.Equal(value, e.value) {
			t.Fatalf("entry %q with %d bytes; want %d, %v", e.key, len(e.value), len(value), ok)
		}
		delete(want, string(e.key))
		_ = append(e.key, "must not write to a neighbour"...)
		_ = append(e.value, "must not write to a neighbour"...)
	}
	if len(want) > 0 {
		t.Errorf("%d entries were left out", len(want))
	}
	if s := c.Stats(); s.Hits != 0 || s.Misses != 0 {
		t.Errorf("iterating counted %d hits, %d misses", s.Hits, s.Misses)
	}
}

func TestAllStops(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	for i := range 1000 {
		mustSet(t, c, fmt.Sprint(i), []byte("value"))
	}
	for stop := range 5 {
		n := 0
		for range c.All() {
			if n++; n > stop {
				break
			}
		}
		if n != stop+1 {
			t.Errorf("%d entries after break at %d", n, stop+1)
		}
	}
	n := 0
	for range c.All() {
		if n++; n == 10 {
			c.Close()
		}
	}
	if n < 10 || n > 1000 {
		t.Errorf("%d entries of a cache that was closed at the tenth", n)
	}
}

// Entries that stay come exactly once, whatever happens around them.
func TestAllWhileWriting(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 64 << 20})
	const stay = 2000
	for i := range stay {
		mustSet(t, c, fmt.Sprint("stay", i), fmt.Append(nil, i))
	}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Appendf(nil, "come and go %d %d", w, i%20_000)
				if i%3 == 0 {
					c.Delete(key)
				} else if err := c.Set(key, key); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for range 20 {
		seen := map[string]bool{}
		for key, value := range c.All() {
			if seen[string(key)] {
				t.Errorf("%q came twice", key)
			}
			seen[string(key)] = true
			if bytes.HasPrefix(key, []byte("come")) && !bytes.Equal(key, value) {
				t.Errorf("%q with the value %q", key, value)
			}
		}
		for i := range stay {
			if !seen[fmt.Sprint("stay", i)] {
				t.Fatalf("entry %d did not come", i)
			}
		}
	}
	close(stop)
	writers.Wait()

	for key := range c.All() { // the loop itself may write
		c.Delete(key)
	}
	if n := c.Len(); n != 0 {
		t.Errorf("%d entries after deleting all", n)
	}
}
