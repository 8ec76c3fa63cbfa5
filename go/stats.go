package larder

// Stats says what a cache did since it was made, and what it holds. The counters
// are exact when no other goroutine uses the cache meanwhile.
type Stats struct {
	Hits        uint64 // reads that found their key
	Misses      uint64 // reads that did not, also because the entry had expired
	Sets        uint64 // values stored
	Deletes     uint64 // entries removed by Delete
	Evictions   uint64 // entries removed to make room
	Expirations uint64 // entries removed because their time had come
	Rejections  uint64 // sets that failed because no room could be made

	Invalidations uint64 // entries removed because a tag of theirs was invalidated

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

	DroppedEvents uint64 // events for which there was no room in Options.EventBytes

	// A cache and its namespaces have one budget: Bytes, IndexBytes, BookkeepingBytes and
	// FreeBytes of the cache are of all together, those of a namespace its own.
	OwnBytes   int64 // bytes that this cache or namespace holds itself
	Namespaces int   // namespaces of the cache
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
