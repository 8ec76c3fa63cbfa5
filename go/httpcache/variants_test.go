package httpcache

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What varies on what a proxy behind the cache adds is no one else's.
func TestVaryOnFieldsAddedBehind(t *testing.T) {
	p := newProxyRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "X-Forwarded-For")
		w.Write([]byte("you are " + r.Header.Get("X-Forwarded-For")))
	})
	target, _ := url.Parse(p.origin.URL)
	p.h = p.cache.Handler(httputil.NewSingleHostReverseProxy(target))
	for _, addr := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
		req := p.request("", "/", nil, "")
		req.RemoteAddr = addr
		host, _, _ := strings.Cut(addr, ":")
		if rec := p.do(req); rec.Body.String() != "you are "+host {
			t.Errorf("%s got %q, %q", addr, rec.Body, rec.Header()["Cache-Status"])
		}
	}
	// Where it is set before the cache, it can be compared.
	first := step{with: []string{"X-Forwarded-For: 1"}, origin: reply(200, "1", fresh, "Vary: X-Forwarded-For")}
	runStory(t, story{opt: Options{AddedBehind: []string{}}, steps: []step{
		first,
		{with: []string{"X-Forwarded-For: 2"}, origin: reply(200, "2", fresh, "Vary: X-Forwarded-For"), want: "200 2"},
		{with: []string{"X-Forwarded-For: 1"}, want: "200 1"},
	}})
	runStory(t, story{opt: Options{AddedBehind: []string{"x-user"}}, steps: []step{
		{origin: reply(200, "alice's", fresh, "Vary: Accept, X-User")},
		{origin: reply(200, "bob's", fresh), want: "200 bob's"},
	}})
}

// Credentials that are added behind the cache are credentials.
func TestCredentialsAddedBehind(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		hit    bool
	}{
		"max-age":           {[]string{fresh}, false},
		"nothing":           {[]string{"Last-Modified: {-86400s}"}, false},
		"public":            {[]string{"Cache-Control: public, max-age=60"}, true},
		"s-maxage":          {[]string{"Cache-Control: s-maxage=60"}, true},
		"varies on it":      {[]string{"Cache-Control: public, max-age=60", "Vary: Authorization"}, false},
		"public, malformed": {[]string{"Cache-Control: public, max-age=60, x y"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := twice(c.header, sec, c.hit)
			s.opt.AddedBehind = []string{"Authorization"}
			runStory(t, s)
		})
	}
	runStory(t, story{opt: Options{DefaultTTL: 60 * sec, AddedBehind: []string{"Cookie"}}, steps: []step{
		{origin: reply(200, "alice's", etag)},
		{origin: reply(200, "bob's"), want: "200 bob's", sent: []string{"!If-None-Match"}},
	}})
}

// Forwarded is compared as a whole where a response names it, and without the address where it
// is only implied.
func TestVaryForwarded(t *testing.T) {
	runStory(t, story{steps: []step{
		{with: []string{"Forwarded: for=192.0.2.1;proto=https"}, origin: reply(200, "one", fresh, "Vary: Forwarded")},
		{with: []string{"Forwarded: for=192.0.2.2;proto=https"}, origin: reply(200, "two", fresh, "Vary: Forwarded"), want: "200 two"},
		{with: []string{"Forwarded: for=192.0.2.1;proto=https"}, want: "200 one"},
		{origin: reply(200, "three", fresh, "Vary: Forwarded"), want: "200 three"},
		{with: []string{"Forwarded: for=192.0.2.2;proto=https"}, want: "200 two"},
		{want: "200 three"},
	}})
}

func TestIgnoreQuery(t *testing.T) {
	o := Options{IgnoreQuery: []string{"utm_*", "gclid"}}
	same := []string{"/a?x=1&y", "/a?x=1&y&utm_source=z", "/a?gclid=1&x=1&y", "/a?utm_&x=1&gclid&y&utm_id=%26q"}
	for _, url := range same[1:] {
		runStory(t, story{opt: o, steps: []step{
			{url: same[0], origin: reply(200, "one", fresh)}, {url: url, want: "200 one"},
			{method: "PUT", url: url, origin: reply(204, "")},
			{url: same[0], origin: reply(200, "two", fresh), want: "200 two"},
		}})
		r := newRig(t, o)
		r.set(reply(200, "one", fresh))
		r.get(url)
		r.cache.PurgeURL("http://example.com"+same[0], Hard)
		r.set(reply(200, "two", fresh))
		if rec := r.get(url); rec.Body.String() != "two" {
			t.Errorf("%s survived a purge of %s", url, same[0])
		}
	}
	runStory(t, story{opt: o, steps: []step{
		{url: "/a?utm_source=x", origin: reply(200, "one", fresh)},
		{url: "/a", want: "200 one"},
		{url: "/a?", origin: reply(200, "two", fresh), want: "200 two"},
	}})
	// Anything that an origin might read another way is kept.
	for _, url := range []string{
		"/a?x=1", "/a?y&x=1", "/a?x=1&y&utm_source=1;z=2", "/a?x=1&y&gclid;z=2", "/a?x=1&y&utm%5Fsource=1", "/a?x=1&y&UTM_source=1",
		"/a?x=1&y&gclid2=1", "/a?x=1&y&=utm_source", "/a?x=1&y&", "/a?x=1&&y", "/a?x=1&y?utm_source=1", "/a?x=1&y=utm_source",
	} {
		runStory(t, story{opt: o, steps: []step{
			{url: same[0], origin: reply(200, "one", fresh)}, {url: url, origin: reply(200, "two", fresh), want: "200 two"},
		}})
	}
	// The next hop gets the query as it is.
	r := newRig(t, o)
	r.set(reply(200, "one"))
	r.get("/a?utm_source=z&b")
	if got := r.lastAsked().URL.RawQuery; got != "utm_source=z&b" {
		t.Errorf("the next hop got %q", got)
	}
}

// A private cache is one user's.
func TestPrivateCache(t *testing.T) {
	private := func(s story) story { s.opt.Private = true; return s }
	auth := []string{"Authorization: x", "Cookie: a=b"}
	got := func(hit bool, after int, header ...string) story {
		second := step{after: time.Duration(after) * sec, with: auth, want: "200 one"}
		if !hit {
			second.origin, second.want = reply(200, "two"), "200 two"
		}
		return private(story{steps: []step{{with: auth, origin: reply(200, "one", header...)}, second}})
	}
	runStories(t, map[string]story{
		"private":                    got(true, 59, "Cache-Control: private, max-age=60"),
		"s-maxage is not for it":     got(false, 59, "Cache-Control: s-maxage=60"),
		"max-age before s-maxage":    got(true, 59, "Cache-Control: s-maxage=1, max-age=60"),
		"targeted is not for it":     got(true, 59, "CDN-Cache-Control: no-store", "Cache-Control: max-age=60"),
		"Set-Cookie":                 got(true, 59, "Cache-Control: max-age=60", "Set-Cookie: a=b"),
		"heuristics":                 got(true, 59, "Last-Modified: {-86400s}"),
		"no-store":                   got(false, 1, "Cache-Control: no-store, max-age=60"),
		"no-cache":                   got(false, 1, "Cache-Control: no-cache, max-age=60"),
		"fields of private are kept": private(story{steps: []step{{origin: reply(200, "one", `Cache-Control: private="X-User", max-age=60`, "X-User: me")}, {want: "200 one", has: []string{"X-User: me"}}}}),
		"Vary":                       private(story{steps: []step{{with: []string{"Cookie: a"}, origin: reply(200, "one", fresh, "Vary: Cookie")}, {with: []string{"Cookie: b"}, origin: reply(200, "two", fresh), want: "200 two"}}}),
	})
}

// Surrogate-Control is obeyed where it is configured, and then is nobody else's.
func TestSurrogateControl(t *testing.T) {
	runStory(t, story{opt: Options{TargetedFields: []string{"Surrogate-Control"}}, steps: []step{
		{origin: reply(200, "one", "Surrogate-Control: max-age=60", "Cache-Control: no-store"), has: []string{"!Surrogate-Control", "Cache-Control: no-store"}},
		{after: 59 * sec, want: "200 one", has: []string{"!Surrogate-Control"}},
	}})
	runStory(t, story{steps: []step{
		{origin: reply(200, "one", "Surrogate-Control: max-age=60"), has: []string{"Surrogate-Control: max-age=60"}},
	}})
}

// Set-Cookie is never stored where that is not wanted: not by a full response, a 304, a part, a
// HEAD or a POST.
func TestNeverStoreSetCookie(t *testing.T) {
	o := Options{NeverStoreSetCookie: true}
	cookie := "Set-Cookie: session=1"
	l := func(v ...string) []string { return v }
	runStories(t, map[string]story{
		"200": {opt: o, steps: []step{
			{origin: reply(200, "one", fresh, cookie), has: l(cookie)}, {origin: reply(200, "two"), want: "200 two"},
		}},
		"withheld": {opt: o, steps: []step{
			{origin: reply(200, "one", fresh, `Cache-Control: private="set-cookie"`, cookie), has: l(cookie)},
			{want: "200 one", has: l("!Set-Cookie")},
		}},
		"withheld, but malformed": {opt: o, steps: []step{
			{origin: reply(200, "one", fresh, `Cache-Control: private="set-cookie";x`, cookie), has: l(cookie)},
			{origin: reply(200, "two"), want: "200 two"},
		}},
		"withheld, but not fresh": {opt: o, steps: []step{
			{origin: reply(200, "one", `Cache-Control: no-cache="Set-Cookie"`, etag, cookie)},
			{origin: reply(200, "two"), want: "200 two", sent: l("!If-None-Match")},
		}},
		"targeted": {opt: o, steps: []step{
			{origin: reply(200, "one", "CDN-Cache-Control: max-age=60", cookie)}, {origin: reply(200, "two"), want: "200 two"},
		}},
		"304": {opt: o, steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag)},
			{after: 2 * sec, origin: reply(304, "", fresh, cookie), want: "200 one"},
			{origin: reply(200, "two"), want: "200 two", has: l("!Set-Cookie"), sent: l("!If-None-Match")},
		}},
		"HEAD": {opt: o, steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			{method: "HEAD", with: l("Cache-Control: no-cache"), origin: reply(200, "", fresh, etag, cookie)},
			{origin: reply(200, "two"), want: "200 two", has: l("!Set-Cookie")},
		}},
		"part": {opt: o, steps: []step{
			{with: l("Range: bytes=0-1"), origin: reply(206, "on", fresh, etag, "Content-Range: bytes 0-1/3", cookie)},
			{with: l("Range: bytes=0-1"), origin: reply(206, "tw", fresh, etag, "Content-Range: bytes 0-1/3"), want: "206 tw", has: l("!Set-Cookie")},
		}},
		"rest of a part": {opt: o, steps: []step{
			{with: l("Range: bytes=0-1"), origin: reply(206, "on", fresh, etag, "Content-Range: bytes 0-1/3")},
			{origin: reply(206, "e", fresh, etag, "Content-Range: bytes 2-2/3", cookie), want: "200 one", has: l(cookie)},
			{origin: reply(200, "two"), want: "200 two", has: l("!Set-Cookie")},
		}},
		"POST": {opt: o, steps: []step{
			{method: "POST", body: "x", origin: reply(200, "one", fresh, "Content-Location: /", cookie)},
			{origin: reply(200, "two"), want: "200 two"},
		}},
		"without it": {steps: []step{{origin: reply(200, "one", fresh, cookie)}, {want: "200 one"}}},
	})
}
