package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// target is one server of a pool.
type target struct {
	base     *url.URL
	name     string
	options  *config.Upstream
	healthy  atomic.Bool
	inFlight atomic.Int64
	requests atomic.Uint64
	failures atomic.Uint64
	breaker  *breaker // nil: none
}

func newTarget(text string, base *url.URL, o *config.Upstream, changed func(name, from, to string)) *target {
	t := &target{base: base, name: text, options: o}
	t.healthy.Store(true)
	if o.Breaker != nil {
		t.breaker = newBreaker(text, o.Breaker, changed)
	}
	return t
}

// usable tells whether the target should be asked for a page while another one could be.
func (t *target) usable(page uint64) bool { return t.healthy.Load() && t.breaker.ready(page) }

// state is for people: up, down, or what the breaker says.
func (t *target) state() string {
	switch {
	case !t.healthy.Load():
		return "down"
	case t.breaker != nil && t.breaker.target.State() != gobreaker.StateClosed:
		return "breaker " + t.breaker.target.State().String()
	}
	return "up"
}

// roundTrip sends one request to the target, which has been let through by its breaker, and
// tells that one how it went.
func (t *target) roundTrip(
	r *http.Request, transport http.RoundTripper, done func(outcome),
) (*http.Response, error) {
	x := &exchange{timeout: t.options.Timeout, limited: t.options.MaxConnections > 0}
	t.requests.Add(1)
	t.inFlight.Add(1)
	returned := false
	defer func() {
		if !returned { // but panicked: the breaker must not wait for this one for good
			t.inFlight.Add(-1)
			done(unclear)
		}
	}()
	resp, err := t.exchange(x, r, transport)
	returned = true
	var statuses []int
	if t.breaker != nil {
		statuses = t.breaker.options.Statuses
	}
	o := x.outcome(resp, err, statuses)
	done(o)
	if err != nil {
		t.inFlight.Add(-1)
		if o != unclear {
			t.failures.Add(1)
		}
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		t.failures.Add(1)
	}
	x.watch(resp, func() { t.inFlight.Add(-1) })
	return resp, nil
}

func (t *target) exchange(x *exchange, r *http.Request, transport http.RoundTripper) (*http.Response, error) {
	out, err := t.address(x.begin(r))
	if err != nil {
		x.cancel(err)
		return nil, err
	}
	content := watchBody(out)
	replayable(out)
	resp, err := transport.RoundTrip(out)
	if err != nil {
		x.cancel(err)
		return nil, content.blame(x.explain(err))
	}
	if err := check(resp); err != nil {
		x.refuse(resp, err)
		return nil, err
	}
	forgetCoding(resp)
	return resp, nil
}

// address returns r, which must be a copy, for this target.
func (t *target) address(r *http.Request) (*http.Request, error) {
	u, err := join(t.base, r.URL)
	if err != nil {
		return nil, err
	}
	r.URL = u
	// The transport would send the content of a request that was refused before any was sent,
	// and so ask the client for it, only to use the connection again.
	r.Close = u.Scheme == "http" && httpguts.HeaderValuesContainsToken(r.Header["Expect"], "100-continue")
	if !t.options.PreserveHost || r.Host == "" {
		r.Host = t.base.Host
	}
	return r, nil
}
