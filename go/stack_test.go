package larder_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// Fresh goroutines with small stacks call from every depth, with the key, the value and
// the buffer on the stack: wherever the stack has to grow on the way in, and be copied,
// they must be found at their new place.
func TestStackGrowth(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 16 << 20})
	var goroutines sync.WaitGroup
	for depth := range 400 {
		for _, call := range []func(*testing.T, *larder.Cache, int){getFromStack, setFromStack, setWithFromStack, deleteFromStack} {
			goroutines.Add(1)
			go func() {
				defer goroutines.Done()
				deep(depth, func() { call(t, c, depth) })
			}()
		}
		if depth%20 == 0 {
			runtime.GC() // stacks shrink again
		}
	}
	goroutines.Wait()
}

// The first call of the goroutine is a get, of a key that another call has set.
func getFromStack(t *testing.T, c *larder.Cache, depth int) {
	var key [12]byte
	var buf, want [100]byte
	binary.LittleEndian.PutUint64(key[:], uint64(depth))
	for i := range want {
		want[i] = byte(depth + i)
	}
	_, ok := c.Get(buf[:0], key[:])
	if ok {
		t.Errorf("depth %d: a hit before the set", depth)
	}
	if err := c.Set(key[:], want[:]); err != nil {
		t.Error(err)
	}
	got, ok := c.Get(buf[:0], key[:])
	if !ok || &got[0] != &buf[0] || buf != want {
		t.Errorf("depth %d: %v, %v", depth, got, ok)
	}
}

func setFromStack(t *testing.T, c *larder.Cache, depth int) {
	var key [13]byte
	var value [100]byte
	binary.LittleEndian.PutUint64(key[:], uint64(depth))
	for i := range value {
		value[i] = byte(depth - i)
	}
	if err := c.Set(key[:], value[:]); err != nil {
		t.Error(err)
	}
	if got, ok := c.Get(nil, key[:]); !ok || !bytes.Equal(got, value[:]) {
		t.Errorf("depth %d: %v, %v", depth, got, ok)
	}
}

// What is said of an entry lies on the stack as well, behind a pointer more.
func setWithFromStack(t *testing.T, c *larder.Cache, depth int) {
	var key [15]byte
	var value [60]byte
	binary.LittleEndian.PutUint64(key[:], uint64(depth))
	var tags [2]string
	tags[0], tags[1] = "first", "second"
	o := larder.SetOptions{TTL: time.Hour, StaleAfter: time.Minute, Tags: tags[:]}
	if err := c.SetWith(key[:], value[:], o); err != nil {
		t.Error(err)
	}
	var buf [60]byte
	got, info, ok := c.GetWith(buf[:0], key[:], true)
	if !ok || !bytes.Equal(got, value[:]) || info.State != larder.Fresh || info.TTL > time.Hour || info.TTL < time.Minute {
		t.Errorf("depth %d: %v, %+v, %v", depth, got, info, ok)
	}
	got, err := c.Load(context.Background(), buf[:0], key[:], nil)
	if err != nil || &got[0] != &buf[0] {
		t.Errorf("depth %d: %v, %v", depth, got, err)
	}
}

func deleteFromStack(t *testing.T, c *larder.Cache, depth int) {
	var key [14]byte
	binary.LittleEndian.PutUint64(key[:], uint64(depth))
	if c.Delete(key[:]) {
		t.Errorf("depth %d: deleted what wasn't there", depth)
	}
	if err := c.Set(key[:], key[:]); err != nil {
		t.Error(err)
	}
	if !c.Delete(key[:]) {
		t.Errorf("depth %d: the entry wasn't there", depth)
	}
}
