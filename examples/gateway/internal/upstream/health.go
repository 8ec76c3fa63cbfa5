package upstream

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// watch asks a target whether it is well until ctx ends. A status of 200 to 399
// means yes.
func watch(ctx context.Context, t *target, h *config.Health, transport http.RoundTripper, changed func(name string, healthy bool)) {
	ticker := time.NewTicker(h.Interval)
	defer ticker.Stop()
	streak := 0 // answers in a row that contradict the present state
	for {
		well := probe(ctx, t, h, transport)
		if ctx.Err() != nil {
			return
		}
		state := t.healthy.Load()
		need := h.Fall
		if !state {
			need = h.Rise
		}
		if well == state {
			streak = 0
		} else if streak++; streak >= need {
			t.healthy.Store(well)
			changed(t.name, well)
			streak = 0
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func probe(ctx context.Context, t *target, h *config.Health, transport http.RoundTripper) bool {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	path, err := url.Parse(h.Path)
	if err != nil {
		return false
	}
	u, err := join(t.base, path)
	if err != nil {
		return false
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false
	}
	r.Header.Set("User-Agent", "larder-gateway-health")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return resp.StatusCode >= 200 && resp.StatusCode < 400
}
