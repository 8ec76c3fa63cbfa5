package traffic

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencySeconds is how far back percentiles look.
const latencySeconds = 10

// latency keeps the durations of the last seconds in histograms of one second
// each: one for all requests, one for those answered from what was stored, one
// for those that waited for an upstream, if only for a 304 or for what another
// request had asked for.
type latency struct {
	mu      sync.Mutex
	current int64 // the second of the newest histograms
	all     [latencySeconds]*hdrhistogram.Histogram
	stored  [latencySeconds]*hdrhistogram.Histogram
	others  [latencySeconds]*hdrhistogram.Histogram
}

const longest = int64(2 * time.Minute / time.Microsecond)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 2) }

func (l *latency) init() {
	for i := range latencySeconds {
		l.all[i], l.stored[i], l.others[i] = newHistogram(), newHistogram(), newHistogram()
	}
}

// advance clears the histograms of the seconds that have passed.
func (l *latency) advance(second int64) {
	for s := max(l.current+1, second-latencySeconds+1); s <= second; s++ {
		i := s % latencySeconds
		l.all[i].Reset()
		l.stored[i].Reset()
		l.others[i].Reset()
	}
	l.current = max(l.current, second)
}

func (l *latency) record(d time.Duration, weight int64, o Outcome) {
	us := min(max(d.Microseconds(), 1), longest)
	second := time.Now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(second)
	i := second % latencySeconds
	_ = l.all[i].RecordValues(us, weight) // within the range: cannot fail
	if o.Stored() {
		_ = l.stored[i].RecordValues(us, weight)
	} else {
		_ = l.others[i].RecordValues(us, weight)
	}
}

// Percentiles are durations in microseconds.
type Percentiles struct {
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
	// N is how many requests they are made of.
	N int64 `json:"n"`
}

// Latency returns the percentiles over the last ten seconds: of all requests,
// of those answered from what was stored, and of those that waited for an upstream.
func (m *Meter) Latency() (all, stored, others Percentiles) {
	l := &m.latency
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(time.Now().Unix())
	return percentiles(l.all[:]), percentiles(l.stored[:]), percentiles(l.others[:])
}

func percentiles(parts []*hdrhistogram.Histogram) Percentiles {
	sum := newHistogram()
	for _, h := range parts {
		sum.Merge(h)
	}
	return Percentiles{
		P50: sum.ValueAtQuantile(50), P90: sum.ValueAtQuantile(90), P99: sum.ValueAtQuantile(99),
		P999: sum.ValueAtQuantile(99.9), N: sum.TotalCount(),
	}
}
