package rueidisx

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-cache/larder/go/redis/internal/nearcache"
	"github.com/redis/rueidis"
)

// store is the CacheStore of one connection.
//
// Replies and pushes come by the same connection, in the order in which the server did what they
// tell of: a push that comes while a reply is waited for is about what was asked before. So pushes
// don't concern flights. A write of this process does, since its reply comes by another connection:
// it overtakes them. rueidis gives replies no name but key and command. So nobody else flies under
// that name until the reply of the one that was overtaken has come: until then replies are handed
// to those who asked, past the cache.
type store struct {
	cache *Cache
	area  atomic.Uint32 // changed to forget everything
	owner nearcache.Owner

	mu      sync.Mutex
	flights map[string][]*flight // by key; nil: closed
}

var _ rueidis.CacheStore = (*store)(nil)

// flight is a reply that is waited for: the CacheEntry of those who wait.
type flight struct {
	command   string
	end       int64 // when the reply's time is over, by the caller's wish
	overtaken bool
	answered  bool // an error was handed out, and the reply may come yet
	waiters   int

	done  chan struct{}
	reply rueidis.RedisMessage
	err   error
}

// Wait waits for the reply.
func (f *flight) Wait(ctx context.Context) (rueidis.RedisMessage, error) {
	select {
	case <-f.done:
		return f.reply, f.err
	case <-ctx.Done():
		return rueidis.RedisMessage{}, ctx.Err()
	}
}

// answer wakes those who wait. It is called once.
func (f *flight) answer(reply rueidis.RedisMessage, err error) {
	f.reply, f.err, f.answered = reply, err, true
	close(f.done)
}

func (s *store) name(key, command string) nearcache.Name {
	return nearcache.Name{Area: s.area.Load(), Key: key, Head: command}
}

// Flight looks for a reply: it is there; or somebody waits for it, who can be joined; or neither,
// and the caller asks for it.
func (s *store) Flight(
	key, command string, ttl time.Duration, now time.Time,
) (rueidis.RedisMessage, rueidis.CacheEntry) {
	if !s.cache.ambiguous && command != "GET" && !Cached(command) {
		s.cache.counts.ambiguous.Add(1)
		return rueidis.RedisMessage{}, nil
	}
	if m, ok := s.stored(key, command, now); ok {
		return m, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights == nil {
		return rueidis.RedisMessage{}, nil
	}
	if f := s.find(key, command); f != nil {
		if f.overtaken {
			return rueidis.RedisMessage{}, nil
		}
		f.waiters++
		return rueidis.RedisMessage{}, f
	}
	// It may have come between the look and the lock.
	if m, ok := s.stored(key, command, now); ok {
		return m, nil
	}
	s.flights[key] = append(s.flights[key], &flight{command: command,
		end: now.Add(ttl).UnixMilli(), done: make(chan struct{})})
	return rueidis.RedisMessage{}, nil
}

// stored is a reply that is there.
func (s *store) stored(key, command string, now time.Time) (m rueidis.RedisMessage, ok bool) {
	name := s.name(key, command)
	return s.cache.stored(&name, now.UnixMilli())
}

func (c *Cache) stored(name *nearcache.Name, now int64) (m rueidis.RedisMessage, ok bool) {
	value, end, at := c.front.Find(name)
	if value != nil && now < end {
		return *value, true
	}
	c.table.Read(name, func(body []byte, info nearcache.Info) {
		end := endOf(info.Mark)
		if end <= now {
			return
		}
		if m, ok = joined(body, info.Mark); ok {
			c.front.Keep(at, name, info.Owner, m, frameBytes+len(body), end)
		}
	})
	return m, ok
}

// find is the flight of a name. The lock is held, as in all that follow.
func (s *store) find(key, command string) *flight {
	for _, f := range s.flights[key] {
		if f.command == command {
			return f
		}
	}
	return nil
}

func (s *store) remove(key string, f *flight) {
	left := slices.DeleteFunc(s.flights[key], func(other *flight) bool { return other == f })
	if len(left) == 0 {
		delete(s.flights, key)
	} else {
		s.flights[key] = left
	}
}

// Update takes a reply, and says when its time is over.
func (s *store) Update(key, command string, reply rueidis.RedisMessage) (pxat int64) {
	end := max(reply.CachePXAT(), 0) // -1: it has none
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.find(key, command)
	if f == nil {
		return end
	}
	s.remove(key, f)
	if end == 0 || f.end < end {
		end = f.end
	}
	if f.answered {
		return end
	}
	data := reply.CacheMarshal(nil)
	body, mark := split(data, end)
	if f.overtaken {
		s.cache.counts.overtaken.Add(1)
	} else {
		s.put(key, command, body, mark)
	}
	if f.waiters == 0 {
		return end
	}
	m, ok := message(data)
	if !ok {
		m = reply
	}
	f.answer(m, nil)
	return end
}

func (s *store) put(key, command string, body []byte, mark uint64) {
	ttl := time.Until(time.UnixMilli(endOf(mark)))
	name := s.name(key, command)
	if ttl <= 0 || s.cache.table.Put(body, &name, mark, s.owner, ttl) != nil {
		s.cache.counts.refused.Add(1)
		return
	}
	s.cache.counts.stored.Add(1)
	s.cache.hints.learn(key, s)
}

// Cancel says that a reply won't come, or that nobody waits for it any more.
func (s *store) Cancel(key, command string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.find(key, command)
	if f == nil || f.answered {
		return
	}
	f.answer(rueidis.RedisMessage{}, err)
	if !f.overtaken {
		s.remove(key, f)
	}
}

// Delete takes a push: keys that have changed, or nil for all.
func (s *store) Delete(keys []rueidis.RedisMessage) {
	if keys == nil {
		s.cache.counts.flushes.Add(1)
		s.renew()
		return
	}
	s.cache.counts.invalidations.Add(uint64(len(keys)))
	area := s.area.Load()
	for i := range keys {
		if key, err := keys[i].ToString(); err == nil {
			s.cache.table.Drop(area, "", key)
			s.cache.front.Drop("", key)
		}
	}
}

// Close says that the connection is lost, and with it what would have been told by it.
func (s *store) Close(err error) {
	s.mu.Lock()
	flights := s.flights
	s.flights = nil
	s.mu.Unlock()
	if flights == nil {
		return
	}
	s.cache.table.Revoke(s.owner)
	s.cache.table.Leave(s.area.Load())
	s.cache.change(func(stores []*store) []*store {
		return slices.DeleteFunc(stores, func(other *store) bool { return other == s })
	})
	s.cache.hints.forget(s)
	s.cache.counts.connections.Add(1)
	for _, list := range flights {
		for _, f := range list {
			if !f.answered {
				f.answer(rueidis.RedisMessage{}, err)
			}
		}
	}
}

// drop removes a key that this process may have changed.
func (s *store) drop(key string) {
	s.mu.Lock()
	for _, f := range s.flights[key] {
		f.overtaken = true
	}
	s.mu.Unlock()
	if s.cache.table.Drop(s.area.Load(), "", key) {
		s.cache.counts.ownWrites.Add(1)
	}
	s.cache.front.Drop("", key)
}

// dropAll removes all keys: this process may have changed any.
func (s *store) dropAll() {
	s.mu.Lock()
	for _, list := range s.flights {
		for _, f := range list {
			f.overtaken = true
		}
	}
	s.mu.Unlock()
	s.renew()
}

// renew leaves everything behind.
func (s *store) renew() {
	table := s.cache.table
	table.Leave(s.area.Swap(table.NewArea()))
}
