package traffic

import "github.com/prometheus/client_golang/prometheus"

// durations is the histogram that Prometheus scrapes, by outcome. It is told
// the measured requests, each as often as it counts.
type durations struct {
	histogram *prometheus.HistogramVec
	resolved  [outcomes]prometheus.Observer
}

func (d *durations) init() {
	d.histogram = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gateway_request_duration_seconds",
		Help:    "Time to answer a request, by what the cache did. Under load a sample of one in 64, weighted.",
		Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"cache"})
	for o := range outcomes {
		d.resolved[o] = d.histogram.WithLabelValues(o.String())
	}
}

func (d *durations) observe(o Outcome, seconds float64, weight int64) {
	for range weight {
		d.resolved[o].Observe(seconds)
	}
}

// Durations returns the histogram of request durations, for a registry.
func (m *Meter) Durations() prometheus.Collector { return m.durations.histogram }
