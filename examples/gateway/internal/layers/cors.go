package layers

import (
	"net/http"
	"strings"

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
		MaxAge:           int(c.MaxAge.Seconds()),
	})
	return layer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&varyWriter{ResponseWriter: w, vary: w.Header()["Vary"]}, r)
	}))
}

// varyWriter keeps what CORS wrote to Vary before the answer's own Vary took
// its place: the answer differs by origin whatever the upstream knows.
type varyWriter struct {
	http.ResponseWriter
	vary []string
}

func (w *varyWriter) WriteHeader(status int) {
	h := w.Header()
	for _, v := range w.vary {
		if !strings.Contains(strings.Join(h["Vary"], ","), v) {
			// Appending must not reach into the slice of the stored header.
			old := h["Vary"]
			h["Vary"] = append(old[:len(old):len(old)], v)
		}
	}
	w.vary = nil
	w.ResponseWriter.WriteHeader(status)
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
