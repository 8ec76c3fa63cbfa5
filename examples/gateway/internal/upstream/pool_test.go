package upstream

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

var quiet = slog.New(slog.DiscardHandler)

// server answers with a status that the test may change, and counts.
type server struct {
	*httptest.Server
	status atomic.Int64
	asked  atomic.Int64
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.status.Store(http.StatusOK)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			s.asked.Add(1)
		}
		w.WriteHeader(int(s.status.Load()))
	}))
	t.Cleanup(s.Close)
	return s
}

func newPool(t *testing.T, c config.Upstream, servers ...*server) *Pool {
	t.Helper()
	for _, s := range servers {
		c.Targets = append(c.Targets, s.URL)
	}
	// Finish fills in defaults the way a file's would be.
	whole := config.Default()
	whole.Upstreams = map[string]*config.Upstream{"pool": &c}
	whole.Routes = []*config.Route{{Path: "/", Upstream: "pool"}}
	if err := whole.Finish(); err != nil {
		t.Fatal(err)
	}
	p, err := NewPool("pool", &c, Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func request(method, target string) *http.Request {
	r, err := http.NewRequest(method, "http://client"+target, nil)
	if err != nil {
		panic(err)
	}
	return r
}

func send(t *testing.T, p *Pool, method, target string) int {
	t.Helper()
	resp, err := p.RoundTrip(request(method, target))
	if err != nil {
		if errors.Is(err, ErrUnavailable) {
			return -1
		}
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

func TestRoundRobinIsEven(t *testing.T) {
	a, b := newServer(t), newServer(t)
	p := newPool(t, config.Upstream{}, a, b)
	for range 10 {
		send(t, p, "GET", "/")
	}
	if a.asked.Load() != 5 || b.asked.Load() != 5 {
		t.Errorf("%d and %d", a.asked.Load(), b.asked.Load())
	}
}

func TestHashKeepsURLsWhereTheyWere(t *testing.T) {
	choose := func(u string, ts []*target) *target { return byHash{}.choose(request("GET", u), ts) }
	var targets []*target
	for _, name := range []string{"http://a", "http://b", "http://c", "http://d"} {
		base, _ := url.Parse(name)
		targets = append(targets, newTarget(name, base, &config.Upstream{}, nil))
	}
	counts := map[string]int{}
	for i := range 4000 {
		u := "/item/" + string(rune('a'+i%26)) + time.Duration(i).String()
		before := choose(u, targets)
		counts[before.name]++
		if after := choose(u, targets[:3]); before != targets[3] && after != before {
			t.Fatalf("%s moved from %s to %s when %s went", u, before.name, after.name, targets[3].name)
		}
	}
	for name, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("%s has %d of 4000", name, n)
		}
	}
}

func TestLeastRequestsAvoidsTheBusy(t *testing.T) {
	base, _ := url.Parse("http://x")
	busy, idle := newTarget("busy", base, &config.Upstream{}, nil), newTarget("idle", base, &config.Upstream{}, nil)
	busy.inFlight.Store(100)
	chosen := 0
	for range 1000 {
		if (leastRequests{}).choose(nil, []*target{busy, idle}) == busy {
			chosen++
		}
	}
	// Both draws hit the busy one in a quarter of the cases.
	if chosen < 150 || chosen > 350 {
		t.Errorf("the busy target was chosen %d times of 1000", chosen)
	}
}

func TestInFlightEndsWithTheBody(t *testing.T) {
	s := newServer(t)
	p := newPool(t, config.Upstream{}, s)
	resp, err := p.RoundTrip(request("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Status()[0].InFlight; n != 1 {
		t.Errorf("in flight before the end: %d", n)
	}
	resp.Body.Close()
	resp.Body.Close()
	if n := p.Status()[0].InFlight; n != 0 {
		t.Errorf("in flight after the end: %d", n)
	}
}

func TestRetryGoesToAnotherTarget(t *testing.T) {
	ill, well := newServer(t), newServer(t)
	ill.status.Store(http.StatusServiceUnavailable)
	p := newPool(t, config.Upstream{Retry: &config.Retry{Backoff: time.Millisecond, MinPerSecond: 100}}, ill, well)
	for range 10 {
		if got := send(t, p, "GET", "/"); got != http.StatusOK {
			t.Errorf("GET: %d", got)
		}
	}
	if done, _ := p.Retries(); done == 0 || done != uint64(ill.asked.Load()) {
		t.Errorf("%d retries, the ill server was asked %d times", done, ill.asked.Load())
	}
	asked := ill.asked.Load() + well.asked.Load()
	for range 10 {
		send(t, p, "POST", "/")
	}
	if again := ill.asked.Load() + well.asked.Load() - asked; again != 10 {
		t.Errorf("10 POSTs were sent %d times", again)
	}
}

func TestLastAnswerCounts(t *testing.T) {
	a := newServer(t)
	a.status.Store(http.StatusBadGateway)
	p := newPool(t, config.Upstream{Retry: &config.Retry{Attempts: 3, Backoff: time.Millisecond, MinPerSecond: 100}}, a)
	if got := send(t, p, "GET", "/"); got != http.StatusBadGateway || a.asked.Load() != 3 {
		t.Errorf("status %d after %d attempts", got, a.asked.Load())
	}
}

func TestBudgetBoundsRetries(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBudget(0.2, 0.5) // at least five in ten seconds
	b.now = func() time.Time { return now }
	allowed := func() (n int) {
		for b.retry() {
			n++
		}
		return n
	}
	if n := allowed(); n != 5 {
		t.Errorf("without requests: %d retries, want the minimum of 5", n)
	}
	for range 100 {
		b.request()
	}
	if n := allowed(); n != 15 {
		t.Errorf("after 100 requests: %d more retries, want 15", n)
	}
	now = now.Add(budgetSeconds * time.Second)
	if n := allowed(); n != 5 {
		t.Errorf("after the window: %d retries, want 5", n)
	}
}

func TestHealthChecks(t *testing.T) {
	a, b := newServer(t), newServer(t)
	a.status.Store(http.StatusInternalServerError)
	p := newPool(t, config.Upstream{Health: &config.Health{Interval: 5 * time.Millisecond, Fall: 2, Rise: 2}}, a, b)
	eventually(t, "a is down", func() bool { return p.Status()[0].State == "down" })
	before := a.asked.Load()
	for range 10 {
		send(t, p, "GET", "/")
	}
	if got := a.asked.Load() - before; got != 0 {
		t.Errorf("the ill target was asked %d times", got)
	}
	a.status.Store(http.StatusNoContent)
	eventually(t, "a is up", func() bool { return p.Status()[0].State == "up" })
	b.status.Store(http.StatusInternalServerError)
	a.status.Store(http.StatusInternalServerError)
	eventually(t, "both are down", func() bool { return p.Status()[0].State == "down" && p.Status()[1].State == "down" })
	if got := send(t, p, "GET", "/"); got != http.StatusInternalServerError {
		t.Errorf("with all targets down a request must still be tried: %d", got)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it never came to be that %s", what)
}
