package linearizability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	larder "github.com/larder-cache/larder/go"
)

// cache is what a history is made with.
type cache interface {
	Load(ctx context.Context, dst, key []byte, loader larder.Loader) ([]byte, error)
	Get(dst, key []byte) ([]byte, bool)
	Set(key, value []byte) error
	Add(key, value []byte, o larder.SetOptions) (bool, error)
	Delete(key []byte) bool
	MarkStale(key []byte) bool
}

const (
	clients = 6
	calls   = 40 // of each client
	keys    = 2
)

// record lets clients use the cache, and returns what they did.
func record(t *testing.T, c cache, seed uint64) []porcupine.Operation {
	var clock, loads atomic.Int64
	var source [keys]atomic.Int64 // the version of what a loader finds
	histories := make([][]porcupine.Operation, clients)
	var all sync.WaitGroup
	for client := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			rng := rand.New(rand.NewPCG(seed, uint64(client)))
			for i := range calls {
				n := rng.IntN(keys)
				in := input{key: fmt.Sprint("key ", n), value: fmt.Sprintf("S%d/%d", client, i)}
				in.kind = [...]kind{load, load, load, load, get, set, add, change, change, markStale}[rng.IntN(10)]
				pause, fails := rng.IntN(20), rng.IntN(10) == 0
				loader := func(context.Context, []byte) (larder.Loaded, error) {
					value := fmt.Sprintf("L%d@%d", loads.Add(1), source[n].Load())
					for range pause {
						runtime.Gosched()
					}
					if fails {
						return larder.Loaded{}, errors.New("no luck")
					}
					return larder.Loaded{Value: []byte(value)}, nil
				}
				op := porcupine.Operation{ClientId: client, Input: in, Call: clock.Add(1)}
				if in.kind == change {
					in.version = source[n].Add(1)
					op.Input = in
				}
				out := perform(t, c, in, loader)
				op.Return, op.Output = clock.Add(1), out
				histories[client] = append(histories[client], op)
				if rng.IntN(4) == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	all.Wait()
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	return history
}

func perform(t *testing.T, c cache, in input, loader larder.Loader) (out output) {
	key, value := []byte(in.key), []byte(in.value)
	var err error
	switch in.kind {
	case load:
		value, err = c.Load(context.Background(), nil, key, loader)
		return output{value: string(value), err: err != nil}
	case get:
		value, out.ok = c.Get(nil, key)
		out.value = string(value)
	case set:
		err = c.Set(key, value)
	case add:
		out.ok, err = c.Add(key, value, larder.SetOptions{})
	case change:
		out.ok = c.Delete(key)
	case markStale:
		out.ok = c.MarkStale(key)
	}
	if err != nil {
		t.Error(in, err)
	}
	return out
}

// check looks for an order. Histories are short, so that it is found soon, or found
// missing.
func check(t *testing.T, history []porcupine.Operation) bool {
	t.Helper()
	result := porcupine.CheckOperationsTimeout(model, history, time.Minute)
	if result == porcupine.Unknown {
		t.Log("the checker gave up on a history")
	}
	return result != porcupine.Illegal
}

func TestLoadIsLinearizable(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for round := range rounds {
		budget := int64(1 << 20)
		if round%2 == 1 {
			budget = 64 << 20 // here small sets wait to be completed
		}
		c, err := larder.New(larder.Options{MaxBytes: budget})
		if err != nil {
			t.Fatal(err)
		}
		history := record(t, c, uint64(round))
		c.Close()
		if !check(t, history) {
			report(t, history)
			t.Fatal("no order of these calls explains what they returned")
		}
	}
}

// report logs the calls on the keys whose histories have no order: the longest order that
// was found, and what is left.
func report(t *testing.T, history []porcupine.Operation) {
	for _, part := range model.Partition(history) {
		result, info := porcupine.CheckOperationsVerbose(model, part, time.Minute)
		if result != porcupine.Illegal {
			continue
		}
		var longest []porcupine.Operation
		for _, orders := range info.PartialLinearizationsOperations() {
			for _, order := range orders {
				if len(order) > len(longest) {
					longest = order
				}
			}
		}
		s := state{}
		ordered := map[int64]bool{}
		for _, op := range longest {
			_, s = step(s, op.Input.(input), op.Output.(output))
			describe(t, op, fmt.Sprintf("%+v", s))
			ordered[op.Call] = true
		}
		for _, op := range part {
			if !ordered[op.Call] {
				describe(t, op, "?")
			}
		}
	}
}

func describe(t *testing.T, op porcupine.Operation, after string) {
	in, out := op.Input.(input), op.Output.(output)
	t.Logf("%4d to %4d, client %d: %v %s: %+v -> %s", op.Call, op.Return, op.ClientId, in.kind, in.value, out, after)
}
