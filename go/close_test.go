package larder_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// A hundred goroutines use a cache while it is closed, twice at once.
func TestCloseUnderLoad(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		c, err := larder.New(larder.Options{MaxBytes: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		var closed atomic.Bool
		var users, closers sync.WaitGroup
		busy := make(chan struct{}, 100)
		for g := range 100 {
			users.Add(1)
			go func() {
				defer users.Done()
				use(t, c, &closed, uint64(round*100+g), busy)
			}()
		}
		for range cap(busy) {
			<-busy
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		for range 2 {
			closers.Add(1)
			go func() {
				defer closers.Done()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				closed.Store(true)
			}()
		}
		closers.Wait()
		users.Wait()
	}
}

// use calls every method until the cache turns out to be closed.
func use(t *testing.T, c *larder.Cache, closed *atomic.Bool, seed uint64, busy chan<- struct{}) {
	rng := rand.New(rand.NewPCG(seed, 5))
	value := noise(70<<10, seed)
	var dst []byte
	for i := 0; ; i++ {
		if i == 5 {
			busy <- struct{}{}
		}
		wasClosed := closed.Load()
		key := fmt.Appendf(nil, "key %d", rng.IntN(500))
		var ok bool
		switch op := rng.IntN(100); {
		case op < 40:
			if dst, ok = c.Get(dst[:0], key); ok && wasClosed {
				t.Error("a hit in a closed cache")
				return
			}
		case op < 80:
			size := rng.IntN(1 << rng.IntN(17))
			err := c.Set(key, value[:min(size, len(value))])
			if errors.Is(err, larder.ErrClosed) && i > 5 {
				return
			}
			if wasClosed && err == nil {
				t.Error("a set in a closed cache")
				return
			}
			// With so many readers at once, all that could go may be in use for a moment.
			if err != nil && !errors.Is(err, larder.ErrFull) && !errors.Is(err, larder.ErrClosed) {
				t.Error(err)
				return
			}
		case op < 95:
			c.Delete(key)
		case op < 96:
			for range c.All() {
			}
		case op < 97:
			c.Clear()
		case op < 98:
			err := c.Resize(int64(rng.IntN(8)+4) << 20)
			if err != nil && !errors.Is(err, larder.ErrFull) && !errors.Is(err, larder.ErrClosed) {
				t.Error(err)
				return
			}
		default:
			c.Len()
			c.Stats()
		}
	}
}

// Caches that are forgotten leave nothing behind, and never go while a call is inside.
func TestForgottenClose(t *testing.T) {
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Add(1)
	go func() {
		defer collector.Done()
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
				time.Sleep(time.Millisecond)
			}
		}
	}()
	before := resident(t)
	value := noise(64<<10, 1)
	var workers sync.WaitGroup
	for range 4 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			dst := make([]byte, 0, len(value))
			for range 40 {
				c, err := larder.New(larder.Options{MaxBytes: 16 << 20})
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 60 {
					if err := c.SetString(fmt.Sprint(i), value); err != nil {
						t.Error(err)
						return
					}
				}
				// The last use of c: nothing but the call itself keeps it.
				if got, ok := c.GetString(dst, "59"); !ok || !bytes.Equal(got, value) {
					t.Errorf("%d bytes, %v", len(got), ok)
				}
			}
		}()
	}
	workers.Wait()
	// 160 caches of some 4 MiB.
	wait(t, "forgotten caches to be released", func() bool { return resident(t) < before+100<<20 })
	close(stop)
	collector.Wait()
}

// resident is the memory of this process, in bytes.
func resident(t *testing.T) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
