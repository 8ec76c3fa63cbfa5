// Package larderotel exports the statistics of a larder cache as OpenTelemetry
// metrics:
//
//	registration, err := larderotel.Register(cache)
//	...
//	registration.Unregister()
//
// All instruments are observable and are read in one callback, so that the
// numbers of one collection are one snapshot, and a cache pays nothing between
// collections. There is no attribute for a key or anything else whose number is
// not known beforehand.
//
// The instruments:
//
//	larder.requests            {request}  reads, by larder.result: hit or miss
//	larder.sets                {entry}    values stored
//	larder.removals            {entry}    entries removed, by larder.reason: evicted, expired or deleted
//	larder.rejections          {entry}    values not stored
//	larder.written             By         bytes written, by larder.reason: set, or kept (entries written again)
//	larder.events.dropped      {event}    events that found no room in larder.Options.EventBytes
//	larder.entries             {entry}    entries held
//	larder.memory.usage        By         the budget in use, by larder.state: live, dead, index or bookkeeping
//	larder.memory.limit        By         the budget
//	larder.memory.free         By         room for entries that is mapped and empty
//	larder.memory.huge_pages   By         bytes asked to be backed by huge pages
package larderotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	larder "github.com/larder-cache/larder/go"
)

// scope names this instrumentation.
const scope = "github.com/larder-cache/larder/go/otel"

// Source is what has statistics: a *larder.Cache.
type Source interface{ Stats() larder.Stats }

// Option changes a registration.
type Option func(*options)

type options struct {
	provider   metric.MeterProvider
	attributes []attribute.KeyValue
}

// WithMeterProvider sets the provider. Without it the global one is used.
func WithMeterProvider(p metric.MeterProvider) Option { return func(o *options) { o.provider = p } }

// WithAttributes adds attributes with fixed values to all measurements, to tell
// several caches of a process apart.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(o *options) { o.attributes = append(o.attributes, attributes...) }
}

// series is one number of the statistics: an instrument and its attributes.
type series struct {
	instrument metric.Int64Observable
	value      func(*larder.Stats) int64
	attributes metric.MeasurementOption
}

// Register exports the statistics of the cache until Unregister is called on
// what it returns, which should be before the cache is closed; after that the
// numbers stand still. It does not own the cache.
func Register(source Source, opts ...Option) (metric.Registration, error) {
	o := options{provider: otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(&o)
	}
	meter := o.provider.Meter(scope)
	all, instruments, err := build(meter, o.attributes)
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, observer metric.Observer) error {
		stats := source.Stats()
		for _, s := range all {
			observer.ObserveInt64(s.instrument, s.value(&stats), s.attributes)
		}
		return nil
	}, instruments...)
}

func build(meter metric.Meter, fixed []attribute.KeyValue) (all []series, instruments []metric.Observable, err error) {
	var errs []error
	for _, d := range definitions {
		instrument, err := d.make(meter)
		errs = append(errs, err)
		instruments = append(instruments, instrument)
		for _, v := range d.values {
			attributes := append(append([]attribute.KeyValue{}, fixed...), v.attributes...)
			all = append(all, series{instrument, v.get, metric.WithAttributeSet(attribute.NewSet(attributes...))})
		}
	}
	return all, instruments, errors.Join(errs...)
}
