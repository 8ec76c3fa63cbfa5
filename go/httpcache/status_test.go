package httpcache

import (
	"strings"
	"testing"
)

// RFC 9211.

func TestCacheStatus(t *testing.T) {
	l := func(v ...string) []string { return v }
	status := func(s string) []string { return l("Cache-Status: " + s) }
	runStories(t, map[string]story{
		"miss, then hit": {steps: []step{
			{origin: reply(200, "one", fresh), has: status("larder; fwd=uri-miss; fwd-status=200; stored")},
			{after: 20 * sec, has: status("larder; hit; ttl=40")},
		}},
		"not stored": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: no-store"), has: status("larder; fwd=uri-miss; fwd-status=200; detail=no-store")},
		}},
		"variant": {steps: []step{
			{with: l("Foo: 1"), origin: reply(200, "one", fresh, "Vary: Foo")},
			{with: l("Foo: 2"), origin: reply(200, "two", fresh, "Vary: Foo"), has: status("larder; fwd=vary-miss; fwd-status=200; stored")},
		}},
		"stale": {steps: []step{
			{origin: reply(200, "one", fresh)},
			{after: 61 * sec, origin: reply(200, "two", fresh), has: status("larder; fwd=stale; fwd-status=200; stored")},
			{after: 70 * sec, with: l("Cache-Control: max-stale"), has: status("larder; hit; ttl=-10")},
			{origin: reply(503, ""), has: status("larder; hit; fwd=stale; fwd-status=503; ttl=-10")},
		}},
		"request": {steps: []step{
			{origin: reply(200, "one", fresh)},
			{with: l("Cache-Control: no-cache"), origin: reply(200, "two", fresh), has: status("larder; fwd=request; fwd-status=200; stored")},
			{with: l("Cache-Control: no-store"), origin: reply(200, "two", fresh), has: status("larder; fwd=request; fwd-status=200")},
		}},
		"method": {steps: []step{
			{method: "POST", body: "x", origin: reply(200, "one"), has: status("larder; fwd=method; fwd-status=200")},
		}},
		"bypass": {steps: []step{
			{with: l(`If-Match: "a"`), origin: reply(200, "one", fresh), has: status("larder; fwd=bypass; fwd-status=200")},
		}},
		"only-if-cached": {steps: []step{
			{with: l("Cache-Control: only-if-cached"), has: status("larder; detail=only-if-cached")},
		}},
		"caches nearer the origin come first": {steps: []step{
			{origin: reply(200, "one", fresh, "Cache-Status: a; hit", `Cache-Status: b; fwd=miss`), has: status("a; hit, b; fwd=miss, larder; fwd=uri-miss; fwd-status=200; stored")},
			{has: status("a; hit, b; fwd=miss, larder; hit; ttl=60")},
		}},
		"another name": {opt: Options{Name: `My "cache"`}, steps: []step{
			{origin: reply(200, "one", fresh), has: status(`"My \"cache\""; fwd=uri-miss; fwd-status=200; stored`)},
			{has: status(`"My \"cache\""; hit; ttl=60`)},
		}},
	})
}

// A miss says why its response was not stored.
func TestCacheStatusSaysWhyNot(t *testing.T) {
	auth, cookie := []string{"Authorization: x"}, []string{"Cookie: x"}
	for _, c := range []struct {
		why    string
		status int
		with   []string
		header []string
	}{
		{"no-store", 200, nil, []string{"Cache-Control: no-store, max-age=60"}},
		{"private", 200, nil, []string{"CDN-Cache-Control: private"}},
		{"authorization", 200, auth, []string{fresh}},
		{"cookie", 200, cookie, []string{etag}},
		{"set-cookie", 200, nil, []string{etag, "Set-Cookie: a=b"}},
		{"vary", 200, nil, []string{fresh, "Vary: *"}},
		{"status", 429, nil, []string{fresh}},
		{"no-lifetime", 200, nil, nil},
		{"no-lifetime", 302, nil, []string{etag}},
		{"must-understand", 299, nil, []string{"Cache-Control: must-understand, max-age=60"}},
		{"stale-on-arrival", 200, nil, []string{fresh, "Date: {-120s}"}}, // the origin's clock is behind
		{"stale-on-arrival", 200, nil, []string{fresh, "Age: 120"}},
		{"too-large", 200, nil, []string{fresh, "Content-Length: 4"}},
	} {
		r := newRig(t, Options{MaxBodyBytes: 3})
		body := ""
		if c.why == "too-large" {
			body = "four"
		}
		r.set(reply(c.status, body, r.expand(c.header)...))
		rec := r.do(r.request("", "/", c.with, ""))
		if got := rec.Header().Get("Cache-Status"); !strings.HasSuffix(got, "; detail="+c.why) {
			t.Errorf("%q: %q, want detail=%s", c.header, got, c.why)
		}
	}
}

// What other caches write into the field is passed on, parsable or not.
func TestCacheStatusOfOthers(t *testing.T) {
	souin := "Souin; fwd=uri-miss; stored; key=GET-http-127.0.0.1:1-/a?b=c"
	squid := "host;hit;detail=match"
	runStory(t, story{steps: []step{
		{origin: reply(200, "one", fresh, "Cache-Status: "+souin, "Cache-Status: "+squid), has: []string{"Cache-Status: " + souin + ", " + squid + ", larder; fwd=uri-miss; fwd-status=200; stored"}},
		{has: []string{"Cache-Status: " + souin + ", " + squid + ", larder; hit; ttl=60"}},
	}})
}

func TestStatusID(t *testing.T) {
	for name, want := range map[string]string{"larder": "larder", "edge-1.example": "edge-1.example", "1st": `"1st"`, "a b": `"a b"`, `a\`: `"a\\"`, "é": `""`} {
		if got := statusID(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
