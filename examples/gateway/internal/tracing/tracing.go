// Package tracing sends OpenTelemetry traces: a span for each request of a
// client, named by its route and with what the cache did, and one for each
// request to an upstream, which is told of it by the traceparent field.
package tracing

import (
	"cmp"
	"context"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// Tracer makes and sends spans. A nil Tracer does nothing.
type Tracer struct {
	provider    *sdk.TracerProvider
	propagation propagation.TextMapPropagator
}

// New returns a tracer, or nil if neither the configuration nor the environment
// names a collector.
func New(c config.Tracing) (*Tracer, error) {
	named := cmp.Or(c.Endpoint, os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if named == "" {
		return nil, nil
	}
	var options []otlptracehttp.Option
	if c.Endpoint != "" {
		options = append(options, otlptracehttp.WithEndpointURL(c.Endpoint))
	}
	exporter, err := otlptracehttp.New(context.Background(), options...)
	if err != nil {
		return nil, err
	}
	return newTracer(c, sdk.WithBatcher(exporter)), nil
}

func newTracer(c config.Tracing, export sdk.TracerProviderOption) *Tracer {
	return &Tracer{
		provider: sdk.NewTracerProvider(export,
			sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
			sdk.WithResource(resource.NewSchemaless(semconv.ServiceName(c.Service)))),
		propagation: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
}

func (t *Tracer) options() []otelhttp.Option {
	return []otelhttp.Option{otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(t.propagation)}
}

// Handler returns next with a span for each request.
func (t *Tracer) Handler(route string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	annotated := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		span := trace.SpanFromContext(r.Context())
		span.SetAttributes(attribute.String("larder.route", route))
		if status := w.Header().Get("Cache-Status"); status != "" {
			span.SetAttributes(attribute.String("larder.cache_status", status))
		}
	})
	name := otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + route })
	return otelhttp.NewHandler(annotated, route, append(t.options(), name)...)
}

// Transport returns next with a span for each request to an upstream.
func (t *Tracer) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return otelhttp.NewTransport(next, t.options()...)
}

// Close sends what is left, for as long as ctx lasts.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
