package httpcache

import (
	"net/http"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// withDate returns h with a valid Date (RFC 9110, 6.6.1): its own, or else date,
// the time it was received, in a copy.
func withDate(h http.Header, date int64) http.Header {
	if lines := h["Date"]; len(lines) == 1 {
		if _, ok := field.ParseDate(lines[0], date); ok {
			return h
		}
	}
	h = h.Clone()
	h["Date"] = []string{field.FormatDate(date)}
	return h
}
