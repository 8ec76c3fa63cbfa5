package httpcache

import (
	"net/http"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9213, Targeted HTTP Cache Control.

// effectiveDirectives returns the directives that govern a response for this
// cache: those of the first targeted field in targets that is present, not
// empty and valid; else those of Cache-Control. targeted tells which: if it is
// true, Cache-Control and Expires are to be ignored (section 2.2).
//
// A targeted field that can't be parsed counts as absent, as section 2.1 has it; but what it
// seems to forbid is not done, since no cache must store anything.
func effectiveDirectives(h http.Header, targets []string) (d field.Response, targeted bool) {
	var broken field.Response
	for _, name := range targets {
		lines := h[name]
		if len(lines) == 0 {
			continue
		}
		text := strings.Join(lines, ", ")
		var ok bool
		if d, ok = field.ParseTargeted(text); ok {
			targeted = true
			break
		}
		if strings.Trim(text, ", \t") != "" {
			broken.Malformed = true
			broken.Restrict(text)
		}
	}
	if !targeted {
		d = field.ParseResponse(h["Cache-Control"])
	}
	d.Malformed = d.Malformed || broken.Malformed
	d.NoStore = d.NoStore || broken.NoStore
	d.MustUnderstand = d.MustUnderstand && !broken.NoStore
	d.NoCache = d.NoCache || broken.NoCache
	d.Private = d.Private || broken.Private
	return d, targeted
}

// hasTargeted reports whether a response speaks to some cache in particular, this one or
// another: then nothing is to be guessed about it.
func hasTargeted(h http.Header, targets []string) bool {
	for _, name := range targets {
		if len(h[name]) > 0 {
			return true
		}
	}
	for name := range h {
		if name == "Surrogate-Control" || strings.HasSuffix(name, "-Cache-Control") {
			return true
		}
	}
	return false
}
