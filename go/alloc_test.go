package larder_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// The calls allocate nothing on the Go heap, and let the caller's keys and buffers
// stay on the stack.
func TestAllocs(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	large := make([]byte, 100<<10) // over what the fast path copies
	var i uint64
	for _, test := range []struct {
		name string
		op   func()
	}{
		{"Set", func() {
			var key [8]byte
			var value [200]byte
			binary.LittleEndian.PutUint64(key[:], i%100)
			_ = c.Set(key[:], value[:])
		}},
		{"Set, evicting", func() {
			var key [8]byte
			var value [200]byte
			binary.LittleEndian.PutUint64(key[:], i)
			_ = c.Set(key[:], value[:])
		}},
		{"SetTTL", func() {
			var key [8]byte
			_ = c.SetTTL(key[:], key[:], time.Minute)
		}},
		{"SetString", func() { _ = c.SetString("string", large[:1000]) }},
		{"Set of 100 KiB", func() { _ = c.SetString("large", large) }},
		{"Get", func() {
			var key [8]byte
			var value [200]byte
			binary.LittleEndian.PutUint64(key[:], i%200)
			_, _ = c.Get(value[:0], key[:])
		}},
		{"GetString", func() {
			var value [1000]byte
			_, _ = c.GetString(value[:0], "string")
		}},
		{"Get of 100 KiB", func() { _, _ = c.GetString(large[:0], "large") }},
		{"a miss", func() { _, _ = c.GetString(nil, "missing") }},
		{"Delete", func() {
			var key [8]byte
			binary.LittleEndian.PutUint64(key[:], i)
			c.Delete(key[:])
		}},
		{"Len", func() { c.Len() }},
		{"Stats", func() { c.Stats() }},
	} {
		if n := testing.AllocsPerRun(2000, func() { i++; test.op() }); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
}

// put makes a key of a number.
func put(key *[8]byte, i uint64) []byte {
	binary.LittleEndian.PutUint64(key[:], i%100)
	return key[:]
}

// Nor do those that say or ask more; a hit of Load least of all.
func TestAllocsExtended(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Hour})
	typed := larder.NewTyped(c, larder.Codec[int, int]{Key: larder.IntKey[int], Value: larder.IntValue[int]()})
	var i uint64
	var loader larder.Loader = func(_ context.Context, key []byte) (larder.Loaded, error) {
		return larder.Loaded{Value: key}, nil
	}
	typedLoader := func(_ context.Context, key int) (larder.LoadedValue[int], error) {
		return larder.LoadedValue[int]{Value: key}, nil
	}
	ctx := context.Background()
	tags := []string{"tag", "another tag", "and another"}
	var version uint64
	_ = c.SetWith([]byte("stale"), []byte("value"), larder.SetOptions{StaleAfter: time.Millisecond})
	time.Sleep(10 * time.Millisecond)
	c.GetWith(nil, []byte("stale"), true) // takes the lease
	for i := range 100 {
		_ = typed.Set(i, i)
	}
	for _, test := range []struct {
		name string
		op   func()
	}{
		{"SetWith", func() {
			var k [8]byte
			_ = c.SetWith(put(&k, i), k[:], larder.SetOptions{TTL: time.Minute, StaleAfter: time.Hour, Sliding: true, Tags: tags})
		}},
		{"Load, a hit", func() {
			var k [8]byte
			var value [16]byte
			_, _ = c.Load(ctx, value[:0], put(&k, i), loader)
		}},
		{"GetWith", func() {
			var k [8]byte
			var value [16]byte
			_, _, _ = c.GetWith(value[:0], put(&k, i), true)
		}},
		{"GetVersion and CompareAndSwap", func() {
			var k [8]byte
			var value [16]byte
			_, version, _ = c.GetVersion(value[:0], put(&k, i))
			_, _, _ = c.CompareAndSwap(k[:], k[:], version, larder.SetOptions{Tags: tags})
		}},
		{"Add", func() {
			var k [8]byte
			_, _ = c.Add(put(&k, i), k[:], larder.SetOptions{})
		}},
		{"Touch", func() {
			var k [8]byte
			c.Touch(put(&k, i), time.Hour)
		}},
		{"MarkStale", func() {
			var k [8]byte
			c.MarkStale(append(put(&k, i)[:7], 'x'))
		}},
		{"Increment", func() {
			var k [1]byte
			_, _ = c.Increment(k[:], 1, larder.SetOptions{})
		}},
		{"InvalidateTag", func() { _ = c.InvalidateTag("no entry's") }},
		{"Typed.Set", func() { _ = typed.Set(int(i%100), 7) }},
		{"Typed.Get", func() { _, _ = typed.Get(int(i % 100)) }},
		{"Typed.Load, a hit", func() { _, _ = typed.Load(ctx, int(i%100), typedLoader) }},
		{"Typed.Delete", func() { typed.Delete(int(i % 100)) }},
	} {
		if n := testing.AllocsPerRun(2000, func() { i++; test.op() }); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
}
