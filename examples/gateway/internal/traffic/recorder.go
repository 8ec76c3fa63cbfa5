package traffic

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/larder-cache/larder/examples/gateway/internal/respond"
)

// InternalTags is a response field that carries tags from one part of the
// gateway to another. It never leaves the process.
const InternalTags = "X-Larder-Internal-Tags"

// recorder is a ResponseWriter that notes the status and the length of the
// body. It passes on what net/http's own can do.
type recorder struct {
	http.ResponseWriter
	shard  int
	status int
	bytes  int64
}

// WriteHeader notes the status. It also keeps net/http from guessing a content
// type: a proxy has no business to know better than the upstream.
func (r *recorder) WriteHeader(status int) {
	if status >= 200 && r.status == 0 {
		r.status = status
		if h := r.Header(); h["Content-Type"] == nil {
			h["Content-Type"] = nil
		}
		r.hide(status)
	}
	r.ResponseWriter.WriteHeader(status)
}

// hide takes out what is for other parts of the gateway.
func (r *recorder) hide(status int) {
	h := r.Header()
	delete(h, InternalTags)
	delete(h, respond.InternalControl)
	delete(h, respond.InternalSources)
	if status >= http.StatusInternalServerError {
		delete(h, respond.InternalError)
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// WriteString saves a copy of the string.
func (r *recorder) WriteString(s string) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := io.WriteString(r.ResponseWriter, s)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom lets files and sockets be copied by the kernel.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := io.Copy(r.ResponseWriter, src)
	r.bytes += n
	return n, err
}

// Flush implements http.Flusher.
func (r *recorder) Flush() { _ = r.FlushError() }

// FlushError implements what http.ResponseController looks for.
func (r *recorder) FlushError() error {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker. What the connection is used for after that
// is not counted.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil && r.status == 0 {
		r.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
