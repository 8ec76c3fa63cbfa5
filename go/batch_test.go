package larder_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

func TestMany(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 64 << 20})
	var b larder.Batch
	// Around the size of a group, and with values over what the fast path copies.
	for _, n := range []int{0, 1, 15, 16, 17, 32, 33, 1000} {
		for _, size := range []int{0, 10, 5000, 100_000} {
			if n*size > 16<<20 {
				continue
			}
			c.Clear()
			b.Reset()
			for i := range n {
				b.AddEntry(fmt.Append(nil, "key", i), noise(size, uint64(i)))
			}
			if err := c.SetMany(&b); err != nil {
				t.Fatal(err)
			}
			if c.Len() != n || b.Len() != n {
				t.Fatalf("%d entries of %d", c.Len(), n)
			}
			for i := range n {
				if err := b.Err(i); err != nil {
					t.Error(err)
				}
				wantValue(t, c, fmt.Sprint("key", i), noise(size, uint64(i)))
			}

			// Every other key is missing.
			b.Reset()
			for i := range n {
				b.AddString(fmt.Sprint("key", i))
				b.AddString(fmt.Sprint("no", i))
			}
			if found := c.GetMany(&b); found != n {
				t.Fatalf("found %d of %d", found, n)
			}
			for i := range n {
				got, ok := b.Value(2 * i)
				if !ok || !bytes.Equal(got, noise(size, uint64(i))) {
					t.Fatalf("%d of %d: %d bytes, %v; want %d", i, n, len(got), ok, size)
				}
				if got, ok := b.Value(2*i + 1); ok {
					t.Fatalf("a missing key has %d bytes", len(got))
				}
				if string(b.Key(2*i)) != fmt.Sprint("key", i) {
					t.Fatalf("key %d is %q", 2*i, b.Key(2*i))
				}
			}

			b.Reset()
			for i := range n {
				b.AddString(fmt.Sprint("no", i))
				b.AddString(fmt.Sprint("key", i))
			}
			if deleted := c.DeleteMany(&b); deleted != n || c.Len() != 0 {
				t.Fatalf("deleted %d of %d, %d left", deleted, n, c.Len())
			}
			for i := range n {
				if b.Deleted(2*i) || !b.Deleted(2*i+1) {
					t.Fatalf("Deleted(%d, %d): %v, %v", 2*i, 2*i+1, b.Deleted(2*i), b.Deleted(2*i+1))
				}
			}
		}
	}
}

// A key may come several times; what is first in the batch is done first.
func TestManyOfOneKey(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	var b larder.Batch
	for i := range 40 {
		b.AddEntry([]byte("k"), fmt.Append(nil, i))
		b.AddEntry(nil, nil)
	}
	if err := c.SetMany(&b); err != nil {
		t.Fatal(err)
	}
	wantValue(t, c, "k", []byte("39"))
	wantValue(t, c, "", nil)
	b.Reset()
	for range 20 {
		b.AddString("k")
	}
	if n := c.GetMany(&b); n != 20 {
		t.Errorf("found %d of 20", n)
	}
	if n := c.DeleteMany(&b); n != 1 || !b.Deleted(0) || b.Deleted(1) {
		t.Errorf("deleted %d of 1", n)
	}
}

func TestManyErrors(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	var b larder.Batch
	b.AddEntry([]byte("before"), []byte("1"))
	b.AddEntry(make([]byte, 64<<10+1), nil)
	b.AddEntry([]byte("between"), []byte("2"))
	b.AddEntry([]byte("large"), make([]byte, 256<<10+1))
	b.AddEntry([]byte("after"), []byte("3"))
	if err := c.SetMany(&b); !errors.Is(err, larder.ErrKeyTooLarge) {
		t.Errorf("SetMany: %v", err)
	}
	for i, want := range []error{nil, larder.ErrKeyTooLarge, nil, larder.ErrValueTooLarge, nil} {
		if err := b.Err(i); !errors.Is(err, want) {
			t.Errorf("entry %d: %v, want %v", i, err, want)
		}
	}
	if n := c.GetMany(&b); n != 3 {
		t.Errorf("found %d of 3", n)
	}
	if _, ok := b.Value(1); ok {
		t.Error("found a key that can't be there")
	}
	if n := c.DeleteMany(&b); n != 3 {
		t.Errorf("deleted %d of 3", n)
	}

	c.Close()
	b.Reset()
	for i := range 50 {
		b.AddEntry(fmt.Append(nil, i), []byte("value"))
	}
	for range 2 {
		if err := c.SetMany(&b); !errors.Is(err, larder.ErrClosed) || !errors.Is(b.Err(49), larder.ErrClosed) {
			t.Errorf("SetMany after Close: %v, %v", err, b.Err(49))
		}
	}
	if n := c.GetMany(&b) + c.DeleteMany(&b); n != 0 {
		t.Errorf("%d of a closed cache", n)
	}
}

func TestSetManyTTL(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: 20 * time.Millisecond})
	var short, long larder.Batch
	for i := range 50 {
		short.AddEntry(fmt.Append(nil, "short", i), nil)
		long.AddEntry(fmt.Append(nil, "long", i), nil)
	}
	if err := c.SetMany(&short); err != nil {
		t.Fatal(err)
	}
	if err := c.SetManyTTL(&long, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := c.SetManyTTL(&long, -2); !errors.Is(err, larder.ErrInvalidTTL) {
		t.Errorf("a negative TTL: %v", err)
	}
	wait(t, "entries to expire", func() bool { return c.GetMany(&short) == 0 })
	if n := c.GetMany(&long); n != 50 {
		t.Errorf("%d of 50 entries with an hour to live", n)
	}
}

// Random batches, against a map.
func TestManyModel(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 64 << 20})
	model := map[string][]byte{}
	rng := rand.New(rand.NewPCG(8, 9))
	var b larder.Batch
	for range 3000 {
		b.Reset()
		op := rng.IntN(4)
		for range rng.IntN(60) {
			key := fmt.Append(nil, rng.IntN(300))
			if op == 0 {
				b.AddEntry(key, noise(rng.IntN(1<<rng.IntN(14)), rng.Uint64()))
			} else {
				b.Add(key)
			}
		}
		switch op {
		case 0:
			for i := range b.Len() {
				model[string(b.Key(i))] = nil
			}
			if err := c.SetMany(&b); err != nil {
				t.Fatal(err)
			}
			for i := range b.Len() {
				value, ok := b.Value(i) // what was set
				if !ok {
					t.Fatalf("Value(%d) after SetMany", i)
				}
				model[string(b.Key(i))] = bytes.Clone(value)
			}
		case 1:
			c.DeleteMany(&b)
			for i := range b.Len() {
				if _, ok := model[string(b.Key(i))]; ok != b.Deleted(i) {
					t.Fatalf("Deleted(%d) is %v", i, b.Deleted(i))
				}
				delete(model, string(b.Key(i)))
			}
		default:
			c.GetMany(&b)
			for i := range b.Len() {
				got, ok := b.Value(i)
				if want, wantOK := model[string(b.Key(i))]; ok != wantOK || !bytes.Equal(got, want) {
					t.Fatalf("Value(%d) is %d bytes, %v; want %d, %v", i, len(got), ok, len(want), wantOK)
				}
			}
		}
		if c.Len() != len(model) {
			t.Fatalf("%d entries, want %d", c.Len(), len(model))
		}
	}
}

func TestManyAllocs(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	value := make([]byte, 500)
	var b larder.Batch
	op := func() {
		b.Reset()
		for i := range 64 {
			key := [8]byte{byte(i)}
			b.AddEntry(key[:], value)
		}
		if err := c.SetMany(&b); err != nil {
			t.Error(err)
		}
		b.Reset()
		for i := range 64 {
			key := [8]byte{byte(i)}
			b.Add(key[:])
		}
		if n := c.GetMany(&b); n != 64 {
			t.Errorf("found %d of 64", n)
		}
		if n := c.DeleteMany(&b); n != 64 {
			t.Errorf("deleted %d of 64", n)
		}
	}
	op()
	if n := testing.AllocsPerRun(500, op); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
