package airports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// published is when the data set was: every record's Last-Modified.
var published = time.Date(2026, time.May, 15, 0, 0, 0, 0, time.UTC)

// answer writes v as JSON with validators, and lets net/http answer conditional
// and range requests.
func answer(w http.ResponseWriter, r *http.Request, v any, policy string, tags []string) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", policy)
	if len(tags) > 0 {
		h.Set("Surrogate-Key", strings.Join(tags, " "))
	}
	modified := published
	if policy == "no-store" {
		modified = time.Time{}
	} else {
		// Of the content, so that all replicas agree on it.
		sum := sha256.Sum256(body)
		h.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	}
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
}

// fail writes an error as JSON. Errors may be cached for a moment, so that a
// crawler of wrong addresses does not reach the service each time.
func fail(w http.ResponseWriter, status int, message string) {
	body, _ := json.Marshal(map[string]string{"error": message})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=10")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
