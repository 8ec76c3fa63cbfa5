package upstream

import (
	"net/http"

	"github.com/larder-cache/larder/go/httpcache"
)

// maxInterim is how many informational responses of one answer are passed on. They are few
// where they make sense; without a bound they would be kept, and sent, as long as an
// upstream cares to send them.
const maxInterim = 16

// answerWriter stands between ReverseProxy and the layers outside. ReverseProxy empties the
// header map after each informational response, with all that the layers have put there for
// the answer itself: it is put there again.
type answerWriter struct {
	http.ResponseWriter
	before  http.Header // what the layers have set; values are never changed in place
	source  string
	interim int
	done    bool
}

// WriteHeader passes informational responses on, and sets right the header of the answer.
func (w *answerWriter) WriteHeader(status int) {
	switch {
	case status == http.StatusContinue:
		// The server says that by itself when the request's content is first read, and that
		// is when the upstream has said so, or has taken its time (see Timeout.Continue).
		w.interim++
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		if w.interim++; w.interim > maxInterim {
			return
		}
	case !w.done:
		w.done = true
		if w.interim > 0 {
			w.restore()
		}
		httpcache.AddSource(w.Header(), w.source)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) restore() {
	h := w.Header()
	for name, values := range w.before {
		h[name] = append(values[:len(values):len(values)], h[name]...)
	}
}

// Unwrap serves http.ResponseController.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
