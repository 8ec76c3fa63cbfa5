package larderprometheus

import (
	"iter"

	"github.com/prometheus/client_golang/prometheus"

	larder "github.com/larder-cache/larder/go"
)

// Namespaces is what has namespaces: a *larder.Cache.
type Namespaces interface {
	Namespaces() iter.Seq2[string, *larder.Cache]
}

// NamespaceCollector is a prometheus.Collector for the namespaces that a cache has at the time
// of each scrape. It is safe for concurrent use.
type NamespaceCollector struct {
	source  Namespaces
	metrics []metric
}

// NewNamespaceCollector returns a collector for the namespaces of the cache, beside one of
// [NewCollector] for the cache itself. Names of namespaces become label values: a program that
// makes them of what its clients send had better not export them.
func NewNamespaceCollector(source Namespaces, opts ...Option) *NamespaceCollector {
	o := options{namespace: "larder"}
	for _, opt := range opts {
		opt(&o)
	}
	labels := []string{"namespace"}
	c := &NamespaceCollector{source: source, metrics: counters("namespace", o, labels)}
	for _, m := range []struct {
		name, help string
		value      func(*larder.Stats) int64
	}{
		{"entries", "Entries held.", func(s *larder.Stats) int64 { return s.Entries }},
		{"max_bytes", "The namespace's bound; the budget, if it has none.", func(s *larder.Stats) int64 { return s.MaxBytes }},
		{"own_bytes", "Bytes of the budget that the namespace holds.", func(s *larder.Stats) int64 { return s.OwnBytes }},
	} {
		c.metrics = append(c.metrics, metric{
			desc:  prometheus.NewDesc(prometheus.BuildFQName(o.namespace, "namespace", m.name), m.help, labels, o.labels),
			kind:  prometheus.GaugeValue,
			value: func(s *larder.Stats) float64 { return float64(m.value(s)) },
		})
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *NamespaceCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *NamespaceCollector) Collect(out chan<- prometheus.Metric) {
	for name, namespace := range c.source.Namespaces() {
		stats := namespace.Stats()
		for _, m := range c.metrics {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats), name)
		}
	}
}
