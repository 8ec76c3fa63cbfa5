package compress

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// MinBytes is the smallest body worth compressing: below it, everything fits
// one packet anyway.
const MinBytes = 1024

// Handler returns next with its responses compressed with the encoding that the
// request's Accept-Encoding, as Negotiate leaves it, names. next itself is asked
// for responses without encoding.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		encoding := r.Header.Get("Accept-Encoding")
		if encoding != "" {
			r = r.Clone(r.Context())
			r.Header.Del("Accept-Encoding")
		}
		c := &writer{ResponseWriter: w, encoding: encoding, head: r.Method == http.MethodHead}
		next.ServeHTTP(c, r)
		// Not deferred: of a response that was aborted nothing must look whole.
		c.close()
	})
}

// writer compresses what is written to it, if it is fit for that.
type writer struct {
	http.ResponseWriter
	encoding string
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
	if status == http.StatusNotModified {
		// It stands for a response that may have been compressed here.
		addVary(h)
		if w.encoding != "" {
			weaken(h)
		}
		return
	}
	if !fit(status, h) {
		return
	}
	addVary(h)
	if w.encoding == "" {
		return
	}
	if w.head {
		// As GET would answer, as far as that is known without a body.
		h.Del("Content-Length")
		h.Del("Accept-Ranges")
		weaken(h)
		return
	}
	pool := encoders[w.encoding]
	if pool == nil {
		return
	}
	w.encoder = pool.Get().(encoder)
	w.encoder.Reset(w.ResponseWriter)
	h.Set("Content-Encoding", w.encoding)
	for _, name := range []string{"Content-Length", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"} {
		h.Del(name)
	}
	weaken(h)
}

// fit tells whether a response may be compressed, and is worth it.
func fit(status int, h http.Header) bool {
	switch status {
	case http.StatusSwitchingProtocols, http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent:
		return false
	}
	if h.Get("Content-Encoding") != "" || strings.Contains(strings.ToLower(strings.Join(h["Cache-Control"], ",")), "no-transform") {
		return false
	}
	if n, err := strconv.Atoi(h.Get("Content-Length")); err == nil && n < MinBytes {
		return false
	}
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch mediaType {
	case "text/event-stream":
		return false
	case "application/json", "application/javascript", "application/xml", "image/svg+xml", "application/x-ndjson", "application/wasm":
		return true
	}
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "+json") || strings.HasSuffix(mediaType, "+xml")
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

// weaken makes a strong ETag weak: two encodings of one response are not the
// same bytes (RFC 9110, 8.8.1).
func weaken(h http.Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag)
	}
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
