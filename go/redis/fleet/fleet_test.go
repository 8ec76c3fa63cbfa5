package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-cache/larder/go/redis/fleet"
	fleetgoredis "github.com/larder-cache/larder/go/redis/fleet/goredis"
	"github.com/larder-cache/larder/go/redis/internal/fleettest"
	"github.com/larder-cache/larder/go/redis/internal/servertest"
)

var libraries = fleettest.All()

// holder is what a member keeps: a list of what it has heard.
type holder struct {
	*fleet.Member
	mu      sync.Mutex
	heard   []string
	forgets int
}

func (h *holder) hears(order string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.heard, order)
}

func (h *holder) forgotten() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.forgets
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func options(o fleet.Options) fleet.Options {
	o.Name = "test"
	if o.MaxStaleness == 0 {
		o.MaxStaleness = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	o.Logger = quiet()
	return o
}

func join(t testing.TB, server fleet.Server, o fleet.Options) *holder {
	t.Helper()
	h := &holder{}
	o = options(o)
	o.Apply = func(order []byte) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.heard = append(h.heard, string(order))
	}
	o.Forget = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.heard = nil
		h.forgets++
	}
	m, err := fleet.Join(server, o)
	if err != nil {
		t.Fatal(err)
	}
	h.Member = m
	t.Cleanup(func() { m.Close() })
	return h
}

// following joins and waits until it follows.
func following(t testing.TB, server fleet.Server, o fleet.Options) *holder {
	t.Helper()
	h := join(t, server, o)
	servertest.Eventually(t, "following", func() bool { return h.State() == fleet.Following })
	return h
}

func TestOrdersReachAllMembers(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a, b := following(t, server, fleet.Options{}), following(t, server, fleet.Options{})
		for i := range 100 {
			if err := a.Order(t.Context(), fleet.Order{Text: fmt.Appendf(nil, "order %d", i)}); err != nil {
				t.Fatal(err)
			}
		}
		servertest.Eventually(t, "the last order", func() bool { return b.hears("order 99") })
		if len(b.heard) != 100 || !slices.IsSortedFunc(b.heard, func(x, y string) int {
			return len(x) - len(y)
		}) {
			t.Errorf("heard %d orders: %q", len(b.heard), b.heard)
		}
		if a.hears("order 1") {
			t.Error("a member heard its own order")
		}
	})
}

// A push brings the order: with an interval of polls this long nothing else could.
func TestOrdersArePushed(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := fleet.Options{MaxStaleness: time.Hour, PollInterval: time.Minute * 20}
		a, b := following(t, server, o), following(t, server, o)
		servertest.Eventually(t, "the connection for pushes", func() bool { return b.Stats().Pushes > 0 })
		if err := a.Order(t.Context(), fleet.Order{Text: []byte("soup")}); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, "the order", func() bool { return b.hears("soup") })
	})
}

func TestWaitedForOrderIsSeenByAll(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a, b := following(t, server, fleet.Options{}), following(t, server, fleet.Options{})
		for i := range 20 {
			order := fmt.Sprint(i)
			if err := a.Order(t.Context(), fleet.Order{Text: []byte(order), Wait: true}); err != nil {
				t.Fatal(err)
			}
			if !b.hears(order) {
				t.Fatalf("order %d had not been carried out elsewhere when Order returned", i)
			}
		}
	})
}

// The wait for somebody who doesn't answer ends with his right to trust what he holds.
func TestWaitForADeadMemberEnds(t *testing.T) {
	s := servertest.Any(t)
	o := fleet.Options{MaxStaleness: 700 * time.Millisecond}
	a := following(t, fleettest.GoRedis(t, s), o)
	other := fleetgoredis.New(&redis.Options{Addr: s.Addr})
	b := following(t, other, o)
	servertest.Eventually(t, "a list of two", func() bool { return strings.Count(s.Do(t, "GET", "{test}:members").(string), ",") == 2 })
	other.Close() // b can't ask any more, and doesn't know of the order
	if err := a.Order(t.Context(), fleet.Order{Text: []byte("soup"), Wait: true}); err != nil {
		t.Fatal(err)
	}
	if b.Trusted() && b.State() != fleet.Isolated {
		t.Error("a member that has not heard of an order trusts what it holds")
	}
	if b.hears("soup") || b.forgotten() == 0 {
		t.Error("it has not forgotten everything")
	}
}

func TestAnotherEpochForgets(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a := following(t, server, fleet.Options{})
		s.Flush(t)
		servertest.Eventually(t, "forgotten after FLUSHALL", func() bool { return a.forgotten() == 1 })
		servertest.Eventually(t, "following", func() bool { return a.State() == fleet.Following })
		b := following(t, server, fleet.Options{})
		if err := a.InvalidateAll(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if b.forgotten() == 0 {
			t.Error("InvalidateAll has not reached another member")
		}
		before := a.Epoch()
		servertest.Eventually(t, "one epoch", func() bool { return a.Epoch() == b.Epoch() })
		if a.Epoch() != before {
			t.Error("the old epoch came back")
		}
	})
}

// Who raised the counter and died leaves a hole.
func TestOrderThatNeverComes(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		a, b := following(t, server, fleet.Options{}), following(t, server, fleet.Options{})
		s.Do(t, "INCR", "{test}:orders")
		if err := a.Order(t.Context(), fleet.Order{Text: []byte("after the hole")}); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, "forgotten", func() bool { return b.forgotten() > 0 && b.Stats().Gaps > 0 })
		if err := a.Order(t.Context(), fleet.Order{Text: []byte("next"), Wait: true}); err != nil {
			t.Fatal(err)
		}
		if !b.hears("next") {
			t.Error("the orders after the hole don't come")
		}
	})
}

// A server that comes back with an older state has lost orders: what it holds is as old.
func TestRewoundServerChangesEpoch(t *testing.T) {
	rewinds := map[string]func(t *testing.T, s *servertest.Server){
		"counter gone back": func(t *testing.T, s *servertest.Server) { s.Do(t, "SET", "{test}:orders", "3") },
		"another order of the same number": func(t *testing.T, s *servertest.Server) {
			s.Do(t, "SET", "{test}:order:5", "5 0123456789abcdef someone another")
		},
	}
	for name, rewind := range rewinds {
		t.Run(name, func(t *testing.T) {
			s := servertest.Any(t)
			server := fleettest.GoRedis(t, s)
			a, b := following(t, server, fleet.Options{}), following(t, server, fleet.Options{})
			for i := range 5 {
				if err := a.Order(t.Context(), fleet.Order{Text: fmt.Append(nil, i), Wait: true}); err != nil {
					t.Fatal(err)
				}
			}
			epoch := a.Epoch()
			rewind(t, s)
			servertest.Eventually(t, "another epoch", func() bool {
				return a.Epoch() != epoch && a.Epoch() == b.Epoch() && a.forgotten() > 0 && b.forgotten() > 0
			})
		})
	}
}

func TestMoreOrdersThanTheRingHolds(t *testing.T) {
	s := servertest.Any(t)
	server := fleettest.GoRedis(t, s)
	a := following(t, server, fleet.Options{})
	s.Do(t, "INCRBY", "{test}:orders", fleet.RingSize+1)
	servertest.Eventually(t, "forgotten", func() bool { return a.forgotten() == 1 && a.Stats().Gaps == 1 })
}

// Without the server a member goes on until MaxStaleness is over, and not longer; what could
// not be said is said when it is back.
func TestServerIsGoneForAWhile(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := fleet.Options{MaxStaleness: time.Second, Timeout: 200 * time.Millisecond}
		a, b := following(t, server, o), following(t, server, o)
		s.Pause()
		resumed := false
		defer func() {
			if !resumed {
				s.Resume()
			}
		}()
		if err := a.Order(t.Context(), fleet.Order{Text: []byte("owed")}); !errors.Is(err, fleet.ErrUnavailable) {
			t.Fatalf("Order without a server: %v", err)
		}
		servertest.Eventually(t, "isolated", func() bool { return b.State() == fleet.Isolated && b.forgotten() == 1 })
		servertest.Eventually(t, "the breaker", func() bool { return !b.Available() })
		if bound, ok := b.Bound(); ok || bound != time.Second {
			t.Errorf("an isolated member bounds by %v, %v", bound, ok)
		}
		s.Resume()
		resumed = true
		servertest.Eventually(t, "following", func() bool { return b.State() == fleet.Following && b.Available() })
		// The counter may have been raised by the call that failed. Then there is a hole, and b
		// forgets everything, which is as good.
		servertest.Eventually(t, "what was owed", func() bool { return b.hears("owed") || b.Stats().Gaps > 0 })
	})
}

// A process that was stopped finds out by the clock, not by a timer that comes late.
func TestTrustEndsByTheClock(t *testing.T) {
	s := servertest.Any(t)
	a := following(t, fleettest.GoRedis(t, s), fleet.Options{MaxStaleness: 500 * time.Millisecond, Timeout: 100 * time.Millisecond})
	s.Pause()
	defer s.Resume()
	servertest.Eventually(t, "no trust", func() bool { return !a.Trusted() || a.State() == fleet.Isolated })
	if a.forgotten() == 0 {
		t.Error("nothing was forgotten")
	}
}

func TestForgetAgainWhileIsolated(t *testing.T) {
	s := servertest.Any(t)
	a := following(t, fleettest.GoRedis(t, s), fleet.Options{
		MaxStaleness: 300 * time.Millisecond, Timeout: 100 * time.Millisecond, ForgetAgain: true,
	})
	s.Pause()
	defer s.Resume()
	servertest.Eventually(t, "forgotten again and again", func() bool { return a.forgotten() >= 3 })
}

func TestCutConnectionsAreMadeAnew(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := fleet.Options{MaxStaleness: 10 * time.Second}
		a, b := following(t, server, o), following(t, server, o)
		for i := range 5 {
			s.KillClients(t)
			order := fmt.Sprint("order ", i)
			servertest.Eventually(t, "an order is taken", func() bool {
				return a.Order(t.Context(), fleet.Order{Text: []byte(order)}) == nil
			})
			servertest.Eventually(t, order, func() bool { return b.hears(order) })
		}
		if b.forgotten() > 5 {
			t.Errorf("forgot everything %d times", b.forgotten())
		}
	})
}

// InvalidateAll without the server holds here at once, and elsewhere when it is back.
func TestInvalidateAllWithoutAServer(t *testing.T) {
	libraries.Each(t, func(t *testing.T, s *servertest.Server, server fleet.Server) {
		o := fleet.Options{MaxStaleness: 10 * time.Second, Timeout: 200 * time.Millisecond}
		a, b := following(t, server, o), following(t, server, o)
		old := a.Epoch()
		s.Pause()
		err := a.InvalidateAll(t.Context(), false)
		s.Resume()
		if !errors.Is(err, fleet.ErrUnavailable) || a.forgotten() == 0 {
			t.Errorf("%v; forgotten %d times", err, a.forgotten())
		}
		servertest.Eventually(t, "another epoch for all", func() bool {
			return b.forgotten() > 0 && a.Epoch() == b.Epoch() && a.Epoch() != old
		})
	})
}

// What happened between two points is known up to half a ring, and not over a hole.
func TestOrdersSince(t *testing.T) {
	s := servertest.Any(t)
	a := following(t, fleettest.GoRedis(t, s), fleet.Options{})
	point := func() fleet.Point {
		replies, err := a.Do(t.Context(), a.Now())
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Point(replies[0])
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	from := point()
	for i := range 600 {
		if err := a.Order(t.Context(), fleet.Order{Text: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	orders, known := a.Since(t.Context(), from, point())
	if !known || len(orders) != 600 || string(orders[599]) != "599" {
		t.Errorf("%d orders, known: %v", len(orders), known)
	}
	s.Do(t, "INCR", "{test}:orders")
	if _, known := a.Since(t.Context(), from, point()); known {
		t.Error("a hole is passed over")
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	for _, o := range []fleet.Options{
		{}, {Name: "a{b"}, {Name: strings.Repeat("n", 65)},
		{Name: "n", MaxStaleness: time.Millisecond}, {Name: "n", PollInterval: time.Minute},
		{Name: "n", Timeout: -1},
	} {
		if m, err := fleet.Join(nil, o); !errors.Is(err, fleet.ErrInvalidOptions) {
			t.Errorf("%+v: %v", o, err)
			m.Close()
		}
	}
}

func TestOrderEndsWithItsContext(t *testing.T) {
	s := servertest.Any(t)
	a := following(t, fleettest.GoRedis(t, s), fleet.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Order(ctx, fleet.Order{Text: []byte("x"), Wait: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if !a.Available() {
		t.Error("a caller that left opened the breaker")
	}
}

// The time from an order to its being effective in another member, and known to be.
func BenchmarkOrderSeenByAll(b *testing.B) {
	s := servertest.Any(b)
	server := fleettest.GoRedis(b, s)
	o := fleet.Options{MaxStaleness: time.Second}
	one := following(b, server, o)
	following(b, server, o)
	following(b, server, o)
	time.Sleep(2 * time.Second) // the list of members is no longer new
	for b.Loop() {
		if err := one.Order(b.Context(), fleet.Order{Text: []byte("soup"), Wait: true}); err != nil {
			b.Fatal(err)
		}
	}
}
