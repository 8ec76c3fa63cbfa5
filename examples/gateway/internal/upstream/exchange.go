package upstream

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

var (
	// errQueue means that all connections to a target were in use for too long.
	errQueue = errors.New("all connections to the upstream are in use")
	// errStale means that a connection that was used before was closed by the other side
	// just as the request took it.
	errStale = errors.New("the connection was closed while it was idle")
	// errStopped means that a target read no further while it was sent a request, and gave
	// no answer that arrived.
	errStopped = errors.New("the upstream stopped reading the request")
)

// stalled is the error of a body that brought nothing for too long.
type stalled struct{}

func (stalled) Error() string { return "the upstream's response has stalled" }
func (stalled) Timeout() bool { return true }

// exchange is one request to one target and its response. It lasts until the response's body
// is closed.
type exchange struct {
	timeout config.Timeout
	limited bool // connections are
	cancel  context.CancelCauseFunc

	conn     atomic.Pointer[conn]
	got      atomic.Bool // a connection
	reused   atomic.Bool // one that another request has used before
	answered atomic.Bool // the first byte of a response has come

	queue    atomic.Pointer[time.Timer]
	upgraded io.ReadWriteCloser // the connection after a 101, as the transport gave it
}

type exchangeKey struct{}

// begin returns r with a context that the exchange looks at and can end.
func (x *exchange) begin(r *http.Request) *http.Request {
	ctx, cancel := context.WithCancelCause(r.Context())
	x.cancel = cancel
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	// The trace is a new one each time: WithClientTrace links it to those that the
	// context has already.
	return r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { x.wait() },
		ConnectStart:         func(_, _ string) { x.waited() },
		GotConn:              x.take,
		GotFirstResponseByte: func() { x.answered.Store(true) },
	}))
}

// wait bounds the time until there is a connection, or one may be made.
func (x *exchange) wait() {
	if x.limited && x.timeout.Queue > 0 {
		x.queue.Store(time.AfterFunc(x.timeout.Queue, func() { x.cancel(errQueue) }))
	}
}

func (x *exchange) waited() {
	if t := x.queue.Load(); t != nil {
		t.Stop()
	}
}

func (x *exchange) take(info httptrace.GotConnInfo) {
	x.waited()
	x.got.Store(true)
	x.reused.Store(info.Reused)
	c, plain := underneath(info)
	x.conn.Store(c)
	if c != nil {
		c.taken(plain)
	}
}

// explain adds to a transport's error what is known of how it came about.
func (x *exchange) explain(err error) error {
	c := x.conn.Load()
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
	case c != nil && c.deaf.Load():
		return errors.Join(errStopped, err)
	case x.reused.Load() && !x.answered.Load():
		return errors.Join(errStale, err)
	}
	return err
}

// refuse ends an exchange whose response is not taken, and its connection: where the
// response ends is not certain.
func (x *exchange) refuse(resp *http.Response, err error) {
	x.cancel(err)
	if c := x.conn.Load(); c != nil && resp.ProtoMajor == 1 {
		c.Close()
	}
	resp.Body.Close()
}

// keepUpgraded remembers the connection of a 101. What wraps the transport may put its own
// body around it, and hide that one half of it can be closed.
func keepUpgraded(ctx context.Context, resp *http.Response) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		x.upgraded, _ = resp.Body.(io.ReadWriteCloser)
	}
}

// watch puts the exchange around a response's body. ended is called once, when it is closed.
func (x *exchange) watch(resp *http.Response, ended func()) {
	b := &body{ReadCloser: resp.Body, idle: x.idle(resp), cancel: x.cancel, ended: ended}
	if b.upgraded = resp.StatusCode == http.StatusSwitchingProtocols; !b.upgraded {
		resp.Body = b
		return
	}
	if c := x.conn.Load(); c != nil {
		c.upgrade()
	}
	if both, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &upgradedBody{body: b, Writer: both, raw: x.upgraded}
	}
}

// idle is for how long a response's body may bring nothing.
func (x *exchange) idle(resp *http.Response) time.Duration {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusSwitchingProtocols || mediaType == "text/event-stream" {
		return x.timeout.Stream
	}
	return x.timeout.Body
}

// body is a response's body. It ends with an error when a read brings nothing for too long;
// the time between reads is the reader's and does not count.
type body struct {
	io.ReadCloser
	idle     time.Duration // 0: no bound
	upgraded bool          // it is a connection
	cancel   context.CancelCauseFunc
	ended    func()

	timer  *time.Timer
	failed atomic.Bool
	once   sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	if b.idle == 0 {
		return b.ReadCloser.Read(p)
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(b.idle, b.stall)
	} else {
		b.timer.Reset(b.idle)
	}
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && b.failed.Load() {
		err = stalled{}
	}
	return n, err
}

// stall ends the request. A connection that was upgraded does not hear of that and is closed.
func (b *body) stall() {
	b.failed.Store(true)
	b.cancel(stalled{})
	if b.upgraded {
		_ = b.Close()
	}
}

// Close implements io.Closer.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() {
		b.cancel(nil)
		b.ended()
	})
	return err
}

// upgradedBody is the connection after a 101.
type upgradedBody struct {
	*body
	io.Writer
	raw io.ReadWriteCloser
}

// CloseWrite tells the target that the client sends nothing more; the target may still
// answer.
func (b *upgradedBody) CloseWrite() error {
	if half, ok := b.raw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
