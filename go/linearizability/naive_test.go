package linearizability

import (
	"context"
	"runtime"
	"sync"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

// naive loads as many programs do: look, load once for all who wait, store. It forgets
// that the key may be set or deleted meanwhile.
type naive struct {
	*larder.Cache
	joins bool // who misses joins a load under way, however old it is
	mu    sync.Mutex
	loads map[string]*naiveLoad
}

type naiveLoad struct {
	done  chan struct{}
	value larder.Loaded
	err   error
}

func (n *naive) Load(ctx context.Context, dst, key []byte, loader larder.Loader) ([]byte, error) {
	if value, ok := n.Get(dst, key); ok {
		return value, nil
	}
	n.mu.Lock()
	l := n.loads[string(key)]
	if l != nil && n.joins {
		n.mu.Unlock()
		<-l.done
		return append(dst, l.value.Value...), l.err
	}
	l = &naiveLoad{done: make(chan struct{})}
	n.loads[string(key)] = l
	n.mu.Unlock()
	l.value, l.err = loader(ctx, key)
	runtime.Gosched()
	if l.err == nil && !n.joins {
		_ = n.Set(key, l.value.Value)
	} else if l.err == nil {
		_, _ = n.Add(key, l.value.Value, larder.SetOptions{})
	}
	n.mu.Lock()
	delete(n.loads, string(key))
	n.mu.Unlock()
	close(l.done)
	return append(dst, l.value.Value...), l.err
}

// The checker must find what it is there to find: a load that stores over what was set meanwhile, and one that
// stores or hands out what was loaded before a delete.
func TestNaiveLoadIsNot(t *testing.T) {
	for name, joins := range map[string]bool{"overwrites": false, "joins": true} {
		t.Run(name, func(t *testing.T) {
			for round := range 1000 {
				c, err := larder.New(larder.Options{MaxBytes: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				n := &naive{Cache: c, joins: joins, loads: map[string]*naiveLoad{}}
				history := record(t, n, uint64(round))
				c.Close()
				if !check(t, history) {
					t.Logf("found in round %d", round)
					return
				}
			}
			t.Error("not found")
		})
	}
}
