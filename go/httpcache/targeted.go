package httpcache

import (
	"net/http"
	"strings"
)

// RFC 9213, Targeted HTTP Cache Control.

// effectiveDirectives returns the directives that govern a response for this
// cache: those of the first targeted field in targets that is present, not
// empty and valid; else those of Cache-Control. targeted tells which: if it is
// true, Cache-Control and Expires are to be ignored (section 2.2).
func effectiveDirectives(h http.Header, targets []string) (d responseDirectives, targeted bool) {
	for _, name := range targets {
		lines := h[name]
		if len(lines) == 0 {
			continue
		}
		if d, ok := parseTargeted(strings.Join(lines, ", ")); ok {
			return d, true
		}
	}
	return parseResponseDirectives(h["Cache-Control"]), false
}

// parseTargeted parses a targeted field. ok is false if it is empty, not a
// Dictionary, or gives a directive a value of another type than its own; such
// a field counts as absent (section 2.1).
func parseTargeted(s string) (d responseDirectives, ok bool) {
	members, err := parseDictionary(s)
	if err != nil || len(members) == 0 {
		return d, false
	}
	d = responseDirectives{present: true, maxAge: absent, sMaxAge: absent, staleWhileRevalidate: absent, staleIfError: absent}
	ok = true
	for _, m := range members {
		switch m.key {
		case "no-store":
			ok = ok && flag(&d.noStore, m.value)
		case "public":
			ok = ok && flag(&d.public, m.value)
		case "must-revalidate":
			ok = ok && flag(&d.mustRevalidate, m.value)
		case "proxy-revalidate":
			ok = ok && flag(&d.proxyRevalidate, m.value)
		case "must-understand":
			ok = ok && flag(&d.mustUnderstand, m.value)
		case "no-cache":
			ok = ok && d.flagOrFields(&d.noCache, m.value)
		case "private":
			ok = ok && d.flagOrFields(&d.private, m.value)
		case "max-age":
			ok = ok && seconds(&d.maxAge, m.value)
		case "s-maxage":
			ok = ok && seconds(&d.sMaxAge, m.value)
		case "stale-while-revalidate":
			ok = ok && seconds(&d.staleWhileRevalidate, m.value)
		case "stale-if-error":
			ok = ok && seconds(&d.staleIfError, m.value)
		}
	}
	return d, ok
}

func flag(v *bool, item sfItem) bool {
	*v = item.num == 1
	return item.kind == sfBoolean
}

func seconds(v *int64, item sfItem) bool {
	*v = min(item.num, maxDelta)
	return item.kind == sfInteger && item.num >= 0
}

// flagOrFields takes a boolean, or a String or Token that lists field names.
func (d *responseDirectives) flagOrFields(v *bool, item sfItem) bool {
	if item.kind == sfBoolean {
		*v = item.num == 1
		return true
	}
	if item.kind != sfString && item.kind != sfToken {
		return false
	}
	s := directiveScanner{raw: item.text, hasValue: true}
	*v = d.fields(&s) || *v
	return true
}
