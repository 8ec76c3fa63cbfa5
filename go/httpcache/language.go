package httpcache

import (
	"net/http"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 4.1 lets a cache choose among stored variants by the weights of the
// request. For Accept-Language this is done where the choice is beyond doubt: a
// stored response whose Content-Language is the language that the request
// prefers to all others is reused, whatever else its own request accepted. Such
// a response is found through an alias: an entry under a variant key with the
// language in place of the value of Accept-Language, which holds the key of the
// variant itself.

// aliasLanguage returns the language under which a variant is to be found, or
// "" if it has not exactly one.
func aliasLanguage(vary []string, response http.Header) string {
	lines := response["Content-Language"]
	if len(lines) != 1 || !field.IsToken(lines[0]) {
		return ""
	}
	for _, name := range vary {
		if name == "Accept-Language" {
			return strings.ToLower(lines[0])
		}
	}
	return ""
}

// appendAlias appends the alias of the variant with the key.
func appendAlias(dst, key []byte) []byte { return append(append(dst, kindAlias), key...) }

// preferredLanguage returns the one language range of Accept-Language with the
// highest weight, in lower case, or "" if there is none or several.
func preferredLanguage(values []string) string {
	var space [maxWeighted]weighted
	list, ok := parseWeighted(space[:0], values)
	if !ok || len(list) == 0 {
		return ""
	}
	best, tie := list[0], false
	for _, w := range list[1:] {
		if w.weight > best.weight {
			best, tie = w, false
		} else if w.weight == best.weight {
			tie = true
		}
	}
	if tie || best.weight == 0 || !field.IsToken(best.name) || best.name == "*" {
		return ""
	}
	return strings.ToLower(best.name)
}
