package measure

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that are never wider than 1/32 of the duration.
type Histogram struct {
	counts [64 * subBuckets]uint64
	total  uint64
	max    time.Duration
}

const (
	subBits    = 5
	subBuckets = 1 << subBits
)

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)<<subBits + int(v>>shift) - subBuckets
}

// upper is the largest duration that falls into the bucket.
func upper(b int) time.Duration {
	if b < subBuckets {
		return time.Duration(b)
	}
	shift := b>>subBits - 1
	mantissa := uint64(b&(subBuckets-1) + subBuckets)
	return time.Duration((mantissa+1)<<shift - 1)
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Total is the number of durations counted.
func (h *Histogram) Total() uint64 { return h.total }

// Max is the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is a duration that the share q (0 to 1) of all durations doesn't exceed, 1/32 too large at most.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total))
	if rank >= h.total {
		return h.max
	}
	var seen uint64
	for b, n := range h.counts {
		seen += n
		if seen > rank {
			return min(upper(b), h.max)
		}
	}
	return h.max
}

// Over is the number of durations longer than d; those in d's own bucket don't count.
func (h *Histogram) Over(d time.Duration) uint64 {
	var n uint64
	for b := bucket(d) + 1; b < len(h.counts); b++ {
		n += h.counts[b]
	}
	return n
}
