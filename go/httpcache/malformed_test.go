package httpcache

import (
	"testing"
	"time"
)

// A member of Cache-Control that can't be parsed grants nothing, and what it seems to forbid is
// forbidden.
func TestMalformedCacheControl(t *testing.T) {
	alice, bob := []string{"Authorization: Bearer alice"}, []string{"Authorization: Bearer bob"}
	old := "Last-Modified: {-31536000s}"
	for _, cc := range []string{
		"public; max-age=30", "public; no-store", "public max-age=30", "must-revalidate; max-age=30",
		"must-revalidate, max-age=30; public", "s-maxage=30;", "s-maxage=30 public", "public; foo",
		"public, foo bar", "max-age=30, s-maxage = 30", "max-age=30, public, =x", "public, max-age=30, ;",
		"max-age=30, must-revalidate, \"", "(public), max-age=30, public",
	} {
		runStory(t, story{steps: []step{
			{with: alice, origin: reply(200, "alice's", "Cache-Control: "+cc, old)},
			{with: bob, origin: reply(200, "bob's"), want: "200 bob's", sent: []string{"!If-Modified-Since"}},
		}})
	}
	// Without Authorization too, nothing is guessed.
	for _, cc := range []string{
		"public; max-age=30", "public max-age=30", "must-revalidate; max-age=30", "max-age=30; public", "foo bar", ";", "max-age = 30", "=",
		"max-age=30; s-maxage=60, s-maxage=90", "x\"", "stale-while-revalidate=30;",
	} {
		s := twice([]string{"Cache-Control: " + cc, old, "Expires: {3600s}"}, sec, false)
		s.opt.DefaultTTL, s.opt.StaleWhileRevalidate, s.opt.StaleIfUnreachable = 60*sec, 60*sec, 60*sec
		runStory(t, s)
	}
	// What is restricted is so wherever the name stands.
	for _, cc := range []string{
		"public; no-store", "no-store, max-age=60, must-understand; x", "must-understand, max-age=60, no-store; x",
		"max-age=60, no-store; x", "max-age=60, x no-store", `max-age=60, "no-store"`, `max-age=60, x="a" no-store`,
		`max-age=60, x="no-store`, "max-age=60, ;no-store", "max-age=60, [No-Store]", "max-age=60, private; x", "max-age=60, private = x",
		`max-age=60, private="X" y`, "max-age=60, no-cache; x", "max-age=60,\tno-store\t;", "public, max-age=60, x/private",
	} {
		runStory(t, twice([]string{"Cache-Control: " + cc}, sec, false))
		targeted := twice([]string{"CDN-Cache-Control: " + cc + " &", "Cache-Control: max-age=60"}, sec, false)
		runStory(t, targeted)
	}
	// What is well-formed beside it holds; and names in values are no directives.
	for _, cc := range []string{"max-age=60, foo bar", "foo bar, max-age=60", `max-age=60, x="no-store, private"`, "max-age=60, x=no-store", "max-age=60, xno-store y", ", ,max-age=60,"} {
		runStory(t, twice([]string{"Cache-Control: " + cc}, 59*sec, true))
	}
	// Nor is anything stale given by it.
	for _, cc := range []string{"max-age=1, foo bar", "max-age=1, stale-if-error=60;", "max-age=1, x y, stale-if-error=60"} {
		runStory(t, story{steps: []step{
			{origin: reply(200, "one", "Cache-Control: "+cc, etag)},
			{after: 2 * sec, with: []string{"Cache-Control: max-stale, stale-if-error=60"}, origin: reply(503, ""), want: "503"},
		}})
	}
}

// The same for requests: what can't be parsed allows nothing.
func TestMalformedRequestDirectives(t *testing.T) {
	for _, cc := range []string{"max-stale; x", "x max-stale", "max-stale = 60", "max-stale=60 60", "max-stale, no-cache; x", "max-stale=x, max-stale=60"} {
		runStory(t, story{steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag)},
			{after: 2 * sec, with: []string{"Cache-Control: " + cc}, origin: reply(200, "two"), want: "200 two"},
		}})
	}
	for _, cc := range []string{"no-store; x", "x no-store", "no-cache; x", "x;no-cache"} {
		runStory(t, story{steps: []step{
			{origin: reply(200, "one", fresh)},
			{with: []string{"Cache-Control: " + cc}, origin: reply(200, "two"), want: "200 two"},
		}})
	}
	runStory(t, story{steps: []step{{with: []string{"Cache-Control: only-if-cached; x"}, want: "504"}}})
}

// These are never stored, whatever they say (RFC 6585; RFC 9110, 15.4.8).
func TestUnstorableStatuses(t *testing.T) {
	for _, status := range []int{206, 304, 407, 428, 429, 431, 511} {
		runStory(t, story{steps: []step{
			{origin: reply(status, "", "Cache-Control: public, max-age=60", etag)},
			{origin: reply(200, "two"), want: "200 two"},
		}})
	}
	for _, status := range []int{200, 302, 307, 404, 403, 421, 500, 503, 599} {
		runStory(t, story{steps: []step{
			{origin: reply(status, "", "Cache-Control: max-age=60")},
			{want: statusWord(status)},
		}})
	}
}

// Durations below a second work.
func TestDurationsBelowASecond(t *testing.T) {
	const ms = sec / 1000
	keep := func(o Options, header string, after, origin int) story {
		second := step{after: time.Duration(after) * ms, want: "200 one"}
		if origin != 0 {
			second.origin = reply(origin, "")
		}
		return story{opt: o, steps: []step{{origin: reply(200, "one", header)}, second}}
	}
	runStories(t, map[string]story{
		"DefaultTTL":         keep(Options{DefaultTTL: 500 * ms}, "X: y", 499, 0),
		"StaleIfError":       keep(Options{StaleIfError: 500 * ms}, "Cache-Control: max-age=1", 1499, 500),
		"StaleIfUnreachable": keep(Options{StaleIfUnreachable: 500 * ms}, "Cache-Control: max-age=1", 1499, 503),
		"HeuristicMax":       keep(Options{HeuristicMax: 500 * ms}, "Last-Modified: {-3600s}", 499, 0),
		"less than 1 ms":     keep(Options{DefaultTTL: 1}, "X: y", 0, 0),
	})
	over := keep(Options{DefaultTTL: 500 * ms}, "X: y", 500, 200)
	over.steps[1].want = "200"
	runStory(t, over)
	r := newRig(t, Options{StaleWhileRevalidate: 500 * ms})
	r.set(reply(200, "one", "Cache-Control: max-age=1", etag))
	r.get("/")
	r.clock.advance(1400 * ms)
	if r.get("/"); r.lastEvent().Outcome != Stale {
		t.Errorf("StaleWhileRevalidate: %v", r.lastEvent().Outcome)
	}
	r.cache.shared.background.Wait()
	kept := newRig(t, Options{KeepStale: 500 * ms, StaleIfUnreachable: -1})
	kept.set(reply(200, "one", "Cache-Control: max-age=1", etag))
	kept.get("/")
	kept.clock.advance(1400 * ms)
	kept.set(reply(304, ""))
	if rec := kept.get("/"); rec.Body.String() != "one" {
		t.Errorf("KeepStale: %q", rec.Body)
	}
}
