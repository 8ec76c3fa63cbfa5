package dashboard

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"time"
)

//go:embed static
var static embed.FS

// heartbeat is how long an event stream may be silent: a comment then keeps
// proxies from ending it.
const heartbeat = 15 * time.Second

// Handler serves the page, its events and the purge API below prefix, which
// ends with a slash.
func (d *Dashboard) Handler(prefix string) http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	mux.Handle(prefix, http.StripPrefix(prefix, http.FileServerFS(files)))
	mux.HandleFunc(prefix+"events", d.events)
	// A page of another site must not be able to purge from an operator's
	// browser.
	mux.Handle(prefix+"purge", http.NewCrossOriginProtection().Handler(d.source.Purge))
	return secured(mux)
}

// secured sets what keeps the page from running or showing anything foreign:
// paths and tags in it are chosen by clients.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// events is the stream: first "history" with the points of the last minutes,
// then "tick" each second.
func (d *Dashboard) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	stream := http.NewResponseController(w)

	d.mu.Lock()
	history, _ := json.Marshal(d.history) // plain numbers: cannot fail
	tick, ticked := d.tick, d.ticked
	d.mu.Unlock()
	if event(w, "history", history) != nil {
		return
	}
	for {
		if event(w, "tick", tick) != nil || stream.Flush() != nil {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-ticked:
				waiting = false
			case <-time.After(heartbeat):
				if _, err := w.Write([]byte(": still here\n\n")); err != nil || stream.Flush() != nil {
					return
				}
			case <-d.closed:
				return
			case <-r.Context().Done():
				return
			}
		}
		d.mu.Lock()
		tick, ticked = d.tick, d.ticked
		d.mu.Unlock()
	}
}

func event(w http.ResponseWriter, name string, data []byte) error {
	_, err := w.Write(append(append([]byte("event: "+name+"\ndata: "), data...), '\n', '\n'))
	return err
}
