package upstream

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// retrier repeats requests that failed.
type retrier struct {
	options *config.Retry
	budget  *budget
	retried atomic.Uint64
	refused atomic.Uint64
}

// repeatable tells whether a request may be sent twice: its method is safe
// (RFC 9110, 9.2.1) and there is no body that the first try has used up.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return (r.Body == nil || r.Body == http.NoBody) && r.Header.Get("Upgrade") == ""
	}
	return false
}

// do calls attempt until it succeeds or there is no reason to go on. The
// answer of the last attempt counts, whatever it is.
func (t *retrier) do(r *http.Request, attempt func() (*http.Response, error)) (*http.Response, error) {
	t.budget.request()
	pause := t.options.Backoff
	for n := 1; ; n++ {
		resp, err := attempt()
		if n == t.options.Attempts || !t.worthRepeating(r.Context(), resp, err) {
			return resp, err
		}
		if !t.budget.retry() {
			t.refused.Add(1)
			return resp, err
		}
		if !sleep(r.Context(), pause-rand.N(pause/2+1)) {
			return resp, err
		}
		pause *= 2
		if resp != nil {
			go discard(resp.Body)
		}
		t.retried.Add(1)
	}
}

func (t *retrier) worthRepeating(ctx context.Context, resp *http.Response, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		// Every target's breaker is open: there is nowhere to go. Or the request has waited
		// long enough already, or is none for any target.
		return !errors.Is(err, ErrUnavailable) && !errors.Is(err, errQueue) && !errors.Is(err, errOutside)
	}
	return slices.Contains(t.options.Statuses, resp.StatusCode)
}

// discard reads what little there may be of a body, so that the connection is reused. Nobody
// waits for that: it may not come.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 4<<10)
	body.Close()
}

// sleep waits for d, and tells whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
