package upstream

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection to a target. It does what net/http's transport cannot be told to do:
//
//   - It looks at the heads of responses as they come in (see coding.go).
//   - It keeps the response of a server that answers before it has read the whole request
//     and then closes (RFC 9112, 9.6), a 413 for example. The transport gives up at the
//     first write that fails. Here the rest of that request is dropped instead, and
//     reading goes on: it finds the answer, or the error, at once.
//   - It gives up on a server that does not take what it is sent.
//   - It gives back its place among the connections to its target (see dialer).
//
// CloseWrite and SyscallConn reach through: after a 101 the connection is spoken to by
// others, who may close one half of it. ReadFrom does not: what is sent comes from no file or
// socket itself, and each piece of it has a time of its own.
type conn struct {
	net.Conn
	stall time.Duration // for a write; 0: no bound
	// head: the next bytes to be read are the head of a response. It is set when
	// a request takes the connection, which is when the response before has been
	// read to its end.
	head atomic.Bool
	// written: something of the present request has been sent.
	written atomic.Bool
	// deaf: the other side reads no more.
	deaf atomic.Bool
	// upgraded: it is no longer HTTP's.
	upgraded atomic.Bool

	release func() // may be nil
	once    sync.Once
}

// taken tells the connection that a request has it now.
func (c *conn) taken(plain bool) {
	c.written.Store(false)
	if plain {
		c.head.Store(true)
	}
}

// upgrade leaves the connection to another protocol.
func (c *conn) upgrade() {
	c.upgraded.Store(true)
	_ = c.SetWriteDeadline(time.Time{})
}

// underneath returns the conn that a request got, and whether HTTP is spoken on it without
// TLS in between; nil if it is another's.
func underneath(info httptrace.GotConnInfo) (c *conn, plain bool) {
	if c, ok := info.Conn.(*conn); ok {
		return c, true
	}
	if outer, ok := info.Conn.(interface{ NetConn() net.Conn }); ok {
		c, _ = outer.NetConn().(*conn)
	}
	return c, false
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.head.Load() {
		c.head.Store(renameCodings(p[:n]))
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if c.deaf.Load() {
		return len(p), nil
	}
	if c.stall > 0 && !c.upgraded.Load() {
		_ = c.SetWriteDeadline(time.Now().Add(c.stall))
	}
	n, err := c.Conn.Write(p)
	if c.deafened(err) {
		return len(p), nil
	}
	if n > 0 {
		c.written.Store(true)
	}
	return n, err
}

// deafened tells whether a write failed because the other side has stopped reading in the
// middle of a request (or because the transport, which was reading, has found that out and
// closed the connection). At a request's beginning such a failure stays one: nothing was
// sent, and the transport tries another connection.
func (c *conn) deafened(err error) bool {
	if err == nil || !c.written.Load() {
		return false
	}
	for _, gone := range []error{syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed} {
		if errors.Is(err, gone) {
			c.deaf.Store(true)
			return true
		}
	}
	return false
}

// CloseWrite tells the other side that nothing more comes.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn implements syscall.Conn.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// Close closes the connection and gives its place to another.
func (c *conn) Close() error {
	if c.release != nil {
		c.once.Do(c.release)
	}
	return c.Conn.Close()
}

// dialer makes connections, at most so many to each address at once. The transport counts
// them too; but transports are replaced while connections of the old one are still in use
// (see aging).
type dialer struct {
	net.Dialer
	max   int           // 0: no bound
	stall time.Duration // of a write; 0: no bound

	mu     sync.Mutex
	places map[string]chan struct{}
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	release, err := d.place(ctx, address)
	if err != nil {
		return nil, err
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		if release != nil {
			release()
		}
		return nil, err
	}
	return &conn{Conn: c, stall: d.stall, release: release}, nil
}

// place waits for one of the connections allowed to an address.
func (d *dialer) place(ctx context.Context, address string) (release func(), err error) {
	if d.max == 0 {
		return nil, nil
	}
	d.mu.Lock()
	places := d.places[address]
	if places == nil {
		places = make(chan struct{}, d.max)
		if d.places == nil {
			d.places = make(map[string]chan struct{})
		}
		d.places[address] = places
	}
	d.mu.Unlock()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
