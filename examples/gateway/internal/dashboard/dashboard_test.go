package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"

	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

type fixture struct {
	*Dashboard
	meter  *traffic.Meter
	stats  larder.Stats
	purged int
}

func newFixture(t *testing.T) (*fixture, *httptest.Server) {
	t.Helper()
	f := &fixture{meter: traffic.NewMeter(), stats: larder.Stats{
		MaxBytes: 1000, Bytes: 600, LiveBytes: 400, DeadBytes: 100, IndexBytes: 60, BookkeepingBytes: 40, Entries: 3,
	}}
	f.meter.MeasureAll(true)
	tags := new(traffic.Top)
	tags.Add("airport:LFPG", 3)
	f.Dashboard = New(Source{
		Meter: f.meter, Tags: tags, Stats: func() larder.Stats { return f.stats },
		Upstreams: func() []upstream.TargetStatus { return []upstream.TargetStatus{{Pool: "p", Target: "t", State: "up"}} },
		Purge:     http.HandlerFunc(func(http.ResponseWriter, *http.Request) { f.purged++ }),
	})
	server := httptest.NewServer(f.Handler("/_larder/"))
	t.Cleanup(server.Close)
	t.Cleanup(f.Close) // first, or the server would wait for the streams
	return f, server
}

// serve answers n requests of a route, with a Cache-Status.
func (f *fixture) serve(n int, route, status string) {
	h := f.meter.Wrap(f.meter.Route(route), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Status", status)
		_, _ = io.WriteString(w, "0123456789")
	}))
	for range n {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://h/x", nil))
	}
}

func TestTick(t *testing.T) {
	f, _ := newFixture(t)
	start := f.last.at
	f.serve(30, "a", "larder; hit; ttl=5")
	f.serve(10, "a", "larder; fwd=uri-miss")
	f.serve(5, "b", "larder; fwd=bypass")
	f.stats.Evictions = 8
	f.advance(start.Add(2 * time.Second))
	var tick Tick
	if err := json.Unmarshal(f.tick, &tick); err != nil {
		t.Fatal(err)
	}
	p := tick.Point
	if p.Requests != 22.5 || p.Saved != 15 || p.Asked != 20 || p.Outcomes["miss"] != 5 || p.Bytes != 225 || p.Hits.N != 30 {
		t.Errorf("%+v", p)
	}
	if len(tick.Routes) != 2 || tick.Routes[0].Ratio != .75 || tick.Routes[1].Ratio != -1 || tick.Routes[0].Total != 40 {
		t.Errorf("%+v", tick.Routes)
	}
	if sum := tick.Cache.Bytes["live"] + tick.Cache.Bytes["dead"] + tick.Cache.Bytes["index"] + tick.Cache.Bytes["free"]; sum != 1000 {
		t.Errorf("the states sum up to %d: %v", sum, tick.Cache.Bytes)
	}
	if r := tick.Cache.Removed["evicted"]; r.Total != 8 || r.Rate != 4 {
		t.Errorf("%+v", r)
	}
	if tick.Paths[0].Name != "h/x" || tick.Paths[0].Count != 45 || tick.Tags[0].Name != "airport:LFPG" || tick.Upstreams[0].State != "up" {
		t.Errorf("%+v %+v %+v", tick.Paths, tick.Tags, tick.Upstreams)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	f, _ := newFixture(t)
	for i := range 5 * historyPoints {
		f.advance(f.started.Add(time.Duration(i) * time.Second))
	}
	if n := len(f.history); n != historyPoints || cap(f.history) > 3*historyPoints {
		t.Errorf("%d points in room for %d", n, cap(f.history))
	}
}

func TestEvents(t *testing.T) {
	f, server := newFixture(t)
	resp, err := http.Get(server.URL + "/_larder/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("Content-Type: %s", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	next := func(want string) {
		t.Helper()
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				if name != want {
					t.Fatalf("event %s, want %s", name, want)
				}
				lines.Scan()
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); !ok || !json.Valid([]byte(data)) {
					t.Fatalf("%s: %s", name, lines.Text())
				}
				return
			}
		}
		t.Fatalf("the stream ended before %s: %v", want, lines.Err())
	}
	next("history")
	next("tick")
	f.advance(time.Now())
	next("tick")
	f.Close()
	f.Close()
	if lines.Scan() && lines.Text() != "" {
		t.Errorf("after Close: %s", lines.Text())
	}
}

func TestRunTicks(t *testing.T) {
	f, _ := newFixture(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	f.mu.Lock()
	ticked := f.ticked
	f.mu.Unlock()
	go func() { defer close(done); f.Run(ctx) }()
	<-ticked
	stop()
	<-done
}

func TestPage(t *testing.T) {
	_, server := newFixture(t)
	for path, want := range map[string]string{"": "<title>larder gateway</title>", "app.js": "EventSource", "charts.js": "canvas", "style.css": "--hit", "icon.svg": "<svg"} {
		resp, err := http.Get(server.URL + "/_larder/" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(body), want) || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		if strings.Contains(string(body), "innerHTML") {
			t.Errorf("%s writes HTML: what clients send would run", path)
		}
	}
}

func TestOtherSitesMustNotPurge(t *testing.T) {
	f, server := newFixture(t)
	for _, c := range []struct {
		header, value string
		status        int
	}{
		{"Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{"Origin", "https://evil.example", http.StatusForbidden},
		{"Sec-Fetch-Site", "same-origin", http.StatusOK},
		{"User-Agent", "curl", http.StatusOK},
	} {
		r, _ := http.NewRequest("POST", server.URL+"/_larder/purge", strings.NewReader("all=true"))
		r.Header.Set(c.header, c.value)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s gave %d, want %d", c.header, c.value, resp.StatusCode, c.status)
		}
	}
	if f.purged != 2 {
		t.Errorf("purged %d times", f.purged)
	}
}

// A button beside one URL must not purge what lies below it unasked, and says what it does.
func TestPurgeButtonsAsk(t *testing.T) {
	script, err := static.ReadFile("static/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"prefix" ? " and everything that begins so"`, `confirm(button.title + "?")`, `setAttribute("aria-label", button.title)`} {
		if !strings.Contains(string(script), want) {
			t.Errorf("app.js has no %s", want)
		}
	}
	page, err := static.ReadFile("static/index.html")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(page), "<canvas"); strings.Count(string(page), `role="img"`) < n || strings.Contains(string(page), "<th></th>") {
		t.Error("a chart or a column has no name")
	}
}
