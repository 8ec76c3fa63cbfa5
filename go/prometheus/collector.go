// Package larderprometheus exports the statistics of a larder cache to
// Prometheus:
//
//	registry.MustRegister(larderprometheus.NewCollector(cache))
//
// Each scrape takes one snapshot of the statistics, so that the numbers of one
// scrape belong together, and costs a cache nothing between scrapes. There is
// no label for a key or anything else whose number is not known beforehand.
//
// The metrics, with the default prefix:
//
//	larder_hits_total, larder_misses_total    reads; a Load is one, whatever it does
//	larder_sets_total, larder_deletes_total   writes
//	larder_evictions_total                    entries removed to make room
//	larder_expirations_total                  entries removed because their time was over
//	larder_invalidations_total                entries removed because a tag of theirs was invalidated
//	larder_rejections_total                   values not stored because no room could be made
//	larder_too_large_total                    values not stored because they or their keys were too large
//	larder_loads_total                        keys that a loader was asked for, refreshes included
//	larder_load_errors_total                  those that it failed to bring
//	larder_load_seconds_total                 time that calls of loaders took
//	larder_unstored_loads_total               values that a loader brought and that could not be stored
//	larder_joined_loads_total                 callers that waited for another's load
//	larder_stale_answers_total                stale values that Load returned
//	larder_refreshes_total                    loads in the background, of stale values
//	larder_appended_bytes_total               bytes written for sets
//	larder_copied_bytes_total                 bytes written again to keep entries
//	larder_dropped_events_total               events that found no room in larder.Options.EventBytes
//	larder_entries                            entries held
//	larder_max_bytes                          the budget
//	larder_bytes{state}                       the budget by use: live, dead, index, bookkeeping
//	larder_own_bytes                          bytes that the cache holds itself, without its namespaces
//	larder_free_bytes                         the budget that is not in use
//	larder_huge_page_bytes                    bytes asked to be backed by huge pages
//
// The hit ratio is rate(larder_hits_total[5m]) /
// (rate(larder_hits_total[5m]) + rate(larder_misses_total[5m])), the mean time of a load
// rate(larder_load_seconds_total[5m]) / rate(larder_loads_total[5m]).
//
// A cache and its namespaces share one budget: larder_bytes and larder_free_bytes of the cache
// are of all together, live and dead excepted, which are each one's own. So namespaces have
// metrics of their own names, which [NewNamespaceCollector] exports: the counters above, the
// entries, the bound and own_bytes, as larder_namespace_..., with the label namespace.
package larderprometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	larder "github.com/larder-cache/larder/go"
)

// Source is what has statistics: a *larder.Cache.
type Source interface{ Stats() larder.Stats }

// Option changes a collector.
type Option func(*options)

type options struct {
	namespace string
	labels    prometheus.Labels
}

// WithNamespace replaces the prefix "larder" of the metrics' names.
func WithNamespace(namespace string) Option { return func(o *options) { o.namespace = namespace } }

// WithLabels adds labels with fixed values to all metrics. A registry takes
// several caches' collectors if their labels differ:
//
//	NewCollector(sessions, WithLabels(prometheus.Labels{"cache": "sessions"}))
func WithLabels(labels prometheus.Labels) Option { return func(o *options) { o.labels = labels } }

// Collector is a prometheus.Collector for one cache. It is safe for concurrent
// use, also while and after the cache is closed.
type Collector struct {
	source  Source
	metrics []metric
}

// metric is one time series: its description, and where its value stands.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*larder.Stats) float64
	label []string
}

// NewCollector returns a collector for the cache. It does not own the cache.
func NewCollector(source Source, opts ...Option) *Collector {
	o := options{namespace: "larder"}
	for _, opt := range opts {
		opt(&o)
	}
	return &Collector{source: source, metrics: append(counters("", o, nil), gauges(o)...)}
}

// counters are those of a cache, or with variable labels of namespaces.
func counters(subsystem string, o options, labels []string) []metric {
	var all []metric
	for _, m := range []struct {
		name, help string
		value      func(*larder.Stats) uint64
	}{
		{"hits_total", "Reads that found their key.", func(s *larder.Stats) uint64 { return s.Hits }},
		{"misses_total", "Reads that did not find their key.", func(s *larder.Stats) uint64 { return s.Misses }},
		{"sets_total", "Values stored.", func(s *larder.Stats) uint64 { return s.Sets }},
		{"deletes_total", "Entries removed by a delete.", func(s *larder.Stats) uint64 { return s.Deletes }},
		{"evictions_total", "Entries removed to make room.", func(s *larder.Stats) uint64 { return s.Evictions }},
		{"expirations_total", "Entries removed because their time was over.", func(s *larder.Stats) uint64 { return s.Expirations }},
		{"invalidations_total", "Entries removed because a tag of theirs was invalidated.", func(s *larder.Stats) uint64 { return s.Invalidations }},
		{"rejections_total", "Values not stored because no room could be made.", func(s *larder.Stats) uint64 { return s.Rejections }},
		{"too_large_total", "Values not stored because they or their keys were too large.", func(s *larder.Stats) uint64 { return s.TooLarge }},
		{"loads_total", "Keys that a loader was asked for, refreshes included.", func(s *larder.Stats) uint64 { return s.Loads }},
		{"load_errors_total", "Keys that a loader was asked for and failed to bring.", func(s *larder.Stats) uint64 { return s.LoadErrors }},
		{"unstored_loads_total", "Values that a loader brought and that could not be stored.", func(s *larder.Stats) uint64 { return s.UnstoredLoads }},
		{"joined_loads_total", "Callers that waited for another's load.", func(s *larder.Stats) uint64 { return s.JoinedLoads }},
		{"stale_answers_total", "Stale values that Load returned.", func(s *larder.Stats) uint64 { return s.StaleAnswers }},
		{"refreshes_total", "Loads in the background, of stale values.", func(s *larder.Stats) uint64 { return s.Refreshes }},
		{"appended_bytes_total", "Bytes written for sets.", func(s *larder.Stats) uint64 { return s.AppendedBytes }},
		{"copied_bytes_total", "Bytes written again to keep entries when their segment was reclaimed.", func(s *larder.Stats) uint64 { return s.CopiedBytes }},
		{"dropped_events_total", "Events dropped because there was no room for them in the queue.", func(s *larder.Stats) uint64 { return s.DroppedEvents }},
	} {
		all = append(all, metric{
			desc:  prometheus.NewDesc(prometheus.BuildFQName(o.namespace, subsystem, m.name), m.help, labels, o.labels),
			kind:  prometheus.CounterValue,
			value: func(s *larder.Stats) float64 { return float64(m.value(s)) },
		})
	}
	return append(all, metric{
		desc: prometheus.NewDesc(prometheus.BuildFQName(o.namespace, subsystem, "load_seconds_total"),
			"Time that calls of loaders took.", labels, o.labels),
		kind:  prometheus.CounterValue,
		value: func(s *larder.Stats) float64 { return s.LoadTime.Seconds() },
	})
}

func gauges(o options) []metric {
	var all []metric
	byState := prometheus.NewDesc(prometheus.BuildFQName(o.namespace, "", "bytes"),
		"Bytes of the budget in use, by what for.", []string{"state"}, o.labels)
	for _, m := range []struct {
		name, help, state string
		value             func(*larder.Stats) int64
	}{
		{"entries", "Entries held.", "", func(s *larder.Stats) int64 { return s.Entries }},
		{"max_bytes", "The budget.", "", func(s *larder.Stats) int64 { return s.MaxBytes }},
		{"", "", "live", func(s *larder.Stats) int64 { return s.LiveBytes }},
		{"", "", "dead", func(s *larder.Stats) int64 { return s.DeadBytes }},
		{"", "", "index", func(s *larder.Stats) int64 { return s.IndexBytes }},
		{"", "", "bookkeeping", func(s *larder.Stats) int64 { return s.BookkeepingBytes }},
		{"own_bytes", "Bytes that the cache holds itself, without its namespaces.", "", func(s *larder.Stats) int64 { return s.OwnBytes }},
		{"free_bytes", "Bytes of the budget that are not in use.", "", func(s *larder.Stats) int64 { return s.FreeBytes }},
		{"huge_page_bytes", "Bytes that the system was asked to back by huge pages.", "", func(s *larder.Stats) int64 { return s.HugePageBytes }},
	} {
		one := metric{
			kind:  prometheus.GaugeValue,
			value: func(s *larder.Stats) float64 { return float64(m.value(s)) },
		}
		if m.state != "" {
			one.desc, one.label = byState, []string{m.state}
		} else {
			one.desc = prometheus.NewDesc(prometheus.BuildFQName(o.namespace, "", m.name), m.help, nil, o.labels)
		}
		all = append(all, one)
	}
	return all
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	stats := c.source.Stats()
	for _, m := range c.metrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats), m.label...)
	}
}
