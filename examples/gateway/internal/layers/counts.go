package layers

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxClients is how many clients a limit tells apart in a window; it is some 2 MiB. The
// others share one count, so that a flood of clients costs neither memory nor a way
// around the limit.
const maxClients = 64 << 10

// counts is a bounded httprate.LimitCounter: requests by client, in the present window and
// the one before. Two clients whose hashes are the same share a count.
type counts struct {
	length time.Duration
	seed   maphash.Seed

	mu       sync.Mutex
	window   time.Time // the present one's start
	now      map[uint64]int
	previous map[uint64]int
}

// overflow is the client that stands for all that found no place.
const overflow = 0

func newCounts(length time.Duration) *counts {
	return &counts{
		length: length, seed: maphash.MakeSeed(),
		now: make(map[uint64]int), previous: make(map[uint64]int),
	}
}

// Config implements httprate.LimitCounter.
func (c *counts) Config(_ int, length time.Duration) { c.length = length }

// Increment implements httprate.LimitCounter.
func (c *counts) Increment(client string, window time.Time) error {
	return c.IncrementBy(client, window, 1)
}

// IncrementBy implements httprate.LimitCounter.
func (c *counts) IncrementBy(client string, window time.Time, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(window)
	c.now[c.place(client)] += n
	return nil
}

// Get implements httprate.LimitCounter.
func (c *counts) Get(client string, window, _ time.Time) (now, previous int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(window)
	place := c.place(client)
	return c.now[place], c.previous[place], nil
}

// known tells whether the client was counted under its own name, now or in the window
// before.
func (c *counts) known(client string, at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(at.UTC().Truncate(c.length))
	h := c.hash(client)
	return c.now[h] > 0 || c.previous[h] > 0
}

func (c *counts) hash(client string) uint64 {
	return max(maphash.String(c.seed, client), overflow+1)
}

// place returns where a client is counted.
func (c *counts) place(client string) uint64 {
	h := c.hash(client)
	if _, has := c.now[h]; !has && len(c.now) >= maxClients {
		return overflow
	}
	return h
}

// advance makes a window the present one.
func (c *counts) advance(window time.Time) {
	switch {
	case !window.After(c.window): // a clock that was set back opens no new window
	case window.Sub(c.window) <= c.length:
		c.now, c.previous = c.previous, c.now
		clear(c.now)
		c.window = window
	default:
		clear(c.now)
		clear(c.previous)
		c.window = window
	}
}
