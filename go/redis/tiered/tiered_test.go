package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
	"github.com/larder-cache/larder/go/redis/internal/fleettest"
	"github.com/larder-cache/larder/go/redis/internal/servertest"
	"github.com/larder-cache/larder/go/redis/tiered"
)

// valkey-go is rueidis once more, and these tests take long.
var libraries = fleettest.All().Without("valkey-go")

var soup = []byte("soup")

// open makes a cache as a process of its own would have it, and waits until it follows.
func open(t *testing.T, server fleet.Server, o tiered.Options) *tiered.Cache {
	t.Helper()
	c := begin(t, server, o)
	servertest.Eventually(t, "following", func() bool { return c.Member().State() == fleet.Following })
	return c
}

func begin(t *testing.T, server fleet.Server, o tiered.Options) *tiered.Cache {
	t.Helper()
	near, err := larder.New(larder.Options{MaxBytes: 8 << 20, StaleIfError: o.StaleIfError})
	if err != nil {
		t.Fatal(err)
	}
	o.Fleet.Name = "test"
	o.Fleet.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	if o.Fleet.MaxStaleness == 0 {
		o.Fleet.MaxStaleness = time.Second
	}
	if o.Fleet.Timeout == 0 {
		o.Fleet.Timeout = time.Second
	}
	c, err := tiered.New(near, server, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); near.Close() })
	return c
}

// origin is where values come from: a counter says which one it was.
type origin struct {
	calls atomic.Int64
	larder.SetOptions
}

func (o *origin) load(ctx context.Context, key []byte) (larder.Loaded, error) {
	n := o.calls.Add(1)
	return larder.Loaded{Value: fmt.Appendf(nil, "%s %d", key, n), SetOptions: o.SetOptions}, nil
}

func load(t *testing.T, c *tiered.Cache, key []byte, loader larder.Loader) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), servertest.Patience)
	defer cancel()
	value, err := c.Load(ctx, nil, key, loader)
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestOneLoadForAll(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		var o origin
		caches := []*tiered.Cache{
			open(t, server, tiered.Options{}), open(t, server, tiered.Options{}), open(t, server, tiered.Options{}),
		}
		slow := func(ctx context.Context, key []byte) (larder.Loaded, error) {
			time.Sleep(50 * time.Millisecond)
			return o.load(ctx, key)
		}
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() { expect(t, "value", load(t, caches[i%3], soup, slow), "soup 1") })
		}
		all.Wait()
		if n := o.calls.Load(); n != 1 {
			t.Errorf("the loader ran %d times", n)
		}
	})
}

func TestWritesReachEverybody(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		strict := tiered.Options{Strict: true}
		a, b := open(t, server, strict), open(t, server, strict)
		var o origin
		expect(t, "loaded", load(t, b, soup, o.load), "soup 1")
		for i := range 20 {
			want := fmt.Sprint("set ", i)
			if err := a.Set(t.Context(), soup, []byte(want), larder.SetOptions{}); err != nil {
				t.Fatal(err)
			}
			expect(t, "the writer's", load(t, a, soup, o.load), want)
			expect(t, "another's", load(t, b, soup, o.load), want)
		}
		if err := b.Delete(t.Context(), soup); err != nil {
			t.Fatal(err)
		}
		expect(t, "after a Delete", load(t, a, soup, o.load), "soup 2")
		if err := a.InvalidateAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, "after InvalidateAll", load(t, b, soup, o.load), "soup 3")
		expect(t, "after InvalidateAll, here", load(t, a, soup, o.load), "soup 3")
	})
}

func TestTagsReachEverybody(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		strict := tiered.Options{Strict: true}
		a, b := open(t, server, strict), open(t, server, strict)
		tagged, other := origin{}, origin{}
		tagged.Tags, other.Tags = []string{"hot", "liquid"}, []string{"liquid"}
		water := []byte("water")
		for i := range 5 {
			want := fmt.Sprint("soup ", i+1)
			expect(t, "here", load(t, a, soup, tagged.load), want)
			expect(t, "there", load(t, b, soup, tagged.load), want)
			expect(t, "of another tag", load(t, b, water, other.load), "water 1")
			if err := a.InvalidateTag(t.Context(), "hot"); err != nil {
				t.Fatal(err)
			}
		}
		// A process that comes later knows nothing of what has happened before.
		c := open(t, server, strict)
		expect(t, "for a new process", load(t, c, soup, tagged.load), "soup 6")
		expect(t, "what was not invalidated", load(t, c, water, other.load), "water 1")
	})
}

// A load that an invalidation overtakes stores nothing, near or on the server, wherever it runs.
func TestOvertakenLoadStoresNothing(t *testing.T) {
	overtake := map[string]func(*tiered.Cache, []byte) error{
		"Delete":        func(c *tiered.Cache, key []byte) error { return c.Delete(context.Background(), key) },
		"InvalidateTag": func(c *tiered.Cache, key []byte) error { return c.InvalidateTag(context.Background(), "hot") },
		"InvalidateAll": func(c *tiered.Cache, key []byte) error { return c.InvalidateAll(context.Background()) },
		"Set": func(c *tiered.Cache, key []byte) error {
			return c.Set(context.Background(), key, append(key, " 2"...), larder.SetOptions{})
		},
	}
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		// So long that a lease that is not given back shows.
		strict := tiered.Options{Strict: true, Lease: time.Hour}
		a, b := open(t, server, strict), open(t, server, strict)
		for name, overtake := range overtake {
			for _, here := range []bool{true, false} {
				t.Run(fmt.Sprint(name, " here: ", here), func(t *testing.T) {
					key := fmt.Appendf(nil, "%s %v", name, here)
					var o origin
					o.Tags = []string{"hot"}
					began, end := make(chan struct{}), make(chan struct{})
					old := make(chan string)
					go func() {
						value, _ := a.Load(context.Background(), nil, key, func(ctx context.Context, key []byte) (larder.Loaded, error) {
							l, err := o.load(ctx, key)
							close(began)
							<-end
							return l, err
						})
						old <- string(value)
					}()
					<-began
					by := b
					if here {
						by = a
					}
					if err := overtake(by, key); err != nil {
						t.Fatal(err)
					}
					close(end)
					if got := <-old; name != "Set" && got != string(key)+" 1" {
						t.Errorf("who asked before got %q", got)
					}
					for _, c := range []*tiered.Cache{a, b} {
						expect(t, "afterwards", load(t, c, key, o.load), string(key)+" 2")
					}
				})
			}
		}
	})
}

// Options that say nothing sensible are the loader's error, and the lease is given back.
func TestLoaderWithImpossibleOptions(t *testing.T) {
	s := servertest.Any(t)
	c := open(t, fleettest.GoRedis(t, s), tiered.Options{Lease: time.Hour})
	for _, bad := range []larder.SetOptions{
		{TTL: -2}, {StaleAfter: -2}, {Tags: make([]string, 65)}, {Tags: []string{strings.Repeat("t", 70_000)}},
	} {
		_, err := c.Load(t.Context(), nil, soup, func(context.Context, []byte) (larder.Loaded, error) {
			return larder.Loaded{Value: soup, SetOptions: bad}, nil
		})
		if err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	var o origin
	expect(t, "the next", load(t, c, soup, o.load), "soup 1")
}

func TestAbsentIsKnownToAll(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a, b := open(t, server, tiered.Options{}), open(t, server, tiered.Options{})
		calls := 0
		absent := func(context.Context, []byte) (larder.Loaded, error) {
			calls++
			return larder.Loaded{Absent: true}, nil
		}
		for _, c := range []*tiered.Cache{a, b, a, b} {
			if _, err := c.Load(t.Context(), nil, soup, absent); !errors.Is(err, larder.ErrNotFound) {
				t.Errorf("%v", err)
			}
		}
		if calls != 1 {
			t.Errorf("the loader ran %d times", calls)
		}
	})
}

func TestFailureReachesThoseWhoWait(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a, b := open(t, server, tiered.Options{}), open(t, server, tiered.Options{})
		end := make(chan struct{})
		failing := func(context.Context, []byte) (larder.Loaded, error) {
			<-end
			return larder.Loaded{}, errors.New("no stove")
		}
		failed := make(chan error)
		go func() {
			_, err := a.Load(context.Background(), nil, soup, failing)
			failed <- err
		}()
		servertest.Eventually(t, "the lease", func() bool { return s.Do(t, "EXISTS", "test:value:soup") == int64(1) })
		go func() {
			_, err := b.Load(context.Background(), nil, soup, failing)
			failed <- err
		}()
		servertest.Eventually(t, "the other waits", func() bool { return b.Stats().Waits == 1 })
		close(end)
		first, second := <-failed, <-failed
		var remote *tiered.LoadError
		if !errors.As(first, &remote) && !errors.As(second, &remote) || remote.Text != "no stove" {
			t.Errorf("%v; %v", first, second)
		}
		var o origin
		expect(t, "the next tries again", load(t, b, soup, o.load), "soup 1")
	})
}

func TestPanicGivesTheLeaseBack(t *testing.T) {
	s := servertest.Any(t)
	c := open(t, fleettest.GoRedis(t, s), tiered.Options{Lease: time.Minute})
	func() {
		defer func() {
			var p *larder.PanicError
			if err, ok := recover().(error); !ok || !errors.As(err, &p) {
				t.Errorf("panicked with %v", err)
			}
		}()
		c.Load(t.Context(), nil, soup, func(context.Context, []byte) (larder.Loaded, error) { panic("hot") })
	}()
	var o origin
	expect(t, "the next", load(t, c, soup, o.load), "soup 1")
}

// A holder that is paused loses his lease, and stores nothing when he comes back.
func TestLateHolderStoresNothing(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := tiered.Options{Lease: 200 * time.Millisecond}
		a, b := open(t, server, o), open(t, server, o)
		var from origin
		late := make(chan string)
		began, end := make(chan struct{}), make(chan struct{})
		go func() {
			value, _ := a.Load(context.Background(), nil, soup, func(ctx context.Context, key []byte) (larder.Loaded, error) {
				l, err := from.load(ctx, key)
				close(began)
				<-end
				return l, err
			})
			late <- string(value)
		}()
		<-began
		s.Do(t, "DEL", "test:value:soup") // as if a could not renew it
		expect(t, "the next holder's", load(t, b, soup, from.load), "soup 2")
		close(end)
		expect(t, "what the late one returns", <-late, "soup 2")
		expect(t, "what he serves", load(t, a, soup, from.load), "soup 2")
		if a.Stats().Fenced != 1 {
			t.Errorf("fenced %d times", a.Stats().Fenced)
		}
	})
}

// A slow loader keeps its lease.
func TestLeaseIsRenewed(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := tiered.Options{Lease: time.Second}
		a, b := open(t, server, o), open(t, server, o)
		var from origin
		slow := func(ctx context.Context, key []byte) (larder.Loaded, error) {
			time.Sleep(2500 * time.Millisecond)
			return from.load(ctx, key)
		}
		var both sync.WaitGroup
		for _, c := range []*tiered.Cache{a, b} {
			both.Go(func() { expect(t, "value", load(t, c, soup, slow), "soup 1") })
		}
		both.Wait()
	})
}

func TestStaleWhileRevalidateOverTiers(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a, b := open(t, server, tiered.Options{}), open(t, server, tiered.Options{})
		var o origin
		o.TTL, o.StaleAfter = time.Hour, 50*time.Millisecond
		expect(t, "first", load(t, a, soup, o.load), "soup 1")
		time.Sleep(60 * time.Millisecond)
		fresh := origin{}
		fresh.calls.Store(1)
		// b has nothing near, and the server a stale one: it is returned, and refreshed by the next.
		expect(t, "stale from the server", load(t, b, soup, fresh.load), "soup 1")
		servertest.Eventually(t, "refreshed", func() bool { return load(t, b, soup, fresh.load) == "soup 2" })
		servertest.Eventually(t, "refreshed from the server", func() bool { return load(t, a, soup, o.load) == "soup 2" })
		if n := o.calls.Load() + fresh.calls.Load(); n != 3 {
			t.Errorf("loaders ran for %d values", n-1)
		}
	})
}

func TestStaleIfErrorOverTiers(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := tiered.Options{StaleIfError: time.Hour}
		a, b := open(t, server, o), open(t, server, o)
		var from origin
		from.TTL, from.StaleAfter = time.Hour, 50*time.Millisecond
		expect(t, "first", load(t, a, soup, from.load), "soup 1")
		time.Sleep(60 * time.Millisecond)
		calls := 0
		failing := func(context.Context, []byte) (larder.Loaded, error) {
			calls++
			return larder.Loaded{}, errors.New("no stove")
		}
		expect(t, "stale, since the loader fails", load(t, b, soup, failing), "soup 1")
		if calls != 1 {
			t.Errorf("the loader ran %d times", calls)
		}
	})
}

// What is on the server and isn't ours is a miss, and is replaced.
func TestForeignAndCorruptValuesAreMisses(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a := open(t, server, tiered.Options{})
		var o origin
		expect(t, "good", load(t, a, soup, o.load), "soup 1")
		good := s.Do(t, "GET", "test:value:soup").(string)
		n := int64(1)
		for i, bad := range []string{
			"", "x", "hello, world", good[:len(good)-1], good + "x", "F1", "L1short", good[:40],
			good[:30] + "X" + good[31:], strings.Replace(good, "soup", "sour", 1), "L2" + good[2:18],
		} {
			b := open(t, server, tiered.Options{})
			s.Do(t, "SET", "test:value:soup", bad, "PX", "100000")
			n++
			if bad == "" { // an empty value can't be told from none by GETRANGE
				s.Do(t, "DEL", "test:value:soup")
			}
			expect(t, fmt.Sprintf("after %d, %q", i, bad), load(t, b, soup, o.load), fmt.Sprint("soup ", n))
			good = s.Do(t, "GET", "test:value:soup").(string)
		}
		// A good one of another key.
		s.Do(t, "SET", "test:value:salad", good, "PX", "100000")
		expect(t, "another's value", load(t, a, []byte("salad"), o.load), fmt.Sprint("salad ", n+1))
	})
}

func TestCompression(t *testing.T) {
	s := servertest.Any(t)
	o := tiered.Options{Compressor: tiered.Deflate()}
	a, b := open(t, fleettest.GoRedis(t, s), o), open(t, fleettest.GoRedis(t, s), o)
	long := bytes.Repeat([]byte("soup "), 10_000)
	loader := func(context.Context, []byte) (larder.Loaded, error) { return larder.Loaded{Value: long}, nil }
	expect(t, "here", load(t, a, soup, loader), string(long))
	expect(t, "there", load(t, b, soup, nil), string(long))
	if n := s.Do(t, "STRLEN", "test:value:soup").(int64); n > 1000 {
		t.Errorf("%d bytes on the server", n)
	}
}

// A value too large for the server is loaded by each process for itself, and nobody waits.
func TestTooLargeForTheServer(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := tiered.Options{MaxValue: 1000}
		a, b := open(t, server, o), open(t, server, o)
		calls := 0
		loader := func(context.Context, []byte) (larder.Loaded, error) {
			calls++
			return larder.Loaded{Value: make([]byte, 2000)}, nil
		}
		for range 3 {
			load(t, a, soup, loader)
			load(t, b, soup, loader)
		}
		if calls != 2 {
			t.Errorf("the loader ran %d times for two processes", calls)
		}
	})
}

func TestWriteThroughAndAround(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		strict := tiered.Options{Strict: true}
		a, b := open(t, server, strict), open(t, server, strict)
		value := "old"
		loader := func(context.Context, []byte) (larder.Loaded, error) {
			return larder.Loaded{Value: []byte(value)}, nil
		}
		write := func(context.Context) error { value = "new"; return nil }
		expect(t, "before", load(t, b, soup, loader), "old")
		if err := a.WriteThrough(t.Context(), soup, []byte("new"), larder.SetOptions{}, write); err != nil {
			t.Fatal(err)
		}
		expect(t, "written through, from the server", load(t, b, soup, nil), "new")
		if err := b.WriteAround(t.Context(), soup, func(context.Context) error { value = "newer"; return nil }); err != nil {
			t.Fatal(err)
		}
		expect(t, "written around", load(t, a, soup, loader), "newer")
		broken := errors.New("disk full")
		err := a.WriteThrough(t.Context(), soup, []byte("x"), larder.SetOptions{}, func(context.Context) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		expect(t, "after a write that failed", load(t, b, soup, loader), "newer")
	})
}

// Of two that write one key at the same time the server doesn't keep the wrong one.
func TestWritesThroughAtOnceAgreeWithTheOrigin(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		caches := []*tiered.Cache{open(t, server, tiered.Options{Strict: true}), open(t, server, tiered.Options{Strict: true})}
		var value atomic.Value
		for round := range 30 {
			var both sync.WaitGroup
			for i, c := range caches {
				both.Go(func() {
					mine := fmt.Sprint(round, i)
					err := c.WriteThrough(context.Background(), soup, []byte(mine), larder.SetOptions{}, func(context.Context) error {
						value.Store(mine)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			for _, c := range caches {
				expect(t, "agrees", load(t, c, soup, func(context.Context, []byte) (larder.Loaded, error) {
					return larder.Loaded{Value: []byte(value.Load().(string))}, nil
				}), value.Load().(string))
			}
		}
	})
}

// Without the server each process loads for itself, some at once and not more, and keeps what
// it has loaded for MaxStaleness.
func TestServerIsGone(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := tiered.Options{MaxLoads: 4}
		o.Fleet.Timeout, o.Fleet.MaxStaleness = 150*time.Millisecond, 2*time.Second
		c := open(t, server, o)
		var from origin
		expect(t, "before", load(t, c, soup, from.load), "soup 1")
		s.Kill()
		expect(t, "within MaxStaleness", load(t, c, soup, from.load), "soup 1")
		servertest.Eventually(t, "isolated", func() bool { return c.Member().State() == fleet.Isolated })
		expect(t, "after it", load(t, c, soup, from.load), "soup 2")
		expect(t, "and kept", load(t, c, soup, from.load), "soup 2")
		servertest.Eventually(t, "not for longer", func() bool { return load(t, c, soup, from.load) == "soup 3" })

		var at, most atomic.Int64
		crowd := func(context.Context, []byte) (larder.Loaded, error) {
			n := at.Add(1)
			defer at.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(5 * time.Millisecond)
			return larder.Loaded{Value: []byte("x")}, nil
		}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() { load(t, c, fmt.Append(nil, i), crowd) })
		}
		all.Wait()
		if most.Load() > 4 {
			t.Errorf("%d loaders at once", most.Load())
		}
		s.Restart(t)
		servertest.Eventually(t, "following", func() bool { return c.Member().State() == fleet.Following })
		servertest.Eventually(t, "loads are shared", func() bool {
			load(t, c, fmt.Append(nil, time.Now()), from.load)
			return c.Stats().Stored > 1
		})
	})
}

// An invalidation that can't be told is told later.
func TestInvalidationWithoutTheServerIsMadeUpFor(t *testing.T) {
	s := servertest.Any(t)
	o := tiered.Options{}
	o.Fleet.Timeout = 150 * time.Millisecond
	a, b := open(t, fleettest.GoRedis(t, s), o), open(t, fleettest.GoRedis(t, s), o)
	var from origin
	from.Tags = []string{"hot"}
	load(t, a, soup, from.load)
	load(t, b, soup, from.load)
	s.Pause()
	err := a.InvalidateTag(t.Context(), "hot")
	s.Resume()
	if !errors.Is(err, fleet.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	servertest.Eventually(t, "another has heard of it", func() bool { return load(t, b, soup, from.load) == "soup 2" })
}

func TestNearHitAllocatesNothing(t *testing.T) {
	s := servertest.Any(t)
	c := open(t, fleettest.GoRedis(t, s), tiered.Options{})
	var o origin
	from := c.From(o.load)
	dst := make([]byte, 0, 64)
	if _, err := from.Load(t.Context(), dst, soup); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	// The follower allocates now and then; the mean is rounded down.
	if n := testing.AllocsPerRun(10_000, func() { from.Load(ctx, dst, soup) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	near, err := larder.New(larder.Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	for _, o := range []tiered.Options{
		{DefaultTTL: -1}, {Lease: time.Millisecond}, {TTLJitter: 2}, {MaxLoads: -1},
		{Fleet: fleet.Options{Forget: func() {}}},
	} {
		if _, err := tiered.New(near, nil, o); !errors.Is(err, tiered.ErrInvalidOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := tiered.New(near, nil, tiered.Options{}); !errors.Is(err, fleet.ErrInvalidOptions) {
		t.Errorf("without a name: %v", err)
	}
}
