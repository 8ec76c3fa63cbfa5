package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/sony/gobreaker/v2"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// target is one server of a pool.
type target struct {
	base     *url.URL
	name     string
	healthy  atomic.Bool
	inFlight atomic.Int64
	requests atomic.Uint64
	failures atomic.Uint64
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}] // nil: none
}

func newTarget(text string, base *url.URL, b *config.Breaker, changed func(name, from, to string)) *target {
	t := &target{base: base, name: text}
	t.healthy.Store(true)
	if b != nil {
		t.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Name:        text,
			MaxRequests: uint32(b.Probes),
			Timeout:     b.Open,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= uint32(b.Failures) },
			// A client that leaves, or sends nonsense, says nothing about the target.
			IsExcluded:    func(err error) bool { return errors.Is(err, context.Canceled) || errors.Is(err, errClientBody) },
			OnStateChange: func(name string, from, to gobreaker.State) { changed(name, from.String(), to.String()) },
		})
	}
	return t
}

// usable tells whether the target should be asked while another one could be.
func (t *target) usable() bool {
	return t.healthy.Load() && (t.breaker == nil || t.breaker.State() != gobreaker.StateOpen)
}

// state is for people: up, down, or what the breaker says.
func (t *target) state() string {
	switch {
	case !t.healthy.Load():
		return "down"
	case t.breaker != nil && t.breaker.State() != gobreaker.StateClosed:
		return "breaker " + t.breaker.State().String()
	}
	return "up"
}

// statusError is how the breaker is told of an answer that is an error.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

// roundTrip sends one request to the target.
func (t *target) roundTrip(r *http.Request, transport http.RoundTripper, preserveHost bool) (*http.Response, error) {
	done := func(error) {}
	if t.breaker != nil {
		var err error
		if done, err = t.breaker.Allow(); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	t.requests.Add(1)
	t.inFlight.Add(1)
	out := t.address(r, preserveHost)
	body := watchBody(out)
	resp, err := transport.RoundTrip(out)
	err = body.blame(err)
	switch {
	case err != nil:
		t.inFlight.Add(-1)
		if !errors.Is(err, errClientBody) {
			t.failures.Add(1)
		}
		done(err)
		return nil, fmt.Errorf("%s: %w", t.name, err)
	case resp.StatusCode >= http.StatusInternalServerError:
		t.failures.Add(1)
		done(statusError(resp.StatusCode))
	default:
		done(nil)
	}
	forgetCoding(resp)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// The body is the connection; it must stay an io.ReadWriteCloser.
		t.inFlight.Add(-1)
		return resp, nil
	}
	resp.Body = &countedBody{ReadCloser: resp.Body, target: t}
	return resp, nil
}

// address returns r for this target.
func (t *target) address(r *http.Request, preserveHost bool) *http.Request {
	out := r.WithContext(withHeads(r.Context()))
	u := *r.URL
	u.Scheme, u.Host = t.base.Scheme, t.base.Host
	if t.base.Path != "" && t.base.Path != "/" {
		joined := t.base.JoinPath(u.EscapedPath())
		u.Path, u.RawPath = joined.Path, joined.RawPath
	}
	out.URL = &u
	if !preserveHost || r.Host == "" {
		out.Host = t.base.Host
	}
	return out
}

// countedBody ends the request's time in flight when the body is closed.
type countedBody struct {
	io.ReadCloser
	target *target
	once   sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.target.inFlight.Add(-1) })
	return b.ReadCloser.Close()
}
