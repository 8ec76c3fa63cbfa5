package larder_test

import (
	"encoding/binary"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// The calls allocate nothing on the Go heap, and let the caller's keys and buffers
// stay on the stack.
func TestAllocs(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	large := make([]byte, 100<<10) // over what the fast door copies
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
