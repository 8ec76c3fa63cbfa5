package aggregate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/respond"
)

// missingLifetime is for how long an answer without an optional part may be
// kept: not long, for the part may be back.
const missingLifetime = 5

// freshness gives the whole the lifetime of its least fresh part.
func freshness(h http.Header, parts []Part, answers []*respond.Buffer) {
	seconds, public := math.MaxInt, true
	for i := range parts {
		if !usable(answers[i]) {
			seconds = min(seconds, missingLifetime)
			continue
		}
		left, open, storable := lifetime(answers[i].Header())
		public = public && open
		if !storable {
			h.Set("Cache-Control", "private, no-store")
			return
		}
		seconds = min(seconds, left)
	}
	if seconds <= 0 {
		h.Set("Cache-Control", "no-cache")
		return
	}
	value := fmt.Sprintf("max-age=%d", seconds)
	if public {
		value = "public, " + value
	}
	h.Set("Cache-Control", value)
}

// lifetime returns how many seconds a part stays fresh for a shared cache,
// whether it may be stored at all, and whether even if it was requested with
// Authorization (RFC 9111, 3.5).
func lifetime(h http.Header) (seconds int, public, storable bool) {
	if len(h["Set-Cookie"]) > 0 || strings.TrimSpace(h.Get("Vary")) == "*" {
		return 0, false, false
	}
	maxAge, shared := -1, -1
	for directive := range strings.SplitSeq(strings.Join(h["Cache-Control"], ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || n < 0 {
			n = 0
		}
		switch strings.ToLower(name) {
		case "no-store", "private":
			return 0, false, false
		case "public", "must-revalidate":
			public = true
		case "no-cache":
			shared = 0
		case "s-maxage":
			public = true
			if shared < 0 {
				shared = n
			}
		case "max-age":
			if maxAge < 0 {
				maxAge = n
			}
		}
	}
	if shared >= 0 {
		maxAge = shared
	}
	age, err := strconv.Atoi(h.Get("Age"))
	if err != nil {
		age = 0
	}
	return max(0, maxAge-age), public, true
}

// vary names what any part varies on.
func vary(h http.Header, answers []*respond.Buffer) {
	var names []string
	for _, b := range answers {
		if b == nil {
			continue
		}
		for name := range strings.SplitSeq(strings.Join(b.Header()["Vary"], ","), ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name != "" && name != "Accept-Encoding" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) > 0 {
		h.Set("Vary", strings.Join(names, ", "))
	}
}

// tags collects the tags of all parts, for the cache and in the same field for
// what may be made of the whole.
func tags(h http.Header, answers []*respond.Buffer, field string) {
	var all []string
	for _, b := range answers {
		if b == nil {
			continue
		}
		for _, name := range []string{"Surrogate-Key", field} {
			for _, value := range b.Header()[http.CanonicalHeaderKey(name)] {
				for tag := range strings.FieldsSeq(value) {
					if !slices.Contains(all, tag) {
						all = append(all, tag)
					}
				}
			}
		}
	}
	if len(all) > 0 {
		h.Set("Surrogate-Key", strings.Join(all, " "))
		h.Set(field, strings.Join(all, " "))
	}
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}
