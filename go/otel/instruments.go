package larderotel

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	larder "github.com/larder-cache/larder/go"
)

// definition is one instrument and the numbers it shows.
type definition struct {
	name, unit, description string
	counter                 bool // only ever grows
	values                  []value
}

type value struct {
	get        func(*larder.Stats) int64
	attributes []attribute.KeyValue
}

func (d *definition) make(meter metric.Meter) (metric.Int64Observable, error) {
	if d.counter {
		return meter.Int64ObservableCounter(d.name, metric.WithUnit(d.unit), metric.WithDescription(d.description))
	}
	return meter.Int64ObservableUpDownCounter(d.name, metric.WithUnit(d.unit), metric.WithDescription(d.description))
}

// counter shows a counter of the statistics under an attribute, unless key is
// empty.
func counter(get func(*larder.Stats) uint64, key, text string) value {
	return gauge(func(s *larder.Stats) int64 { return int64(get(s)) }, key, text)
}

func gauge(get func(*larder.Stats) int64, key, text string) value {
	v := value{get: get}
	if key != "" {
		v.attributes = []attribute.KeyValue{attribute.String(key, text)}
	}
	return v
}

var definitions = []definition{
	{"larder.requests", "{request}", "Reads.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.Hits }, "larder.result", "hit"),
		counter(func(s *larder.Stats) uint64 { return s.Misses }, "larder.result", "miss"),
	}},
	{"larder.sets", "{entry}", "Values stored.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.Sets }, "", ""),
	}},
	{"larder.removals", "{entry}", "Entries removed.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.Evictions }, "larder.reason", "evicted"),
		counter(func(s *larder.Stats) uint64 { return s.Expirations }, "larder.reason", "expired"),
		counter(func(s *larder.Stats) uint64 { return s.Deletes }, "larder.reason", "deleted"),
		counter(func(s *larder.Stats) uint64 { return s.Invalidations }, "larder.reason", "invalidated"),
	}},
	{"larder.rejections", "{entry}", "Values not stored because no room could be made.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.Rejections }, "", ""),
	}},
	{"larder.too_large", "{entry}", "Values not stored because they or their keys were too large.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.TooLarge }, "", ""),
	}},
	{"larder.loads", "{load}", "Keys that a loader was asked for.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.Loads - s.Refreshes }, "larder.reason", "missing"),
		counter(func(s *larder.Stats) uint64 { return s.Refreshes }, "larder.reason", "stale"),
	}},
	{"larder.loads.failed", "{load}", "Keys that a loader was asked for and failed to bring.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.LoadErrors }, "", ""),
	}},
	{"larder.loads.unstored", "{load}", "Values that a loader brought and that could not be stored.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.UnstoredLoads }, "", ""),
	}},
	{"larder.loads.joined", "{caller}", "Callers that waited for another's load.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.JoinedLoads }, "", ""),
	}},
	{"larder.loads.time", "us", "Time that calls of loaders took.", true, []value{
		counter(func(s *larder.Stats) uint64 { return uint64(s.LoadTime.Microseconds()) }, "", ""),
	}},
	{"larder.stale_answers", "{request}", "Stale values that Load returned.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.StaleAnswers }, "", ""),
	}},
	{"larder.written", "By", "Bytes written.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.AppendedBytes }, "larder.reason", "set"),
		counter(func(s *larder.Stats) uint64 { return s.CopiedBytes }, "larder.reason", "kept"),
	}},
	{"larder.events.dropped", "{event}", "Events dropped because there was no room for them in the queue.", true, []value{
		counter(func(s *larder.Stats) uint64 { return s.DroppedEvents }, "", ""),
	}},
	{"larder.entries", "{entry}", "Entries held.", false, []value{
		gauge(func(s *larder.Stats) int64 { return s.Entries }, "", ""),
	}},
	{"larder.memory.usage", "By", "The budget in use.", false, []value{
		gauge(func(s *larder.Stats) int64 { return s.LiveBytes }, "larder.state", "live"),
		gauge(func(s *larder.Stats) int64 { return s.DeadBytes }, "larder.state", "dead"),
		gauge(func(s *larder.Stats) int64 { return s.IndexBytes }, "larder.state", "index"),
		gauge(func(s *larder.Stats) int64 { return s.BookkeepingBytes }, "larder.state", "bookkeeping"),
	}},
	{"larder.memory.limit", "By", "The budget.", false, []value{
		gauge(func(s *larder.Stats) int64 { return s.MaxBytes }, "", ""),
	}},
	{"larder.memory.own", "By", "Bytes that the cache or namespace holds itself.", false, []value{
		gauge(func(s *larder.Stats) int64 { return s.OwnBytes }, "", ""),
	}},
	{"larder.memory.free", "By", "Bytes of the budget that are not in use.", false, []value{
		gauge(func(s *larder.Stats) int64 { return s.FreeBytes }, "", ""),
	}},
	{"larder.memory.huge_pages", "By", "Bytes that the system was asked to back by huge pages.", false, []value{
		gauge(func(s *larder.Stats) int64 { return s.HugePageBytes }, "", ""),
	}},
}
