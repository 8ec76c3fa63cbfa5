package larderotel_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	larder "github.com/larder-cache/larder/go"
	larderotel "github.com/larder-cache/larder/go/otel"
)

// source counts how often it is asked.
type source struct {
	mu    sync.Mutex
	stats larder.Stats
	asked int
}

func (s *source) Stats() larder.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.stats
}

// collect returns all sums as "name{attributes}".
func collect(t *testing.T, reader metric.Reader) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]int64)
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				t.Fatalf("%s is a %T", m.Name, m.Data)
			}
			if m.Unit == "" || m.Description == "" {
				t.Errorf("%s has no unit or no description", m.Name)
			}
			for _, p := range sum.DataPoints {
				out[m.Name+"{"+p.Attributes.Encoded(attribute.DefaultEncoder())+"}"] = p.Value
			}
		}
	}
	return out
}

func newProvider() (*metric.MeterProvider, metric.Reader) {
	reader := metric.NewManualReader()
	return metric.NewMeterProvider(metric.WithReader(reader)), reader
}

func TestEveryNumberIsExported(t *testing.T) {
	s := &source{stats: larder.Stats{
		Hits: 1, Misses: 2, Sets: 3, Deletes: 4, Evictions: 5, Expirations: 6, Rejections: 7,
		Entries: 8, MaxBytes: 9, LiveBytes: 10, DeadBytes: 11, IndexBytes: 12, BookkeepingBytes: 13, FreeBytes: 14,
		HugePageBytes: 15, AppendedBytes: 16, CopiedBytes: 17, DroppedEvents: 18,
		Invalidations: 19, TooLarge: 20, Loads: 50, Refreshes: 21, LoadErrors: 22, UnstoredLoads: 23, JoinedLoads: 24,
		StaleAnswers: 25, LoadTime: 26 * time.Microsecond, OwnBytes: 27,
	}}
	provider, reader := newProvider()
	if _, err := larderotel.Register(s, larderotel.WithMeterProvider(provider), larderotel.WithAttributes(attribute.String("cache", "c"))); err != nil {
		t.Fatal(err)
	}
	got := collect(t, reader)
	want := map[string]int64{
		"larder.requests{cache=c,larder.result=hit}":            1,
		"larder.requests{cache=c,larder.result=miss}":           2,
		"larder.sets{cache=c}":                                  3,
		"larder.removals{cache=c,larder.reason=deleted}":        4,
		"larder.removals{cache=c,larder.reason=evicted}":        5,
		"larder.removals{cache=c,larder.reason=expired}":        6,
		"larder.rejections{cache=c}":                            7,
		"larder.entries{cache=c}":                               8,
		"larder.memory.limit{cache=c}":                          9,
		"larder.memory.usage{cache=c,larder.state=live}":        10,
		"larder.memory.usage{cache=c,larder.state=dead}":        11,
		"larder.memory.usage{cache=c,larder.state=index}":       12,
		"larder.memory.usage{cache=c,larder.state=bookkeeping}": 13,
		"larder.memory.free{cache=c}":                           14,
		"larder.memory.huge_pages{cache=c}":                     15,
		"larder.written{cache=c,larder.reason=set}":             16,
		"larder.written{cache=c,larder.reason=kept}":            17,
		"larder.events.dropped{cache=c}":                        18,
		"larder.removals{cache=c,larder.reason=invalidated}":    19,
		"larder.too_large{cache=c}":                             20,
		"larder.loads{cache=c,larder.reason=stale}":             21,
		"larder.loads{cache=c,larder.reason=missing}":           29,
		"larder.loads.failed{cache=c}":                          22,
		"larder.loads.unstored{cache=c}":                        23,
		"larder.loads.joined{cache=c}":                          24,
		"larder.stale_answers{cache=c}":                         25,
		"larder.loads.time{cache=c}":                            26,
		"larder.memory.own{cache=c}":                            27,
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s is %d, want %d", name, got[name], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d series, want %d: %v", len(got), len(want), got)
	}
	if s.asked != 1 {
		t.Errorf("one collection took %d snapshots", s.asked)
	}
}

func TestUnregister(t *testing.T) {
	s := &source{}
	provider, reader := newProvider()
	registration, err := larderotel.Register(s, larderotel.WithMeterProvider(provider))
	if err != nil {
		t.Fatal(err)
	}
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	if collect(t, reader); s.asked != 0 {
		t.Error("it was asked after Unregister")
	}
}

func TestALivingAndAClosedCache(t *testing.T) {
	cache, err := larder.New(larder.Options{MaxBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	provider, reader := newProvider()
	if _, err := larderotel.Register(cache, larderotel.WithMeterProvider(provider)); err != nil {
		t.Fatal(err)
	}
	if err := cache.SetString("k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	cache.GetString(make([]byte, 0, 8), "k")
	cache.GetString(nil, "absent")
	got := collect(t, reader)
	if got["larder.requests{larder.result=hit}"] != 1 || got["larder.requests{larder.result=miss}"] != 1 || got["larder.entries{}"] != 1 {
		t.Errorf("%v", got)
	}
	if err := cache.Close(); err != nil {
		t.Fatal(err)
	}
	collect(t, reader)
}

// What is shown of a cache and of its namespaces adds up.
func TestNamespaces(t *testing.T) {
	cache, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	provider, reader := newProvider()
	for _, register := range []func() error{
		func() error { _, err := larderotel.Register(cache, larderotel.WithMeterProvider(provider)); return err },
		func() error {
			_, err := larderotel.RegisterNamespaces(cache, larderotel.WithMeterProvider(provider))
			return err
		},
	} {
		if err := register(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		space, err := cache.Namespace(name, larder.NamespaceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := space.SetString(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	got := collect(t, reader)
	sum := int64(0)
	for name, n := range got {
		if strings.HasPrefix(name, "larder.memory.own") {
			sum += n
		} else if strings.HasPrefix(name, "larder.memory") && strings.Contains(name, "namespace") {
			t.Errorf("%s would be counted twice", name)
		}
	}
	if got["larder.sets{larder.namespace=a}"] != 1 || got["larder.sets{}"] != 0 {
		t.Errorf("%v", got)
	}
	if all := cache.Stats().Bytes; sum > all || sum < all/2 {
		t.Errorf("own bytes of all: %d of %d", sum, all)
	}
}
