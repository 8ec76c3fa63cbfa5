package traffic

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestOutcomeOf(t *testing.T) {
	for status, want := range map[string]Outcome{
		"":                                      None,
		"larder; hit; ttl=10":                   Hit,
		"larder; hit; ttl=0":                    Hit,
		"larder; hit; ttl=-3":                   Stale,
		"larder; fwd=uri-miss; stored":          Miss,
		"larder; fwd=vary-miss":                 Miss,
		"larder; fwd=stale; fwd-status=304":     Revalidated,
		"larder; fwd=uri-miss; fwd-status=304":  Miss,
		"larder; fwd=vary-miss; fwd-status=304": Miss,
		"larder; fwd=stale; fwd-status=200":     Miss,
		"larder; hit; fwd=stale; ttl=-1":        Stale,
		"larder; fwd=uri-miss; collapsed":       Collapsed,
		"larder; fwd=bypass":                    Bypass,
		"larder; fwd=method":                    Bypass,
		"larder; fwd=request; detail=x":         Miss,
		"cdn; hit|larder; fwd=uri-miss":         Miss,
		"cdn; fwd=miss|larder; hit; ttl=100":    Hit,
	} {
		var values []string
		if status != "" {
			values = strings.Split(status, "|")
		}
		if got := outcomeOf(values); got != want {
			t.Errorf("%q is %v, want %v", status, got, want)
		}
	}
}

func serve(m *Meter, h http.HandlerFunc) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	m.Wrap(m.Route("r"), h).ServeHTTP(w, httptest.NewRequest("GET", "http://h/p", nil))
	return w
}

func TestCounts(t *testing.T) {
	m := NewMeter()
	var samples []Sample
	m.Observe = func(s Sample) { samples = append(samples, s) }
	serve(m, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Status", "larder; hit; ttl=1")
		_, _ = io.WriteString(w, "12")
		_, _ = w.Write([]byte("345"))
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("6789"))
	})
	serve(m, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	serve(m, func(http.ResponseWriter, *http.Request) {})
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the abort was swallowed")
			}
		}()
		serve(m, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}()
	c := m.Total()
	if c.Total() != 4 || c.Requests[Hit][2] != 1 || c.Requests[None][5] != 1 || c.Requests[None][2] != 1 || c.Requests[None][0] != 1 || c.Bytes != 9 || c.Errors() != 1 {
		t.Errorf("%+v", c)
	}
	if len(samples) != 4 || samples[0].Bytes != 9 || samples[0].Status != 200 || samples[0].Outcome != Hit || samples[3].Status != 0 {
		t.Errorf("%+v", samples)
	}
	if top := m.TopPaths(5); len(top) != 1 || top[0] != (Entry{"h/p", 4}) {
		t.Errorf("%v", top)
	}
	if all, hits, others := m.Latency(); all.N != 4 || hits.N != 1 || others.N != 3 {
		t.Errorf("%v %v %v", all, hits, others)
	}
}

func TestNoContentTypeIsMadeUp(t *testing.T) {
	m := NewMeter()
	server := httptest.NewServer(m.Wrap(m.Route("r"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(InternalTags, "a")
		_, _ = io.WriteString(w, "<html>")
	})))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if v, ok := resp.Header["Content-Type"]; ok {
		t.Errorf("Content-Type: %q", v)
	}
	if v, ok := resp.Header[InternalTags]; ok {
		t.Errorf("internal tags left the process: %q", v)
	}
}

func TestWhatNetHTTPCanDoStaysPossible(t *testing.T) {
	m := NewMeter()
	server := httptest.NewServer(m.Wrap(m.Route("r"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hijack" {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = rw.WriteString("HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = rw.Flush()
			_ = conn.Close()
			return
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusEarlyHints)
		if _, ok := w.(http.Flusher); !ok {
			t.Error("no Flusher")
		}
		w.(http.Flusher).Flush()
	})))
	defer server.Close()
	for path, want := range map[string]int{"/": 200, "/hijack": 418} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// Under load a sample is measured, but everything is counted, and the sample's
// weights come near to the whole.
func TestSampling(t *testing.T) {
	m := NewMeter()
	var weight, samples int64
	var mu sync.Mutex
	m.Observe = func(s Sample) {
		mu.Lock()
		defer mu.Unlock()
		weight += s.Weight
		samples++
	}
	const n = 100_000
	h := m.Wrap(m.Route("r"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	w := httptest.NewRecorder()
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range n / 4 {
				h.ServeHTTP(&discard{w.Header()}, r)
			}
		})
	}
	clients.Wait()
	total := m.Total()
	if total.Total() != n {
		t.Errorf("%d counted of %d", total.Total(), n)
	}
	if samples > n/sampling+burst*shards || weight < n*8/10 || weight > n*12/10 {
		t.Errorf("%d samples that stand for %d", samples, weight)
	}
	m.MeasureAll(true)
	before := samples
	for range 1000 {
		h.ServeHTTP(&discard{w.Header()}, r)
	}
	if samples-before < 1000 {
		t.Errorf("%d of 1000 measured", samples-before)
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return http.Header{} }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func TestWrapDoesNotAllocate(t *testing.T) {
	m := NewMeter()
	h := m.Wrap(m.Route("r"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }))
	r := httptest.NewRequest("GET", "/", nil)
	w := &fixed{header: http.Header{"Content-Type": {"x"}}}
	for range 1000 {
		h.ServeHTTP(w, r) // past what is measured in any case
	}
	if n := testing.AllocsPerRun(sampling*100, func() { h.ServeHTTP(w, r) }); n >= 1 {
		t.Errorf("%v allocations a request", n)
	}
}

type fixed struct{ header http.Header }

func (d *fixed) Header() http.Header         { return d.header }
func (d *fixed) Write(p []byte) (int, error) { return len(p), nil }
func (d *fixed) WriteHeader(int)             {}

func TestTop(t *testing.T) {
	var top Top
	for i := range 10 * topSize {
		top.Add(fmt.Sprintf("rare-%d", i), 1)
		top.Add("often", 1)
		if i%2 == 0 {
			top.Add("half", 1)
		}
	}
	list := top.List(2)
	if len(list) != 2 || list[0].Name != "often" || list[0].Count < 10*topSize || list[1].Name != "half" {
		t.Errorf("%v", list)
	}
	if n := len(top.List(1 << 20)); n > topSize {
		t.Errorf("%d names are remembered", n)
	}
	top.Add(strings.Repeat("x", 1000), 1<<20)
	if longest := top.List(1)[0].Name; len(longest) != maxName {
		t.Errorf("a name of %d bytes is remembered", len(longest))
	}
	for range 40 {
		top.Halve()
	}
	if list := top.List(10); len(list) != 0 {
		t.Errorf("after all was forgotten: %v", list)
	}
}

func TestLatencyForgets(t *testing.T) {
	var l latency
	l.init()
	now := time.Now().Unix()
	l.record(time.Millisecond, 3, Hit)
	l.advance(now + 1)
	if p := percentiles(l.all[:]); p.N != 3 || p.P50 < 950 || p.P50 > 1050 {
		t.Errorf("%+v", p)
	}
	l.advance(now + latencySeconds + 1)
	if p := percentiles(l.all[:]); p.N != 0 {
		t.Errorf("after the window: %+v", p)
	}
}

// Who waited for the upstream is not among those answered from the cache, or
// the latter's percentiles would be the upstream's.
func TestLatencyOfWhatWaited(t *testing.T) {
	m := NewMeter()
	for _, o := range Outcomes() {
		m.latency.record(time.Millisecond, 1, o)
	}
	if all, stored, others := m.Latency(); all.N != 7 || stored.N != 2 || others.N != 5 {
		t.Errorf("%d in all, %d stored (want hit and stale), %d others", all.N, stored.N, others.N)
	}
}

// Who leaves before the answer is no error of anybody's.
func TestClientsThatLeave(t *testing.T) {
	m := NewMeter()
	m.MeasureAll(true)
	var samples []Sample
	m.Observe = func(s Sample) { samples = append(samples, s) }
	ctx, leave := context.WithCancel(context.Background())
	leave()
	for _, c := range []struct {
		ctx    context.Context
		answer http.HandlerFunc
		want   int
	}{
		{ctx, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) }, ClientLeft},
		{ctx, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ClientLeft},
		{ctx, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }, 200},
		{context.Background(), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) }, 504},
		{context.Background(), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0},
	} {
		func() {
			defer func() { _ = recover() }()
			m.Wrap(m.Route("r"), c.answer).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(c.ctx))
		}()
		if got := samples[len(samples)-1].Status; got != c.want {
			t.Errorf("status %d, want %d", got, c.want)
		}
	}
	counts := m.Route("r").Counts()
	if counts.Errors() != 1 || counts.Requests[None][4] != 2 || counts.Requests[None][0] != 1 {
		t.Errorf("%v", counts.Requests)
	}
}

// A path is remembered as it can be asked for again, or purged.
func TestTopPathsAreEncoded(t *testing.T) {
	m := NewMeter()
	m.MeasureAll(true)
	h := m.Wrap(m.Route("r"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://h/a%3Fb%20c?d", nil))
	if top := m.TopPaths(1); len(top) != 1 || top[0].Name != "h/a%3Fb%20c" {
		t.Errorf("%v", top)
	}
}
