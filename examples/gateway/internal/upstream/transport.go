package upstream

import (
	"net/http"
	"sync"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// newTransport returns a transport that adds nothing of its own to requests and
// responses: no compression, no proxy from the environment.
func newTransport(c *config.Upstream, d *dialer) *http.Transport {
	ping := pingAfter(c.Timeout)
	return &http.Transport{
		DialContext:           d.dial,
		TLSHandshakeTimeout:   c.Timeout.Connect,
		ResponseHeaderTimeout: c.Timeout.Header,
		ExpectContinueTimeout: c.Timeout.Continue,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: ping, PingTimeout: ping},
		MaxConnsPerHost:       c.MaxConnections,
		MaxIdleConns:          0,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       c.Timeout.Idle,
		WriteBufferSize:       16 << 10,
		ReadBufferSize:        16 << 10,
	}
}

// pingAfter is after which silence of an HTTP/2 connection it is pinged, and how long the
// answer may take. Both together fit into the wait for a response's header: who waits on a
// dead connection must not be followed onto it by the next request.
func pingAfter(t config.Timeout) time.Duration {
	if t.Header > 0 {
		return min(t.Ping, max(t.Header/2, time.Second/4))
	}
	return t.Ping
}

// newProbeTransport returns the transport of the health checks. Nothing is shared with
// requests: when they have all of the connections, or their connections are dead, that says
// nothing about the target. Each probe connects anew, and so to where the name leads now.
func newProbeTransport(c *config.Upstream) *http.Transport {
	d := &dialer{}
	d.Timeout = c.Timeout.Connect
	t := newTransport(c, d)
	t.MaxConnsPerHost, t.DisableKeepAlives = 0, true
	return t
}

// aging is a transport that is replaced by a new one from time to time. No connection gets a
// request when it is older than that, so that traffic that never pauses follows a name in
// the DNS when it moves, and goes to the new ones of the servers behind one address.
type aging struct {
	age   time.Duration // 0: never
	fresh func() *http.Transport
	now   func() time.Time

	mu                sync.Mutex
	current, previous *http.Transport
	born              time.Time
}

// RoundTrip implements http.RoundTripper.
func (a *aging) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.transport().RoundTrip(r)
	if err == nil {
		keepUpgraded(r.Context(), resp)
	}
	return resp, err
}

func (a *aging) transport() *http.Transport {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != nil && (a.age == 0 || a.now().Sub(a.born) < a.age) {
		return a.current
	}
	// Closes idle connections now, and others as soon as they are idle. HTTP/2's are only
	// closed if they are idle now: those get another chance when the next turn comes.
	closeIdle(a.previous)
	closeIdle(a.current)
	a.previous, a.current, a.born = a.current, a.fresh(), a.now()
	return a.current
}

// CloseIdleConnections closes what no request uses.
func (a *aging) CloseIdleConnections() {
	a.mu.Lock()
	defer a.mu.Unlock()
	closeIdle(a.previous)
	closeIdle(a.current)
}

func closeIdle(t *http.Transport) {
	if t != nil {
		t.CloseIdleConnections()
	}
}
