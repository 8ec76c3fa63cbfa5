package accesslog

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
)

func sample(m *traffic.Meter, r *http.Request) traffic.Sample {
	return traffic.Sample{
		Route: m.Route("r"), Request: r, Status: 200, Bytes: 5, Outcome: traffic.Hit, Duration: 1500 * time.Microsecond, Weight: 1,
		Header: http.Header{"Age": {"7"}, "X-Request-Id": {"id-1"}},
	}
}

func TestLine(t *testing.T) {
	var out bytes.Buffer
	l := New(slog.New(slog.NewTextHandler(&out, nil)), Options{RequestID: "X-Request-Id"})
	m := traffic.NewMeter()
	s := sample(m, httptest.NewRequest("GET", "http://h/p?q=1", nil))
	l.Observe(s)
	for _, want := range []string{"level=INFO", "cache=hit", "method=GET", "host=h", `target="/p?q=1"`, "status=200", "bytes=5", "took=1.5ms", "route=r", "age=7", "id=id-1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, &out)
		}
	}
	out.Reset()
	s.Status = 0
	if l.Observe(s); !strings.Contains(out.String(), "aborted=true") || !strings.Contains(out.String(), "level=WARN") {
		t.Errorf("%s", &out)
	}
	out.Reset()
	s.Status = traffic.ClientLeft
	if l.Observe(s); !strings.Contains(out.String(), "status=499") || !strings.Contains(out.String(), "level=INFO") {
		t.Errorf("a client that left: %s", out.String())
	}
}

func TestWhatIsNotLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	m := traffic.NewMeter()
	r := httptest.NewRequest("GET", "/", nil)
	count := func() int { return strings.Count(out.String(), "msg=request") }

	l := New(log, Options{PerSecond: 10})
	for range 100 {
		l.Observe(sample(m, r))
	}
	if n := count(); n < 10 || n > 12 {
		t.Errorf("%d lines at 10 a second", n)
	}
	out.Reset()
	l.Configure(Options{})
	for range 100 {
		l.Observe(sample(m, r))
	}
	if n := count(); n != 100 {
		t.Errorf("%d lines of 100", n)
	}
	out.Reset()
	l.Observe(sample(m, r.WithContext(Quiet(context.Background()))))
	l.Configure(Options{Off: true})
	l.Observe(sample(m, r))
	if n := count(); n != 0 {
		t.Errorf("%d lines of quiet requests, or with the log off", n)
	}
}

func TestSummary(t *testing.T) {
	var out bytes.Buffer
	l := New(slog.New(slog.NewTextHandler(&out, nil)), Options{PerSecond: 1})
	m := traffic.NewMeter()
	before := m.Total()
	h := m.Wrap(m.Route("r"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Status", r.URL.RawQuery)
	}))
	for i := range 4 {
		status := "larder;%20hit;%20ttl=1"
		if i == 0 {
			status = "larder;%20fwd=uri-miss"
		}
		r := httptest.NewRequest("GET", "/?"+status, nil)
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "%20", " ")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	l.summary(before, m.Total(), 1, m)
	for _, want := range []string{"msg=traffic", "requests=4", "logged=1", "hit=3", "miss=1", "hit_ratio=0.75", "p99="} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, &out)
		}
	}
	out.Reset()
	if l.summary(before, m.Total(), 4, m); out.Len() != 0 {
		t.Errorf("all had lines of their own: %s", &out)
	}
}

// stuck is a terminal that does not scroll until it is let go.
type stuck struct {
	gate chan struct{}
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.gate
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func TestWriterNeverWaits(t *testing.T) {
	out := &stuck{gate: make(chan struct{})}
	w := NewWriter(out)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 4 * maxPending / len(line) { // would never return if it waited
		_, _ = w.Write(line)
	}
	if w.Dropped() == 0 {
		t.Error("nothing was dropped")
	}
	close(out.gate)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	written := uint64(strings.Count(out.text.String(), "\n"))
	if total := uint64(4 * maxPending / len(line)); written+w.Dropped() != total {
		t.Errorf("%d written and %d dropped of %d", written, w.Dropped(), total)
	}
	_, _ = io.WriteString(w, "late\n")
	if err := w.Close(); err != nil || !strings.HasSuffix(out.text.String(), "late\n") {
		t.Error("a line after Close was lost")
	}
}
