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
	"time"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/respond"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// missingLifetime is for how long an answer without an optional part may be
// kept: not long, for the part may be back.
const missingLifetime = 5 * time.Second

// MissingField names the optional parts that an answer is without, as a list of strings
// (RFC 9651).
const MissingField = "Larder-Missing-Parts"

// control is what may be done with the whole, by who obeys certain fields.
type control struct {
	never      bool // stored
	revalidate bool // when stale, always
	public     bool // also for requests with Authorization
	lifetime   time.Duration
}

// freshness gives the whole the lifetime of its least fresh part, once for the gateway's own
// cache if a part speaks to that in particular (RFC 9213), and for all others.
func freshness(h http.Header, r *http.Request, answers []answer) {
	own := []string{respond.InternalControl, "Larder-Cache-Control", "CDN-Cache-Control"}
	here, targeted := restrict(r, answers, own)
	everywhere, _ := restrict(r, answers, []string{})
	h.Set("Cache-Control", everywhere.String())
	if targeted {
		h.Set("Larder-Cache-Control", here.String())
		h.Set(respond.InternalControl, here.String())
	}
}

// restrict takes from all answers what they allow in common. any tells whether one of them
// has a targeted field.
func restrict(r *http.Request, answers []answer, fields []string) (c control, any bool) {
	c = control{public: true, lifetime: math.MaxInt64}
	now := time.Now()
	for i := range answers {
		a := &answers[i]
		if !a.usable && (a.late || !a.Whole || a.Header()[respond.InternalError] != nil) {
			// Nothing was answered, whoever asked.
			c.lifetime = min(c.lifetime, missingLifetime)
			continue
		}
		h := a.Header()
		d := httpcache.ResponseDirectives(h, fields)
		any = any || d.Targeted
		c.never = c.never || !d.Storable(a.Status) ||
			len(h["Set-Cookie"]) > 0 || slices.Contains(names(h["Vary"]), "*")
		c.revalidate = c.revalidate || d.MustRevalidate || d.ProxyRevalidate
		c.public = c.public && d.AllowsAuthorization()
		if a.usable {
			c.lifetime = min(c.lifetime, d.Lifetime(now))
			continue
		}
		c.never = c.never || forWhoAsked(r, a.Status, d)
		c.lifetime = min(c.lifetime, missingLifetime)
	}
	// must-revalidate, which may be needed, also says that the answer is for everyone.
	c.never = c.never || !c.public && len(r.Header["Authorization"]) > 0
	return c, any
}

// forWhoAsked tells whether an answer that cannot be used may be one to this client only.
func forWhoAsked(r *http.Request, status int, d httpcache.Directives) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return true
	}
	known := len(r.Header["Authorization"]) > 0 || len(r.Header["Cookie"]) > 0
	return known && !d.Explicit
}

// String writes the control as Cache-Control.
func (c control) String() string {
	seconds := int64(c.lifetime / time.Second)
	switch {
	case c.never:
		return "private, no-store"
	case seconds <= 0:
		return "no-cache"
	}
	value := fmt.Sprintf("max-age=%d", seconds)
	if c.public {
		value = "public, " + value
	}
	if c.revalidate {
		value += ", must-revalidate"
	}
	return value
}

// names returns the members of a list of names, in their canonical spelling.
func names(lines []string) (out []string) {
	for name := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, http.CanonicalHeaderKey(name))
		}
	}
	return out
}

// vary names what any part varies on.
func vary(h http.Header, answers []answer) {
	var all []string
	for i := range answers {
		for _, name := range names(answers[i].Header()["Vary"]) {
			if name != "Accept-Encoding" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	if len(all) > 0 {
		h.Set("Vary", strings.Join(all, ", "))
	}
}

// tags collects the tags of all parts, for the cache and in the same field for
// what may be made of the whole.
func tags(h http.Header, answers []answer, field string) {
	var all []string
	for i := range answers {
		// The second field is a copy of the first, and its tags are separated alike.
		part := answers[i].Header()
		lines := slices.Concat(part["Surrogate-Key"], part[http.CanonicalHeaderKey(field)])
		for _, tag := range httpcache.SplitTags("Surrogate-Key", lines) {
			if !slices.Contains(all, tag) {
				all = append(all, tag)
			}
		}
	}
	if len(all) > 0 {
		h.Set("Surrogate-Key", strings.Join(all, " "))
		h.Set(field, strings.Join(all, " "))
	}
}

// sources says what the whole was made from: when one of the parts changes, it goes.
func sources(h http.Header, parts []Part, answers []answer) {
	for i, p := range parts {
		id := upstream.Source(p.Upstream, "", answers[i].request)
		httpcache.AddSource(h, id)
		httpcache.AddSourceOf(h, answers[i].request)
		h.Add(respond.InternalSources, id)
	}
}

// missing says which parts the whole is without.
func missing(h http.Header, parts []Part, answers []answer) {
	var list []string
	for i, p := range parts {
		if !answers[i].usable {
			list = append(list, strconv.QuoteToASCII(p.Name))
		}
	}
	if len(list) > 0 {
		h.Set(MissingField, strings.Join(list, ", "))
	}
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}
