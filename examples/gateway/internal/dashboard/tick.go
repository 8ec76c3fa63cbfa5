package dashboard

import (
	"time"

	larder "github.com/larder-cache/larder/go"

	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// historyPoints is how many seconds a page that opens is shown.
const historyPoints = 180

// Point is what the charts show of one second. Rates are per second.
type Point struct {
	At       int64              `json:"at"` // milliseconds since 1970
	Requests float64            `json:"requests"`
	Outcomes map[string]float64 `json:"outcomes"`
	Saved    float64            `json:"saved"` // answered without a whole response from an upstream
	Asked    float64            `json:"asked"` // the cache could have answered
	Errors   float64            `json:"errors"`
	Bytes    float64            `json:"bytes"`
	Used     int64              `json:"used"`
	// Percentiles in microseconds over the last ten seconds.
	All   traffic.Percentiles `json:"all"`
	Hits  traffic.Percentiles `json:"hits"`
	Other traffic.Percentiles `json:"other"`
}

// Tick is everything a page shows.
type Tick struct {
	Point     Point                   `json:"point"`
	Uptime    float64                 `json:"uptime"` // seconds
	Cache     Cache                   `json:"cache"`
	Routes    []Route                 `json:"routes"`
	Paths     []traffic.Entry         `json:"paths"`
	Tags      []traffic.Entry         `json:"tags"`
	Upstreams []upstream.TargetStatus `json:"upstreams"`
}

// Cache is the state of the larder.
type Cache struct {
	Entries int64              `json:"entries"`
	Max     int64              `json:"max"`
	Used    int64              `json:"used"`
	Bytes   map[string]int64   `json:"bytes"`   // by state; the sum is max
	Removed map[string]Removed `json:"removed"` // by reason
	Sets    Removed            `json:"sets"`
}

// Removed is a count and its rate per second.
type Removed struct {
	Total uint64  `json:"total"`
	Rate  float64 `json:"rate"`
}

// Route is what one route does.
type Route struct {
	Name     string  `json:"name"`
	Total    uint64  `json:"total"`
	Requests float64 `json:"requests"` // per second
	Ratio    float64 `json:"ratio"`    // since the start; -1: the cache was not asked
	Bytes    uint64  `json:"bytes"`
	Errors   uint64  `json:"errors"`
}

// reading is the state of all counters at one time.
type reading struct {
	at                time.Time
	stats             larder.Stats
	routes            map[string]traffic.Counts
	order             []string
	total             traffic.Counts
	all, hits, others traffic.Percentiles
	paths, tags       []traffic.Entry
	upstreams         []upstream.TargetStatus
}

func (d *Dashboard) read(now time.Time) *reading {
	r := &reading{at: now, stats: d.source.Stats(), routes: make(map[string]traffic.Counts)}
	for _, route := range d.source.Meter.Routes() {
		c := route.Counts()
		r.routes[route.Name()] = c
		r.order = append(r.order, route.Name())
		r.total.Add(c)
	}
	r.all, r.hits, r.others = d.source.Meter.Latency()
	r.paths = d.source.Meter.TopPaths(10)
	r.tags = d.source.Tags.List(10)
	r.upstreams = d.source.Upstreams()
	return r
}

// makeTick compares a reading with the one before, which may be nil.
func makeTick(now, before *reading, started time.Time) Tick {
	if before == nil {
		before = now
	}
	seconds := max(now.at.Sub(before.at).Seconds(), 1e-3)
	rate := func(a, b uint64) float64 {
		if b < a {
			return float64(a-b) / seconds
		}
		return 0
	}
	p := Point{
		At: now.at.UnixMilli(), Used: now.stats.Bytes, All: now.all, Hits: now.hits, Other: now.others,
		Requests: rate(now.total.Total(), before.total.Total()), Saved: rate(now.total.Saved(), before.total.Saved()),
		Asked: rate(now.total.Asked(), before.total.Asked()), Errors: rate(now.total.Errors(), before.total.Errors()),
		Bytes: rate(now.total.Bytes, before.total.Bytes), Outcomes: make(map[string]float64),
	}
	for _, o := range traffic.Outcomes() {
		p.Outcomes[o.String()] = rate(now.total.Of(o), before.total.Of(o))
	}
	t := Tick{
		Point: p, Uptime: now.at.Sub(started).Seconds(), Cache: cacheOf(now.stats, before.stats, rate),
		Paths: now.paths, Tags: now.tags, Upstreams: now.upstreams,
	}
	for _, name := range now.order {
		c, old := now.routes[name], before.routes[name]
		row := Route{Name: name, Total: c.Total(), Requests: rate(c.Total(), old.Total()), Ratio: -1, Bytes: c.Bytes, Errors: c.Errors()}
		if asked := c.Asked(); asked > 0 {
			row.Ratio = float64(c.Saved()) / float64(asked)
		}
		t.Routes = append(t.Routes, row)
	}
	return t
}

func cacheOf(s, old larder.Stats, rate func(a, b uint64) float64) Cache {
	removed := func(a, b uint64) Removed { return Removed{Total: a, Rate: rate(a, b)} }
	return Cache{
		Entries: s.Entries, Max: s.MaxBytes, Used: s.Bytes,
		Bytes: map[string]int64{
			"live": s.LiveBytes, "dead": s.DeadBytes, "index": s.IndexBytes + s.BookkeepingBytes,
			"free": max(0, s.MaxBytes-s.LiveBytes-s.DeadBytes-s.IndexBytes-s.BookkeepingBytes),
		},
		Removed: map[string]Removed{
			"evicted":  removed(s.Evictions, old.Evictions),
			"expired":  removed(s.Expirations, old.Expirations),
			"deleted":  removed(s.Deletes, old.Deletes),
			"rejected": removed(s.Rejections, old.Rejections),
		},
		Sets: removed(s.Sets, old.Sets),
	}
}
