package upstream

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// paged answers each path with the status that the test sets for it, else 200.
func paged(t *testing.T, statuses map[string]int) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if status := statuses[r.URL.Path]; status != 0 {
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(s.Close)
	return s, &asked
}

func TestBreakerOpensAndCloses(t *testing.T) {
	s := newServer(t)
	s.status.Store(http.StatusServiceUnavailable)
	p := newPool(t, config.Upstream{Breaker: &config.Breaker{Failures: 3, Open: 50 * time.Millisecond}}, s)
	for _, path := range []string{"/a", "/b", "/c"} {
		if got := send(t, p, "GET", path); got != http.StatusServiceUnavailable {
			t.Fatalf("status %d", got)
		}
	}
	if got := send(t, p, "GET", "/d"); got != -1 || s.asked.Load() != 3 {
		t.Errorf("the open breaker gave %d, and the server was asked %d times", got, s.asked.Load())
	}
	if state := p.Status()[0].State; state != "breaker open" {
		t.Errorf("state %q", state)
	}
	s.status.Store(http.StatusOK)
	eventually(t, "the breaker closes", func() bool { return send(t, p, "GET", "/") == http.StatusOK })
	if state := p.Status()[0].State; state != "up" {
		t.Errorf("state %q", state)
	}
}

// What one client can make a healthy service answer must not close it for the others.
func TestWhatOpensNoBreaker(t *testing.T) {
	for name, c := range map[string]struct{ method, path string }{
		"an unknown method":       {"PROPFIND", "/not"},
		"a version":               {"GET", "/version"},
		"a broken page":           {"GET", "/broken"},
		"a page with a 503":       {"GET", "/busy"},
		"a page, by another word": {"GET", "/busy?again=1"},
	} {
		s, _ := paged(t, map[string]int{"/not": 501, "/version": 505, "/broken": 500, "/busy": 503})
		p := newPool(t, config.Upstream{Targets: []string{s.URL}, Breaker: &config.Breaker{}})
		for range 20 {
			send(t, p, c.method, c.path)
		}
		if got := send(t, p, "GET", "/good"); got != http.StatusOK {
			t.Errorf("%s: then a good page gave %d", name, got)
		}
	}
}

func TestABadPageIsClosedAlone(t *testing.T) {
	statuses := map[string]int{"/busy": 503}
	s, asked := paged(t, statuses)
	p := newPool(t, config.Upstream{Targets: []string{s.URL}, Breaker: &config.Breaker{Failures: 3, Open: time.Hour}})
	for range 10 {
		send(t, p, "GET", "/busy")
		send(t, p, "GET", "/good")
	}
	if got := asked.Load(); got != 3+10 {
		t.Errorf("asked %d times, want 3 for the bad page and 10 for the good one", got)
	}
	now := time.Now().Add(2 * time.Hour)
	p.targets[0].breaker.now = func() time.Time { return now }
	statuses["/busy"] = 0
	for range 3 {
		if got := send(t, p, "GET", "/busy"); got != http.StatusOK {
			t.Errorf("when its time is over: %d", got)
		}
	}
}

func TestBreakerStatuses(t *testing.T) {
	s, asked := paged(t, map[string]int{"/a": 500, "/b": 500})
	p := newPool(t, config.Upstream{Targets: []string{s.URL}, Breaker: &config.Breaker{Failures: 2, Statuses: []int{500}}})
	send(t, p, "GET", "/a")
	send(t, p, "GET", "/b")
	if got := send(t, p, "GET", "/c"); got != -1 || asked.Load() != 2 {
		t.Errorf("%d, asked %d times", got, asked.Load())
	}
}

func TestARepeatedRequestIsOneFailure(t *testing.T) {
	s := newServer(t)
	s.status.Store(http.StatusBadGateway)
	p := newPool(t, config.Upstream{
		Breaker: &config.Breaker{Failures: 3},
		Retry:   &config.Retry{Attempts: 3, Backoff: time.Millisecond, MinPerSecond: 100},
	}, s)
	send(t, p, "GET", "/a")
	send(t, p, "GET", "/b")
	if n := p.targets[0].breaker.target.Counts().ConsecutiveFailures; n != 2 || s.asked.Load() != 6 {
		t.Errorf("two requests in %d attempts are %d failures", s.asked.Load(), n)
	}
}

func TestOpenBreakerSendsElsewhere(t *testing.T) {
	ill, good := newServer(t), newServer(t)
	ill.status.Store(http.StatusServiceUnavailable)
	p := newPool(t, config.Upstream{Breaker: &config.Breaker{Failures: 2, Open: time.Hour}}, ill, good)
	for range 4 {
		send(t, p, "GET", "/")
	}
	for range 20 {
		if got := send(t, p, "GET", "/"); got != http.StatusOK {
			t.Fatalf("status %d while one target is well", got)
		}
	}
}

// A breaker that lets one request try must not refuse those that another target can serve.
func TestHalfOpenRefusesNothingThatAnotherCanServe(t *testing.T) {
	for _, balance := range []string{"round_robin", "least_requests", "hash"} {
		for _, retry := range []*config.Retry{nil, {Attempts: 2, Backoff: time.Millisecond, Budget: 1, MinPerSecond: 100}} {
			var hang atomic.Bool
			trying, release := make(chan struct{}, 100), make(chan struct{})
			slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !hang.Load() {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				trying <- struct{}{}
				<-release
			}))
			good := newServer(t)
			p := newPool(t, config.Upstream{
				Targets: []string{slow.URL}, Balance: balance, Retry: retry,
				Breaker: &config.Breaker{Failures: 1, Open: 20 * time.Millisecond, Probes: 1},
			}, good)
			ill := p.targets[0]
			for i := 0; ill.state() == "up" && i < 1000; i++ {
				send(t, p, "GET", "/x"+string(rune('a'+i%26)))
			}
			hang.Store(true)
			eventually(t, "the breaker is half open", func() bool { return ill.state() == "breaker half-open" })
			probe := make(chan int, 1)
			for i := 0; ; i++ {
				if len(trying) > 0 || i > 1000 {
					break
				}
				go func() { probe <- send(t, p, "GET", "/probe"+time.Duration(i).String()) }()
				select {
				case <-probe:
				case <-trying:
					trying <- struct{}{}
				}
			}
			for i := range 50 {
				if got := send(t, p, "GET", "/y"+string(rune('a'+i%26))); got != http.StatusOK {
					t.Errorf("%s, retry %v: %d while a target is well", balance, retry != nil, got)
				}
			}
			close(release)
			slow.Close()
		}
	}
}

// A request that says nothing gives its place as the one that tries to the next.
func TestWhatSaysNothingIsNoProbe(t *testing.T) {
	ill, good := newServer(t), newServer(t)
	ill.status.Store(http.StatusServiceUnavailable)
	p := newPool(t, config.Upstream{Breaker: &config.Breaker{Failures: 1, Open: 20 * time.Millisecond, Probes: 1}}, ill, good)
	first := p.targets[0]
	for first.state() == "up" {
		send(t, p, "GET", "/")
	}
	eventually(t, "the breaker is half open", func() bool { return first.state() == "breaker half-open" })
	for _, o := range []outcome{unclear, unclear} {
		done, err := first.breaker.admit(1)
		if err != nil || first.breaker.ready(2) {
			t.Fatalf("%v, and another may try: %v", err, first.breaker.ready(2))
		}
		if done(o); !first.breaker.ready(2) {
			t.Error("nobody may try any more")
		}
	}
	ill.status.Store(http.StatusOK)
	eventually(t, "the breaker is closed", func() bool {
		send(t, p, "GET", "/new")
		return first.state() == "up"
	})
}

// A panic below must not keep the place either.
func TestPanicsGiveTheProbeBack(t *testing.T) {
	s := newServer(t)
	p := newPool(t, config.Upstream{Breaker: &config.Breaker{Failures: 1, Open: time.Millisecond, Probes: 1}}, s)
	s.status.Store(http.StatusServiceUnavailable)
	send(t, p, "GET", "/")
	eventually(t, "the breaker is half open", func() bool { return p.targets[0].state() == "breaker half-open" })
	working := p.transport
	p.transport = panicking{}
	func() {
		defer func() { _ = recover() }()
		send(t, p, "GET", "/2")
	}()
	p.transport = working
	s.status.Store(http.StatusOK)
	if got := send(t, p, "GET", "/3"); got != http.StatusOK || p.Status()[0].InFlight != 0 {
		t.Errorf("%d, %+v", got, p.Status()[0])
	}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("broken") }

func TestUploadsThatBreakOffOpenNoBreaker(t *testing.T) {
	s := newServer(t)
	p := newPool(t, config.Upstream{Breaker: &config.Breaker{Failures: 1}}, s)
	for range 3 {
		r := request("POST", "/")
		r.Body, r.ContentLength = brokenBody{}, 10
		if _, err := p.RoundTrip(r); err == nil {
			t.Fatal("a broken body was sent")
		}
	}
	if got := send(t, p, "GET", "/"); got != http.StatusOK {
		t.Errorf("then: %d", got)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, http.ErrContentLength }
func (brokenBody) Close() error             { return nil }
