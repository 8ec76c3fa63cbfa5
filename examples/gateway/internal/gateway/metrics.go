package gateway

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	larderprometheus "github.com/larder-cache/larder/go/prometheus"

	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
)

// newRegistry returns the registry behind /metrics: the process, the Go
// runtime, the cache, and the gateway's own counters, which are read when they
// are scraped and not kept twice.
func newRegistry(g *Gateway) (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	return r, errors.Join(
		r.Register(collectors.NewGoCollector()),
		r.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
		r.Register(larderprometheus.NewCollector(g.store)),
		r.Register(gatewayCollector{g}),
		r.Register(g.fleet.collector()),
		r.Register(g.meter.Durations()),
	)
}

// gatewayCollector exports what the gateway counts anyway.
type gatewayCollector struct{ g *Gateway }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("gateway_"+name, help, labels, nil)
}

var (
	requestsDesc  = describe("requests_total", "Requests answered, by route, by what the cache did and by class of the status (0xx: aborted; 4xx has clients that left before their answer).", "route", "cache", "code")
	bytesDesc     = describe("response_bytes_total", "Bytes of response bodies sent to clients.", "route")
	upDesc        = describe("upstream_up", "1 if requests are sent to the target, 0 if health checks or the breaker keep them away.", "upstream", "target")
	inFlightDesc  = describe("upstream_in_flight", "Requests being answered by the target.", "upstream", "target")
	attemptsDesc  = describe("upstream_requests_total", "Requests sent to the target, repeated ones included.", "upstream", "target")
	failuresDesc  = describe("upstream_failures_total", "Requests that failed at the target, or that it answered with a status of 500 or more.", "upstream", "target")
	retriesDesc   = describe("upstream_retries_total", "Requests that were repeated.", "upstream")
	noRetriesDesc = describe("upstream_retries_refused_total", "Requests that were not repeated because the budget was used up.", "upstream")
)

// Describe implements prometheus.Collector.
func (c gatewayCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		requestsDesc, bytesDesc, upDesc, inFlightDesc, attemptsDesc, failuresDesc, retriesDesc, noRetriesDesc,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c gatewayCollector) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, r := range c.g.meter.Routes() {
		counts := r.Counts()
		counter(bytesDesc, counts.Bytes, r.Name())
		for _, o := range traffic.Outcomes() {
			for class, n := range counts.Requests[o] {
				if n > 0 {
					counter(requestsDesc, n, r.Name(), o.String(), strconv.Itoa(class)+"xx")
				}
			}
		}
	}
	for name, pool := range c.g.state.Load().pools {
		for _, t := range pool.Status() {
			up := 0.0
			if t.State == "up" {
				up = 1
			}
			gauge(upDesc, up, name, t.Target)
			gauge(inFlightDesc, float64(t.InFlight), name, t.Target)
			counter(attemptsDesc, t.Requests, name, t.Target)
			counter(failuresDesc, t.Failures, name, t.Target)
		}
		done, refused := pool.Retries()
		counter(retriesDesc, done, name)
		counter(noRetriesDesc, refused, name)
	}
}
