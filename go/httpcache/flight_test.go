package httpcache

import (
	"context"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gate is an origin that tells when it is asked and answers when it is let.
type gate struct {
	asked   chan *http.Request
	release chan *response
	count   atomic.Int64
}

func newGate() *gate {
	return &gate{asked: make(chan *http.Request, 10000), release: make(chan *response, 10000)}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.count.Add(1)
	g.asked <- r
	select {
	case resp := <-g.release:
		if resp == nil {
			panic(http.ErrAbortHandler)
		}
		resp.write(w)
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

// crowd sends n requests at once and waits for their answers.
func crowd(r *rig, n int, request func(i int) *http.Request) (wait func() []*httptest.ResponseRecorder) {
	recs := make([]*httptest.ResponseRecorder, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			recs[i] = r.do(request(i))
		}()
	}
	return func() []*httptest.ResponseRecorder { wg.Wait(); return recs }
}

// joined waits until n requests read the one flight there is.
func (r *rig) joined(n int) {
	for {
		for i := range r.cache.shared.flights.shards {
			s := &r.cache.shared.flights.shards[i]
			s.mu.Lock()
			for _, f := range s.m {
				f.mu.Lock()
				have := len(f.readers)
				f.mu.Unlock()
				if have == n {
					s.mu.Unlock()
					return
				}
			}
			s.mu.Unlock()
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func TestCollapse(t *testing.T) {
	const n = 1000
	r := newRig(t, Options{})
	g := newGate()
	r.h = r.cache.Handler(g)
	wait := crowd(r, n, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(n)
	g.release <- reply(200, "one", fresh)
	stored, collapsed := 0, 0
	for _, rec := range wait() {
		if rec.Code != 200 || rec.Body.String() != "one" {
			t.Fatalf("got %d %q", rec.Code, rec.Body)
		}
		status := rec.Header().Get("Cache-Status")
		if strings.Contains(status, "stored") {
			stored++
		}
		if strings.HasSuffix(status, "; collapsed") {
			collapsed++
		}
	}
	if g.count.Load() != 1 || stored != 1 || collapsed != n-1 {
		t.Errorf("origin asked %d times; %d stored, %d collapsed", g.count.Load(), stored, collapsed)
	}
}

// However requests and the end of a fetch interleave, the origin is asked once.
func TestCollapseRace(t *testing.T) {
	for round := range 50 {
		r := newRig(t, Options{})
		var asked atomic.Int64
		r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			asked.Add(1)
			w.Header().Set("Cache-Control", "max-age=60")
		}))
		crowd(r, 20, func(int) *http.Request { return r.request("", "/", nil, "") })()
		if n := asked.Load(); n != 1 {
			t.Fatalf("round %d: the origin was asked %d times", round, n)
		}
	}
}

// Each waiting request sees its own conditions.
func TestCollapsedConditions(t *testing.T) {
	r := newRig(t, Options{})
	g := newGate()
	r.h = r.cache.Handler(g)
	with := [][]string{nil, {`If-None-Match: "a"`}, {`If-None-Match: "b"`}}
	wait := crowd(r, 3, func(i int) *http.Request { return r.request("", "/", with[i], "") })
	r.joined(3)
	g.release <- reply(200, "one", fresh, etag)
	recs := wait()
	if recs[0].Code != 200 || recs[1].Code != 304 || recs[2].Code != 200 || recs[1].Body.Len() != 0 {
		t.Errorf("got %d, %d, %d", recs[0].Code, recs[1].Code, recs[2].Code)
	}
}

// A response that cannot be shared releases all that wait for it at once, and
// later requests do not wait at all.
func TestUncacheableDoesNotSerialise(t *testing.T) {
	for name, header := range map[string]string{
		"no-store":  "Cache-Control: no-store",
		"private":   "Cache-Control: private, max-age=60",
		"no-cache":  "Cache-Control: no-cache",
		"none":      "X-A: 1",
		"max-age=0": "Cache-Control: max-age=0",
		"Vary: *":   "Vary: *",
	} {
		t.Run(name, func(t *testing.T) {
			const n = 50
			r := newRig(t, Options{})
			g := newGate()
			r.h = r.cache.Handler(g)
			wait := crowd(r, n, func(int) *http.Request { return r.request("", "/", nil, "") })
			r.joined(n)
			g.release <- reply(200, "mine", header, etag)
			for range n {
				<-g.asked // all the others are at the origin at the same time
			}
			late := crowd(r, n, func(int) *http.Request { return r.request("", "/", nil, "") })
			for range n {
				<-g.asked
			}
			for range 2*n - 1 {
				g.release <- reply(200, "mine", header, etag)
			}
			wait()
			late()
			if got := g.count.Load(); got != 2*n {
				t.Errorf("the origin was asked %d times, want %d", got, 2*n)
			}
		})
	}
}

// A key whose responses become cacheable is collapsed again.
func TestBusyIsForgotten(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", "Cache-Control: no-store"))
	r.get("/")
	hash := func() bool {
		for i := range r.cache.shared.busy.slots {
			if r.cache.shared.busy.slots[i].Load() != 0 {
				return true
			}
		}
		return false
	}
	if !hash() {
		t.Fatal("not marked")
	}
	r.set(reply(200, "two", fresh))
	r.get("/")
	if hash() {
		t.Error("still marked")
	}
	r.get("/")
	if rec := r.get("/"); rec.Body.String() != "two" || r.lastEvent().Outcome != Hit {
		t.Errorf("got %q, %v", rec.Body, r.lastEvent().Outcome)
	}
}

func TestBusyTable(t *testing.T) {
	var b recentTable
	const hash = 0xabcdef0000000123
	b.mark(hash, 61000)
	if !b.has(hash, 1000) || !b.has(hash, 60000) {
		t.Error("not busy")
	}
	if b.has(hash, 62000) {
		t.Error("busy for too long")
	}
	if b.has(hash^1<<63, 1000) {
		t.Error("another key is busy")
	}
	b.clear(hash ^ 1<<63)
	if !b.has(hash, 1000) {
		t.Error("cleared by another key")
	}
}

// Variants of a cold URI are fetched once each.
func TestCollapsedVariants(t *testing.T) {
	const n = 30
	r := newRig(t, Options{})
	var mu sync.Mutex
	asked := map[string]int{}
	first := make(chan struct{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		v := req.Header.Get("Foo")
		mu.Lock()
		asked[v]++
		total := len(asked)
		mu.Unlock()
		if total == 1 {
			<-first
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Foo")
		w.Write([]byte(v))
	}))
	wait := crowd(r, n, func(i int) *http.Request { return r.request("", "/", []string{"Foo: " + strconv.Itoa(i%3)}, "") })
	r.joined(n)
	close(first)
	for i, rec := range wait() {
		if want := strconv.Itoa(i % 3); rec.Body.String() != want {
			t.Errorf("got %q, want %q", rec.Body, want)
		}
	}
	for v, count := range asked {
		if count != 1 {
			t.Errorf("variant %s was fetched %d times", v, count)
		}
	}
}

func TestCollapsedValidation(t *testing.T) {
	const n = 100
	r := newRig(t, Options{})
	r.set(reply(200, "one", fresh, etag))
	r.get("/")
	r.clock.advance(61 * sec)
	g := newGate()
	r.h = r.cache.Handler(g)
	wait := crowd(r, n, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(n)
	g.release <- reply(304, "")
	for _, rec := range wait() {
		if rec.Code != 200 || rec.Body.String() != "one" {
			t.Fatalf("got %d %q", rec.Code, rec.Body)
		}
	}
	if got := g.count.Load(); got != 1 {
		t.Errorf("the origin was asked %d times", got)
	}
}

// A 304 that forbids reuse without validation is for one request only.
func TestUnsharedValidation(t *testing.T) {
	const n = 10
	r := newRig(t, Options{})
	r.set(reply(200, "one", fresh, etag))
	r.get("/")
	r.clock.advance(61 * sec)
	g := newGate()
	r.h = r.cache.Handler(g)
	wait := crowd(r, n, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(n)
	for range n {
		g.release <- reply(304, "", "Cache-Control: max-age=0")
	}
	for _, rec := range wait() {
		if rec.Code != 200 || rec.Body.String() != "one" {
			t.Fatalf("got %d %q", rec.Code, rec.Body)
		}
	}
	if got := g.count.Load(); got != n {
		t.Errorf("the origin was asked %d times, want %d", got, n)
	}
}

// A dead origin is asked once for all that wait.
func TestCollapsedErrors(t *testing.T) {
	const n = 100
	for name, c := range map[string]struct {
		origin *response
		want   int
	}{"502": {reply(502, "bad"), 502}, "504": {reply(504, ""), 504}, "abort": {nil, 0}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			g := newGate()
			r.h = r.cache.Handler(g)
			wait := crowd(r, n, func(int) *http.Request { return r.request("", "/", nil, "") })
			r.joined(n)
			g.release <- c.origin
			for _, rec := range wait() {
				if rec.Code != c.want {
					t.Fatalf("got %d, want %d", rec.Code, c.want)
				}
			}
			if got := g.count.Load(); got != 1 {
				t.Errorf("the origin was asked %d times", got)
			}
			r.h = r.cache.Handler(http.HandlerFunc(r.origin))
			r.set(reply(200, "well again", fresh))
			if rec := r.get("/"); rec.Body.String() != "well again" {
				t.Errorf("afterwards got %d %q", rec.Code, rec.Body)
			}
		})
	}
}

// Waiting requests end by their own contexts; the fetch goes on for the others,
// also without the one that started it.
func TestWaitersHonourTheirContexts(t *testing.T) {
	r := newRig(t, Options{})
	g := newGate()
	r.h = r.cache.Handler(g)
	ctx, cancel := context.WithCancel(context.Background())
	leader := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "").WithContext(ctx) })
	upstream := <-g.asked
	timeout, stop := context.WithTimeout(context.Background(), time.Millisecond)
	defer stop()
	impatient := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "").WithContext(timeout) })
	if rec := impatient()[0]; rec.Code != 504 {
		t.Errorf("the impatient got %d", rec.Code)
	}
	patient := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(2)
	cancel()
	leader()
	r.joined(1)
	if err := upstream.Context().Err(); err != nil {
		t.Fatalf("the fetch was cancelled with the leader: %v", err)
	}
	g.release <- reply(200, "one", fresh)
	if rec := patient()[0]; rec.Code != 200 || rec.Body.String() != "one" {
		t.Errorf("the patient got %d %q", rec.Code, rec.Body)
	}
}

// What the handler panics with reaches the request that caused it.
func TestPanicsPropagate(t *testing.T) {
	r := newRig(t, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	func() {
		defer func() {
			if v := recover(); v != "boom" {
				t.Errorf("recovered %v", v)
			}
		}()
		// Its stack is logged where it happened.
		var logged strings.Builder
		server := &http.Server{ErrorLog: log.New(&logged, "", 0)}
		defer func() {
			if !strings.Contains(logged.String(), "TestPanicsPropagate") {
				t.Errorf("logged %q", logged.String())
			}
		}()
		req := r.request("", "/", nil, "")
		r.h.ServeHTTP(httptest.NewRecorder(), req.WithContext(context.WithValue(req.Context(), http.ServerContextKey, server)))
	}()
	r.h = r.cache.Handler(http.HandlerFunc(r.origin))
	r.set(reply(200, "one", fresh))
	if rec := r.get("/"); rec.Code != 200 {
		t.Errorf("the key stayed locked: %d", rec.Code)
	}
}

// A handler that writes nothing has answered 200 without content.
func TestSilentHandler(t *testing.T) {
	r := newRig(t, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }))
	for range 2 {
		if rec := r.get("/"); rec.Code != 200 || rec.Body.Len() != 0 {
			t.Errorf("got %d %q", rec.Code, rec.Body)
		}
	}
	if r.lastEvent().Outcome != Hit {
		t.Error("not stored")
	}
}
