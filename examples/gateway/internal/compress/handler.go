package compress

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/coding"
	"github.com/larder-cache/larder/examples/gateway/internal/etags"
)

// MinBytes is the smallest body worth compressing: below it, everything fits
// one packet anyway.
const MinBytes = 1024

// Handler returns next with its responses compressed with the encoding that the
// request's Accept-Encoding, as Negotiate leaves it, names. next itself is asked
// for identity, and told which encoding may be left as it is (see coding.Accept).
//
// Entity tags say which encoding they belong to, and the origin is given its own back
// (see etags).
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		encoding := r.Header.Get("Accept-Encoding")
		if encoders[encoding] == nil {
			encoding = ""
		}
		asked := r.Header["If-None-Match"]
		r = r.Clone(r.Context())
		r.Header["Accept-Encoding"] = []string{identity}
		etags.Inward(r, encoding, names...)
		c := &writer{ResponseWriter: w, encoding: encoding, asked: asked, head: r.Method == http.MethodHead}
		next.ServeHTTP(c, coding.Accept(r, encoding))
		// Not deferred: of a response that was aborted nothing must look whole.
		c.close()
	})
}

// writer compresses what is written to it, if it is fit for that.
type writer struct {
	http.ResponseWriter
	encoding string   // empty: none
	asked    []string // If-None-Match, as the client sent it
	head     bool
	decided  bool
	encoder  encoder // nil: written as it is
}

// WriteHeader decides.
func (w *writer) WriteHeader(status int) {
	if !w.decided && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.decided = true
		w.decide(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) decide(status int) {
	h := w.Header()
	switch {
	case status == http.StatusNotModified:
		// It stands for a response that may have been compressed here.
		addVary(h)
		if w.encoding != "" {
			etags.NotModified(h, w.asked, w.encoding)
		}
		return
	case !negotiated(status, h):
		return
	}
	// Whatever is answered here, another Accept-Encoding might get another answer.
	addVary(h)
	if w.encoding == "" || !fit(status, h) {
		return
	}
	h.Set("Content-Encoding", w.encoding)
	for _, name := range []string{
		"Content-Length", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5",
	} {
		h.Del(name)
	}
	etags.Mark(h, w.encoding)
	if w.head {
		return // as GET would answer
	}
	w.encoder = encoders[w.encoding].Get().(encoder)
	w.encoder.Reset(w.ResponseWriter)
}

// negotiated tells whether responses like this one come in several encodings.
func negotiated(status int, h http.Header) bool {
	if status == http.StatusSwitchingProtocols || coding.NoTransform(h) {
		return false
	}
	if h.Get("Content-Encoding") != "" {
		// The origin's, left because this client takes it: others get it undone.
		return true
	}
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch mediaType {
	case "text/event-stream":
		return false
	case "application/json", "application/javascript", "application/xml", "image/svg+xml",
		"application/x-ndjson", "application/wasm":
		return true
	}
	return strings.HasPrefix(mediaType, "text/") ||
		strings.HasSuffix(mediaType, "+json") || strings.HasSuffix(mediaType, "+xml")
}

// fit tells whether one of them may be compressed, and is worth it.
func fit(status int, h http.Header) bool {
	switch status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent:
		return false
	}
	if h.Get("Content-Encoding") != "" {
		return false
	}
	n, err := strconv.Atoi(h.Get("Content-Length"))
	return err != nil || n >= MinBytes
}

func addVary(h http.Header) {
	for _, v := range h["Vary"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
				return
			}
		}
	}
	h.Add("Vary", "Accept-Encoding")
}

func (w *writer) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.encoder != nil {
		return w.encoder.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// FlushError implements what http.ResponseController looks for.
func (w *writer) FlushError() error {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.encoder != nil {
		if err := w.encoder.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// Unwrap serves http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.decided = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

func (w *writer) close() {
	if !w.decided {
		w.WriteHeader(http.StatusOK) // as net/http does for a handler that writes nothing
	}
	if w.encoder == nil {
		return
	}
	_ = w.encoder.Close() // fails only if the client has gone
	w.encoder.Reset(io.Discard)
	encoders[w.encoding].Put(w.encoder)
	w.encoder = nil
}
