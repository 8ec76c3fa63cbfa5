package httpcache

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// neverFresh are responses that nobody has said may be given to others: they are stored, if at
// all, to be validated.
var neverFresh = map[string][]string{
	"ETag":                        {etag},
	"weak ETag":                   {`Etag: W/"a"`},
	"Last-Modified in the future": {"Last-Modified: {3600s}"},
	"max-age=0":                   {etag, "Cache-Control: max-age=0"},
	"Expires: 0":                  {etag, "Expires: 0"},
	"no-cache":                    {etag, "Cache-Control: no-cache"},
	"no-cache, max-age":           {etag, "Cache-Control: no-cache, max-age=60"},
	"Pragma":                      {"Last-Modified: {-3600s}", "Pragma: no-cache"},
	"malformed":                   {"Last-Modified: {-3600s}", "Cache-Control: public; max-age=30"},
	"CDN-Cache-Control":           {etag, "CDN-Cache-Control: max-age=0", "Cache-Control: max-age=60"},
	"CDN-Cache-Control: public":   {etag, "CDN-Cache-Control: public", "Cache-Control: max-age=60"},
	"broken CDN-Cache-Control":    {etag, "CDN-Cache-Control: no-cache max-age=60", "Cache-Control: max-age=60"},
	"qualified no-cache":          {etag, `Cache-Control: no-cache="X-User"`},
}

// everyWindow are options that allow as much as can be.
var everyWindow = Options{
	StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour, StaleIfUnreachable: time.Hour,
}

// Nothing gets at them without the origin: no directive of a client's, no error, no option, no
// option of a route.
func TestNeverFreshIsNeverGiven(t *testing.T) {
	asks := []string{
		"", "Cache-Control: max-stale", "Cache-Control: max-stale=3600", "Cache-Control: max-age=0",
		"Cache-Control: max-age=0, max-stale=3600", "Cache-Control: max-age=3600, max-stale=3600",
		"Cache-Control: min-fresh=0, max-stale", "Cache-Control: stale-if-error=3600, max-stale",
		"Cache-Control: only-if-cached", "Cache-Control: only-if-cached, max-stale",
		"Cache-Control: only-if-cached, stale-if-error=3600",
	}
	answers := map[string]*response{
		"200": reply(200, "mallory's"), "500": reply(500, "500"), "502": reply(502, "502"),
		"503": reply(503, "503"), "504": reply(504, "504"), "none": nil,
	}
	handlers := map[string]func(r *rig) http.Handler{
		"defaults": func(r *rig) http.Handler { return r.h },
		"every window": func(r *rig) http.Handler {
			o := everyWindow
			o.Now, o.Observe = r.cache.opt.Now, r.cache.opt.Observe
			return r.cache.WithOptions(o).Handler(http.HandlerFunc(r.origin))
		},
		"route": func(r *rig) http.Handler {
			return r.cache.HandlerWith(http.HandlerFunc(r.origin),
				HandlerOptions{StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour})
		},
	}
	for name, header := range neverFresh {
		for kind, h := range handlers {
			for _, ask := range asks {
				for what, answer := range answers {
					for _, method := range []string{"GET", "HEAD"} {
						r := newRig(t, Options{})
						r.h = h(r)
						r.set(reply(200, "alice's", r.expand(header)...))
						r.get("/", "X-Api-Key: alice")
						r.clock.advance(time.Millisecond)
						if r.set(answer); answer == nil {
							r.kill()
						}
						var with []string
						if ask != "" {
							with = []string{ask}
						}
						rec := r.do(r.request(method, "/", with, ""))
						r.cache.shared.background.Wait()
						if rec.Body.String() == "alice's" || rec.Header().Get("Etag") != "" {
							t.Errorf("%s, %s, origin answers %s, %s %q: got %d %q, %q", name, kind, what, method, ask, rec.Code, rec.Body, rec.Header()["Cache-Status"])
						}
					}
				}
			}
		}
	}
}

// What the origin states itself holds, and no more than that.
func TestNeverFreshButStated(t *testing.T) {
	swr := []string{etag, "Cache-Control: max-age=0, stale-while-revalidate=60"}
	sie := []string{etag, "Cache-Control: max-age=0, stale-if-error=60"}
	l := func(v ...string) []string { return v }
	second := func(header []string, after time.Duration, with []string, origin *response, want string) story {
		return story{steps: []step{{origin: reply(200, "one", header...)}, {after: after, with: with, origin: origin, want: want}}}
	}
	two := reply(200, "two")
	runStories(t, map[string]story{
		"swr, over":                   second(swr, 61*sec, nil, two, "200 two"),
		"swr, error":                  second(swr, sec, l("Cache-Control: min-fresh=0"), reply(503, ""), "503"),
		"swr, max-stale":              second(swr, 61*sec, l("Cache-Control: max-stale=3600"), two, "200 two"),
		"sie, 500":                    second(sie, 59*sec, nil, reply(500, ""), "200 one"),
		"sie, 503":                    second(sie, 59*sec, nil, reply(503, ""), "200 one"),
		"sie, over":                   second(sie, 61*sec, nil, reply(503, ""), "503"),
		"sie, over, request's":        second(sie, 61*sec, l("Cache-Control: stale-if-error=3600"), reply(503, ""), "503"),
		"sie, the origin is asked":    second(sie, sec, nil, two, "200 two"),
		"sie, max-stale":              second(sie, sec, l("Cache-Control: max-stale"), two, "200 two"),
		"sie, client wants no-cache":  second(sie, sec, l("Cache-Control: no-cache"), reply(500, ""), "500"),
		"sie, client wants max-age=0": second(sie, sec, l("Cache-Control: max-age=0"), reply(500, ""), "500"),
	})
	r := newRig(t, Options{})
	r.set(reply(200, "one", swr...))
	r.get("/")
	r.clock.advance(sec)
	if rec := r.get("/"); rec.Body.String() != "one" {
		t.Errorf("within stale-while-revalidate: %q", rec.Body)
	}
	r.cache.shared.background.Wait()
}

// A page made for a Cookie that says nothing about caching is not even kept to be validated:
// validators often don't tell users apart.
func TestCookiePagesAreNotValidatedForOthers(t *testing.T) {
	for _, header := range []string{etag, "Last-Modified: {-3600s}"} {
		runStory(t, story{steps: []step{
			{with: []string{"Cookie: session=alice"}, origin: reply(200, "alice's", header)},
			{with: []string{"Cookie: session=bob"}, origin: reply(200, "bob's", header), want: "200 bob's", sent: []string{"!If-None-Match", "!If-Modified-Since"}},
		}})
	}
	for _, header := range [][]string{
		{etag, "Cache-Control: public"}, {etag, "Cache-Control: no-cache"}, {etag, "Cache-Control: max-age=0"},
	} {
		runStory(t, story{steps: []step{
			{with: []string{"Cookie: a=b"}, origin: reply(200, "one", header...)},
			{after: sec, with: []string{"Cookie: a=b"}, origin: reply(304, ""), want: "200 one"},
		}})
	}
}

// A client's own stale-if-error is good for itself, not for those who happen to wait with it.
func TestStaleOnErrorOfOneIsNotForOthers(t *testing.T) {
	r := newRig(t, Options{StaleIfUnreachable: -1})
	r.set(reply(200, "one", "Cache-Control: max-age=1", etag))
	r.get("/")
	r.clock.advance(2 * sec)
	g := newGate()
	r.h = r.cache.Handler(g)
	leader := crowd(r, 1, func(int) *http.Request {
		return r.request("", "/", []string{"Cache-Control: stale-if-error=60"}, "")
	})
	<-g.asked
	others := crowd(r, 2, func(int) *http.Request { return r.request("", "/", nil, "") })
	r.joined(3)
	g.release <- reply(500, "error")
	for _, rec := range leader() {
		if rec.Body.String() != "one" {
			t.Errorf("who allows stale got %d %q", rec.Code, rec.Body)
		}
	}
	for range 2 {
		g.release <- reply(500, "error")
	}
	for _, rec := range others() {
		if rec.Code != 500 {
			t.Errorf("who doesn't got %d %q", rec.Code, rec.Body)
		}
	}
}

// Requests are collapsed by the newest set of names that responses vary on; what is found may
// be of an older one, and be another for another request.
func TestCollapsedValidationIsOfTheSameVariant(t *testing.T) {
	r := newRig(t, Options{})
	store := func(vary string, with ...string) {
		r.set(reply(200, with[0], "Cache-Control: max-age=1", etag, "Vary: "+vary))
		r.get("/", with...)
	}
	store("X-User", "X-User: alice")
	store("X-User", "X-User: bob")
	store("X-Lang", "X-User: eve", "X-Lang: en")
	r.clock.advance(2 * sec)
	g := newGate()
	r.h = r.cache.Handler(g)
	ask := func(user string) func() []*httptest.ResponseRecorder {
		return crowd(r, 1, func(int) *http.Request { return r.request("", "/", []string{"X-User: " + user}, "") })
	}
	alice := ask("alice")
	<-g.asked
	bob := ask("bob")
	r.joined(2)
	g.release <- reply(304, "", "Cache-Control: max-age=1", "Vary: X-User")
	alice()
	g.release <- reply(304, "", "Cache-Control: max-age=1", "Vary: X-User")
	for _, rec := range bob() {
		if rec.Body.String() != "X-User: bob" {
			t.Errorf("bob got %q", rec.Body)
		}
	}
}
