// Package dashboard is a page that shows what the gateway does while it does
// it. One goroutine takes a tick of all numbers each second, whoever looks;
// every open page gets it as a server-sent event, after the ticks of the last
// minutes, so that its charts are full at once.
package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	larder "github.com/larder-cache/larder/go"

	"github.com/larder-cache/larder/examples/gateway/internal/traffic"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// Source is what the dashboard shows.
type Source struct {
	Meter     *traffic.Meter
	Tags      *traffic.Top
	Stats     func() larder.Stats
	Upstreams func() []upstream.TargetStatus
	// Purge is the cache's purge API.
	Purge http.Handler
}

// Dashboard is the page and its events.
type Dashboard struct {
	source  Source
	started time.Time

	mu      sync.Mutex
	history []Point
	last    *reading
	tick    []byte        // the newest, as JSON
	ticked  chan struct{} // closed when there is a newer one
	closed  chan struct{}
	once    sync.Once
}

// New returns a dashboard. Run must be running for it to move.
func New(s Source) *Dashboard {
	d := &Dashboard{source: s, started: time.Now(), ticked: make(chan struct{}), closed: make(chan struct{})}
	d.advance(time.Now())
	return d
}

// Run takes a tick each second until ctx ends.
func (d *Dashboard) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			d.advance(now)
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the event streams, which otherwise never end and would keep a
// server from shutting down.
func (d *Dashboard) Close() { d.once.Do(func() { close(d.closed) }) }

func (d *Dashboard) advance(now time.Time) {
	r := d.read(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	t := makeTick(r, d.last, d.started)
	d.last = r
	d.history = append(d.history, t.Point)
	if len(d.history) > historyPoints {
		// Moved in blocks: an append in most seconds, a copy now and then.
		d.history = append(make([]Point, 0, 2*historyPoints), d.history[len(d.history)-historyPoints:]...)
	}
	d.tick, _ = json.Marshal(t) // plain numbers and strings: cannot fail
	close(d.ticked)
	d.ticked = make(chan struct{})
}
