package traffic

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// burst is how many requests of a shard are measured in each window before
	// the sampling starts.
	burst  = 16
	window = 100 * time.Millisecond
	// sampling is the weight of a measured request after that.
	sampling = 64
)

// ClientLeft is the status under which a request counts whose client has left before it
// had its answer, as nginx has it. No client ever sees it.
const ClientLeft = 499

// Sample is one measured request.
type Sample struct {
	Route    *Route
	Request  *http.Request
	Status   int // 0: the response was aborted
	Bytes    int64
	Outcome  Outcome
	Duration time.Duration
	// Weight is how many requests it stands for.
	Weight int64
	Header http.Header // of the response
}

// Meter counts and times requests. It is safe for concurrent use.
type Meter struct {
	// Observe, if not nil, is told every sample. It must be set before the
	// first request.
	Observe func(Sample)

	// All measures every request, which costs some hundred nanoseconds each.
	all atomic.Bool

	seen [shards]struct {
		n atomic.Uint32
		_ [60]byte
	}
	recorders sync.Pool
	made      atomic.Uint32

	mu     sync.Mutex
	routes map[string]*Route

	latency   latency
	durations durations
	top       Top
}

// NewMeter returns a meter. Run must be running.
func NewMeter() *Meter {
	m := &Meter{routes: make(map[string]*Route)}
	m.latency.init()
	m.durations.init()
	m.recorders.New = func() any { return &recorder{shard: int(m.made.Add(1)) % shards} }
	return m
}

// MeasureAll switches sampling off or on again.
func (m *Meter) MeasureAll(on bool) { m.all.Store(on) }

// Run opens a new sampling window ten times a second, until ctx ends.
func (m *Meter) Run(ctx context.Context) {
	ticker := time.NewTicker(window)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for i := range m.seen {
				m.seen[i].n.Store(0)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Route returns the counters of a route, which are kept as long as the meter:
// a route that a new configuration leaves out may come back.
func (m *Meter) Route(name string) *Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.routes[name]
	if r == nil {
		r = &Route{name: name}
		m.routes[name] = r
	}
	return r
}

// Routes returns all routes in order of name.
func (m *Meter) Routes() []*Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.routes), func(a, b *Route) int { return strings.Compare(a.name, b.name) })
}

// Wrap returns next with its requests counted for the route.
func (m *Meter) Wrap(route *Route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := m.recorders.Get().(*recorder)
		rec.ResponseWriter, rec.status, rec.bytes = w, 0, 0
		weight := m.weight(rec.shard)
		var start time.Time
		if weight > 0 {
			start = time.Now()
		}
		whole := false
		// Deferred, so that aborted responses count; a recorder of such a one is
		// not used again, since nobody knows who still holds it.
		defer func() {
			m.finish(route, r, rec, weight, start, whole)
			if whole {
				rec.ResponseWriter = nil
				m.recorders.Put(rec)
			}
		}()
		next.ServeHTTP(rec, r)
		whole = true
	})
}

// weight decides whether a request is measured, and for how many it stands.
func (m *Meter) weight(shard int) int64 {
	if n := m.seen[shard].n.Add(1); n <= burst || m.all.Load() {
		return 1
	} else if n%sampling == 0 {
		return sampling
	}
	return 0
}

func (m *Meter) finish(route *Route, r *http.Request, rec *recorder, weight int64, start time.Time, whole bool) {
	if rec.status == 0 && whole {
		rec.status = http.StatusOK // net/http does so for a handler that writes nothing
	}
	if (!whole || rec.status >= http.StatusInternalServerError) && r.Context().Err() != nil {
		// Within a handler, net/http ends the context only of a client that has left. What
		// was then made up for it was read by nobody, and is no fault of anybody here.
		rec.status, whole = ClientLeft, true
	}
	h := rec.Header()
	outcome := outcomeOf(h["Cache-Status"])
	c := &route.cells[rec.shard]
	c.requests[outcome][min(rec.status/100, classes-1)].Add(1)
	c.bytes.Add(uint64(rec.bytes))
	if weight == 0 {
		return
	}
	d := time.Since(start)
	m.latency.record(d, weight, outcome)
	m.durations.observe(outcome, d.Seconds(), weight)
	m.top.Add(r.Host+r.URL.EscapedPath(), weight)
	if m.Observe != nil {
		status := rec.status
		if !whole {
			status = 0
		}
		m.Observe(Sample{
			Route: route, Request: r, Status: status, Bytes: rec.bytes, Outcome: outcome,
			Duration: d, Weight: weight, Header: h,
		})
	}
}

// TopPaths returns the most requested hosts and paths.
func (m *Meter) TopPaths(n int) []Entry { return m.top.List(n) }

// Total sums the counts of all routes up.
func (m *Meter) Total() Counts {
	var sum Counts
	for _, r := range m.Routes() {
		sum.Add(r.Counts())
	}
	return sum
}

// HalveTop lets the list of paths forget.
func (m *Meter) HalveTop() { m.top.Halve() }
