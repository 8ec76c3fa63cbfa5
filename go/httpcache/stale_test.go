package httpcache

import (
	"net/http"
	"testing"
	"time"
)

// RFC 9111, 4.2.4 and 5.2.2; RFC 5861.

func TestStaleOnError(t *testing.T) {
	l := func(v ...string) []string { return v }
	// The stored response has been stale for stale seconds when the origin
	// fails in the given way.
	fails := func(cc string, stale int, origin *response, served bool, with ...string) story {
		second := step{after: time.Duration(10+stale) * sec, with: with, origin: origin, dead: origin == nil}
		switch {
		case served:
			second.want = "200 one"
			second.has = l("Cache-Status: ~hit; fwd=stale")
		case origin == nil:
			second.want = "aborted"
		default:
			second.want = statusWord(origin.status)
		}
		return story{steps: []step{{origin: reply(200, "one", "Cache-Control: max-age=10"+cc), want: "200 one"}, second}}
	}
	s500, s502, s503, s504 := reply(500, ""), reply(502, ""), reply(503, ""), reply(504, "")
	byOption := fails("", 29, s500, true)
	byOption.opt.StaleIfError = 30 * sec
	off := fails("", 1, s502, false)
	off.opt.StaleIfUnreachable = -1
	longer := fails("", 299, nil, true)
	longer.opt.StaleIfUnreachable = 300 * sec
	runStories(t, map[string]story{
		"stale-if-error, 500":                       fails(", stale-if-error=30", 29, s500, true),
		"stale-if-error, 502":                       fails(", stale-if-error=30", 29, s502, true),
		"stale-if-error, 503":                       fails(", stale-if-error=30", 29, s503, true),
		"stale-if-error, 504":                       fails(", stale-if-error=30", 29, s504, true),
		"stale-if-error, abort":                     fails(", stale-if-error=30", 29, nil, true),
		"stale-if-error, 501":                       fails(", stale-if-error=30", 1, reply(501, ""), false),
		"stale-if-error, 404":                       fails(", stale-if-error=30", 1, reply(404, ""), false),
		"stale-if-error over, 500":                  fails(", stale-if-error=30", 31, s500, false),
		"stale-if-error over, 503":                  fails(", stale-if-error=30", 31, s503, false),
		"stale-if-error over, abort":                fails(", stale-if-error=30", 31, nil, false),
		"stale-if-error zero":                       fails(", stale-if-error=0", 1, s502, false),
		"unreachable, 502":                          fails("", 59, s502, true),
		"unreachable, abort":                        fails("", 59, nil, true),
		"unreachable too long":                      fails("", 61, s502, false),
		"unreachable, 500":                          fails("", 1, s500, false),
		"unreachable off":                           off,
		"unreachable, longer":                       longer,
		"by option":                                 byOption,
		"must-revalidate":                           fails(", must-revalidate, stale-if-error=30", 1, s502, false),
		"must-revalidate, abort":                    fails(", must-revalidate", 1, nil, false),
		"proxy-revalidate":                          fails(", proxy-revalidate", 1, s502, false),
		"no-cache":                                  fails(", no-cache", 1, s502, false),
		"s-maxage":                                  fails(", s-maxage=10", 1, s502, false),
		"s-maxage with stale-if-error":              fails(", s-maxage=10, stale-if-error=30", 1, s502, true),
		"request's stale-if-error":                  fails("", 100, s500, false, "Cache-Control: stale-if-error=50"),
		"request's stale-if-error holds":            fails("", 40, s500, true, "Cache-Control: stale-if-error=50"),
		"request's stale-if-error, must-revalidate": fails(", must-revalidate", 1, s500, false, "Cache-Control: stale-if-error=50"),
		"request's no-cache":                        fails(", stale-if-error=30", 1, s500, false, "Cache-Control: no-cache"),
		"Age tells":                                 {steps: []step{{origin: reply(200, "one", fresh)}, {after: 70 * sec, dead: true, want: "200 one", has: l("Age: 70")}}},
		"again and again, then errors": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=10, stale-if-error=20")},
			{after: 15 * sec, origin: s503, want: "200 one"},
			{after: 10 * sec, origin: s503, want: "200 one"},
			{after: 10 * sec, origin: s503, want: "503"},
			{origin: reply(200, "two", fresh), want: "200 two"},
		}},
	})
}

func TestStaleWhileRevalidate(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", "Cache-Control: max-age=1, stale-while-revalidate=10", etag))
	r.get("/")
	r.clock.advance(3 * sec)
	r.set(reply(200, "two", "Cache-Control: max-age=1, stale-while-revalidate=10", etag))
	if rec := r.get("/"); rec.Body.String() != "one" || r.lastEvent().Outcome != Stale {
		t.Fatalf("got %q, outcome %v", rec.Body, r.lastEvent().Outcome)
	}
	r.cache.shared.background.Wait()
	if got := r.lastAsked().Header.Get("If-None-Match"); got != `"a"` {
		t.Errorf("revalidated with If-None-Match %q", got)
	}
	if rec := r.get("/"); rec.Body.String() != "two" || r.lastEvent().Outcome != Hit {
		t.Errorf("then got %q, outcome %v", rec.Body, r.lastEvent().Outcome)
	}
	if n := r.askedCount(); n != 2 {
		t.Errorf("the origin was asked %d times, want 2", n)
	}
}

func TestStaleWhileRevalidateWindow(t *testing.T) {
	window := Options{StaleWhileRevalidate: 10 * sec}
	runStories(t, map[string]story{
		"over": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1, stale-while-revalidate=4", etag)},
			{after: 6 * sec, origin: reply(200, "two"), want: "200 two"},
		}},
		"must-revalidate": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1, must-revalidate, stale-while-revalidate=4", etag)},
			{after: 2 * sec, origin: reply(200, "two"), want: "200 two"},
		}},
		"zero in the response": {opt: window, steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1, stale-while-revalidate=0", etag)},
			{after: 2 * sec, origin: reply(200, "two"), want: "200 two"},
		}},
		"a client that wants fresh": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1, stale-while-revalidate=4", etag)},
			{after: 2 * sec, with: []string{"Cache-Control: min-fresh=0"}, origin: reply(200, "two"), want: "200 two"},
		}},
	})
}

// However many stale answers are given, one revalidation runs at a time, and
// Close waits for it.
func TestBackgroundIsBounded(t *testing.T) {
	r := newRig(t, Options{MaxBackground: 2})
	for _, url := range []string{"/1", "/2", "/3"} {
		r.set(reply(200, url, "Cache-Control: max-age=1, stale-while-revalidate=100"))
		r.get(url)
	}
	r.clock.advance(3 * sec)
	started, release := make(chan string, 10), make(chan struct{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		started <- req.URL.Path
		<-release
		w.Header().Set("Cache-Control", "max-age=100")
	}))
	for range 5 {
		if rec := r.get("/1"); rec.Body.String() != "/1" {
			t.Fatalf("got %q", rec.Body)
		}
	}
	<-started
	r.get("/2")
	<-started
	r.get("/3") // beyond MaxBackground: served stale without a revalidation
	close(release)
	r.cache.Close()
	if n := len(started); n != 0 {
		t.Errorf("%d revalidations too many", n)
	}
	r.clock.advance(-2 * sec)
	r.clock.advance(2 * sec)
	if rec := r.get("/3"); rec.Body.String() != "/3" {
		t.Errorf("after Close got %q", rec.Body)
	}
	if n := len(started); n != 0 {
		t.Error("a revalidation was started after Close")
	}
}

// A background revalidation that never ends is ended by its timeout, and by
// Close.
func TestCloseEndsBackground(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", "Cache-Control: max-age=1, stale-while-revalidate=100"))
	r.get("/")
	r.clock.advance(3 * sec)
	started := make(chan struct{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		close(started)
		<-req.Context().Done()
	}))
	r.get("/")
	<-started
	r.cache.Close()
}
