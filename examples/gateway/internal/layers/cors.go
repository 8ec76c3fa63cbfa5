package layers

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// CORS answers preflight requests and tells browsers which other origins may
// read the answers.
func CORS(c *config.CORS, next http.Handler) http.Handler {
	layer := cors.New(cors.Options{
		AllowedOrigins:   c.Origins,
		AllowedMethods:   c.Methods,
		AllowedHeaders:   c.Headers,
		ExposedHeaders:   c.Expose,
		AllowCredentials: c.Credentials,
		// Whole seconds: none would mean that browsers may choose.
		MaxAge: int((c.MaxAge + time.Second - 1) / time.Second),
	})
	return layer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&varyWriter{ResponseWriter: w, vary: w.Header()["Vary"]}, r)
	}))
}

// varyWriter keeps what CORS wrote to Vary before the answer's own Vary took
// its place: the answer differs by origin whatever the upstream knows.
type varyWriter struct {
	http.ResponseWriter
	vary []string // nil: done
}

func (w *varyWriter) WriteHeader(status int) {
	// An informational response is not the answer, which is to follow.
	if status >= 200 || status == http.StatusSwitchingProtocols {
		h := w.Header()
		for _, v := range w.vary {
			if missing := lacking(h["Vary"], v); missing != "" {
				// Appending must not reach into the slice of the stored header.
				old := h["Vary"]
				h["Vary"] = append(old[:len(old):len(old)], missing)
			}
		}
		w.vary = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

// lacking returns the members of a list that the lines of another one lack.
func lacking(lines []string, list string) string {
	var has, missing []string
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			has = append(has, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	if slices.Contains(has, "*") {
		return ""
	}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(has, strings.ToLower(name)) {
			missing = append(missing, name)
		}
	}
	return strings.Join(missing, ", ")
}

func (w *varyWriter) Write(p []byte) (int, error) {
	if w.vary != nil {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// FlushError implements what http.ResponseController looks for.
func (w *varyWriter) FlushError() error {
	if w.vary != nil {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *varyWriter) Flush() { _ = w.FlushError() }

// Unwrap serves http.ResponseController.
func (w *varyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
