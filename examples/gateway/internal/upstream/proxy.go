package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/coding"
	"github.com/larder-cache/larder/examples/gateway/internal/etags"
	"github.com/larder-cache/larder/examples/gateway/internal/respond"
)

// ProxyOptions configures a Proxy.
type ProxyOptions struct {
	// StripPrefix is taken off the path.
	StripPrefix string
	// Name is that of the upstream: with the path it identifies what an answer was made
	// from, for whatever is stored (see Source).
	Name string
	// Internal requests are the gateway's own: their host is no client's, and
	// the upstream is not told of it.
	Internal bool
	// Modify may change responses before anything else sees them. May be nil.
	Modify func(*http.Response) error
	Log    *slog.Logger
}

// Proxy returns a handler that passes requests on to next. It does a proxy's
// duties and no more: hop-by-hop fields stay behind; Via and X-Forwarded-For, -Host and
// -Proto, which the gateway's door sets, go along; informational responses, trailers, upgrades and
// aborts pass through. Of upgrades only WebSocket's: an upstream that accepts h2c
// would then be spoken to past the routes, and with whatever fields a client likes.
//
// The answer is decoded if the request says so (see coding.Accept).
func Proxy(next http.RoundTripper, o ProxyOptions) http.Handler {
	proxy := newProxy(next, o)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(&answerWriter{
			ResponseWriter: w, before: maps.Clone(w.Header()), source: Source(o.Name, o.StripPrefix, r),
		}, r)
	})
}

func newProxy(next http.RoundTripper, o ProxyOptions) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:  next,
		BufferPool: buffers,
		ErrorLog:   errorLog(o.Log),
		Rewrite: func(r *httputil.ProxyRequest) {
			if o.StripPrefix != "" {
				stripPrefix(r.Out.URL, o.StripPrefix)
			}
			// ReverseProxy wants an absolute URL; the pool fills in the real one.
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
			// Without this, parameters that Go cannot parse would be lost.
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			// The gateway's door has set these; ReverseProxy has dropped them.
			for _, name := range [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"} {
				if v := r.In.Header[name]; v != nil {
					r.Out.Header[name] = v
				}
			}
			if o.Internal {
				r.Out.Host = ""
				r.Out.Header.Del("X-Forwarded-Host")
			}
			if u := r.Out.Header["Upgrade"]; len(u) > 0 && !(len(u) == 1 && strings.EqualFold(u[0], "websocket")) {
				delete(r.Out.Header, "Upgrade")
				delete(r.Out.Header, "Connection")
			}
			if coding.AcceptedBy(r.In.Context()) != nil {
				etags.Inward(r.Out, etags.Identity)
			}
			forwardOnce(r.Out.Header, r.In.Method)
		},
		ModifyResponse: func(resp *http.Response) error {
			if a := coding.AcceptedBy(resp.Request.Context()); a != nil {
				a.Undo(resp)
			}
			if o.Modify == nil {
				return nil
			}
			return o.Modify(resp)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			fail(w, r, o.Log, err)
		},
	}
}

// forwardOnce counts Max-Forwards down, where it counts (RFC 9110, 7.6.2).
func forwardOnce(h http.Header, method string) {
	if method != http.MethodOptions {
		return
	}
	if n, err := strconv.ParseUint(h.Get("Max-Forwards"), 10, 32); err == nil && n > 0 {
		h.Set("Max-Forwards", strconv.FormatUint(n-1, 10))
	}
}

// stripped returns the path of u, as it is written, without a prefix of whole segments.
func stripped(u *url.URL, prefix string) string {
	path := u.EscapedPath()
	if prefix == "" {
		return path
	}
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return path
	}
	if rest == "" {
		return "/"
	}
	return rest
}

// stripPrefix takes a prefix off the path of a request.
func stripPrefix(u *url.URL, prefix string) {
	raw := stripped(u, prefix)
	if path, err := url.PathUnescape(raw); err == nil {
		u.Path, u.RawPath = path, raw
	}
}

// Source identifies the resource of an upstream that a request asks for, among all that the
// gateway stores something of: under other names, parts of it, or one of several. All
// spellings of a URI have one; some that an upstream may tell apart have too, and go with
// each other.
func Source(upstream, prefix string, r *http.Request) string {
	id := upstream + " " + unescaped(stripped(r.URL, prefix))
	if r.URL.RawQuery != "" {
		id += "?" + unescaped(r.URL.RawQuery)
	}
	return id
}

// unescaped undoes percent-encodings. What has some that are none stays as it is.
func unescaped(s string) string {
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}

// fail answers for an upstream that did not.
func fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		// The client has gone: nobody reads this, but a cache in between must not
		// take it for an answer.
		panic(http.ErrAbortHandler)
	}
	if status, why := clientsFault(err); status != 0 {
		log.Debug("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		Problem(w, status, why)
		return
	}
	status := http.StatusBadGateway
	var timeout net.Error
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, errQueue):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		status = http.StatusGatewayTimeout
	}
	log.Warn("upstream failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	w.Header().Set(respond.InternalError, strconv.Itoa(status))
	Problem(w, status, "")
}

// clientsFault returns the status for a request that could not be sent because of what it is.
func clientsFault(err error) (status int, why string) {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errOutside):
		return http.StatusBadRequest, errOutside.Error()
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, "the request's content is larger than it may be"
	case !errors.Is(err, errClientBody):
		return 0, ""
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, "the request's content did not come in time"
	}
	return http.StatusBadRequest, errClientBody.Error()
}

// Problem answers with an RFC 9457 problem of the gateway's own.
func Problem(w http.ResponseWriter, status int, detail string) {
	body, _ := json.Marshal(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{http.StatusText(status), status, detail})
	h := w.Header()
	if status >= http.StatusInternalServerError {
		httpcache.GatewayError(h) // who waited for the same answer may have it
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// errorLog is where ReverseProxy writes what it cannot answer with.
func errorLog(l *slog.Logger) *log.Logger {
	return slog.NewLogLogger(l.Handler(), slog.LevelWarn)
}

// buffers lends ReverseProxy its copy buffers.
var buffers = &bufferPool{}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return new([32 << 10]byte)[:]
}

func (b *bufferPool) Put(p []byte) {
	if cap(p) == 32<<10 {
		b.pool.Put((*[32 << 10]byte)(p[:cap(p)]))
	}
}
