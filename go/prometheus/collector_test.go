package larderprometheus_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	larder "github.com/larder-cache/larder/go"
	larderprometheus "github.com/larder-cache/larder/go/prometheus"
)

// source counts how often it is asked.
type source struct {
	stats larder.Stats
	asked int
}

func (s *source) Stats() larder.Stats { s.asked++; return s.stats }

func TestEveryNumberIsExported(t *testing.T) {
	s := &source{stats: larder.Stats{
		Hits: 1, Misses: 2, Sets: 3, Deletes: 4, Evictions: 5, Expirations: 6, Rejections: 7,
		Entries: 8, MaxBytes: 9, LiveBytes: 10, DeadBytes: 11, IndexBytes: 12, BookkeepingBytes: 13, FreeBytes: 14,
		HugePageBytes: 15, AppendedBytes: 16, CopiedBytes: 17, DroppedEvents: 18,
		Invalidations: 19, TooLarge: 20, Loads: 21, LoadErrors: 22, UnstoredLoads: 23, JoinedLoads: 24, StaleAnswers: 25,
		Refreshes: 26, LoadTime: 1500 * time.Millisecond, OwnBytes: 27,
	}}
	want := `
# HELP larder_appended_bytes_total Bytes written for sets.
# TYPE larder_appended_bytes_total counter
larder_appended_bytes_total 16
# HELP larder_bytes Bytes of the budget in use, by what for.
# TYPE larder_bytes gauge
larder_bytes{state="bookkeeping"} 13
larder_bytes{state="dead"} 11
larder_bytes{state="index"} 12
larder_bytes{state="live"} 10
# HELP larder_copied_bytes_total Bytes written again to keep entries when their segment was reclaimed.
# TYPE larder_copied_bytes_total counter
larder_copied_bytes_total 17
# HELP larder_deletes_total Entries removed by a delete.
# TYPE larder_deletes_total counter
larder_deletes_total 4
# HELP larder_dropped_events_total Events dropped because there was no room for them in the queue.
# TYPE larder_dropped_events_total counter
larder_dropped_events_total 18
# HELP larder_entries Entries held.
# TYPE larder_entries gauge
larder_entries 8
# HELP larder_evictions_total Entries removed to make room.
# TYPE larder_evictions_total counter
larder_evictions_total 5
# HELP larder_expirations_total Entries removed because their time was over.
# TYPE larder_expirations_total counter
larder_expirations_total 6
# HELP larder_free_bytes Bytes of the budget that are not in use.
# TYPE larder_free_bytes gauge
larder_free_bytes 14
# HELP larder_hits_total Reads that found their key.
# TYPE larder_hits_total counter
larder_hits_total 1
# HELP larder_huge_page_bytes Bytes that the system was asked to back by huge pages.
# TYPE larder_huge_page_bytes gauge
larder_huge_page_bytes 15
# HELP larder_max_bytes The budget.
# TYPE larder_max_bytes gauge
larder_max_bytes 9
# HELP larder_misses_total Reads that did not find their key.
# TYPE larder_misses_total counter
larder_misses_total 2
# HELP larder_rejections_total Values not stored because no room could be made.
# TYPE larder_rejections_total counter
larder_rejections_total 7
# HELP larder_invalidations_total Entries removed because a tag of theirs was invalidated.
# TYPE larder_invalidations_total counter
larder_invalidations_total 19
# HELP larder_too_large_total Values not stored because they or their keys were too large.
# TYPE larder_too_large_total counter
larder_too_large_total 20
# HELP larder_loads_total Keys that a loader was asked for, refreshes included.
# TYPE larder_loads_total counter
larder_loads_total 21
# HELP larder_load_errors_total Keys that a loader was asked for and failed to bring.
# TYPE larder_load_errors_total counter
larder_load_errors_total 22
# HELP larder_unstored_loads_total Values that a loader brought and that could not be stored.
# TYPE larder_unstored_loads_total counter
larder_unstored_loads_total 23
# HELP larder_joined_loads_total Callers that waited for another's load.
# TYPE larder_joined_loads_total counter
larder_joined_loads_total 24
# HELP larder_stale_answers_total Stale values that Load returned.
# TYPE larder_stale_answers_total counter
larder_stale_answers_total 25
# HELP larder_refreshes_total Loads in the background, of stale values.
# TYPE larder_refreshes_total counter
larder_refreshes_total 26
# HELP larder_load_seconds_total Time that calls of loaders took.
# TYPE larder_load_seconds_total counter
larder_load_seconds_total 1.5
# HELP larder_own_bytes Bytes that the cache holds itself, without its namespaces.
# TYPE larder_own_bytes gauge
larder_own_bytes 27
# HELP larder_sets_total Values stored.
# TYPE larder_sets_total counter
larder_sets_total 3
`
	if err := testutil.CollectAndCompare(larderprometheus.NewCollector(s), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if s.asked != 1 {
		t.Errorf("one scrape took %d snapshots", s.asked)
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := testutil.CollectAndLint(larderprometheus.NewCollector(&source{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestSeveralCachesInOneRegistry(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, name := range []string{"a", "b"} {
		c := larderprometheus.NewCollector(&source{}, larderprometheus.WithNamespace("app"),
			larderprometheus.WithLabels(prometheus.Labels{"cache": name}))
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	n, err := testutil.GatherAndCount(registry, "app_hits_total")
	if err != nil || n != 2 {
		t.Errorf("%d series, %v", n, err)
	}
	if err := registry.Register(larderprometheus.NewCollector(&source{}, larderprometheus.WithNamespace("app"),
		larderprometheus.WithLabels(prometheus.Labels{"cache": "a"}))); err == nil {
		t.Error("the same labels twice were accepted")
	}
}

func TestScrapesOfALivingAndAClosedCache(t *testing.T) {
	cache, err := larder.New(larder.Options{MaxBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	collector := larderprometheus.NewCollector(cache)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)

	if err := cache.SetString("k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	cache.GetString(make([]byte, 0, 8), "k")
	cache.GetString(nil, "absent")
	err = testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP larder_entries Entries held.
# TYPE larder_entries gauge
larder_entries 1
# HELP larder_hits_total Reads that found their key.
# TYPE larder_hits_total counter
larder_hits_total 1
# HELP larder_misses_total Reads that did not find their key.
# TYPE larder_misses_total counter
larder_misses_total 1
`), "larder_entries", "larder_hits_total", "larder_misses_total")
	if err != nil {
		t.Error(err)
	}

	var scrapes sync.WaitGroup
	for range 8 {
		scrapes.Add(1)
		go func() {
			defer scrapes.Done()
			for range 50 {
				if _, err := registry.Gather(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	if err := cache.Close(); err != nil {
		t.Error(err)
	}
	scrapes.Wait()
}

// The metrics of namespaces come with them, and have names of their own: sums are sums.
func TestNamespaces(t *testing.T) {
	cache, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(larderprometheus.NewCollector(cache), larderprometheus.NewNamespaceCollector(cache))
	if n, err := testutil.GatherAndCount(registry, "larder_namespace_entries"); n != 0 || err != nil {
		t.Error(n, err)
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
	err = testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP larder_entries Entries held.
# TYPE larder_entries gauge
larder_entries 0
# HELP larder_namespace_entries Entries held.
# TYPE larder_namespace_entries gauge
larder_namespace_entries{namespace="a"} 1
larder_namespace_entries{namespace="b"} 1
# HELP larder_namespace_sets_total Values stored.
# TYPE larder_namespace_sets_total counter
larder_namespace_sets_total{namespace="a"} 1
larder_namespace_sets_total{namespace="b"} 1
`), "larder_entries", "larder_namespace_entries", "larder_namespace_sets_total")
	if err != nil {
		t.Error(err)
	}
	if n, _ := testutil.GatherAndCount(registry, "larder_bytes"); n != 4 {
		t.Errorf("%d series of larder_bytes", n)
	}
	problems, err := testutil.CollectAndLint(larderprometheus.NewNamespaceCollector(cache))
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
