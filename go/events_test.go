package larder_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

const allEvents = larder.EventEvicted | larder.EventExpired | larder.EventRejected | larder.EventDeleted |
	larder.EventOverwritten | larder.EventInvalidated

// taken is all events that are there, as text.
func taken(c *larder.Cache) []string {
	var texts []string
	for e := range c.Events() {
		texts = append(texts, fmt.Sprintf("%v %s %d", e.Reason, e.Key, e.ValueLen))
	}
	return texts
}

func wantEvents(t *testing.T, c *larder.Cache, want ...string) {
	t.Helper()
	if got := taken(c); !slices.Equal(got, want) {
		t.Fatalf("events %q, want %q", got, want)
	}
}

func TestEventsOfTheCaller(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, Stripes: 1, EventBytes: 64 << 10, Events: allEvents})
	wantEvents(t, c)
	mustSet(t, c, "tea", []byte("green"))
	mustSet(t, c, "tea", []byte("oolong"))
	mustSet(t, c, "", nil)
	c.Delete(nil)
	c.Delete([]byte("tea"))
	c.Delete([]byte("tea"))
	mustSet(t, c, "tea", nil)
	wantEvents(t, c, "overwritten tea 5", "deleted  0", "deleted tea 6")
	wantEvents(t, c)

	var b larder.Batch
	b.AddEntry([]byte("tea"), []byte("sencha"))
	b.AddEntry([]byte("juice"), []byte("apple"))
	if err := c.SetMany(&b); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.AddString("juice")
	c.DeleteMany(&b)
	c.Clear() // makes none
	wantEvents(t, c, "overwritten tea 0", "deleted juice 5")
}

func TestEventsOfTime(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, Stripes: 1, EventBytes: 64 << 10})
	if err := c.SetTTL([]byte("milk"), []byte("1 l"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	mustSet(t, c, "salt", []byte("500 g"))
	c.Delete([]byte("salt")) // not wanted by default
	var got []string
	wait(t, "the expiration", func() bool {
		got = append(got, taken(c)...)
		return len(got) > 0
	})
	if want := []string{"expired milk 3"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

func TestEventsOfRoom(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, Stripes: 1, EventBytes: 64 << 10})
	gone := map[string]bool{}
	for i := range 10_000 {
		mustSet(t, c, fmt.Sprint(i), noise(i%300, 1))
		if i%500 > 0 {
			continue
		}
		for e := range c.Events() {
			var n int
			if _, err := fmt.Sscan(string(e.Key), &n); err != nil || e.ValueLen != n%300 {
				t.Fatalf("%q with %d bytes: %v", e.Key, e.ValueLen, err)
			}
			if e.Reason != larder.EventEvicted || gone[string(e.Key)] {
				t.Fatalf("%v %q, seen before: %v", e.Reason, e.Key, gone[string(e.Key)])
			}
			gone[string(e.Key)] = true
		}
		if s := c.Stats(); s.Evictions != uint64(len(gone)) || s.DroppedEvents != 0 {
			t.Fatalf("%d evicted; %+v", len(gone), s)
		}
	}
	for key := range gone {
		wantMiss(t, c, key)
	}
	if len(gone) < 1000 {
		t.Errorf("only %d entries were evicted", len(gone))
	}

	// Nothing can be evicted while views hold all of it.
	held := make([]larder.View, 0, 100)
	var err error
	for i := 0; err == nil && i < cap(held); i++ {
		taken(c) // or what is evicted fills the queue
		if err = c.SetString(fmt.Sprint("held ", i), noise(200<<10, 1)); err == nil {
			held = held[:i+1]
			held[i], _ = c.ViewString(fmt.Sprint("held ", i))
		}
	}
	if !errors.Is(err, larder.ErrFull) {
		t.Fatalf("with %d views: %v", len(held), err)
	}
	got := taken(c)
	if want := fmt.Sprintf("rejected held %d %d", len(held), 200<<10); got[len(got)-1] != want {
		t.Errorf("the last of the events is %q, want %q", got[len(got)-1], want)
	}
	if n := c.Stats().Rejections; n != 1 {
		t.Errorf("%d rejections", n)
	}
	for i := range held {
		held[i].Release()
	}
}

func TestEventsDropped(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, Stripes: 1, EventBytes: 1, Events: larder.EventDeleted})
	for round := range 3 {
		for i := range 1000 {
			key := fmt.Appendf(nil, "%08d", i)
			mustSet(t, c, string(key), key)
			c.Delete(key)
		}
		// A page has room for 204 of them: the first.
		got := taken(c)
		if want := 204; len(got) != want || got[0] != "deleted 00000000 8" || got[want-1] != "deleted 00000203 8" {
			t.Fatalf("%d events: %q", len(got), got)
		}
		if n := c.Stats().DroppedEvents; n != uint64(round+1)*(1000-204) {
			t.Fatalf("%d events were dropped", n)
		}
	}
}

// A loop that ends early leaves the rest, in order, and before what comes later.
func TestEventsLeft(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 8 << 20, Stripes: 1, EventBytes: 1 << 20, Events: larder.EventDeleted})
	var want, got []string
	remove := func(key string) {
		mustSet(t, c, key, []byte("value"))
		c.Delete([]byte(key))
		want = append(want, key)
	}
	for i := range 3000 { // of several blocks, some with a key that is longer than a block
		key := fmt.Sprint(i)
		if i%700 == 0 {
			key = string(bytes.Repeat([]byte{'k'}, 40_000+i))
		}
		remove(key)
	}
	for stop := 0; len(got) < 3000; stop++ {
		for e := range c.Events() {
			got = append(got, string(e.Key))
			_ = append(e.Key, "must not write to a neighbour"...)
			if stop%7 == 0 || len(got)%(stop*5+1) == 0 {
				break
			}
		}
		if stop%50 == 49 {
			remove(fmt.Sprint("later", stop))
		}
	}
	for e := range c.Events() {
		got = append(got, string(e.Key))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d, or in another order", len(got), len(want))
	}
}

func TestEventsOff(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	for i := range 10_000 {
		mustSet(t, c, fmt.Sprint(i), noise(200, 1))
	}
	wantEvents(t, c)
	if s := c.Stats(); s.Evictions == 0 || s.DroppedEvents != 0 {
		t.Errorf("%+v", s)
	}
	c.Close()
	wantEvents(t, c)
	wantEvents(t, new(larder.Cache))
}

func TestEventOptions(t *testing.T) {
	for _, o := range []larder.Options{
		{EventBytes: -1},
		{EventBytes: 1<<20/8 + 1},
		{EventBytes: 4096, Events: 64},
		{Events: larder.EventEvicted},
	} {
		o.MaxBytes = 1 << 20
		if c, err := larder.New(o); !errors.Is(err, larder.ErrInvalidOptions) {
			t.Errorf("%+v: %v, %v", o, c, err)
		}
	}
	newCache(t, larder.Options{MaxBytes: 1 << 20, EventBytes: 1 << 20 / 8})
	for reason, want := range map[larder.EventReason]string{
		larder.EventEvicted: "evicted", larder.EventExpired: "expired", larder.EventRejected: "rejected",
		larder.EventDeleted: "deleted", larder.EventOverwritten: "overwritten", larder.EventInvalidated: "invalidated",
		larder.EventEvicted | larder.EventDeleted: "evicted|deleted", 0: "EventReason(0)", 65: "evicted|EventReason(64)",
	} {
		if got := reason.String(); got != want {
			t.Errorf("%d is %q, want %q", uint32(reason), got, want)
		}
	}
}

// Several take while several write: each event comes once, and those of a key that one
// goroutine took in a row come in order.
func TestEventsConcurrently(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 16 << 20, EventBytes: 1 << 20, Events: allEvents})
	const writers, sets = 3, 20_000
	type departure struct {
		key string
		len int
	}
	var mu sync.Mutex
	seen := map[departure]larder.EventReason{}
	collect := func() {
		n := 0
		for e := range c.Events() {
			mu.Lock()
			d := departure{string(e.Key), e.ValueLen}
			if r, twice := seen[d]; twice {
				t.Errorf("%v came as %v and as %v", d, r, e.Reason)
			}
			seen[d] = e.Reason
			mu.Unlock()
			if n++; n%1000 == 0 { // the others get the rest
				break
			}
		}
	}
	var writing, taking sync.WaitGroup
	for w := range writers {
		writing.Add(1)
		go func() {
			defer writing.Done()
			value := noise(sets, 1)
			lens := map[string]int{}
			for i := range sets {
				// Longer each time, so that each value has a name.
				key := fmt.Sprint(w, " ", i*7919%500)
				lens[key]++
				if err := c.SetString(key, value[:lens[key]]); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					c.Delete([]byte(key))
				}
				if i%500 == 0 {
					collect()
				}
			}
		}()
	}
	over := make(chan struct{})
	for range 2 {
		taking.Add(1)
		go func() {
			defer taking.Done()
			for {
				select {
				case <-over:
					return
				default:
					collect()
				}
			}
		}()
	}
	writing.Wait()
	close(over)
	taking.Wait()
	for range 1000 {
		collect()
	}
	wantEvents(t, c)
	s := c.Stats()
	counts := map[larder.EventReason]uint64{}
	for _, r := range seen {
		counts[r]++
	}
	if uint64(len(seen))+s.DroppedEvents != s.Sets-uint64(s.Entries) {
		t.Errorf("%d events, %+v", len(seen), s)
	}
	want := map[larder.EventReason]uint64{larder.EventDeleted: s.Deletes, larder.EventOverwritten: s.Sets - s.Deletes - uint64(s.Entries)}
	if s.DroppedEvents == 0 && !reflect.DeepEqual(counts, want) {
		t.Errorf("%v, want %v; %+v", counts, want, s)
	}
}

// Events may be taken while the cache is closed.
func TestEventsWhileClosing(t *testing.T) {
	for range 20 {
		c := newCache(t, larder.Options{MaxBytes: 4 << 20, EventBytes: 256 << 10, Events: allEvents})
		var running sync.WaitGroup
		for range 2 {
			running.Add(2)
			go func() {
				defer running.Done()
				for i := 0; c.SetString(fmt.Sprint(i%100), []byte("value")) == nil; i++ {
				}
			}()
			go func() {
				defer running.Done()
				for c.Stats().MaxBytes > 0 {
					for e := range c.Events() {
						if e.Reason != larder.EventOverwritten || e.ValueLen != 5 {
							t.Errorf("%+v", e)
						}
					}
				}
			}()
		}
		time.Sleep(2 * time.Millisecond)
		c.Close()
		running.Wait()
	}
}

// A loop that panics, or ends early, leaves the rest, in order.
func TestEventsAfterPanic(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, EventBytes: 256 << 10, Events: larder.EventOverwritten})
	const n = 3000
	for i := range n + 1 {
		mustSet(t, c, "k", make([]byte, i)) // the event tells the length of the one before
	}
	next := 0
	take := func(most int) {
		for e := range c.Events() {
			if e.ValueLen != next {
				t.Fatalf("event %d came when %d was due", e.ValueLen, next)
			}
			next++
			if most--; most == 0 {
				panic("enough")
			}
		}
	}
	for next < n {
		before := next
		func() {
			defer func() { recover() }()
			take(100)
		}()
		if next == before {
			t.Fatalf("%d events of %d", next, n)
		}
	}
	if d := c.Stats().DroppedEvents; d != 0 {
		t.Errorf("%d dropped", d)
	}
}

// Two loops at once that end early put back what they had in order.
func TestEventsLeftInOrder(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, EventBytes: 256 << 10, Events: larder.EventOverwritten})
	const n = 3000
	for i := range n + 1 {
		mustSet(t, c, "k", make([]byte, i))
	}
	next1, stop1 := iter.Pull(c.Events())
	next2, stop2 := iter.Pull(c.Events())
	a, _ := next1()
	b, _ := next2()
	stop1()
	stop2()
	last := -1
	for e := range c.Events() {
		if e.ValueLen <= last {
			t.Fatalf("event %d after %d", e.ValueLen, last)
		}
		last = e.ValueLen
	}
	if a.ValueLen == b.ValueLen || last != n-1 {
		t.Error(a.ValueLen, b.ValueLen, last)
	}
}

func TestCloseDiscardsEvents(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20, EventBytes: 256 << 10, Events: larder.EventOverwritten})
	for range 100 {
		mustSet(t, c, "k", nil)
	}
	count := 0
	for range c.Events() {
		if count++; count == 10 {
			break
		}
	}
	for range c.Events() {
		if count++; count == 20 {
			c.Close()
		}
	}
	for range c.Events() {
		count++
	}
	if count != 20 {
		t.Errorf("%d events", count)
	}
}
