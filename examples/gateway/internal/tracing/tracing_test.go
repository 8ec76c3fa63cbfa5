package tracing

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

func TestNoTracerWithoutCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tracer, err := New(config.Tracing{Sample: 1})
	if err != nil || tracer != nil {
		t.Fatalf("%v, %v", tracer, err)
	}
	next := http.NewServeMux()
	if tracer.Handler("r", next) != http.Handler(next) || tracer.Transport(http.DefaultTransport) != http.DefaultTransport {
		t.Error("a tracer that is off must not be in the way")
	}
	if err := tracer.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestSpansOfARequestBelongTogether(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tracer := newTracer(config.Tracing{Sample: 1, Service: "test"}, sdk.WithSyncer(exporter))
	var parent string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { parent = r.Header.Get("Traceparent") }))
	defer upstream.Close()
	h := tracer.Handler("airports", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, _ := http.NewRequestWithContext(r.Context(), "GET", upstream.URL, nil)
		resp, err := tracer.Transport(http.DefaultTransport).RoundTrip(out)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
		w.Header().Set("Cache-Status", "larder; fwd=uri-miss")
	}))
	r := httptest.NewRequest("GET", "/airports/CDG", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.ServeHTTP(httptest.NewRecorder(), r)

	spans := exporter.GetSpans()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	server := spans[1]
	if server.Name != "GET airports" || server.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("%s in trace %s", server.Name, server.SpanContext.TraceID())
	}
	if spans[0].Parent.SpanID() != server.SpanContext.SpanID() || !strings.Contains(parent, spans[0].SpanContext.SpanID().String()) {
		t.Errorf("the upstream's parent is %s, the client span %s", parent, spans[0].SpanContext.SpanID())
	}
	found := false
	for _, a := range server.Attributes {
		found = found || a.Key == "larder.cache_status" && a.Value.AsString() == "larder; fwd=uri-miss"
	}
	if !found {
		t.Errorf("attributes: %v", server.Attributes)
	}
}
