package goredisx

import (
	"sync/atomic"

	larder "github.com/larder-cache/larder/go"
	"github.com/redis/go-redis/v9"
)

type counts struct {
	stored, refused, overtaken, invalidations, connections, flushes, ownWrites atomic.Uint64
}

// Counts say what a Cache did since it was made.
type Counts struct {
	Stored        uint64 // replies
	Refused       uint64 // replies that larder had no room for, or as old as MaxAge when they came
	Overtaken     uint64 // replies not stored, since an invalidation had come while they were fetched
	Invalidations uint64 // keys that a server said had changed
	Connections   uint64 // connections lost with what had come by them
	Flushes       uint64 // times that everything was removed
	OwnWrites     uint64 // keys dropped since a client of this process wrote them (see Attach)
}

// Counts are the cache's counters.
func (c *Cache) Counts() Counts {
	return Counts{
		Stored:        c.counts.stored.Load(),
		Refused:       c.counts.refused.Load(),
		Overtaken:     c.counts.overtaken.Load(),
		Invalidations: c.counts.invalidations.Load(),
		Connections:   c.counts.connections.Load(),
		Flushes:       c.counts.flushes.Load(),
		OwnWrites:     c.counts.ownWrites.Load(),
	}
}

// Stats is what redis.Client.CSCStats tells. Hits and misses are those of larder, which counts a
// look for a key's record and one for the reply to a second command as two, and of the hot replies.
func (c *Cache) Stats() redis.CSCStats {
	s := c.table.Cache().Stats()
	return redis.CSCStats{Hits: s.Hits + c.front.Hits(), Misses: s.Misses, Entries: int(s.Entries),
		MemoryUsageBytes: s.OwnBytes}
}

// Namespace is the namespace that the entries are in, for its statistics and its Resize. Nothing
// must be stored in it.
func (c *Cache) Namespace() *larder.Cache { return c.table.Cache() }
