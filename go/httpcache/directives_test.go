package httpcache

import (
	"testing"
	"time"
)

// RFC 9111, 5.2.1 and 5.4: directives of requests.

func TestRequestDirectives(t *testing.T) {
	l := func(v ...string) []string { return v }
	cc := func(v string) []string { return l("Cache-Control: " + v) }
	got := func(stored string, after int, with []string, want bool) story {
		second := step{after: time.Duration(after) * sec, with: with, want: "200 one"}
		if !want {
			second.origin, second.want = reply(200, "two"), "200 two"
		}
		return story{steps: []step{{origin: reply(200, "one", "Cache-Control: "+stored)}, second}}
	}
	runStories(t, map[string]story{
		"no-cache":                    got("max-age=60", 1, cc("no-cache"), false),
		"max-age=0":                   got("max-age=60", 1, cc("max-age=0"), false),
		"max-age exceeded":            got("max-age=60", 11, cc("max-age=10"), false),
		"max-age enough":              got("max-age=60", 10, cc("max-age=10"), true),
		"min-fresh too much":          got("max-age=60", 10, cc("min-fresh=51"), false),
		"min-fresh enough":            got("max-age=60", 10, cc("min-fresh=50"), true),
		"max-stale enough":            got("max-age=10", 20, cc("max-stale=11"), true),
		"max-stale exceeded":          got("max-age=10", 20, cc("max-stale=9"), false),
		"max-stale without value":     got("max-age=10", 60, cc("max-stale"), true),
		"max-stale, must-revalidate":  got("max-age=10, must-revalidate", 20, cc("max-stale"), false),
		"max-stale, proxy-revalidate": got("max-age=10, proxy-revalidate", 20, cc("max-stale"), false),
		"max-stale, s-maxage":         got("s-maxage=10", 20, cc("max-stale"), false),
		"unknown directive":           got("max-age=60", 1, cc("nothing-to-see-here"), true),
		"Pragma: no-cache":            got("max-age=60", 1, l("Pragma: foo, No-Cache"), false),
		"Pragma beside Cache-Control": got("max-age=60", 1, l("Pragma: no-cache", "Cache-Control: foo"), true),
		"other Pragma":                got("max-age=60", 1, l("Pragma: foo"), true),
		"no-cache validates": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			{after: sec, with: cc("no-cache"), origin: reply(304, "", fresh), sent: l(`If-None-Match: "a"`, "Cache-Control: no-cache"), want: "200 one", has: l("Age: 0")},
		}},
		"no-store is neither stored nor answered from the cache": {steps: []step{
			{with: cc("no-store"), origin: reply(200, "one", fresh), want: "200 one"},
			{origin: reply(200, "two", fresh), want: "200 two"},
			{with: cc("no-store"), origin: reply(200, "three", fresh), want: "200 three"},
			{want: "200 two"},
		}},
		"only-if-cached, absent":  {steps: []step{{with: cc("only-if-cached"), want: "504"}}},
		"only-if-cached, present": got("max-age=60", 1, cc("only-if-cached"), true),
		"only-if-cached, stale": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag)},
			{after: 2 * sec, with: cc("only-if-cached"), want: "504"},
			{with: cc("only-if-cached, max-stale"), want: "200 one"},
		}},
		"ignored on demand": {opt: Options{IgnoreRequestDirectives: true}, steps: []step{
			{origin: reply(200, "one", fresh)},
			{after: sec, with: cc("no-cache, max-age=0, min-fresh=1000"), want: "200 one"},
			{with: l("Pragma: no-cache"), want: "200 one"},
			{with: cc("no-store"), origin: reply(200, "two", fresh), want: "200 two"},
			{url: "/x", with: cc("only-if-cached"), want: "504"},
		}},
	})
}
