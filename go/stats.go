package larder

import (
	"sync/atomic"
	"time"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Stats says what a cache did since it was made, and what it holds. The counters
// are exact when no other goroutine uses the cache meanwhile.
type Stats struct {
	Hits        uint64 // reads that found their key; a Load is one read, whatever it does
	Misses      uint64 // reads that did not, also because the entry had expired
	Sets        uint64 // values stored
	Deletes     uint64 // entries removed by Delete
	Evictions   uint64 // entries removed to make room
	Expirations uint64 // entries removed because their time had come
	Rejections  uint64 // sets that failed because no room could be made (ErrFull)
	TooLarge    uint64 // sets that failed because key or value was too large

	// Invalidations are entries removed because a tag of theirs was invalidated. No read finds
	// them from the time of InvalidateTag on, but a Get that meets one leaves it where it lies:
	// they are removed, and counted, by what stores or deletes, or in the background.
	Invalidations uint64

	Entries  int64 // entries held; expired ones count until they are removed
	Bytes    int64 // bytes of the budget in use, bookkeeping included; never over MaxBytes
	MaxBytes int64 // the budget; of a namespace its bound, if it has one

	LiveBytes        int64 // of Bytes: entries that can be read, with their headers
	DeadBytes        int64 // of Bytes: what lies between them, and is reclaimed when it is needed
	IndexBytes       int64 // of Bytes: the index
	BookkeepingBytes int64 // of Bytes: tables, counters, what the policy remembers
	FreeBytes        int64 // MaxBytes less Bytes
	HugePageBytes    int64 // bytes that the system agreed to back with huge pages

	AppendedBytes uint64 // bytes of entries written by sets
	CopiedBytes   uint64 // bytes of entries written again, to keep them when memory was reclaimed

	// Loads are keys that a loader was asked for, by Load and LoadMany; Refreshes those of them
	// that were loaded in the background, because their value was stale. LoadTime is the time
	// that all calls of loaders took together: LoadTime / Loads is the mean (less with
	// LoadMany, where one call is for many keys).
	Loads         uint64
	Refreshes     uint64
	LoadErrors    uint64 // of the Loads: those that failed, panics included
	UnstoredLoads uint64 // of the Loads: values that could not be stored, being too large for instance
	JoinedLoads   uint64 // callers that waited for what another's load brought
	StaleAnswers  uint64 // stale values that Load and LoadMany returned
	LoadTime      time.Duration

	DroppedEvents uint64 // events for which there was no room in Options.EventBytes

	// A cache and its namespaces have one budget: Bytes, IndexBytes, BookkeepingBytes and
	// FreeBytes of the cache are of all together, those of a namespace its own.
	OwnBytes   int64 // bytes that this cache or namespace holds itself
	Namespaces int   // namespaces of the cache
}

// Sub is what happened since an earlier Stats of the same cache: counters less those of
// then, sizes as they are now.
func (s Stats) Sub(earlier Stats) Stats {
	for _, c := range []struct{ now, then *uint64 }{
		{&s.Hits, &earlier.Hits},
		{&s.Misses, &earlier.Misses},
		{&s.Sets, &earlier.Sets},
		{&s.Deletes, &earlier.Deletes},
		{&s.Evictions, &earlier.Evictions},
		{&s.Expirations, &earlier.Expirations},
		{&s.Rejections, &earlier.Rejections},
		{&s.TooLarge, &earlier.TooLarge},
		{&s.Invalidations, &earlier.Invalidations},
		{&s.AppendedBytes, &earlier.AppendedBytes},
		{&s.CopiedBytes, &earlier.CopiedBytes},
		{&s.Loads, &earlier.Loads},
		{&s.Refreshes, &earlier.Refreshes},
		{&s.LoadErrors, &earlier.LoadErrors},
		{&s.UnstoredLoads, &earlier.UnstoredLoads},
		{&s.JoinedLoads, &earlier.JoinedLoads},
		{&s.StaleAnswers, &earlier.StaleAnswers},
		{&s.DroppedEvents, &earlier.DroppedEvents},
	} {
		*c.now -= *c.then
	}
	s.LoadTime -= earlier.LoadTime
	return s
}

// HitRatio is the share of reads that found their key, 0 to 1; 0 when there were none.
func (s Stats) HitRatio() float64 {
	return ratio(s.Hits, s.Hits+s.Misses)
}

// WriteAmplification is the number of bytes written for each byte stored, 1 or
// more; 0 when nothing was stored.
func (s Stats) WriteAmplification() float64 {
	return ratio(s.AppendedBytes+s.CopiedBytes, s.AppendedBytes)
}

func ratio(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// loadCounters are what Stats says of loads.
type loadCounters struct {
	begun, refreshed, failed, unstored, joined, stale atomic.Uint64

	nanos atomic.Int64
}

// count adds what loads did to the statistics.
func (l *loads) count(s *Stats) {
	if l == nil {
		return
	}
	c := &l.counters
	s.Loads = c.begun.Load()
	s.Refreshes = c.refreshed.Load()
	s.LoadErrors = c.failed.Load()
	s.UnstoredLoads = c.unstored.Load()
	s.JoinedLoads = c.joined.Load()
	s.StaleAnswers = c.stale.Load()
	s.LoadTime = time.Duration(c.nanos.Load())
}

// statsOf is what the core counts.
func statsOf(h handle) Stats {
	s := h.Stats()
	return Stats{
		Hits:             s.Hits,
		Misses:           s.Misses,
		Sets:             s.Sets,
		Deletes:          s.Deletes,
		Evictions:        s.Evictions,
		Expirations:      s.Expirations,
		Rejections:       s.Rejections,
		Invalidations:    s.Invalidations,
		Entries:          s.Entries,
		Bytes:            s.Bytes,
		MaxBytes:         s.MaxBytes,
		LiveBytes:        s.LiveBytes,
		DeadBytes:        s.DeadBytes,
		IndexBytes:       s.IndexBytes,
		BookkeepingBytes: s.BookkeepingBytes,
		FreeBytes:        s.FreeBytes,
		HugePageBytes:    s.HugePageBytes,
		AppendedBytes:    s.AppendedBytes,
		CopiedBytes:      s.CopiedBytes,
		DroppedEvents:    s.DroppedEvents,
		OwnBytes:         s.OwnBytes,
		Namespaces:       s.Namespaces,
	}
}

// refusals counts what was not stored for a reason that the core doesn't count.
type refusals struct{ tooLarge atomic.Uint64 }

func (r *refusals) count(s *Stats) {
	if r != nil {
		s.TooLarge = r.tooLarge.Load()
	}
}

// refused is the error of a call that stores nothing.
func (c *Cache) refused(st status) error {
	if c.refusals != nil && (st == capi.StatusKeyTooLarge || st == capi.StatusValueTooLarge) {
		c.refusals.tooLarge.Add(1)
	}
	return errOf(st)
}
