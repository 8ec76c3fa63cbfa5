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
//	larder.removals            {entry}    entries removed, by larder.reason: evicted, expired, deleted or invalidated
//	larder.rejections          {entry}    values not stored because no room could be made
//	larder.too_large           {entry}    values not stored because they or their keys were too large
//	larder.loads               {load}     keys that a loader was asked for, by larder.reason: missing or stale
//	larder.loads.failed        {load}     those that it failed to bring
//	larder.loads.unstored      {load}     values that a loader brought and that could not be stored
//	larder.loads.joined        {caller}   callers that waited for another's load
//	larder.loads.time          us         time that calls of loaders took
//	larder.stale_answers       {request}  stale values that Load returned
//	larder.written             By         bytes written, by larder.reason: set, or kept (entries written again)
//	larder.events.dropped      {event}    events that found no room in larder.Options.EventBytes
//	larder.entries             {entry}    entries held
//	larder.memory.usage        By         the budget in use, by larder.state: live, dead, index or bookkeeping
//	larder.memory.limit        By         the budget
//	larder.memory.own          By         bytes that the cache holds itself, without its namespaces
//	larder.memory.free         By         the budget that is not in use
//	larder.memory.huge_pages   By         bytes asked to be backed by huge pages
//
// A cache and its namespaces share one budget: larder.memory.usage and larder.memory.free of the
// cache are of all together, live and dead excepted. [RegisterNamespaces] exports the
// namespaces, each with the attribute larder.namespace, under the same names but those: of the
// memory it shows larder.memory.own alone. So sums are sums.
package larderotel

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

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
	attributes []attribute.KeyValue
}

// Register exports the statistics of the cache until Unregister is called on
// what it returns, which should be before the cache is closed; after that the
// numbers stand still. It does not own the cache.
func Register(source Source, opts ...Option) (metric.Registration, error) {
	return register(opts, func(definition) bool { return true }, func(observe func(larder.Stats, ...attribute.KeyValue)) {
		observe(source.Stats())
	})
}

// Namespaces is what has namespaces: a *larder.Cache.
type Namespaces interface {
	Namespaces() iter.Seq2[string, *larder.Cache]
}

// RegisterNamespaces exports the statistics of the namespaces that the cache has at the time of
// each collection, beside [Register] for the cache itself.
func RegisterNamespaces(source Namespaces, opts ...Option) (metric.Registration, error) {
	own := func(d definition) bool {
		return !strings.HasPrefix(d.name, "larder.memory.") || d.name == "larder.memory.own"
	}
	return register(opts, own, func(observe func(larder.Stats, ...attribute.KeyValue)) {
		for name, namespace := range source.Namespaces() {
			observe(namespace.Stats(), attribute.String("larder.namespace", name))
		}
	})
}

// register makes the instruments that are wanted, and observes what collect finds.
func register(opts []Option, wanted func(definition) bool, collect func(observe func(larder.Stats, ...attribute.KeyValue))) (metric.Registration, error) {
	o := options{provider: otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(&o)
	}
	meter := o.provider.Meter(scope)
	all, instruments, err := build(meter, wanted)
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, observer metric.Observer) error {
		collect(func(stats larder.Stats, attributes ...attribute.KeyValue) {
			of := metric.WithAttributes(append(slices.Clone(o.attributes), attributes...)...)
			for _, s := range all {
				observer.ObserveInt64(s.instrument, s.value(&stats), of, metric.WithAttributes(s.attributes...))
			}
		})
		return nil
	}, instruments...)
}

func build(meter metric.Meter, wanted func(definition) bool) (all []series, instruments []metric.Observable, err error) {
	var errs []error
	for _, d := range definitions {
		if !wanted(d) {
			continue
		}
		instrument, err := d.make(meter)
		errs = append(errs, err)
		instruments = append(instruments, instrument)
		for _, v := range d.values {
			all = append(all, series{instrument, v.get, v.attributes})
		}
	}
	return all, instruments, errors.Join(errs...)
}
