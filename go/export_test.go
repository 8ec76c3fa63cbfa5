package larder

import "reflect"

// Waiters is the number of callers that wait for a load.
func (c *Cache) Waiters() int {
	n := 0
	for i := range c.loads.shards {
		s := &c.loads.shards[i]
		s.mu.Lock()
		for _, f := range s.flights {
			n += f.waiters
		}
		s.mu.Unlock()
	}
	return n
}

// Flights is the number of loads under way.
func (c *Cache) Flights() int {
	n := 0
	for i := range c.loads.shards {
		s := &c.loads.shards[i]
		s.mu.Lock()
		n += len(s.flights)
		s.mu.Unlock()
	}
	return n
}

// Refreshes is the number of tasks in the background.
func (c *Cache) Refreshes() int { return int(c.loads.refreshes.Load()) }

// CopyOf is a copy of a cache that go vet doesn't see.
func CopyOf(c *Cache) *Cache {
	copied := new(Cache)
	reflect.ValueOf(copied).Elem().Set(reflect.ValueOf(c).Elem())
	return copied
}

// Break closes the core's cache as the core itself does after a defect.
func (c *Cache) Break() { c.core.handle.Close() }
