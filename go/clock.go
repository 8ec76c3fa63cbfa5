package larder

import (
	"runtime"
	"sync"
	"time"

	"github.com/larder-cache/larder/go/internal/capi"
)

// A Clock tells a cache the time, for times to live and all that follows from them:
// StaleAfter, sliding, leases, StaleIfError. It is asked at each call of the cache, from any
// goroutine; what it says must not depend on the cache. Time that goes back stands still for
// the cache.
//
// It is for tests, which shouldn't sleep: NewMockClock makes one that stands still until it
// is told to move, and ClockFunc makes one of a function. With
//
//	larder.New(larder.Options{MaxBytes: 1 << 20, Clock: larder.ClockFunc(time.Now)})
//
// inside a bubble of testing/synctest, entries live in the bubble's time. A cache with a
// Clock makes all its calls through cgo.
type Clock interface {
	Now() time.Time
}

// ClockFunc is a Clock that asks a function, like time.Now.
type ClockFunc func() time.Time

// Now calls the function.
func (f ClockFunc) Now() time.Time { return f() }

// MockClock is a Clock that stands still until it is told to move. It may be used by any
// number of caches and goroutines.
type MockClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewMockClock makes a clock that stands at the beginning of the year 2000, UTC.
func NewMockClock() *MockClock {
	return &MockClock{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Now is where the clock stands.
func (c *MockClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock. It panics if d is negative.
func (c *MockClock) Advance(d time.Duration) {
	if d < 0 {
		panic("larder: a clock that goes back")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A follower keeps the core's clock at what a Clock says.
type follower struct {
	clock Clock
	start time.Time
	mock  capi.MockClock
}

func newFollower(clock Clock) *follower {
	f := &follower{clock: clock, start: clock.Now(), mock: capi.NewMockClock()}
	runtime.AddCleanup(f, capi.FreeMockClock, f.mock)
	return f
}

// follow is called before each call of the core.
func (f *follower) follow() {
	// Times that are read at once by several goroutines come here in any order: the core
	// keeps the latest.
	capi.SetMockClock(f.mock, uint64(max(f.clock.Now().Sub(f.start), 0)/time.Millisecond))
	runtime.KeepAlive(f)
}
