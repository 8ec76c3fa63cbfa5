package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/sony/gobreaker/v2"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// ErrUnavailable means that no target may be asked at present.
var ErrUnavailable = errors.New("no upstream is available")

// Pool is a set of servers that give the same answers. It is safe for
// concurrent use.
type Pool struct {
	name      string
	options   *config.Upstream
	targets   []*target
	balance   balancer
	retry     *retrier // nil: never
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
	base := newTransport(c)
	p := &Pool{name: name, options: c, balance: newBalancer(c.Balance), transport: base, idle: base.CloseIdleConnections}
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
		p.targets = append(p.targets, newTarget(text, u, c.Breaker, func(name, from, to string) {
			log.Warn("circuit breaker", "target", name, "from", from, "to", to)
		}))
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	if c.Health != nil {
		for _, t := range p.targets {
			p.watchers.Go(func() {
				watch(ctx, t, c.Health, base, func(name string, healthy bool) {
					log.Warn("health", "target", name, "healthy", healthy)
				})
			})
		}
	}
	return p, nil
}

// newTransport returns a transport that adds nothing of its own to requests and
// responses: no compression, no proxy from the environment.
func newTransport(c *config.Upstream) *http.Transport {
	dialer := &net.Dialer{Timeout: c.Timeout.Connect}
	return &http.Transport{
		DialContext:           dialHeads(dialer),
		TLSHandshakeTimeout:   c.Timeout.Connect,
		ResponseHeaderTimeout: c.Timeout.Header,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
		MaxConnsPerHost:       c.MaxConnections,
		MaxIdleConns:          0,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90e9,
		WriteBufferSize:       16 << 10,
		ReadBufferSize:        16 << 10,
	}
}

// RoundTrip sends r to a target, or to several one after the other.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.retry == nil || !repeatable(r) {
		t := p.choose(r, nil)
		return p.attempt(t, r)
	}
	var tried []*target
	return p.retry.do(r, func() (*http.Response, error) {
		t := p.choose(r, tried)
		tried = append(tried, t)
		return p.attempt(t, r)
	})
}

func (p *Pool) attempt(t *target, r *http.Request) (*http.Response, error) {
	resp, err := t.roundTrip(r, p.transport, p.options.PreserveHost)
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, errors.Join(ErrUnavailable, err)
	}
	return resp, err
}

// choose takes a target that is well and wasn't tried; if there is none, one
// that is well; if all are ill, any: the checks may be wrong, and an error from
// there is no worse than one from here.
func (p *Pool) choose(r *http.Request, tried []*target) *target {
	if len(p.targets) == 1 {
		return p.targets[0]
	}
	usable := make([]*target, 0, 8)
	for _, t := range p.targets {
		if t.usable() && !slices.Contains(tried, t) {
			usable = append(usable, t)
		}
	}
	if len(usable) == 0 {
		for _, t := range p.targets {
			if t.usable() {
				usable = append(usable, t)
			}
		}
	}
	if len(usable) == 0 {
		usable = p.targets
	}
	return p.balance.choose(r, usable)
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
