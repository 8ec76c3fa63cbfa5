package peers

import (
	"fmt"
	"testing"

	"github.com/larder-cache/larder/bench/internal/keys"
)

// Every adapter returns what was set, appended to dst, survives the reuse of the caller's buffers, and misses what
// was never set.
func TestAdapters(t *testing.T) {
	const n = 500
	for _, p := range All {
		t.Run(p.Name, func(t *testing.T) {
			c, err := p.New(Config{Entries: 20 * n, EntrySize: 130})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			value := make([]byte, 100)
			key := make([]byte, keys.Stride)
			for round := range 2 { // the second round overwrites
				for i := range n {
					k := key[:keys.Write(key, uint64(i))]
					keys.Stamp(value, k)
					value[99] = byte(round)
					if !c.Set(k, value) {
						t.Fatalf("set %d was refused", i)
					}
					if w, ok := c.(Waiter); ok {
						w.Wait()
					}
					clear(value)
					clear(key)
				}
			}
			set := keys.NewSet(0, n)
			buf := []byte("prefix")
			for i := range n {
				got, ok := c.Get(buf, set.Key(i))
				if !ok {
					t.Fatalf("key %d is missing", i)
				}
				if string(got[:6]) != "prefix" || !keys.Check(got[6:], set.Key(i), 100) || got[105] != 1 {
					t.Fatalf("key %d has a wrong value", i)
				}
				if got, ok := c.Get(buf, set.Absent(i)); ok || len(got) != 6 {
					t.Fatalf("key %d, absent, was found", i)
				}
			}
			if m, ok := c.(ManyGetter); ok {
				b := m.NewBatch()
				b.Get([][]byte{set.Key(1), set.Absent(2), set.Key(3)})
				for i, want := range [][]byte{set.Key(1), nil, set.Key(3)} {
					got, ok := b.Value(i)
					if ok != (want != nil) || ok && !keys.Check(got, want, 100) {
						t.Errorf("key %d of a batch: %d bytes, %v", i, len(got), ok)
					}
				}
			}
			if d, ok := c.(Deleter); ok {
				d.Delete(set.Key(3))
				if w, ok := c.(Waiter); ok {
					w.Wait()
				}
				if _, ok := c.Get(nil, set.Key(3)); ok {
					t.Error("a deleted key is found")
				}
			}
		})
	}
}

// Caches with a capacity stay near it. (32 MiB in all: fastcache's capacity is a multiple of that.)
func TestCapacity(t *testing.T) {
	const n, size = 16384, 2048 - Overhead
	for _, p := range All {
		if p.Bound == Unbounded {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			c, err := p.New(Config{Entries: n, EntrySize: size, Synchronous: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			set := keys.NewSet(0, 3*n)
			value := make([]byte, size-24)
			for i := range 3 * n {
				keys.Stamp(value, set.Key(i))
				c.Set(set.Key(i), value)
			}
			if w, ok := c.(Waiter); ok {
				w.Wait()
			}
			found := 0
			for i := range 3 * n {
				if _, ok := c.Get(nil, set.Key(i)); ok {
					found++
				}
			}
			if found > n*11/10 || found < n/2 {
				t.Errorf("%d entries, capacity %d", found, n)
			}
		})
	}
}

// With LargeValues, caches whose capacity allows it take values over 64 KiB.
func TestLargeValues(t *testing.T) {
	for _, name := range []string{"larder", "otter", "fastcache", "bigcache"} {
		t.Run(name, func(t *testing.T) {
			p, err := Find(name)
			if err != nil {
				t.Fatal(err)
			}
			c, err := p.New(Config{Bytes: 64 << 20, EntrySize: 10000, LargeValues: true, Synchronous: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i, size := range []int{8, 1000, 65000, 65536, 200000, 1 << 20} {
				k := fmt.Appendf(nil, "key number %6d", i)
				value := make([]byte, size)
				keys.Stamp(value, k)
				value[size-1] |= 1
				if !c.Set(k, value) {
					t.Fatalf("value of %d bytes was refused", size)
				}
				got, ok := c.Get(nil, k)
				if !ok || string(got) != string(value) {
					t.Fatalf("value of %d bytes is missing or wrong", size)
				}
			}
		})
	}
}
