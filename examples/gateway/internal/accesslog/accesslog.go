package accesslog

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
)

// summaryEvery is how often requests without a line of their own are summed up.
const summaryEvery = 10 * time.Second

// Options configures a Log.
type Options struct {
	// Off logs no request.
	Off bool
	// PerSecond bounds the lines; 0: all requests are logged.
	PerSecond int
	// RequestID is the response field that holds a request's id. May be empty.
	RequestID string
}

// Log is an access log. It is safe for concurrent use.
type Log struct {
	log     *slog.Logger
	options atomic.Pointer[Options]
	limit   *rate.Limiter
	lines   atomic.Uint64
}

// New returns an access log that writes to log.
func New(log *slog.Logger, o Options) *Log {
	l := &Log{log: log, limit: rate.NewLimiter(rate.Inf, 0)}
	l.Configure(o)
	return l
}

// Configure changes the options.
func (l *Log) Configure(o Options) {
	l.options.Store(&o)
	if o.PerSecond > 0 {
		l.limit.SetBurst(o.PerSecond)
		l.limit.SetLimit(rate.Limit(o.PerSecond))
	} else {
		l.limit.SetLimit(rate.Inf)
	}
}

type quietKey struct{}

// Quiet returns a context whose requests get no line of their own: for traffic
// that would hide what a person looks for.
func Quiet(ctx context.Context) context.Context { return context.WithValue(ctx, quietKey{}, true) }

// Observe logs one sample, if the limit allows.
func (l *Log) Observe(s traffic.Sample) {
	r := s.Request
	o := l.options.Load()
	if o.Off || r.Context().Value(quietKey{}) != nil || !l.limit.Allow() {
		return
	}
	l.lines.Add(1)
	attributes := make([]slog.Attr, 0, 12)
	attributes = append(attributes,
		slog.String("cache", s.Outcome.String()),
		slog.String("method", r.Method),
		slog.String("host", r.Host),
		slog.String("target", r.URL.RequestURI()),
		slog.Int("status", s.Status),
		slog.Int64("bytes", s.Bytes),
		slog.Duration("took", s.Duration.Round(time.Microsecond)),
		slog.String("client", r.RemoteAddr),
		slog.String("route", s.Route.Name()),
	)
	if s.Status == 0 || s.Status == traffic.ClientLeft {
		attributes = append(attributes, slog.Bool("aborted", true))
	}
	if age := s.Header.Get("Age"); age != "" {
		attributes = append(attributes, slog.String("age", age))
	}
	if o.RequestID != "" {
		attributes = append(attributes, slog.String("id", s.Header.Get(o.RequestID)))
	}
	level := slog.LevelInfo
	if s.Status >= 500 || s.Status == 0 {
		level = slog.LevelWarn
	}
	l.log.LogAttrs(context.Background(), level, "request", attributes...)
}

// Summarize logs, every ten seconds, how many requests had no line of their own
// and what became of them, until ctx ends.
func (l *Log) Summarize(ctx context.Context, meter *traffic.Meter) {
	ticker := time.NewTicker(summaryEvery)
	defer ticker.Stop()
	before, lines := meter.Total(), l.lines.Load()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now, nowLines := meter.Total(), l.lines.Load()
		l.summary(before, now, nowLines-lines, meter)
		before, lines = now, nowLines
	}
}

func (l *Log) summary(before, now traffic.Counts, lines uint64, meter *traffic.Meter) {
	total := now.Total() - before.Total()
	if total <= lines || l.options.Load().Off {
		return
	}
	attributes := []slog.Attr{
		slog.Duration("over", summaryEvery),
		slog.Uint64("requests", total),
		slog.Uint64("logged", lines),
	}
	for _, o := range traffic.Outcomes() {
		if n := now.Of(o) - before.Of(o); n > 0 {
			attributes = append(attributes, slog.Uint64(o.String(), n))
		}
	}
	if asked := now.Asked() - before.Asked(); asked > 0 {
		ratio := float64(now.Saved()-before.Saved()) / float64(asked)
		attributes = append(attributes, slog.Float64("hit_ratio", float64(int(ratio*1000))/1000))
	}
	all, _, _ := meter.Latency()
	attributes = append(attributes,
		slog.Duration("p50", time.Duration(all.P50)*time.Microsecond),
		slog.Duration("p99", time.Duration(all.P99)*time.Microsecond))
	l.log.LogAttrs(context.Background(), slog.LevelInfo, "traffic", attributes...)
}
