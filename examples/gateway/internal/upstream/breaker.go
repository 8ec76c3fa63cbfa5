package upstream

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// A breaker keeps requests from a target that fails. The trouble is to tell a broken target
// from a broken page: anyone can ask for one bad page five times. So failures are counted in
// two ways.
//
//   - For the target, failures of different pages (method and path, without the query) in a
//     row: a page counts once, until any request succeeds. A connection that cannot be made
//     is no page's fault and always counts. This is gobreaker's, with its half-open state.
//   - For each page, its own failures in a row. Enough of them close that page alone: requests
//     for it go to other targets, or are refused; everything else goes on.
//
// A target with a single page is thus protected just as well.
type breaker struct {
	options *config.Breaker
	target  *gobreaker.TwoStepCircuitBreaker[struct{}]
	now     func() time.Time

	mu     sync.Mutex
	streak uint64 // number of the present row of failures; the next begins with a success
	pages  map[uint64]*page
}

// page is a page that failed when it was last asked for.
type page struct {
	failures int
	streak   uint64    // in which it was counted for the target
	until    time.Time // closed
}

// maxPages bounds the pages that are remembered.
const maxPages = 256

var pageSeed = maphash.MakeSeed()

// pageOf identifies what a request asks for.
func pageOf(r *http.Request) uint64 {
	return maphash.String(pageSeed, r.Method+" "+r.URL.EscapedPath())
}

func newBreaker(name string, b *config.Breaker, changed func(name, from, to string)) *breaker {
	return &breaker{
		options: b,
		now:     time.Now,
		streak:  1,
		pages:   make(map[uint64]*page),
		target: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Name:        name,
			MaxRequests: uint32(b.Probes),
			Timeout:     b.Open,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				return c.ConsecutiveFailures >= uint32(b.Failures)
			},
			IsExcluded: func(err error) bool { return errors.Is(err, errNoVerdict) },
			OnStateChange: func(name string, from, to gobreaker.State) {
				changed(name, from.String(), to.String())
			},
		}),
	}
}

// errRefused means that a breaker let a request not through.
var errRefused = errors.New("its circuit breaker is open")

// errNoVerdict is what the target's breaker is told when a request says nothing of the target.
var errNoVerdict = errors.New("no verdict")

// errFailed is what it is told of a failure.
var errFailed = errors.New("failed")

// ready tells whether a request is likely to be let through.
func (b *breaker) ready(id uint64) bool {
	if b == nil {
		return true
	}
	switch b.target.State() {
	case gobreaker.StateOpen:
		return false
	case gobreaker.StateHalfOpen:
		c := b.target.Counts()
		if c.Requests-min(c.TotalExclusions, c.Requests) >= uint32(b.options.Probes) {
			return false // somebody is trying already
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[id]
	return p == nil || !b.now().Before(p.until)
}

// admit lets a request through, or not. The outcome must be told to done.
func (b *breaker) admit(id uint64) (done func(outcome), err error) {
	if b == nil {
		return func(outcome) {}, nil
	}
	if !b.admitPage(id) {
		return nil, errRefused
	}
	tell, err := b.target.Allow()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return func(o outcome) { tell(b.judge(id, o)) }, nil
}

// admitPage refuses pages that are closed. When the time is over, one request tries, and the
// others are refused for the same time again, or until it succeeds.
func (b *breaker) admitPage(id uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[id]
	switch {
	case p == nil || p.until.IsZero():
		return true
	case b.now().Before(p.until):
		return false
	}
	p.until = b.now().Add(b.options.Open)
	return true
}

// judge counts an outcome for its page and returns what it is for the target.
func (b *breaker) judge(id uint64, o outcome) error {
	probing := b.target.State() == gobreaker.StateHalfOpen
	b.mu.Lock()
	defer b.mu.Unlock()
	switch o {
	case unclear:
		return errNoVerdict
	case well:
		b.streak++
		delete(b.pages, id)
		return nil
	}
	p := b.pages[id]
	if p == nil {
		p = b.remember(id)
	}
	if o == unreachable || probing {
		return errFailed
	}
	if p.failures++; p.failures >= b.options.Failures {
		p.until = b.now().Add(b.options.Open)
	}
	if p.streak == b.streak {
		return errNoVerdict
	}
	p.streak = b.streak
	return errFailed
}

// remember makes a place for a page. Which one gives way to it does not matter: where so
// many pages fail at once, the target's own count has long been full.
func (b *breaker) remember(id uint64) *page {
	if len(b.pages) >= maxPages {
		for other := range b.pages {
			delete(b.pages, other)
			break
		}
	}
	p := new(page)
	b.pages[id] = p
	return p
}

// outcome is what a request says of the target it was sent to.
type outcome int

const (
	unclear     outcome = iota // nothing
	well                       // it works
	ill                        // it, or this one page of it, does not
	unreachable                // there was no connection
)

// outcome judges a response or an error. That a client leaves or sends nonsense says
// nothing, nor does a wait for one of our own connections, nor a connection that ended while
// it was idle or while the target had stopped reading.
func (x *exchange) outcome(resp *http.Response, err error, statuses []int) outcome {
	switch {
	case err == nil && slices.Contains(statuses, resp.StatusCode):
		return ill
	case err == nil:
		return well
	case errors.Is(err, context.Canceled):
		return unclear
	}
	for _, excused := range []error{errClientBody, errQueue, errStale, errStopped, errOutside, errNotKept} {
		if errors.Is(err, excused) {
			return unclear
		}
	}
	if !x.got.Load() {
		return unreachable
	}
	return ill
}
