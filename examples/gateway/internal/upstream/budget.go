package upstream

import (
	"sync"
	"time"
)

// budgetSeconds is how far back a budget looks.
const budgetSeconds = 10

// budget allows retries in proportion to requests, so that when everything
// fails the upstream gets a little more traffic, not a multiple.
type budget struct {
	share, minimum float64
	now            func() time.Time

	mu      sync.Mutex
	seconds [budgetSeconds]struct {
		at                int64
		requests, retries float64
	}
}

func newBudget(share, minPerSecond float64) *budget {
	return &budget{share: share, minimum: minPerSecond * budgetSeconds, now: time.Now}
}

// request counts a request.
func (b *budget) request() {
	b.mu.Lock()
	defer b.mu.Unlock()
	second := b.now().Unix()
	b.slot(second).requests++
}

// retry tells whether one more request may be repeated, and counts it.
func (b *budget) retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	second := b.now().Unix()
	var requests, retries float64
	for i := range b.seconds {
		if s := &b.seconds[i]; s.at > second-budgetSeconds {
			requests += s.requests
			retries += s.retries
		}
	}
	if retries+1 > max(b.minimum, requests*b.share) {
		return false
	}
	b.slot(second).retries++
	return true
}

func (b *budget) slot(second int64) *struct {
	at                int64
	requests, retries float64
} {
	s := &b.seconds[second%budgetSeconds]
	if s.at != second {
		s.at, s.requests, s.retries = second, 0, 0
	}
	return s
}
