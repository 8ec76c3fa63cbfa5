package tiered

import (
	"sync/atomic"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
)

// Stats says what a cache did since it was made. Of the near tier Hits are near hits; each of
// its Loads has asked the server.
type Stats struct {
	Near  larder.Stats
	Fleet fleet.Stats

	Hits      uint64 // values that the server had, or that came there while they were waited for
	StaleHits uint64 // stale ones among what the server had, that another refreshes, or will be
	Waits     uint64 // times that another process's loader was waited for
	Loads     uint64 // calls of loaders under a lease, refreshes included
	Refreshes uint64 // of these: of a stale value
	Alone     uint64 // calls of loaders without the server
	Queued    uint64 // calls of loaders that waited for one of Options.MaxLoads
	Passes    uint64 // calls of loaders for values too large to be shared

	StaleErrors uint64 // stale values that were returned because the loader failed
	Stored      uint64 // values stored on the server by loads
	Fenced      uint64 // loads that were overtaken, and stored nothing
	TooLarge    uint64 // values that were larger than Options.MaxValue
	Corrupt     uint64 // what was found on the server and is no value of this key
	Void        uint64 // values found there that are of another epoch, or whose tag is invalid
}

type counters struct {
	hits, staleHits, waits, loads, refreshes, alone, queued, passes, staleErrors, stored, fenced,
	tooLarge, corrupt, void atomic.Uint64
}

// Stats returns the counters.
func (c *Cache) Stats() Stats {
	n := &c.counters
	return Stats{
		Near: c.near.Stats(), Fleet: c.member.Stats(),
		Hits: n.hits.Load(), StaleHits: n.staleHits.Load(), Waits: n.waits.Load(),
		Loads: n.loads.Load(), Refreshes: n.refreshes.Load(), Alone: n.alone.Load(),
		Queued: n.queued.Load(), Passes: n.passes.Load(), StaleErrors: n.staleErrors.Load(),
		Stored: n.stored.Load(), Fenced: n.fenced.Load(), TooLarge: n.tooLarge.Load(),
		Corrupt: n.corrupt.Load(), Void: n.void.Load(),
	}
}
