package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// ErrUnavailable means that no target may be asked at present.
var ErrUnavailable = errors.New("no upstream is available")

// Pool is a set of servers that give the same answers. It is safe for
// concurrent use.
type Pool struct {
	name      string
	targets   []*target
	balance   balancer
	retry     *retrier // nil: never
	breaks    bool     // the targets have breakers
	transport http.RoundTripper
	idle      func()
	stop      context.CancelFunc
	watchers  sync.WaitGroup
}

// Options are what a pool needs beside its configuration.
type Options struct {
	// Resolve turns a configured target into a base URL. Nil means url.Parse.
	Resolve func(target string) (*url.URL, error)
	// Wrap is put around the transport, for tracing. May be nil.
	Wrap func(http.RoundTripper) http.RoundTripper
	Log  *slog.Logger
}

// NewPool returns a pool and starts its health checks. Close stops them.
func NewPool(name string, c *config.Upstream, o Options) (*Pool, error) {
	if o.Resolve == nil {
		o.Resolve = url.Parse
	}
	log := o.Log.With("upstream", name)
	d := &dialer{max: c.MaxConnections, stall: c.Timeout.Body}
	d.Timeout = c.Timeout.Connect
	base := &aging{
		age:   c.Timeout.Age,
		fresh: func() *http.Transport { return newTransport(c, d) },
		now:   time.Now,
	}
	p := &Pool{
		name: name, balance: newBalancer(c.Balance), breaks: c.Breaker != nil,
		transport: base, idle: base.CloseIdleConnections,
	}
	if o.Wrap != nil {
		p.transport = o.Wrap(base)
	}
	if c.Retry != nil {
		p.retry = &retrier{options: c.Retry, budget: newBudget(c.Retry.Budget, c.Retry.MinPerSecond)}
	}
	for _, text := range c.Targets {
		u, err := o.Resolve(text)
		if err != nil {
			return nil, err
		}
		p.targets = append(p.targets, newTarget(text, u, c, func(name, from, to string) {
			log.Warn("circuit breaker", "target", name, "from", from, "to", to)
		}))
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	if c.Health != nil {
		probes := newProbeTransport(c)
		for _, t := range p.targets {
			p.watchers.Go(func() {
				watch(ctx, t, c.Health, probes, func(name string, healthy bool) {
					log.Warn("health", "target", name, "healthy", healthy)
				})
			})
		}
	}
	return p, nil
}

// RoundTrip sends r to a target, or to several one after the other.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	a := &asking{pool: p, request: r}
	if p.breaks {
		a.page = pageOf(r)
	}
	if p.retry == nil || !repeatable(r) {
		return a.attempt()
	}
	return p.retry.do(r, a.attempt)
}

// asking is one request to a pool.
type asking struct {
	pool    *Pool
	request *http.Request
	page    uint64
	tried   []*target
}

// attempt sends the request to one target. If that one's breaker does not let it through,
// nothing was sent and nothing is lost: the next is chosen at once.
func (a *asking) attempt() (*http.Response, error) {
	var refused []*target
	reason := ErrUnavailable
	for {
		t := a.choose(refused)
		if t == nil {
			return nil, reason
		}
		done, err := t.breaker.admit(a.page)
		if err != nil {
			refused = append(refused, t)
			reason = fmt.Errorf("%w: %s: %w", ErrUnavailable, t.name, err)
			continue
		}
		if slices.Contains(a.tried, t) {
			// One request is one failure, however often it is repeated.
			tell := done
			done = func(o outcome) {
				if o != well {
					o = unclear
				}
				tell(o)
			}
		}
		a.tried = append(a.tried, t)
		return t.roundTrip(a.request, a.pool.transport, done)
	}
}

// choose takes a target that is well and wasn't tried; if there is none, one that is well;
// if all are ill, any that has not refused: the checks may be wrong, and an error from there
// is no worse than one from here. It returns nil when all have refused.
func (a *asking) choose(refused []*target) *target {
	candidates := make([]*target, 0, 8)
	for _, fit := range []func(*target) bool{
		func(t *target) bool { return t.usable(a.page) && !slices.Contains(a.tried, t) },
		func(t *target) bool { return t.usable(a.page) },
		func(*target) bool { return true },
	} {
		for _, t := range a.pool.targets {
			if !slices.Contains(refused, t) && fit(t) {
				candidates = append(candidates, t)
			}
		}
		if len(candidates) > 0 {
			return a.pool.balance.choose(a.request, candidates)
		}
	}
	return nil
}

// Close stops the health checks and closes idle connections. Requests in
// flight go on.
func (p *Pool) Close() {
	p.stop()
	p.watchers.Wait()
	p.idle()
}

// TargetStatus is what is known of one target.
type TargetStatus struct {
	Pool     string `json:"pool"`
	Target   string `json:"target"`
	State    string `json:"state"`
	InFlight int64  `json:"in_flight"`
	Requests uint64 `json:"requests"`
	Failures uint64 `json:"failures"`
}

// Status returns the state of all targets.
func (p *Pool) Status() []TargetStatus {
	out := make([]TargetStatus, 0, len(p.targets))
	for _, t := range p.targets {
		out = append(out, TargetStatus{
			Pool: p.name, Target: t.name, State: t.state(),
			InFlight: t.inFlight.Load(), Requests: t.requests.Load(), Failures: t.failures.Load(),
		})
	}
	return out
}

// Retries returns how many attempts were repeats, and how many repeats the
// budget refused.
func (p *Pool) Retries() (done, refused uint64) {
	if p.retry == nil {
		return 0, 0
	}
	return p.retry.retried.Load(), p.retry.refused.Load()
}
