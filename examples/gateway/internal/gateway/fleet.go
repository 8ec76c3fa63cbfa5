package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/larder-cache/larder/go/httpcache"
	"github.com/larder-cache/larder/go/redis/fleet"
	fleetgoredis "github.com/larder-cache/larder/go/redis/fleet/goredis"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// fleetPart is this gateway's part in a fleet that shares its purges. The methods of nil are
// those of a gateway on its own.
type fleetPart struct {
	member *fleet.Member
	server *fleetgoredis.Server
}

// joinFleet returns nil if no fleet is configured. It doesn't wait for the server.
func joinFleet(c config.Fleet, cache *httpcache.Cache, log *slog.Logger) (*fleetPart, error) {
	if c.Server == "" {
		return nil, nil
	}
	o := &redis.Options{Addr: c.Server, Username: c.User, Password: c.Password()}
	if c.TLS {
		host, _, _ := net.SplitHostPort(c.Server) // it was validated
		o.TLSConfig = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	server := fleetgoredis.New(o)
	member, err := fleet.Join(server, fleet.Options{
		Name:         c.Name,
		MaxStaleness: c.MaxStaleness,
		Logger:       log,
		Forget:       cache.ForgetAll,
		// What is stored while the server is away has lifetimes of its own: it is dropped again
		// and again.
		ForgetAgain: true,
		Apply: func(order []byte) {
			if err := cache.CarryOut(order); err != nil {
				log.Error("a purge of another gateway can't be read: everything purged", "error", err)
				cache.ForgetAll()
			}
		},
	})
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	cache.SharePurges(func(order []byte, asked bool) error {
		return member.Order(context.Background(), fleet.Order{Text: order, Wait: c.Wait && asked})
	})
	return &fleetPart{member, server}, nil
}

// trusted is called before a request is answered: a gateway that was stopped, or that has not
// reached the server for too long, drops what it holds first.
func (p *fleetPart) trusted() {
	if p != nil {
		p.member.Trusted()
	}
}

func (p *fleetPart) close() error {
	if p == nil {
		return nil
	}
	return errors.Join(p.member.Close(), p.server.Close())
}

// collector exports what the fleet counts; one with nothing for a gateway on its own.
func (p *fleetPart) collector() prometheus.Collector { return fleetCollector{p} }

type fleetCollector struct{ part *fleetPart }

// Describe implements prometheus.Collector.
func (c fleetCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range (fleet.Stats{}).Metrics() {
		out <- describe("fleet_"+m.Name, m.Help)
	}
}

// Collect implements prometheus.Collector.
func (c fleetCollector) Collect(out chan<- prometheus.Metric) {
	if c.part == nil {
		return
	}
	for _, m := range c.part.member.Stats().Metrics() {
		kind := prometheus.GaugeValue
		if m.Counter {
			kind = prometheus.CounterValue
		}
		out <- prometheus.MustNewConstMetric(describe("fleet_"+m.Name, m.Help), kind, m.Value)
	}
}
