package httpcache

import "testing"

// RFC 9213.

func TestTargetedFields(t *testing.T) {
	cdn := func(v string, hit bool, more ...string) story {
		return twice(append([]string{"CDN-Cache-Control: " + v}, more...), 2*sec, hit)
	}
	none := twice([]string{"CDN-Cache-Control: max-age=60", "Cache-Control: max-age=1"}, 2*sec, false)
	none.opt.TargetedFields = []string{}
	other := twice([]string{"Foo-Cache-Control: max-age=60", "CDN-Cache-Control: max-age=1"}, 2*sec, true)
	other.opt.TargetedFields = []string{"foo-cache-control", "CDN-Cache-Control"}
	runStories(t, map[string]story{
		"max-age":                      cdn("max-age=60", true),
		"max-age large":                cdn("max-age=99999999999", true),
		"max-age zero":                 cdn("max-age=0", false, "Expires: {60s}"),
		"with extension":               cdn("foobar, max-age=60", true),
		"s-maxage":                     cdn("s-maxage=60, max-age=1", true),
		"over shorter Cache-Control":   cdn("max-age=60", true, "Cache-Control: max-age=1"),
		"over longer Cache-Control":    cdn("max-age=1", false, "Cache-Control: max-age=60"),
		"over Cache-Control: no-store": cdn("max-age=60", true, "Cache-Control: no-store"),
		"over past Expires":            cdn("max-age=60", true, "Expires: {-60s}"),
		"over future Expires":          cdn("public", false, "Expires: {60s}"),
		"private":                      cdn("private", false, "Cache-Control: max-age=60"),
		"no-store":                     cdn("no-store", false, "Cache-Control: max-age=60"),
		"no-store=?0 is not no-store":  cdn("no-store=?0, max-age=60", true),
		"no-cache":                     cdn("no-cache, max-age=60", false),
		"no-cache of fields":           cdn(`no-cache="a", max-age=60`, true),
		"Age counts":                   cdn("max-age=3600", false, "Age: 7200"),
		"space before equals":          cdn("max-age =60", false, "Cache-Control: max-age=1"),
		"space after equals":           cdn("max-age= 60", false, "Cache-Control: max-age=1"),
		"upper case is invalid":        cdn("Max-Age=60", false, "Cache-Control: max-age=1"),
		"invalid member":               cdn("max-age=60, &&&&&", false, "Cache-Control: no-store"),
		"wrong type":                   cdn(`max-age="60"`, false, "Cache-Control: no-store"),
		"negative":                     cdn("max-age=-60", false, "Cache-Control: no-store"),
		"invalid falls back":           cdn("max-age=1, &", true, "Cache-Control: max-age=60"),
		"empty falls back":             cdn("", true, "Cache-Control: max-age=60"),
		"two lines":                    cdn("foo", true, "CDN-Cache-Control: max-age=60", "Cache-Control: max-age=1"),
		"ours before CDN's":            cdn("max-age=60", false, "Larder-Cache-Control: max-age=1"),
		"ours invalid, CDN's":          cdn("max-age=60", true, "Larder-Cache-Control: max-age"),
		"none configured":              none,
		"others configured":            other,
		"ours is removed, CDN's passes": {steps: []step{
			{origin: reply(200, "one", "Larder-Cache-Control: max-age=60", "CDN-Cache-Control: max-age=5"), has: []string{"!Larder-Cache-Control", "CDN-Cache-Control: max-age=5"}},
			{after: 9 * sec, want: "200 one", has: []string{"!Larder-Cache-Control", "CDN-Cache-Control: max-age=5"}},
		}},
		"stale windows": {steps: []step{
			{origin: reply(200, "one", "CDN-Cache-Control: max-age=1, stale-if-error=60", "Cache-Control: must-revalidate")},
			{after: 30 * sec, origin: reply(500, ""), want: "200 one"},
		}},
	})
}
