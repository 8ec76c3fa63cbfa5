package gateway

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// watchedListener accepts connections whose writes meet a deadline, and counts those that
// a handler has taken over, which http.Server.Shutdown does not wait for.
type watchedListener struct {
	net.Listener
	sendTimeout time.Duration // 0: none
	slots       chan struct{} // one for each connection that may be open; nil: no bound
	taken       taken

	closing sync.Once
	closed  chan struct{}

	// ticked is the time since started, as of the last eighth of sendTimeout; negative once
	// nobody keeps it any more.
	ticked atomic.Int64
}

// watch puts a watchedListener around l.
func watch(l net.Listener, sendTimeout time.Duration, maxConnections int) *watchedListener {
	w := &watchedListener{Listener: l, sendTimeout: sendTimeout, closed: make(chan struct{})}
	if w.ticked.Store(-1); sendTimeout > 0 {
		w.ticked.Store(int64(time.Since(started)))
		go w.tick(max(sendTimeout/8, time.Millisecond))
	}
	if maxConnections > 0 {
		w.slots = make(chan struct{}, maxConnections)
	}
	return w
}

// tick keeps the time until the listener is closed: an answer in a microsecond should not ask
// the system for it at each write.
func (l *watchedListener) tick(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.ticked.Store(int64(time.Since(started)))
		case <-l.closed:
			l.ticked.Store(-1)
			return
		}
	}
}

// now is the time since started, exact once the listener is closed.
func (l *watchedListener) now() time.Duration {
	if ticked := l.ticked.Load(); ticked >= 0 {
		return time.Duration(ticked)
	}
	return time.Since(started)
}

// Accept implements net.Listener. Beyond the bound, connections wait to be accepted.
func (l *watchedListener) Accept() (net.Conn, error) {
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.release()
		return nil, err
	}
	return &watchedConn{Conn: c, timeout: l.sendTimeout, listener: l}, nil
}

func (l *watchedListener) release() {
	if l.slots != nil {
		<-l.slots
	}
}

// Close implements net.Listener.
func (l *watchedListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// taken counts connections that were taken over, WebSockets in the main.
type taken struct {
	mu   sync.Mutex
	open map[*watchedConn]bool
	none chan struct{} // closed when there are none left; nil: nobody waits
}

func (t *taken) add(c *watchedConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[*watchedConn]bool)
	}
	t.open[c] = true
}

func (t *taken) remove(c *watchedConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.open, c); len(t.open) == 0 && t.none != nil {
		close(t.none)
		t.none = nil
	}
}

// wait waits until none is open or ended is done, and closes those that are left then. It
// returns how many.
func (t *taken) wait(ended <-chan struct{}) int {
	t.mu.Lock()
	if len(t.open) == 0 {
		t.mu.Unlock()
		return 0
	}
	none := make(chan struct{})
	t.none = none
	t.mu.Unlock()
	select {
	case <-none:
		return 0
	case <-ended:
	}
	t.mu.Lock()
	left := make([]*watchedConn, 0, len(t.open))
	for c := range t.open {
		left = append(left, c)
	}
	t.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
	return len(left)
}

// started is what deadlines of connections are counted from.
var started = time.Now()

// watchedConn is a client's connection. A client that takes nothing for a while, though
// there is something for it, is cut off: it would hold on to what answers it, up to the
// upstream's connection.
type watchedConn struct {
	net.Conn
	timeout  time.Duration
	listener *watchedListener
	closing  sync.Once
	// isTaken is set when a handler has taken the connection over.
	isTaken atomic.Bool

	mu      sync.Mutex
	hard    time.Time     // the deadline that somebody has set; zero: none
	renewed time.Duration // when the present deadline was set, since started; 0: not yet
}

// ReadFrom is not passed on: what copies in the kernel would not renew deadlines.

// Write goes on as long as the client takes something.
func (c *watchedConn) Write(p []byte) (n int, err error) {
	if c.timeout <= 0 {
		return c.Conn.Write(p)
	}
	for {
		hard := c.renew()
		var k int
		k, err = c.Conn.Write(p[n:])
		if n += k; k == 0 || hard || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		c.mu.Lock()
		c.renewed = 0
		c.mu.Unlock()
	}
}

// renew sets the deadline anew if half of its time has gone, or nearly, which spares most
// writes the cost. It reports whether a deadline of somebody else's comes first.
func (c *watchedConn) renew() (hard bool) {
	now := c.listener.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hard.IsZero() && time.Until(c.hard) < c.timeout {
		return true
	}
	if c.renewed == 0 || now-c.renewed > c.timeout/2 {
		c.renewed = max(now, 1)
		_ = c.Conn.SetWriteDeadline(time.Now().Add(c.timeout))
	}
	return false
}

// SetWriteDeadline implements net.Conn. It counts where it comes before the connection's
// own.
func (c *watchedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hard, c.renewed = t, 0
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *watchedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite lets an upgraded connection be closed by halves.
func (c *watchedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements net.Conn. It may be called again.
func (c *watchedConn) Close() error {
	c.closing.Do(func() {
		c.listener.release()
		if c.isTaken.Load() {
			c.listener.taken.remove(c)
		}
	})
	return c.Conn.Close()
}

// takeOver is told that a handler has taken the connection over.
func (c *watchedConn) takeOver() {
	c.isTaken.Store(true)
	c.listener.taken.add(c)
}
